//! Why a cluster is not ready, node by node.

use std::{collections::BTreeMap, fmt};

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
#[derive(Debug, Clone, Default, PartialEq, Eq, thiserror::Error)]
pub struct NotReady {
    /// What ended the waiting.
    pub cause: String,
    /// What to do about it, if it is no matter of the nodes.
    pub hint: Option<String>,
    /// The first nodes that are at fault.
    pub stuck: Vec<StuckNode>,
    /// How many more there are.
    pub more: usize,
    /// Nodes that could go on if the controller served.
    pub waiting: usize,
    /// Nodes of which nothing is known, by their host, which does not answer.
    pub unheard: BTreeMap<HostName, usize>,
}

impl NotReady {
    /// The cause and the first node at fault with its last word, on one line.
    #[must_use]
    pub fn brief(&self) -> String {
        let cause = self.cause.lines().next().unwrap_or_default();
        let Some(StuckNode { node, host, stage, log }) = self.stuck.first() else { return cause.to_owned() };
        let last = log.last().map(|line| format!(": {}", line.escape_default())).unwrap_or_default();
        let others = self.stuck.len() - 1 + self.more;
        let others = if others == 0 { String::new() } else { format!(", and {others} more") };
        format!("{cause}; {node} on {host} is stuck at {stage}{last}{others}")
    }
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
        if self.more > 0 {
            write!(f, "\n  and {} more", self.more)?;
        }
        match self.waiting {
            0 => {}
            1 => write!(f, "\n  1 node waits for the controller")?,
            many => write!(f, "\n  {many} nodes wait for the controller")?,
        }
        for (host, nodes) in &self.unheard {
            let nodes = if *nodes == 1 { "1 node is".to_owned() } else { format!("{nodes} nodes are") };
            write!(f, "\n  {nodes} on {host}, which does not answer")?;
        }
        Ok(())
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
        let not_ready = NotReady {
            cause: "not within 5 s".into(),
            hint: None,
            stuck: vec![stuck],
            more: 2,
            waiting: 400,
            unheard: [("host3".parse().unwrap(), 1)].into(),
        };
        let why = "not within 5 s; worker-1 on host2 is stuck at slurmd: error: cannot\\u{1b}[0m resolve, and 2 more";
        assert_eq!(not_ready.brief(), why);
        assert_eq!(
            not_ready.to_string(),
            "not within 5 s\n  worker-1 on host2 is stuck at slurmd\n    | error: cannot\\u{1b}[0m resolve\n  and 2 more\n  400 nodes wait for the controller\n  1 node is on host3, which does not answer"
        );
    }
}
