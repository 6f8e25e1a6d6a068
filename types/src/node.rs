//! A node: its role in Slurm and the states its container goes through.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

/// What a node does in its cluster.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Runs slurmctld; exactly one.
    Controller,
    /// Has Slurm's commands and no daemon; at most one.
    Submitter,
    /// Runs slurmd.
    Worker,
}

impl Role {
    /// Every role, in the order lists show them.
    pub const ALL: [Self; 3] = [Self::Controller, Self::Submitter, Self::Worker];

    /// The word.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Controller => "controller",
            Self::Submitter => "submitter",
            Self::Worker => "worker",
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// A word that is no role.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not a role: controller, submitter or worker")]
pub struct RoleError {
    /// What was read.
    pub text: String,
}

impl FromStr for Role {
    type Err = RoleError;

    fn from_str(text: &str) -> Result<Self, RoleError> {
        Self::ALL.into_iter().find(|r| r.as_str() == text).ok_or_else(|| RoleError { text: text.into() })
    }
}

/// What was last seen of a node's container and of the node in Slurm.
///
/// ```text
/// planned -> created -> starting -> ready <-> stopped
///                          `-> failed
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum NodeState {
    /// Admitted; no container yet.
    Planned,
    /// The container is there, not started.
    Created,
    /// Started, not yet serving.
    Starting,
    /// A worker IDLE in Slurm at least once, another role serving.
    Ready,
    /// The container has exited.
    Stopped,
    /// It cannot become ready by itself; the events say why.
    Failed,
}

impl NodeState {
    /// Every state.
    pub const ALL: [Self; 6] =
        [Self::Planned, Self::Created, Self::Starting, Self::Ready, Self::Stopped, Self::Failed];

    /// The word, as stored and shown.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Planned => "planned",
            Self::Created => "created",
            Self::Starting => "starting",
            Self::Ready => "ready",
            Self::Stopped => "stopped",
            Self::Failed => "failed",
        }
    }
}

impl fmt::Display for NodeState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}
