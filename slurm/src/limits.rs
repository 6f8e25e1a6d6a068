//! What a process of a node may use. Shoal says it, so that it is the same on every host: engines have defaults of their own, which
//! change with their versions, and so has systemd.
//!
//! ```text
//! LIMITS --> the container's limits (coordinator): PID 1 and what `shoal exec` runs
//!        `-> system.conf (the archive): services, so logins by SSH and jobs
//! ```

use std::fmt::Write as _;

/// A resource limit (getrlimit(2)).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limit {
    /// Its name, as engines and prlimit(1) have it.
    pub name: &'static str,
    /// What holds unless a process asks for more; none if `None`.
    pub soft: Option<u64>,
    /// The most it may ask for; none if `None`.
    pub hard: Option<u64>,
}

/// Processes and threads of a node, at most; a runaway job must not take the host's.
pub const PIDS: u32 = 4096;

/// The limits of every process, as on a machine with Debian, but for the most files: an engine cannot give more than it has itself
/// where its host keeps CAP_SYS_RESOURCE from it. Programs that use select(2) count on 1024 files. Not among them is `nproc`, which
/// counts an account's processes on the whole host.
pub const LIMITS: [Limit; 4] = [
    Limit { name: "nofile", soft: Some(1024), hard: Some(16_384) },
    Limit { name: "memlock", soft: Some(8 << 20), hard: Some(8 << 20) },
    Limit { name: "core", soft: Some(0), hard: None },
    Limit { name: "stack", soft: Some(8 << 20), hard: None },
];

/// systemd-system.conf(5): the same limits for services, none of which has a share of the node's processes of its own. All logins by
/// SSH are one service, and by default it may have 15 % of them.
pub(crate) fn system_conf() -> String {
    let mut text = "[Manager]\nDefaultTasksMax=infinity\n".to_owned();
    let value = |limit: Option<u64>| limit.map_or("infinity".to_owned(), |limit| limit.to_string());
    for Limit { name, soft, hard } in LIMITS {
        let name = name.to_uppercase();
        // Writing to a String does not fail.
        let _ = writeln!(text, "DefaultLimit{name}={}:{}", value(soft), value(hard));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_documentation_has_each() {
        let page = include_str!("../../docs/clusters.md");
        let value = |limit: Option<u64>| limit.map_or("unlimited".to_owned(), |limit| limit.to_string());
        for Limit { name, soft, hard } in LIMITS {
            let row = format!("| `{name}` | {} | {} |", value(soft), value(hard));
            assert!(page.contains(&row), "{row}");
        }
        assert!(page.contains(&format!("{PIDS} processes and threads")));
    }
}
