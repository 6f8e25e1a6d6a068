//! Rules on where a cluster's nodes go, besides what any host must satisfy: checked here without knowing any host.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    num::NonZeroU32,
    str::FromStr,
};

use serde::{Deserialize, Serialize};

use crate::{
    HostName, LabelKey, NameError, NodeName, Role, SchedulerName, Strategy,
    nodeset::{NodesetError, expand},
};

/// How long a program that schedules may take, if nothing is said.
pub const SCHEDULER_TIMEOUT_MS: u32 = 5_000;
/// Longest it may be given: a create waits for it with everything decided and nothing reserved.
pub const MAX_SCHEDULER_TIMEOUT_MS: u32 = 300_000;

/// Rules on where a cluster's nodes go.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Placing {
    /// A node of such a role takes no host that has one of another cluster; and none of another cluster takes its host.
    pub apart: BTreeSet<Role>,
    /// The same as a wish: such a host is used once there is no other.
    pub prefer_apart: BTreeSet<Role>,
    /// Most nodes of the cluster on one host.
    pub max_per_host: Option<NonZeroU32>,
    /// Every value of this label gets as many nodes, as far as there is room; a host without the label gets none.
    pub spread_over: Option<LabelKey>,
    /// Nodes whose host is named.
    pub pins: Vec<Pin>,
    /// How long a program that schedules may take, in milliseconds; [`SCHEDULER_TIMEOUT_MS`] if `None`.
    pub scheduler_timeout_ms: Option<u32>,
    /// Who places if that program cannot; nobody if `None`.
    pub scheduler_fallback: Option<Strategy>,
}

/// Nodes that must be on one host: `controller=host1`, `worker-[0-3]=host2`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Pin {
    /// The nodes, as written.
    nodes: String,
    /// The host.
    pub host: HostName,
}

/// A text that pins nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PinError {
    /// No `=`.
    #[error("a pin is NODES=HOST, such as controller=host1 or worker-[0-3]=host2")]
    Form,
    /// The nodes cannot be read.
    #[error(transparent)]
    Nodes(#[from] NodesetError),
    /// A node or the host has no name of one.
    #[error(transparent)]
    Name(#[from] NameError),
}

impl Pin {
    /// The nodes.
    #[must_use]
    pub fn nodes(&self) -> Vec<NodeName> {
        // Read once before: a pin that cannot be read is not made.
        names(&self.nodes).unwrap_or_default()
    }
}

fn names(text: &str) -> Result<Vec<NodeName>, PinError> {
    Ok(expand(text)?.iter().map(|name| name.parse()).collect::<Result<_, _>>()?)
}

impl FromStr for Pin {
    type Err = PinError;

    fn from_str(text: &str) -> Result<Self, PinError> {
        let (nodes, host) = text.split_once('=').ok_or(PinError::Form)?;
        names(nodes)?;
        Ok(Self { nodes: nodes.into(), host: host.parse()? })
    }
}

impl fmt::Display for Pin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}={}", self.nodes, self.host)
    }
}

impl TryFrom<String> for Pin {
    type Error = PinError;

    fn try_from(text: String) -> Result<Self, PinError> {
        text.parse()
    }
}

impl From<Pin> for String {
    fn from(pin: Pin) -> Self {
        pin.to_string()
    }
}

/// Rules that cannot be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PlacingError {
    /// A pin names a node the cluster does not have.
    #[error("{node} cannot be pinned to {host}: the cluster has no such node")]
    NoNode {
        /// The node.
        node: NodeName,
        /// The host.
        host: HostName,
    },
    /// A node is pinned to two hosts.
    #[error("{node} is pinned to {first} and to {second}")]
    Twice {
        /// The node.
        node: NodeName,
        /// One host.
        first: HostName,
        /// The other.
        second: HostName,
    },
    /// More nodes are pinned to a host than may be on one.
    #[error("{count} nodes are pinned to {host}, and at most {most} of the cluster may be on one host")]
    Crowded {
        /// The host.
        host: HostName,
        /// How many.
        count: u32,
        /// How many there may be.
        most: NonZeroU32,
    },
    /// What concerns a program that schedules, without one.
    #[error("a scheduler's {what} is for a scheduler of your own: name one as grpc://ADDRESS:PORT")]
    NoProgram {
        /// `timeout` or `fallback`.
        what: &'static str,
    },
    /// Too long a wait, or none.
    #[error("a scheduler's timeout is from 1 ms to 5 min")]
    Timeout,
}

impl Placing {
    /// Node -> the host it is pinned to.
    #[must_use]
    pub fn pinned(&self) -> BTreeMap<NodeName, &HostName> {
        let each = |pin| Pin::nodes(pin).into_iter().map(move |node| (node, &pin.host));
        self.pins.iter().flat_map(each).collect()
    }

    /// Checks the rules against the cluster's nodes.
    pub(crate) fn check<I: Iterator<Item = NodeName>>(
        &self,
        scheduler: &SchedulerName,
        nodes: impl FnOnce() -> I,
    ) -> Result<(), PlacingError> {
        let program = scheduler.strategy().is_none();
        for (what, set) in [
            ("timeout", self.scheduler_timeout_ms.is_some()),
            ("fallback", self.scheduler_fallback.is_some()),
        ] {
            if set && !program {
                return Err(PlacingError::NoProgram { what });
            }
        }
        if self.scheduler_timeout_ms.is_some_and(|ms| !(1..=MAX_SCHEDULER_TIMEOUT_MS).contains(&ms)) {
            return Err(PlacingError::Timeout);
        }
        if self.pins.is_empty() {
            return Ok(());
        }
        let known: BTreeSet<NodeName> = nodes().collect();
        let mut pinned: BTreeMap<NodeName, &HostName> = BTreeMap::new();
        let mut on: BTreeMap<&HostName, u32> = BTreeMap::new();
        for pin in &self.pins {
            for node in pin.nodes() {
                if !known.contains(&node) {
                    return Err(PlacingError::NoNode { node, host: pin.host.clone() });
                }
                match pinned.insert(node.clone(), &pin.host) {
                    Some(first) if *first != pin.host => {
                        let (first, second) = (first.clone(), pin.host.clone());
                        return Err(PlacingError::Twice { node, first, second });
                    }
                    Some(_) => {}
                    None => *on.entry(&pin.host).or_default() += 1,
                }
            }
        }
        let crowded = |most: NonZeroU32| on.iter().find(|(_, count)| **count > most.get()).map(|c| (most, c));
        match self.max_per_host.and_then(crowded) {
            Some((most, (host, count))) => {
                Err(PlacingError::Crowded { host: (*host).clone(), count: *count, most })
            }
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(placing: &Placing, scheduler: &str) -> Result<(), PlacingError> {
        let nodes = ["controller", "worker-0", "worker-1"].map(|name| name.parse().unwrap());
        placing.check(&scheduler.parse().unwrap(), || nodes.into_iter())
    }

    fn pins(texts: &[&str]) -> Placing {
        let pins = texts.iter().map(|text| text.parse().unwrap()).collect();
        Placing { pins, max_per_host: NonZeroU32::new(2), ..Placing::default() }
    }

    #[test]
    fn pins_name_nodes_the_cluster_has_each_once() {
        assert_eq!(check(&pins(&["worker-[0-1]=a", "controller=b", "worker-0=a"]), "spread"), Ok(()));
        let refused = |texts: &[&str]| check(&pins(texts), "spread").unwrap_err().to_string();
        assert_eq!(
            refused(&["worker-[0-2]=a"]),
            "worker-2 cannot be pinned to a: the cluster has no such node"
        );
        assert_eq!(refused(&["controller=a", "controller=b"]), "controller is pinned to a and to b");
        assert_eq!(
            refused(&["controller=a", "worker-[0-1]=a"]),
            "3 nodes are pinned to a, and at most 2 of the cluster may be on one host"
        );
        for bad in ["controller", "=a", "controller=", "worker-[0=a", "worker-[1-0]=a", "A=b", "a=B c"] {
            assert!(bad.parse::<Pin>().is_err(), "{bad}");
        }
    }

    #[test]
    fn what_is_for_a_program_needs_one() {
        let fallback = Placing { scheduler_fallback: Some(Strategy::Spread), ..Placing::default() };
        assert_eq!(check(&fallback, "spread"), Err(PlacingError::NoProgram { what: "fallback" }));
        assert_eq!(check(&fallback, "grpc://127.0.0.1:1"), Ok(()));
        let timeout = |ms| Placing { scheduler_timeout_ms: Some(ms), ..Placing::default() };
        assert_eq!(check(&timeout(0), "grpc://127.0.0.1:1"), Err(PlacingError::Timeout));
        assert_eq!(check(&timeout(1000), "binpack"), Err(PlacingError::NoProgram { what: "timeout" }));
    }

    #[test]
    fn rules_are_kept_as_they_are_written() {
        let placing = Placing {
            apart: [Role::Controller].into(),
            spread_over: Some("rack".parse().unwrap()),
            ..pins(&["worker-[0-1]=a"])
        };
        let text = serde_json::to_string(&placing).unwrap();
        assert!(text.contains(r#""pins":["worker-[0-1]=a"]"#), "{text}");
        assert_eq!(serde_json::from_str::<Placing>(&text).unwrap(), placing);
        assert_eq!(serde_json::from_str::<Placing>("{}").unwrap(), Placing::default());
    }
}
