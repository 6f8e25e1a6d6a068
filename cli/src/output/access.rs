//! What programs are told of the ways in.

use serde::Serialize;

/// The SSH configuration of a realm's nodes, or of one cluster's.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct SshConfigJson {
    /// The realm.
    pub(crate) realm: String,
    /// Clusters whose nodes are in it.
    pub(crate) clusters: Vec<String>,
    /// The file to include, if it was written; `null` otherwise.
    pub(crate) file: Option<String>,
    /// The text for ssh_config(5).
    pub(crate) config: String,
}

/// A port of this machine that leads to a port of a node.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct ForwardJson {
    /// Address and port that are listened on, such as `127.0.0.1:40001`.
    pub(crate) listen: String,
    /// The node, as `NODE.CLUSTER`.
    pub(crate) node: String,
    /// The port of the node.
    pub(crate) port: u32,
}
