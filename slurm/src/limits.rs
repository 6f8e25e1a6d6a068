//! What a process of a node may use. Shoal says it, so that it is the same on every host: engines have defaults of their own, which
//! change with their versions, and so has systemd.
//!
//! ```text
//! LIMITS --> the container's limits (coordinator): PID 1
//!        |-> within_limits: what `shoal exec` and `enter` run
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

/// A command that sets the soft limits and becomes `command`. What an engine starts in a running container has the container's
/// limits by luck alone: the Go runtime of runc raises its own soft limit of open files, and some versions hand that on.
#[must_use]
pub fn within_limits(command: &[String]) -> Vec<String> {
    let soft = LIMITS.iter().filter_map(|limit| Some(format!("--{}={}:", limit.name, limit.soft?)));
    let words = std::iter::once("prlimit".to_owned()).chain(soft).chain(["--".to_owned()]);
    words.chain(command.iter().cloned()).collect()
}

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
    fn a_command_begins_with_every_soft_limit() {
        let words = within_limits(&["-x".into(), "y".into()]);
        let wanted = "prlimit --nofile=1024: --memlock=8388608: --core=0: --stack=8388608: -- -x y";
        assert_eq!(words.join(" "), wanted);
    }

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
