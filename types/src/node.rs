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
    /// Runs slurmrestd, Slurm's REST API; at most one.
    Api,
    /// Runs slurmd.
    Worker,
}

impl Role {
    /// Every role, in the order lists show them.
    pub const ALL: [Self; 4] = [Self::Controller, Self::Submitter, Self::Api, Self::Worker];

    /// How many nodes of it a cluster has.
    #[must_use]
    pub fn count(self) -> RoleCount {
        match self {
            Self::Controller => RoleCount::One,
            Self::Submitter | Self::Api => RoleCount::AtMostOne,
            Self::Worker => RoleCount::Many,
        }
    }

    /// The name of its node with this index, as a specification numbers them: `controller`, `worker-3`.
    #[must_use]
    pub fn node_name(self, index: u32) -> String {
        match self.count() {
            RoleCount::One | RoleCount::AtMostOne => self.as_str().to_owned(),
            RoleCount::Many => format!("{self}-{index}"),
        }
    }

    /// All words: `controller, submitter, api or worker`.
    fn listed() -> String {
        let [first @ .., last] = Self::ALL.map(Self::as_str);
        format!("{} or {last}", first.join(", "))
    }

    /// The word.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Controller => "controller",
            Self::Submitter => "submitter",
            Self::Api => "api",
            Self::Worker => "worker",
        }
    }
}

/// How many nodes of a role a cluster has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RoleCount {
    /// Exactly one.
    One,
    /// One or none.
    AtMostOne,
    /// One or more: its nodes are numbered.
    Many,
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// A word that is no role.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not a role: {}", Role::listed())]
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
///                          `-> failed          `-> failing: again and again
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
    /// It ends again and again after a restart: it is restarted ever less often.
    Failing,
}

impl NodeState {
    /// Every state.
    pub const ALL: [Self; 7] = [
        Self::Planned,
        Self::Created,
        Self::Starting,
        Self::Ready,
        Self::Stopped,
        Self::Failed,
        Self::Failing,
    ];

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
            Self::Failing => "failing",
        }
    }
}

impl fmt::Display for NodeState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// Whether a node is meant to run.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum Power {
    /// It runs.
    #[default]
    On,
    /// Its container is stopped and keeps its place, its reservation and its addresses.
    Off,
}

impl Power {
    /// Both.
    pub const ALL: [Self; 2] = [Self::On, Self::Off];

    /// The word, as stored and shown.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::On => "on",
            Self::Off => "off",
        }
    }
}

impl fmt::Display for Power {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_roles_of_many_nodes_are_numbered() {
        let names = Role::ALL.map(|role| role.node_name(5));
        assert_eq!(names, ["controller", "submitter", "api", "worker-5"]);
    }
}
