//! Why a cluster is not ready, node by node.

use std::fmt;

use shoal_slurm::Stage;
use shoal_types::{HostName, NodeName};

/// A node that is not ready.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StuckNode {
    /// The node.
    pub node: NodeName,
    /// Its host.
    pub host: HostName,
    /// How far it came.
    pub stage: Stage,
    /// Its last log lines, oldest first.
    pub log: Vec<String>,
}

/// Why a cluster is not ready.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct NotReady {
    /// What ended the waiting.
    pub cause: String,
    /// The first nodes that are not ready.
    pub stuck: Vec<StuckNode>,
    /// How many there are in all.
    pub count: usize,
}

impl fmt::Display for NotReady {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.cause)?;
        for StuckNode { node, host, stage, log } in &self.stuck {
            write!(f, "\n  {node} on {host} is stuck at {stage}")?;
            for line in log {
                write!(f, "\n    | ")?;
                // Control characters are spelt out, quotes are not.
                for c in line.chars() {
                    match c.is_control() {
                        true => write!(f, "{}", c.escape_default())?,
                        false => write!(f, "{c}")?,
                    }
                }
            }
        }
        match self.count.saturating_sub(self.stuck.len()) {
            0 => Ok(()),
            more => write!(f, "\n  and {more} more"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_node_host_and_stage() {
        let stuck = StuckNode {
            node: "worker-1".parse().unwrap(),
            host: "host2".parse().unwrap(),
            stage: Stage::Slurmd,
            log: vec!["error: cannot\u{1b}[0m resolve".into()],
        };
        let text = NotReady { cause: "not within 5 s".into(), stuck: vec![stuck], count: 3 }.to_string();
        assert_eq!(
            text,
            "not within 5 s\n  worker-1 on host2 is stuck at slurmd\n    | error: cannot\\u{1b}[0m resolve\n  and 2 more"
        );
    }
}
