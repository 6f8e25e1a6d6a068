//! Why nodes have no place.

use std::time::Duration;

use shoal_scheduler::{Unplaceable, Wrong};
use shoal_types::SchedulerAddress;

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
