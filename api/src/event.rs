//! An event as it is published.

use serde::Serialize;
use shoal_types::{Event, EventKind, EventLevel};

use crate::Time;

/// Something that happened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct EventJson {
    /// Position in the installation's log, strictly increasing; null if it is progress that is not recorded.
    pub seq: Option<u64>,
    /// When it happened.
    #[cfg_attr(feature = "schema", schemars(with = "Option<String>"))]
    pub at: Option<Time>,
    /// `info`, `warn` or `error`.
    #[cfg_attr(feature = "schema", schemars(with = "String"))]
    pub level: EventLevel,
    /// What kind of thing happened, such as `node-started`.
    #[cfg_attr(feature = "schema", schemars(with = "String"))]
    pub kind: EventKind,
    /// The realm of the cluster.
    pub realm: Option<String>,
    /// The cluster it belongs to.
    pub cluster: Option<String>,
    /// The node it is about.
    pub node: Option<String>,
    /// The host it happened on.
    pub host: Option<String>,
    /// Who called, for an event of kind `audit`.
    pub user: Option<String>,
    /// One line for people.
    pub message: String,
    /// How many bytes of a transfer are done, if it is one.
    pub done_bytes: Option<u64>,
    /// How many there are, if it is known.
    pub total_bytes: Option<u64>,
}

impl From<&Event> for EventJson {
    fn from(Event { seq, event }: &Event) -> Self {
        Self {
            seq: (*seq > 0).then_some(*seq),
            at: Time::known(event.at),
            level: event.level,
            kind: event.kind,
            realm: event.cluster.as_ref().map(|(realm, _)| realm.to_string()),
            cluster: event.cluster.as_ref().map(|(_, cluster)| cluster.to_string()),
            node: event.node.as_ref().map(ToString::to_string),
            host: event.host.as_ref().map(ToString::to_string),
            user: event.user.clone(),
            message: event.message.clone(),
            done_bytes: event.progress.map(|progress| progress.done_bytes),
            total_bytes: event.progress.and_then(|progress| progress.total_bytes),
        }
    }
}
