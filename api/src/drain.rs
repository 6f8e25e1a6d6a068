//! What a drain of a host moved, and what is still there.

use serde::Serialize;
use shoal_proto::{
    FieldError, Word,
    v1::{self, drain_host_response},
};
use shoal_types::{Event, Scheduling};

use crate::value::{known, messages, need, text};

/// A node that was moved, or would be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct MovedNode {
    /// Its name.
    pub node: String,
    /// The host it is on now, or would be.
    pub to: String,
}

/// What became of one cluster's nodes on a host that is drained.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct DrainedCluster {
    /// Its realm.
    pub realm: String,
    /// Its name.
    pub name: String,
    /// Nodes that were moved, or would be.
    pub moved: Vec<MovedNode>,
    /// Nodes that are still there.
    pub left: Vec<String>,
    /// Why.
    pub error: Option<String>,
}

/// What a drain of a host did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Drain {
    /// The host.
    pub host: String,
    /// What is said of it afterwards: `drained`, or `draining` where nodes are still there.
    #[cfg_attr(feature = "schema", schemars(with = "String"))]
    pub scheduling: Scheduling,
    /// Whether nothing was to be done.
    pub dry_run: bool,
    /// Every cluster that had nodes there, by realm and name.
    pub clusters: Vec<DrainedCluster>,
}

impl Drain {
    /// Whether nobody would miss the host, or would not once it is drained.
    #[must_use]
    pub fn is_done(&self) -> bool {
        self.clusters
            .iter()
            .all(|cluster| cluster.error.is_none() && (self.dry_run || cluster.left.is_empty()))
    }
}

/// What is told of a drain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DrainStep {
    /// Something happened.
    Event(Event),
    /// What became of one cluster's nodes.
    Cluster(DrainedCluster),
    /// What is said of the host afterwards: last.
    Ended(Scheduling),
}

impl From<v1::MovedNode> for MovedNode {
    fn from(v1::MovedNode { node, to }: v1::MovedNode) -> Self {
        Self { node, to }
    }
}

impl From<MovedNode> for v1::MovedNode {
    fn from(MovedNode { node, to }: MovedNode) -> Self {
        Self { node, to }
    }
}

impl From<v1::DrainedCluster> for DrainedCluster {
    fn from(v1::DrainedCluster { realm, name, moved, left, error }: v1::DrainedCluster) -> Self {
        Self { realm, name, moved: messages(moved), left, error: known(error) }
    }
}

impl From<DrainedCluster> for v1::DrainedCluster {
    fn from(DrainedCluster { realm, name, moved, left, error }: DrainedCluster) -> Self {
        Self { realm, name, moved: messages(moved), left, error: text(error) }
    }
}

impl TryFrom<v1::DrainHostResponse> for DrainStep {
    type Error = FieldError;

    fn try_from(answer: v1::DrainHostResponse) -> Result<Self, FieldError> {
        Ok(match need("step", answer.step)? {
            drain_host_response::Step::Event(event) => Self::Event(event.try_into()?),
            drain_host_response::Step::Cluster(cluster) => Self::Cluster(cluster.into()),
            drain_host_response::Step::Ended(word) => Self::Ended(Scheduling::read("ended", word)?),
        })
    }
}

impl From<DrainStep> for v1::DrainHostResponse {
    fn from(step: DrainStep) -> Self {
        let step = match step {
            DrainStep::Event(event) => drain_host_response::Step::Event((&event).into()),
            DrainStep::Cluster(cluster) => drain_host_response::Step::Cluster(cluster.into()),
            DrainStep::Ended(word) => drain_host_response::Step::Ended(word.wire()),
        };
        Self { step: Some(step) }
    }
}

#[cfg(test)]
mod tests {
    use shoal_types::{EventKind, EventLevel, NewEvent, Timestamp};

    use super::*;

    #[test]
    fn answers_survive_the_wire() {
        let cluster = DrainedCluster {
            realm: "default".into(),
            name: "dev".into(),
            moved: vec![MovedNode { node: "worker-0".into(), to: "beta".into() }],
            left: vec!["worker-1".into()],
            error: Some("its jobs did not end".into()),
        };
        let event = NewEvent::new(Timestamp(5), EventLevel::Info, EventKind::Host, "draining");
        let steps = [
            DrainStep::Cluster(cluster.clone()),
            DrainStep::Cluster(DrainedCluster::default()),
            DrainStep::Event(Event { seq: 7, event }),
            DrainStep::Ended(Scheduling::Drained),
        ];
        for step in steps {
            assert_eq!(DrainStep::try_from(v1::DrainHostResponse::from(step.clone())), Ok(step));
        }
        assert_eq!(DrainStep::try_from(v1::DrainHostResponse { step: None }).unwrap_err().field, "step");
        let drain = |dry_run, clusters| Drain {
            host: "alpha".into(),
            scheduling: Scheduling::Draining,
            dry_run,
            clusters,
        };
        assert!(!drain(false, vec![cluster.clone()]).is_done());
        let planned = DrainedCluster { error: None, ..cluster };
        assert!(drain(true, vec![planned.clone()]).is_done() && !drain(false, vec![planned]).is_done());
    }
}
