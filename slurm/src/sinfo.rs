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

/// Words of Slurm 22.05 to 26.05 (sinfo(1), NODE STATE CODES) for a node that is as somebody wants it to be, besides those of
/// [`NodeStatus`].
const WANTED: &[&str] = &[
    "blocked",
    "maint",
    "planned",
    "power_down",
    "power_up",
    "powered_down",
    "powering_down",
    "powering_up",
    "reboot",
    "reboot_issued",
    "reserved",
];
/// Flags of such a node: powered down (`~`), on its way there (`!` `%`) or up again (`#`), in a maintenance reservation (`$`), to be
/// rebooted (`@`) or rebooting (`^`), planned for a job (`-`), with a job that is ending (`+`). Of all flags there are, only `*` is
/// missing: it does not respond.
const WANTED_FLAGS: &[char] = &['~', '!', '%', '#', '$', '@', '^', '-', '+'];
/// Those of a node that has been up, and for whose sake there is nothing to wait for.
const SETTLED_FLAGS: &[char] = &['~', '!', '%', '$', '-', '+'];

impl NodeReport {
    /// Whether it is as somebody wants it to be: jobs run there, or would if Slurm had not been told to save power, to reboot it or to
    /// keep it for somebody.
    #[must_use]
    pub fn is_usable(&self) -> bool {
        self.is_wanted(WANTED_FLAGS)
    }

    fn is_wanted(&self, flags: &[char]) -> bool {
        let state = match &self.status {
            NodeStatus::Idle | NodeStatus::Allocated | NodeStatus::Mixed | NodeStatus::Completing => true,
            NodeStatus::Other(word) => WANTED.contains(&word.as_str()),
            NodeStatus::Down | NodeStatus::Drained | NodeStatus::Draining | NodeStatus::Unknown => false,
        };
        state && self.flags.chars().all(|flag| flags.contains(&flag))
    }

    /// Whether somebody keeps it from jobs, and it responds.
    #[must_use]
    pub fn is_drained(&self) -> bool {
        matches!(self.status, NodeStatus::Drained | NodeStatus::Draining)
            && self.flags.chars().all(|flag| WANTED_FLAGS.contains(&flag))
    }

    /// Whether it is up and free, or was and is powered down again.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.status == NodeStatus::Idle && self.is_wanted(SETTLED_FLAGS)
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
        let drained: Vec<_> = reports.iter().map(NodeReport::is_drained).collect();
        assert_eq!(drained, [false, false, false, true, false, false]);
        assert_eq!((&reports[2].status, reports[2].flags.as_str()), (&NodeStatus::Down, "~"));
        assert_eq!(reports[2].reason.as_deref(), Some("Not responding | twice"));
        assert_eq!(reports[3].status, NodeStatus::Draining);
        assert_eq!(reports[4].status, NodeStatus::Other("power_up".into()));
        assert_eq!(reports[0].reason, None);
    }

    /// Every base state with every flag, as `node_state_string` of Slurm 22.05, 24.11 and 26.05 puts them together.
    #[test]
    fn states_of_every_version_are_known() {
        let read = |state: &str| parse_sinfo(&format!("worker-0|{state}|none\n")).remove(0);
        for base in ["idle", "mixed", "allocated", "completing"] {
            for flag in ["", "$", "^", "@", "#", "%", "~", "!", "-", "+"] {
                assert!(read(&format!("{base}{flag}")).is_usable(), "{base}{flag}");
            }
            assert!(!read(&format!("{base}*")).is_usable(), "{base}*");
        }
        for base in ["down", "drained", "draining", "future", "fail", "failing", "unknown", "inval", "error"]
        {
            for flag in ["", "$", "^", "@", "#", "%", "~", "!", "*"] {
                assert!(!read(&format!("{base}{flag}")).is_usable(), "{base}{flag}");
            }
        }
        for state in
            ["maint", "reboot", "reboot^", "reserved", "planned", "blocked", "powered_down", "powering_up"]
        {
            assert!(read(state).is_usable(), "{state}");
        }
        for state in ["maint*", "reboot*"] {
            assert!(!read(state).is_usable(), "{state}");
        }
    }

    #[test]
    fn a_node_is_waited_for_until_it_has_been_up() {
        let read = |state: &str| parse_sinfo(&format!("worker-0|{state}|none\n")).remove(0);
        for (state, idle) in [
            ("idle", true),
            ("idle~", true),
            ("idle%", true),
            ("idle!", true),
            ("idle-", true),
            ("idle#", false),
            ("idle^", false),
            ("idle*", false),
            ("mixed", false),
            ("unknown*", false),
        ] {
            assert_eq!(read(state).is_idle(), idle, "{state}");
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
