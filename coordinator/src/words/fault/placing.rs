//! Why nodes have no place, and what goes wrong with its record.

use std::{cmp::Reverse, time::Duration};

use shoal_scheduler::{Reason, Unplaceable, Wrong};
use shoal_types::{ClusterName, NodeName, SchedulerAddress};

use super::{Class, Fault, Hint, NoAddress, Retry, SAID, host::mtu_hint};

/// What is wrong with a placement.
#[derive(Debug, thiserror::Error)]
pub enum PlacementFault {
    /// The cluster does not fit.
    #[error("cluster {cluster} does not fit")]
    Unplaceable {
        /// The cluster.
        cluster: ClusterName,
        /// Why, host by host.
        source: NoPlan,
    },
    /// No host lets nodes do what a line for Slurm needs.
    #[error("{line} can be on none of the hosts: {hosts}")]
    Unable {
        /// The line, and where it is.
        line: String,
        /// The hosts, with their reasons.
        hosts: String,
    },
    /// Nodes are pinned to hosts that are not registered.
    #[error("nodes are pinned to {hosts}, which is not registered: `shoal get hosts` lists those that are")]
    PinnedNowhere {
        /// The hosts, by name.
        hosts: String,
    },
    /// A program that schedules gave no plan.
    #[error("the scheduler at {address}")]
    Program {
        /// Where it listens.
        address: SchedulerAddress,
        /// What happened.
        #[source]
        source: Box<ProgramError>,
    },
    /// What was recorded of a placement cannot be read.
    #[error(transparent)]
    Record(#[from] Unreadable),
    /// Nothing was recorded of a placement.
    #[error(
        "nothing is known of how {node} of cluster {cluster} was placed: it was by a version of shoal that kept no record"
    )]
    NoRecord {
        /// The cluster.
        cluster: ClusterName,
        /// The node.
        node: NodeName,
    },
    /// No subnet or VNI is left.
    #[error(transparent)]
    NoAddress(#[from] NoAddress),
}

impl PlacementFault {
    pub(super) fn class(&self) -> Class {
        match self {
            Self::Unplaceable { .. }
            | Self::Unable { .. }
            | Self::PinnedNowhere { .. }
            | Self::Program { .. }
            | Self::Record(_)
            | Self::NoRecord { .. }
            | Self::NoAddress(_) => Class::of(Retry::Never),
        }
    }

    pub(super) fn hint(&self) -> Hint {
        match self {
            Self::Unplaceable { source, .. } => Ok(source.mtu_hint().unwrap_or_else(|| {
                "`shoal get hosts` shows what is free; `--dry-run` shows every refusal".into()
            })),
            Self::NoAddress(_) => {
                Ok("delete clusters that are not needed: `shoal get networks` lists what is taken".into())
            }
            Self::Program { .. } => {
                Ok("see that it runs there; --scheduler-fallback names a strategy for when it cannot".into())
            }
            Self::Record(_) => {
                Ok("the store may be from another version: the next cluster of that name is recorded anew"
                    .into())
            }
            Self::Unable { .. } => {
                Ok("remove the line, or register a host that can: `shoal doctor` shows the cgroups of each"
                    .into())
            }
            Self::PinnedNowhere { .. } | Self::NoRecord { .. } => Err(SAID),
        }
    }
}

impl From<NoAddress> for Fault {
    fn from(none: NoAddress) -> Self {
        PlacementFault::from(none).into()
    }
}

impl From<Unreadable> for Fault {
    fn from(record: Unreadable) -> Self {
        PlacementFault::from(record).into()
    }
}

/// Why nodes have no place.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoPlan {
    /// Not every node has a host.
    #[error(transparent)]
    Unplaceable(#[from] Unplaceable),
    /// The program that schedules says so.
    #[error("the scheduler at {address} says: {reason}")]
    Refused {
        /// Where it listens.
        address: SchedulerAddress,
        /// What it said, on one line.
        reason: String,
    },
}

impl NoPlan {
    /// What to write if hosts leave nodes too small an MTU: what the best of them leaves.
    fn mtu_hint(&self) -> Option<String> {
        let refusals = match self {
            Self::Unplaceable(unplaceable) => &unplaceable.refusals,
            Self::Refused { .. } => return None,
        };
        let mut best = None;
        for refusal in refusals {
            if let Reason::Mtu { room, .. } = refusal.reason {
                best = best.max(Some((room, Reverse(&refusal.host))));
            }
        }
        best.map(|(room, Reverse(host))| format!("{}; `--dry-run` shows every refusal", mtu_hint(host, room)))
    }
}

/// Why a program that schedules gave no plan; what follows `the scheduler at ADDRESS`.
#[derive(Debug, thiserror::Error)]
pub enum ProgramError {
    /// It cannot be reached.
    #[error("cannot be reached")]
    Unreachable(#[source] tonic::transport::Error),
    /// It did not answer in time.
    #[error("did not answer within {} ms", limit.as_millis())]
    Silent {
        /// How long it had.
        limit: Duration,
    },
    /// It answered with an error.
    #[error("failed: {reason}")]
    Failed {
        /// What it said, shortened and escaped.
        reason: String,
    },
    /// Its answer breaks a rule.
    #[error("gave an invalid answer")]
    Wrong(#[source] Wrong),
    /// It says that the nodes do not fit.
    #[error("says: {reason}")]
    Refused {
        /// Why, shortened and escaped.
        reason: String,
    },
}

/// A record that cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("the record of a placement cannot be read")]
pub struct Unreadable(#[source] pub(crate) serde_json::Error);

#[cfg(test)]
mod tests {
    use shoal_scheduler::Refusal;
    use shoal_types::{ClusterMtu, HostId};

    use super::*;

    #[test]
    fn who_asks_for_too_large_an_mtu_is_told_the_largest_and_where() {
        let refusal = |number: u8, reason| Refusal {
            host: format!("h{number}").parse().unwrap(),
            host_id: HostId::new(1, [number; 10]),
            reason,
        };
        let mtu = |room| Reason::Mtu { need: ClusterMtu::MOST, room };
        let hint = |refusals| {
            let source = Unplaceable { node: "controller".parse().unwrap(), placed: 0, nodes: 2, refusals };
            let cluster = "dev".parse().unwrap();
            PlacementFault::Unplaceable { cluster, source: source.into() }.hint().unwrap()
        };
        assert_eq!(
            hint(vec![
                refusal(1, Reason::Unreachable),
                refusal(2, mtu(1350)),
                refusal(3, mtu(8950)),
                refusal(4, mtu(8950))
            ]),
            "write `mtu: 8950` or `--mtu 8950`, which h3 leaves; `shoal set host h3 --mtu BYTES` says what the path to it carries, if that is more; `--dry-run` shows every refusal"
        );
        let none = hint(vec![refusal(1, mtu(0))]);
        assert!(none.starts_with("h1 leaves less than any cluster takes, 576; `shoal set host h1"), "{none}");
        assert!(hint(vec![refusal(1, Reason::Unreachable)]).starts_with("`shoal get hosts`"));
    }
}
