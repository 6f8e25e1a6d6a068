//! Creates and deletes: what is asked for, and what is told until the end.

use shoal_proto::{
    FieldError,
    v1::{self, delete_cluster_response, follow_cluster_response},
};
use shoal_types::{ClusterName, ClusterSpec, Event, RealmName};

use crate::{
    Cluster, Placement,
    value::{known, messages, need, text},
};

/// A create that is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Create {
    /// What it is to be.
    pub spec: ClusterSpec,
    /// How long it may take to become ready, in milliseconds; 0 for no limit.
    pub wait_ms: u64,
    /// Whether it is kept if it does not become ready.
    pub keep_on_failure: bool,
}

impl From<Create> for v1::CreateClusterRequest {
    fn from(create: Create) -> Self {
        let Create { spec, wait_ms, keep_on_failure } = create;
        Self { spec: Some((&spec).into()), wait_ms, keep_on_failure }
    }
}

/// A create that was begun and goes on by itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Begun {
    /// Names it to the coordinator that runs it.
    pub create: String,
    /// Position of the last event before it.
    pub after_seq: u64,
    /// Id of the cluster; `None` while the image is on its way.
    pub cluster: Option<String>,
}

impl TryFrom<v1::CreateClusterResponse> for Begun {
    type Error = FieldError;

    fn try_from(answer: v1::CreateClusterResponse) -> Result<Self, FieldError> {
        let create = need("create", known(answer.create))?;
        Ok(Self { create, after_seq: answer.after_seq, cluster: known(answer.cluster) })
    }
}

impl From<Begun> for v1::CreateClusterResponse {
    fn from(Begun { create, after_seq, cluster }: Begun) -> Self {
        Self { create, after_seq, cluster: text(cluster) }
    }
}

/// Which create is followed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Followed {
    /// One that this client began.
    Own(Begun),
    /// Whatever create of the name somebody has under way, from its admission on.
    Any,
}

impl Followed {
    /// The request that follows it.
    pub(crate) fn request(self, realm: &RealmName, name: &ClusterName) -> v1::FollowClusterRequest {
        let (create, after_seq) = match self {
            Self::Own(begun) => (begun.create, begun.after_seq),
            Self::Any => (String::new(), 0),
        };
        v1::FollowClusterRequest { realm: realm.to_string(), name: name.to_string(), create, after_seq }
    }
}

/// Where a cluster's nodes are placed; it replaces what was said before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Placed {
    /// The cluster.
    pub cluster: String,
    /// A host for every node.
    pub placements: Vec<Placement>,
}

impl From<v1::Placed> for Placed {
    fn from(placed: v1::Placed) -> Self {
        Self { cluster: placed.cluster, placements: placed.placements.into_iter().map(Into::into).collect() }
    }
}

impl From<Placed> for v1::Placed {
    fn from(Placed { cluster, placements }: Placed) -> Self {
        Self { cluster, placements: messages(placements) }
    }
}

/// What is told of a create.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CreateStep {
    /// Something happened.
    Event(Event),
    /// Nodes are placed, or placed anew.
    Placed(Placed),
    /// The cluster is ready: the last.
    Ready(Box<Cluster>),
}

impl TryFrom<v1::FollowClusterResponse> for CreateStep {
    type Error = FieldError;

    fn try_from(answer: v1::FollowClusterResponse) -> Result<Self, FieldError> {
        Ok(match need("step", answer.step)? {
            follow_cluster_response::Step::Event(event) => Self::Event(event.try_into()?),
            follow_cluster_response::Step::Placed(placed) => Self::Placed(placed.into()),
            follow_cluster_response::Step::Ready(cluster) => Self::Ready(Box::new(cluster.try_into()?)),
        })
    }
}

impl From<CreateStep> for v1::FollowClusterResponse {
    fn from(step: CreateStep) -> Self {
        let step = match step {
            CreateStep::Event(event) => follow_cluster_response::Step::Event((&event).into()),
            CreateStep::Placed(placed) => follow_cluster_response::Step::Placed(placed.into()),
            CreateStep::Ready(cluster) => follow_cluster_response::Step::Ready((*cluster).into()),
        };
        Self { step: Some(step) }
    }
}

/// What is told of deletes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DeleteStep {
    /// Something happened.
    Event(Event),
    /// What is to go of one cluster.
    Placed(Placed),
    /// One cluster is gone.
    Deleted(String),
}

impl TryFrom<v1::DeleteClusterResponse> for DeleteStep {
    type Error = FieldError;

    fn try_from(answer: v1::DeleteClusterResponse) -> Result<Self, FieldError> {
        Ok(match need("step", answer.step)? {
            delete_cluster_response::Step::Event(event) => Self::Event(event.try_into()?),
            delete_cluster_response::Step::Placed(placed) => Self::Placed(placed.into()),
            delete_cluster_response::Step::Deleted(name) => Self::Deleted(name),
        })
    }
}

impl From<DeleteStep> for v1::DeleteClusterResponse {
    fn from(step: DeleteStep) -> Self {
        let step = match step {
            DeleteStep::Event(event) => delete_cluster_response::Step::Event((&event).into()),
            DeleteStep::Placed(placed) => delete_cluster_response::Step::Placed(placed.into()),
            DeleteStep::Deleted(name) => delete_cluster_response::Step::Deleted(name),
        };
        Self { step: Some(step) }
    }
}

#[cfg(test)]
mod tests {
    use shoal_types::{EventKind, EventLevel, NewEvent, Timestamp};

    use super::*;
    use crate::Phase;

    fn event() -> Event {
        let event = NewEvent::new(Timestamp(5), EventLevel::Warn, EventKind::Step, "slow");
        Event { seq: 7, event }
    }

    fn placed() -> Placed {
        let placements = vec![Placement { node: "worker-0".into(), host: "host1".into() }];
        Placed { cluster: "dev".into(), placements }
    }

    #[test]
    fn answers_survive_the_wire() {
        for cluster in [None, Some("clu_1".into())] {
            let begun = Begun { create: "c1".into(), after_seq: 4, cluster };
            assert_eq!(Begun::try_from(v1::CreateClusterResponse::from(begun.clone())), Ok(begun));
        }
        let ready = Cluster {
            name: "dev".into(),
            realm: "lab".into(),
            phase: Phase::Ready,
            slurm_version: None,
            nodes: vec![],
            network: None,
            image: "n:1".into(),
            created: None,
            failure: None,
            healing: shoal_types::Healing::default().into(),
            expires: None,
            id: "clu_1".into(),
        };
        for step in
            [CreateStep::Event(event()), CreateStep::Placed(placed()), CreateStep::Ready(Box::new(ready))]
        {
            assert_eq!(CreateStep::try_from(v1::FollowClusterResponse::from(step.clone())), Ok(step));
        }
        for step in
            [DeleteStep::Event(event()), DeleteStep::Placed(placed()), DeleteStep::Deleted("dev".into())]
        {
            assert_eq!(DeleteStep::try_from(v1::DeleteClusterResponse::from(step.clone())), Ok(step));
        }
    }

    #[test]
    fn a_step_that_says_nothing_known_is_refused() {
        let empty = v1::FollowClusterResponse { step: None };
        assert_eq!(CreateStep::try_from(empty).unwrap_err().field, "step");
        let event = v1::Event { kind: 99, level: 1, ..v1::Event::default() };
        let event = v1::DeleteClusterResponse { step: Some(delete_cluster_response::Step::Event(event)) };
        assert_eq!(DeleteStep::try_from(event).unwrap_err().field, "event.kind");
        assert_eq!(Begun::try_from(v1::CreateClusterResponse::default()).unwrap_err().field, "create");
    }
}
