//! The file by which a user's OpenSSH knows every node before it first boots.

use std::fmt::Write;

use crate::{ClusterKeys, ClusterView, KeyError};

/// One line per node, in the order of [`ClusterView::nodes`]: all names and the address, then the host key.
///
/// # Errors
/// [`KeyError`]: a key cannot be written in OpenSSH's format.
pub fn known_hosts(view: &ClusterView, keys: &ClusterKeys) -> Result<String, KeyError> {
    let mut text = String::new();
    for node in view.nodes() {
        let host_key = keys.ssh_host_key(&node.name)?.public;
        // Writing to a String does not fail.
        let _ = writeln!(text, "{} {host_key}", view.names_of(node).join(","));
    }
    Ok(text)
}
