//! What a rebalance moved, and what hosts carry before and after.

use serde::Serialize;
use shoal_proto::{
    FieldError,
    v1::{self, rebalance_response},
};
use shoal_types::Event;

use crate::value::{known, messages, need, text};

/// A node that was moved, or would be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct NodeMove {
    /// Its name.
    pub node: String,
    /// The host it was on.
    pub from: String,
    /// The host it is on now, or would be.
    pub to: String,
}

/// A node that was to move and did not.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct StayingNode {
    /// Its name.
    pub node: String,
    /// The host it is on.
    pub host: String,
    /// Why.
    pub why: String,
}

/// What became of one cluster.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct RebalancedCluster {
    /// Its realm.
    pub realm: String,
    /// Its name.
    pub name: String,
    /// Nodes that were moved, or would be, in this order.
    pub moves: Vec<NodeMove>,
    /// Nodes that were to move and did not.
    pub stay: Vec<StayingNode>,
    /// Why nothing was done, or it was not done to the end.
    pub error: Option<String>,
}

/// What a host carries, of every cluster.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct RebalancedHost {
    /// Its name.
    pub name: String,
    /// Nodes before.
    pub nodes_before: u32,
    /// Nodes after, or as it would be.
    pub nodes_after: u32,
    /// How much of its scarcest resource is promised, in millionths.
    pub load_before_millionths: u64,
    /// The same after, or as it would be.
    pub load_after_millionths: u64,
}

/// What a rebalance did.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Rebalance {
    /// Whether nothing was to be done.
    pub dry_run: bool,
    /// Every host, by name.
    pub hosts: Vec<RebalancedHost>,
    /// Every cluster that was looked at, by name.
    pub clusters: Vec<RebalancedCluster>,
}

impl Rebalance {
    /// Whether nothing went wrong.
    #[must_use]
    pub fn is_well(&self) -> bool {
        self.clusters.iter().all(|cluster| cluster.error.is_none())
    }
}

/// What is told of a rebalance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RebalanceStep {
    /// Something happened.
    Event(Event),
    /// What is to move: first.
    Plan {
        /// Every host, before and as it would be.
        hosts: Vec<RebalancedHost>,
        /// Every cluster.
        clusters: Vec<RebalancedCluster>,
    },
    /// What became of one cluster.
    Cluster(RebalancedCluster),
    /// How the hosts are afterwards.
    Ended(Vec<RebalancedHost>),
}

/// A message with the same fields.
macro_rules! mirrored {
    ($($name:ident { $($field:ident),+ })+) => {$(
        impl From<v1::$name> for $name {
            fn from(v1::$name { $($field),+ }: v1::$name) -> Self {
                Self { $($field),+ }
            }
        }

        impl From<$name> for v1::$name {
            fn from($name { $($field),+ }: $name) -> Self {
                Self { $($field),+ }
            }
        }
    )+};
}

mirrored! {
    NodeMove { node, from, to }
    StayingNode { node, host, why }
    RebalancedHost { name, nodes_before, nodes_after, load_before_millionths, load_after_millionths }
}

impl From<v1::RebalancedCluster> for RebalancedCluster {
    fn from(v1::RebalancedCluster { realm, name, moves, stay, error }: v1::RebalancedCluster) -> Self {
        Self { realm, name, moves: messages(moves), stay: messages(stay), error: known(error) }
    }
}

impl From<RebalancedCluster> for v1::RebalancedCluster {
    fn from(RebalancedCluster { realm, name, moves, stay, error }: RebalancedCluster) -> Self {
        Self { realm, name, moves: messages(moves), stay: messages(stay), error: text(error) }
    }
}

impl TryFrom<v1::RebalanceResponse> for RebalanceStep {
    type Error = FieldError;

    fn try_from(answer: v1::RebalanceResponse) -> Result<Self, FieldError> {
        Ok(match need("step", answer.step)? {
            rebalance_response::Step::Event(event) => Self::Event(event.try_into()?),
            rebalance_response::Step::Plan(v1::RebalancePlan { hosts, clusters }) => {
                Self::Plan { hosts: messages(hosts), clusters: messages(clusters) }
            }
            rebalance_response::Step::Cluster(cluster) => Self::Cluster(cluster.into()),
            rebalance_response::Step::Ended(ended) => Self::Ended(messages(ended.hosts)),
        })
    }
}

impl From<RebalanceStep> for v1::RebalanceResponse {
    fn from(step: RebalanceStep) -> Self {
        let step = match step {
            RebalanceStep::Event(event) => rebalance_response::Step::Event((&event).into()),
            RebalanceStep::Plan { hosts, clusters } => rebalance_response::Step::Plan(v1::RebalancePlan {
                hosts: messages(hosts),
                clusters: messages(clusters),
            }),
            RebalanceStep::Cluster(cluster) => rebalance_response::Step::Cluster(cluster.into()),
            RebalanceStep::Ended(hosts) => {
                rebalance_response::Step::Ended(v1::RebalancedHosts { hosts: messages(hosts) })
            }
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
        let cluster = RebalancedCluster {
            realm: "default".into(),
            name: "dev".into(),
            moves: vec![NodeMove { node: "worker-0".into(), from: "alpha".into(), to: "beta".into() }],
            stay: vec![StayingNode { node: "worker-1".into(), host: "alpha".into(), why: "busy".into() }],
            error: Some("the store is away".into()),
        };
        let host = RebalancedHost {
            name: "alpha".into(),
            nodes_before: 2,
            nodes_after: 1,
            load_before_millionths: 200_000,
            load_after_millionths: 100_000,
        };
        let event = NewEvent::new(Timestamp(5), EventLevel::Info, EventKind::Moved, "moved");
        let steps = [
            RebalanceStep::Plan { hosts: vec![host.clone()], clusters: vec![cluster.clone()] },
            RebalanceStep::Event(Event { seq: 7, event }),
            RebalanceStep::Cluster(cluster.clone()),
            RebalanceStep::Cluster(RebalancedCluster::default()),
            RebalanceStep::Ended(vec![host]),
        ];
        for step in steps {
            assert_eq!(RebalanceStep::try_from(v1::RebalanceResponse::from(step.clone())), Ok(step));
        }
        let nothing = v1::RebalanceResponse { step: None };
        assert_eq!(RebalanceStep::try_from(nothing).unwrap_err().field, "step");
        let of = |clusters| Rebalance { clusters, ..Rebalance::default() };
        assert!(!of(vec![cluster.clone()]).is_well());
        assert!(of(vec![RebalancedCluster { error: None, ..cluster }]).is_well());
    }
}
