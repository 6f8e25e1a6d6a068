//! Why nodes have no place, and what goes wrong with its record.

use std::time::Duration;

use shoal_scheduler::{Unplaceable, Wrong};
use shoal_types::{ClusterName, NodeName, SchedulerAddress};

use super::{Class, Fault, Hint, NoAddress, Retry, SAID};

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
            Self::Unplaceable { .. } => {
                Ok("`shoal get hosts` shows what is free; `--dry-run` shows every refusal".into())
            }
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
