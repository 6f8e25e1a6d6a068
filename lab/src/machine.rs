//! What all hosts of a machine share, made ready for many of them: kernel modules and limits.
//!
//! Limits stay raised when a lab is gone: another lab, or anyone else, may count on them by then.

use std::path::Path;

use crate::command::run;
use crate::error::{Error, file};

/// A systemd node takes about nine inotify instances of the default 128; each remote node of each network
/// takes an entry in the kernel's one neighbour table (1024): far too few for hundreds of nodes.
const LIMITS: [(&str, u64); 6] = [
    // From the highest threshold down, so that they are in order at every moment.
    ("net/ipv4/neigh/default/gc_thresh3", 65_536),
    ("net/ipv4/neigh/default/gc_thresh2", 32_768),
    ("net/ipv4/neigh/default/gc_thresh1", 8_192),
    ("fs/inotify/max_user_instances", 65_536),
    ("fs/inotify/max_user_watches", 1_048_576),
    ("kernel/pid_max", 4_194_304),
];

/// Modules that engines would load themselves on a real host; a lab host has no module files.
const MODULES: [&str; 12] = [
    "overlay",
    "bridge",
    "br_netfilter",
    "veth",
    "vxlan",
    "tun",
    "nf_tables",
    "nft_compat",
    "nf_nat",
    "nf_conntrack_netlink",
    "xt_MASQUERADE",
    "xt_addrtype",
];

/// Loads the modules and raises the limits that are lower.
///
/// # Errors
/// [`Error::File`] when a limit cannot be read or raised.
pub(crate) fn prepare() -> Result<(), Error> {
    if Path::new("/proc/modules").exists() {
        // A module may be built in, or have another name in this kernel: what is really missing is named by
        // the tool that needs it.
        if let Err(refused) = run("modprobe", &[&["--all", "--quiet"], MODULES.as_slice()].concat()) {
            tracing::debug!("{refused}");
        }
    }
    for (name, least) in LIMITS {
        raise(&Path::new("/proc/sys").join(name), least)?;
    }
    Ok(())
}

fn raise(path: &Path, least: u64) -> Result<(), Error> {
    let now = std::fs::read_to_string(path).map_err(file("read", path))?;
    if now.trim().parse().is_ok_and(|now: u64| now < least) {
        std::fs::write(path, least.to_string()).map_err(file("raise", path))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_is_raised_and_never_lowered() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("limit");
        for (before, after) in [("128\n", "1024"), ("2048\n", "2048\n")] {
            std::fs::write(&path, before).unwrap();
            raise(&path, 1024).unwrap();
            assert_eq!(std::fs::read_to_string(&path).unwrap(), after);
        }
    }
}
