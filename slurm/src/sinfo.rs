//! What Slurm says of its nodes: one `sinfo` in the controller for the whole cluster, and how to read it.

use std::collections::BTreeSet;

use shoal_types::NodeName;

/// The command whose output [`parse_sinfo`] reads: a line per node and partition with name, state and reason (sinfo(1)).
pub const SINFO_COMMAND: &[&str] = &["sinfo", "--noheader", "--Node", "--format=%N|%T|%E"];

/// The state of a node in Slurm, without its flags.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NodeStatus {
    /// Registered and free.
    Idle,
    /// All of it is in use.
    Allocated,
    /// Part of it is in use.
    Mixed,
    /// A job on it is ending.
    Completing,
    /// Not usable.
    Down,
    /// Kept from new jobs, none runs.
    Drained,
    /// Kept from new jobs, one still runs.
    Draining,
    /// Not seen since slurmctld started for the first time.
    Unknown,
    /// Any other word Slurm has, in lower case.
    Other(String),
}

/// What Slurm says of one node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeReport {
    /// The node.
    pub name: NodeName,
    /// Its state.
    pub status: NodeStatus,
    /// The flags behind the state, such as `*` (does not respond), `~` (powered off), `$` (maintenance); see sinfo(1).
    pub flags: String,
    /// Why it is down or drained, if Slurm knows.
    pub reason: Option<String>,
}

impl NodeReport {
    /// Whether jobs run there, now or when their reservation begins, and it answers: neither silent nor on its way down, up or
    /// to a reboot. A planned job (`-`), a maintenance reservation (`$`) or a job that is ending (`+`) does not matter.
    #[must_use]
    pub fn is_usable(&self) -> bool {
        let state = match &self.status {
            NodeStatus::Idle | NodeStatus::Allocated | NodeStatus::Mixed | NodeStatus::Completing => true,
            NodeStatus::Other(word) => matches!(word.as_str(), "reserved" | "planned" | "maint"),
            NodeStatus::Down | NodeStatus::Drained | NodeStatus::Draining | NodeStatus::Unknown => false,
        };
        state && self.flags.chars().all(|flag| matches!(flag, '-' | '$' | '+'))
    }

    /// Whether it is [usable](Self::is_usable) and free.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.status == NodeStatus::Idle && self.is_usable()
    }
}

/// Reads the output of [`SINFO_COMMAND`]: each node once, in the order printed. Lines of another form, such as warnings, are
/// passed over, because what counts is that a node is reported, not that all lines are.
#[must_use]
pub fn parse_sinfo(output: &str) -> Vec<NodeReport> {
    let mut seen = BTreeSet::new();
    output.lines().filter_map(report).filter(|report| seen.insert(report.name.clone())).collect()
}

fn report(line: &str) -> Option<NodeReport> {
    let mut fields = line.trim().splitn(3, '|');
    let name = fields.next()?.trim().parse().ok()?;
    let state = fields.next()?.trim();
    let word = state.trim_end_matches(|c: char| c.is_ascii_punctuation());
    if word.is_empty() || !word.bytes().all(|b| b.is_ascii_alphabetic() || b == b'_') {
        return None;
    }
    let reason = fields.next().map(str::trim).filter(|r| !r.is_empty() && *r != "none").map(str::to_owned);
    Some(NodeReport { name, status: status(word), flags: state[word.len()..].to_owned(), reason })
}

fn status(word: &str) -> NodeStatus {
    match word.to_ascii_lowercase().as_str() {
        "idle" => NodeStatus::Idle,
        "allocated" => NodeStatus::Allocated,
        "mixed" => NodeStatus::Mixed,
        "completing" => NodeStatus::Completing,
        "down" => NodeStatus::Down,
        "drained" => NodeStatus::Drained,
        "draining" => NodeStatus::Draining,
        "unknown" => NodeStatus::Unknown,
        other => NodeStatus::Other(other.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn reads_states_flags_and_reasons() {
        let output = "\
slurm_load_partitions: something odd\n\
worker-0|idle|none\n\
worker-0|idle|none\n\
worker-1|idle*|none\r\n\
worker-2|down~|Not responding | twice\n\
worker-3|DRAINING@|\n\
worker-4|power_up#|none\n\
worker-5|idle-|none\n\
worker-6||none\n\
no such line\n";
        let reports = parse_sinfo(output);
        let names: Vec<_> = reports.iter().map(|r| r.name.as_str()).collect();
        assert_eq!(names, ["worker-0", "worker-1", "worker-2", "worker-3", "worker-4", "worker-5"]);
        let idle: Vec<_> = reports.iter().map(NodeReport::is_idle).collect();
        assert_eq!(idle, [true, false, false, false, false, true]);
        assert_eq!((&reports[2].status, reports[2].flags.as_str()), (&NodeStatus::Down, "~"));
        assert_eq!(reports[2].reason.as_deref(), Some("Not responding | twice"));
        assert_eq!(reports[3].status, NodeStatus::Draining);
        assert_eq!(reports[4].status, NodeStatus::Other("power_up".into()));
        assert_eq!(reports[0].reason, None);
    }

    #[test]
    fn states_that_run_jobs() {
        let other = |word: &str| NodeStatus::Other(word.into());
        for (status, flags, usable) in [
            (NodeStatus::Idle, "", true),
            (NodeStatus::Mixed, "-", true),
            (NodeStatus::Mixed, "$", true),
            (NodeStatus::Allocated, "", true),
            (NodeStatus::Allocated, "+", true),
            (NodeStatus::Completing, "", true),
            (other("reserved"), "", true),
            (NodeStatus::Idle, "*", false),
            (NodeStatus::Idle, "~", false),
            (NodeStatus::Idle, "-*", false),
            (NodeStatus::Down, "", false),
            (NodeStatus::Drained, "", false),
            (NodeStatus::Draining, "", false),
            (NodeStatus::Unknown, "", false),
            (other("inval"), "", false),
        ] {
            let report = NodeReport {
                name: "worker-0".parse().unwrap(),
                status: status.clone(),
                flags: flags.into(),
                reason: None,
            };
            assert_eq!(report.is_usable(), usable, "{status:?}{flags}");
            assert_eq!(report.is_idle(), usable && status == NodeStatus::Idle, "{status:?}{flags}");
        }
    }

    proptest! {
        #[test]
        fn never_panics(text in "(worker-0|idle|[|*~\n]|.){0,40}") {
            for report in parse_sinfo(&text) {
                prop_assert!(!report.is_idle() || report.status == NodeStatus::Idle);
            }
        }
    }
}
