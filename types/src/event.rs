//! What happened, as recorded: every change of state appends an event in its own transaction, and progress is read from them.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::{ClusterName, HostName, NodeName, RealmName, Timestamp};

/// How much an event matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum EventLevel {
    /// Progress.
    Info,
    /// Something went wrong and is worked around.
    Warn,
    /// Something went wrong and stays so.
    Error,
}

impl EventLevel {
    /// Every level.
    pub const ALL: [Self; 3] = [Self::Info, Self::Warn, Self::Error];

    /// The word, as stored and shown.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Info => "info",
            Self::Warn => "warn",
            Self::Error => "error",
        }
    }
}

/// What kind of thing happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum EventKind {
    /// A host was registered, changed, unregistered, lost or found again.
    Host,
    /// An agent was brought to a host or replaced.
    Agent,
    /// A cluster was admitted: placed, addresses and secrets assigned.
    Admitted,
    /// An image is on its way to a host, or has come there.
    Image,
    /// A cluster's network was made on a host.
    Network,
    /// A node's container was created.
    NodeCreated,
    /// A node's container was started.
    NodeStarted,
    /// A node serves: a worker is IDLE in Slurm.
    NodeReady,
    /// A node cannot become ready by itself.
    NodeFailed,
    /// A node's container was removed.
    NodeRemoved,
    /// A cluster went to another phase, and it is neither of the two below.
    Phase,
    /// A create is taken back: it failed, or was interrupted.
    RollingBack,
    /// A cluster is being deleted.
    Deleting,
    /// Nodes of a host that cannot be used were placed on other hosts.
    Moved,
    /// A step is under way or done; the message says which.
    Step,
    /// A user of a server called for something that changes what is there, or tells a secret.
    Audit,
}

impl EventKind {
    /// Every kind.
    pub const ALL: [Self; 16] = [
        Self::Host,
        Self::Agent,
        Self::Admitted,
        Self::Image,
        Self::Network,
        Self::NodeCreated,
        Self::NodeStarted,
        Self::NodeReady,
        Self::NodeFailed,
        Self::NodeRemoved,
        Self::Phase,
        Self::RollingBack,
        Self::Deleting,
        Self::Moved,
        Self::Step,
        Self::Audit,
    ];

    /// The word, as stored and shown.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Host => "host",
            Self::Agent => "agent",
            Self::Admitted => "admitted",
            Self::Image => "image",
            Self::Network => "network",
            Self::NodeCreated => "node-created",
            Self::NodeStarted => "node-started",
            Self::NodeReady => "node-ready",
            Self::NodeFailed => "node-failed",
            Self::NodeRemoved => "node-removed",
            Self::Phase => "phase",
            Self::RollingBack => "rolling-back",
            Self::Deleting => "deleting",
            Self::Moved => "moved",
            Self::Step => "step",
            Self::Audit => "audit",
        }
    }
}

impl fmt::Display for EventKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// An event to be recorded. It names things by name, not by id, because it outlives them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NewEvent {
    /// When.
    pub at: Timestamp,
    /// How much it matters.
    pub level: EventLevel,
    /// What kind of thing.
    pub kind: EventKind,
    /// The realm and cluster it belongs to.
    pub cluster: Option<(RealmName, ClusterName)>,
    /// The node it is about.
    pub node: Option<NodeName>,
    /// The host it happened on.
    pub host: Option<HostName>,
    /// One line for people; never a secret.
    pub message: String,
    /// Progress in bytes, for an event about a transfer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub progress: Option<Progress>,
    /// Who called for it, for an audit event.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
}

impl NewEvent {
    /// An event about nothing in particular yet.
    #[must_use]
    pub fn new(at: Timestamp, level: EventLevel, kind: EventKind, message: impl Into<String>) -> Self {
        Self {
            at,
            level,
            kind,
            cluster: None,
            node: None,
            host: None,
            message: message.into(),
            progress: None,
            user: None,
        }
    }

    /// The same of a cluster.
    #[must_use]
    pub fn of(self, realm: &RealmName, cluster: &ClusterName) -> Self {
        Self { cluster: Some((realm.clone(), cluster.clone())), ..self }
    }

    /// The same on a host.
    #[must_use]
    pub fn on(self, host: &HostName) -> Self {
        Self { host: Some(host.clone()), ..self }
    }
}

/// How many bytes of how many are where they should be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Progress {
    /// Those that are.
    pub done_bytes: u64,
    /// All of them, if known.
    pub total_bytes: Option<u64>,
}

/// A recorded event.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// Position in the log of the installation, strictly increasing.
    pub seq: u64,
    /// What was recorded.
    #[serde(flatten)]
    pub event: NewEvent,
}
