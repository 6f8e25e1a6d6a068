//! What a repair found and did.

use serde::Serialize;
use shoal_proto::{
    FieldError, Word,
    v1::{self, repair_response, rotate_keys_response},
};
use shoal_types::Event;

use crate::{
    MendKind,
    value::{all, known, messages, need, text},
};

/// Something that was not as it should be, and what is done about it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Mend {
    /// `agent`, `network`, `mesh`, `create`, `start`, `recreate` or `remove`.
    #[cfg_attr(feature = "schema", schemars(with = "String"))]
    pub kind: MendKind,
    /// The host it is on.
    pub host: String,
    /// The node it is of; null: the host as a whole.
    pub node: Option<String>,
    /// What was found.
    pub reason: String,
}

/// A cluster as a repair left it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct RepairedCluster {
    /// Its name.
    pub name: String,
    /// What was not as it should be, and what was done about it, or would be.
    pub mends: Vec<Mend>,
    /// What is not as it should be afterwards.
    pub troubles: Vec<String>,
    /// Nodes that Slurm keeps from jobs because somebody said so; they stay so.
    pub drained: Vec<String>,
    /// Why nothing was done, or it was not done to the end.
    pub error: Option<String>,
}

impl RepairedCluster {
    /// Whether it is as it should be.
    #[must_use]
    pub fn is_well(&self) -> bool {
        self.troubles.is_empty() && self.error.is_none()
    }
}

/// What a repair found and did.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Repair {
    /// Whether nothing was to be done.
    pub dry_run: bool,
    /// Every cluster that was looked at, by name.
    pub clusters: Vec<RepairedCluster>,
}

impl Repair {
    /// Whether every cluster is as it should be: what would be mended is not.
    #[must_use]
    pub fn is_well(&self) -> bool {
        let as_it_is = |cluster: &RepairedCluster| !self.dry_run || cluster.mends.is_empty();
        self.clusters.iter().all(|cluster| cluster.is_well() && as_it_is(cluster))
    }
}

/// What is told of a repair, or while keys are rotated.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RepairStep {
    /// Something happened.
    Event(Event),
    /// What became of one cluster.
    Cluster(RepairedCluster),
}

impl TryFrom<v1::Mend> for Mend {
    type Error = FieldError;

    fn try_from(mend: v1::Mend) -> Result<Self, FieldError> {
        let kind = MendKind::read("mend.kind", mend.kind)?;
        Ok(Self { kind, host: mend.host, node: known(mend.node), reason: mend.reason })
    }
}

impl From<Mend> for v1::Mend {
    fn from(Mend { kind, host, node, reason }: Mend) -> Self {
        Self { kind: kind.wire(), host, node: text(node), reason }
    }
}

impl TryFrom<v1::RepairedCluster> for RepairedCluster {
    type Error = FieldError;

    fn try_from(cluster: v1::RepairedCluster) -> Result<Self, FieldError> {
        let v1::RepairedCluster { name, mends, troubles, drained, error } = cluster;
        Ok(Self { name, mends: all(mends)?, troubles, drained, error: known(error) })
    }
}

impl From<RepairedCluster> for v1::RepairedCluster {
    fn from(RepairedCluster { name, mends, troubles, drained, error }: RepairedCluster) -> Self {
        Self { name, mends: messages(mends), troubles, drained, error: text(error) }
    }
}

impl TryFrom<v1::RepairResponse> for RepairStep {
    type Error = FieldError;

    fn try_from(answer: v1::RepairResponse) -> Result<Self, FieldError> {
        Ok(match need("step", answer.step)? {
            repair_response::Step::Event(event) => Self::Event(event.try_into()?),
            repair_response::Step::Cluster(cluster) => Self::Cluster(cluster.try_into()?),
        })
    }
}

impl From<RepairStep> for v1::RepairResponse {
    fn from(step: RepairStep) -> Self {
        let step = match step {
            RepairStep::Event(event) => repair_response::Step::Event((&event).into()),
            RepairStep::Cluster(cluster) => repair_response::Step::Cluster(cluster.into()),
        };
        Self { step: Some(step) }
    }
}

impl TryFrom<v1::RotateKeysResponse> for RepairStep {
    type Error = FieldError;

    fn try_from(answer: v1::RotateKeysResponse) -> Result<Self, FieldError> {
        Ok(match need("step", answer.step)? {
            rotate_keys_response::Step::Event(event) => Self::Event(event.try_into()?),
            rotate_keys_response::Step::Cluster(cluster) => Self::Cluster(cluster.try_into()?),
        })
    }
}

impl From<RepairStep> for v1::RotateKeysResponse {
    fn from(step: RepairStep) -> Self {
        let step = match step {
            RepairStep::Event(event) => rotate_keys_response::Step::Event((&event).into()),
            RepairStep::Cluster(cluster) => rotate_keys_response::Step::Cluster(cluster.into()),
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
        let mend = |node: Option<&str>| Mend {
            kind: MendKind::Start,
            host: "host1".into(),
            node: node.map(Into::into),
            reason: "exited with 137".into(),
        };
        let cluster = RepairedCluster {
            name: "dev".into(),
            mends: vec![mend(Some("worker-0")), mend(None)],
            troubles: vec!["worker-1: munge is down".into()],
            drained: vec!["worker-2".into()],
            error: Some("interrupted".into()),
        };
        assert!(!cluster.is_well() && RepairedCluster::default().is_well());
        let event = NewEvent::new(Timestamp(5), EventLevel::Info, EventKind::Phase, "ready");
        let clusters = [cluster, RepairedCluster::default()].map(RepairStep::Cluster);
        for step in clusters.into_iter().chain([RepairStep::Event(Event { seq: 7, event })]) {
            assert_eq!(RepairStep::try_from(v1::RotateKeysResponse::from(step.clone())), Ok(step.clone()));
            assert_eq!(RepairStep::try_from(v1::RepairResponse::from(step.clone())), Ok(step));
        }
    }

    #[test]
    fn what_is_unknown_is_refused_by_field() {
        let cluster = |kind| v1::RepairedCluster {
            mends: vec![v1::Mend { kind, ..v1::Mend::default() }],
            ..v1::RepairedCluster::default()
        };
        for kind in [0, 99] {
            assert_eq!(RepairedCluster::try_from(cluster(kind)).unwrap_err().field, "mend.kind");
        }
        assert_eq!(RepairStep::try_from(v1::RepairResponse { step: None }).unwrap_err().field, "step");
    }
}
