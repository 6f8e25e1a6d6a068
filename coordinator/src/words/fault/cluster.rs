//! What goes wrong with clusters and their nodes.

use std::fmt;

use shoal_slurm::{BootstrapError, ViewError};
use shoal_storage::StoreError;
use shoal_types::{ClusterName, ClusterPhase, HostName, InvalidTransition, NodeName, RealmName};

use super::{Class, Hint, LostWays, NotReady, Retry, SAID, UNWANTED};

/// What is wrong with a cluster or one of its nodes.
#[derive(Debug, thiserror::Error)]
pub enum ClusterFault {
    /// No cluster of that name.
    #[error("no cluster named {name} in realm {realm}")]
    Unknown {
        /// The realm.
        realm: RealmName,
        /// The name.
        name: ClusterName,
    },
    /// No node of that name.
    #[error("no node named {node} in cluster {cluster}")]
    NoNode {
        /// The cluster.
        cluster: ClusterName,
        /// The name.
        node: NodeName,
    },
    /// The node has no container at present.
    #[error(
        "node {node} has no container on host {host}: its cluster is being made or taken away, or it was removed by hand"
    )]
    NoContainer {
        /// The node.
        node: NodeName,
        /// Its host.
        host: HostName,
    },
    /// The state of a node is not where it should be.
    #[error("node {node} has no state on host {host}: somebody has removed its volume")]
    NoState {
        /// The node.
        node: NodeName,
        /// Its host.
        host: HostName,
    },
    /// Another process works on the cluster.
    #[error("cluster {cluster} is being worked on by {holder}: wait for it, or end that process")]
    Busy {
        /// The cluster.
        cluster: ClusterName,
        /// Who.
        holder: String,
    },
    /// The cluster is in the wrong phase.
    #[error("cluster {cluster}")]
    Phase {
        /// The cluster.
        cluster: ClusterName,
        /// Which change was refused.
        source: InvalidTransition,
    },
    /// A cluster that is being deleted was to be changed.
    #[error("cluster {cluster} is being deleted: nothing of it can be changed")]
    Going {
        /// The cluster.
        cluster: ClusterName,
    },
    /// A cluster that is not ready was to be kept so.
    #[error("cluster {cluster} is {phase}: only a cluster that was ready is repaired")]
    NotKept {
        /// The cluster.
        cluster: ClusterName,
        /// Where it is.
        phase: ClusterPhase,
    },
    /// A repair did not bring everything back.
    #[error("cluster {cluster} is not mended: {how}")]
    NotMended {
        /// The cluster.
        cluster: ClusterName,
        /// Why.
        how: String,
    },
    /// Nodes have jobs, and would be made anew.
    #[error(
        "the keys of cluster {cluster} stay: {nodes} have jobs, which end when their nodes are made anew"
    )]
    HasJobs {
        /// The cluster.
        cluster: ClusterName,
        /// Which, as a nodeset.
        nodes: String,
    },
    /// A cluster that is not ready has nodes that are to move.
    #[error("cluster {cluster} is {phase}: only nodes of one that is ready are moved")]
    NotMoved {
        /// The cluster.
        cluster: ClusterName,
        /// Where it is.
        phase: ClusterPhase,
    },
    /// Only a program knows where the cluster's nodes had better be.
    #[error(
        "cluster {cluster} is placed by the program at {address}, which is not asked where nodes had better be"
    )]
    PlacedByProgram {
        /// The cluster.
        cluster: ClusterName,
        /// Where the program is.
        address: String,
    },
    /// Nodes of a lost host stay there.
    #[error("cluster {cluster}: {nodes} stay where they are: {why}")]
    NotHealed {
        /// The cluster.
        cluster: ClusterName,
        /// Which, as a nodeset.
        nodes: String,
        /// Why.
        why: String,
    },
    /// Slurm gives no answer, or refuses what it is told.
    #[error("Slurm of cluster {cluster} gives no answer: {said}")]
    Slurm {
        /// The cluster.
        cluster: ClusterName,
        /// What it said instead, or why it was not asked.
        said: String,
    },
    /// Nodes stay on a host that is being drained.
    #[error("cluster {cluster}: {nodes} stay there: {why}")]
    Stay {
        /// The cluster.
        cluster: ClusterName,
        /// Which, as a nodeset.
        nodes: String,
        /// Why.
        why: String,
    },
    /// The cluster did not become ready.
    #[error("cluster {cluster} did not become ready: {source}\n{after}")]
    NotReady {
        /// The cluster.
        cluster: ClusterName,
        /// Which nodes, and at which stage.
        source: Box<NotReady>,
        /// What became of it.
        after: After,
    },
    /// Member hosts do not get each other's tunnel packets.
    #[error("tunnel packets do not arrive between hosts of the cluster{ways}")]
    Apart {
        /// Which, and what to do.
        ways: LostWays,
    },
    /// A create that was only looked at did not end with a cluster that is ready.
    #[error("the create of cluster {cluster} ended: {how}")]
    Ended {
        /// The cluster.
        cluster: ClusterName,
        /// Why, and what became of it.
        how: String,
    },
    /// The create was interrupted.
    #[error("interrupted: cluster {cluster} was rolled back")]
    Interrupted {
        /// The cluster.
        cluster: ClusterName,
    },
    /// The server ended while it made the cluster.
    #[error("the server has ended: cluster {cluster} is left as it is")]
    Left {
        /// The cluster.
        cluster: ClusterName,
    },
    /// The create was interrupted while the store was away.
    #[error("interrupted, and the store is away: the next command goes on with cluster {cluster}")]
    Unfinished {
        /// The cluster.
        cluster: ClusterName,
        /// What the store said.
        #[source]
        source: StoreError,
    },
    /// Something of the cluster is on hosts that cannot be reached.
    #[error(
        "cluster {cluster} is not gone yet: {hosts} could not be reached ({reason}); delete it again when they are back, or use `shoal unregister HOST --force`"
    )]
    LeftBehind {
        /// The cluster.
        cluster: ClusterName,
        /// The hosts, by name.
        hosts: String,
        /// What the first of them said.
        reason: String,
    },
    /// The store holds a cluster that cannot be rendered.
    #[error("cluster {cluster} cannot be rendered")]
    View {
        /// The cluster.
        cluster: ClusterName,
        /// Why.
        source: ViewError,
    },
    /// A node's archive cannot be made.
    #[error("the files of node {node} cannot be rendered")]
    Render {
        /// The node.
        node: NodeName,
        /// Why.
        source: BootstrapError,
    },
}

impl ClusterFault {
    pub(super) fn class(&self) -> Class {
        match self {
            Self::Unknown { .. }
            | Self::NoNode { .. }
            | Self::NoContainer { .. }
            | Self::NoState { .. }
            | Self::Busy { .. }
            | Self::Phase { .. }
            | Self::Going { .. }
            | Self::NotKept { .. }
            | Self::NotMended { .. }
            | Self::HasJobs { .. }
            | Self::NotMoved { .. }
            | Self::PlacedByProgram { .. }
            | Self::NotHealed { .. }
            | Self::Slurm { .. }
            | Self::Stay { .. }
            | Self::NotReady { .. }
            | Self::Apart { .. }
            | Self::Ended { .. }
            | Self::Interrupted { .. }
            | Self::Left { .. }
            | Self::Unfinished { .. }
            | Self::LeftBehind { .. }
            | Self::View { .. }
            | Self::Render { .. } => Class::of(Retry::Never),
        }
    }

    pub(super) fn hint(&self) -> Hint {
        match self {
            Self::Unknown { realm, .. } => {
                Ok(format!("`shoal get clusters --realm {realm}` lists the clusters of the realm"))
            }
            Self::NoNode { cluster, .. } => Ok(format!("`shoal get nodes {cluster}` lists them")),
            Self::NoContainer { .. } | Self::NoState { .. } => {
                Ok("`shoal get events` shows what happened; `shoal resume` finishes what was interrupted"
                    .into())
            }
            Self::Phase { cluster, .. } => Ok(format!("`shoal get cluster {cluster}` shows its phase")),
            Self::NotKept { phase: ClusterPhase::Failed, cluster } => {
                Ok(format!("it was kept for inspection; `shoal delete cluster {cluster}` removes it"))
            }
            Self::NotMoved { phase: ClusterPhase::Failed, cluster } => {
                Ok(format!("it was kept for inspection; `shoal delete cluster {cluster}` removes it"))
            }
            Self::NotKept { .. } | Self::NotMoved { .. } => {
                Ok("`shoal resume` finishes what was interrupted".into())
            }
            Self::NotHealed { cluster, .. } | Self::Slurm { cluster, .. } | Self::Stay { cluster, .. } => {
                Ok(format!("`shoal status {cluster}` shows every node"))
            }
            Self::HasJobs { .. } => Ok("wait for the jobs, or do not wait with --now".into()),
            Self::PlacedByProgram { .. } => {
                Ok("`shoal drain HOST` has the program place the nodes of a host anew".into())
            }
            Self::NotMended { cluster, .. } => Ok(format!("`shoal status {cluster}` shows every node")),
            Self::NotReady { cluster, after: After::Kept, source } => {
                let look = || format!("look into it with `shoal ssh controller.{cluster}`");
                let hint = source.hint.clone().unwrap_or_else(look);
                Ok(format!("{hint}; `shoal delete cluster {cluster}` removes it"))
            }
            Self::NotReady { cluster, after: After::Removed, source } => {
                let events = || {
                    format!(
                        "`shoal get events {cluster}` shows what happened; --keep-on-failure keeps its nodes, --wait gives it longer"
                    )
                };
                Ok(source.hint.clone().unwrap_or_else(events))
            }
            Self::NotReady { cluster, after: After::LeftBehind(_), .. } => {
                Ok(format!("`shoal delete cluster {cluster}` goes on when the hosts are back"))
            }
            Self::Apart { ways } => Ok(ways.hint()),
            Self::Ended { cluster, .. } => Ok(format!("`shoal get events {cluster}` shows what happened")),
            Self::Left { cluster } => Ok(format!(
                "the next command, or server, goes on with it; `shoal create --follow {cluster}` shows how"
            )),
            Self::View { .. } | Self::Render { .. } => {
                Ok("the store may be from another version: `shoal delete cluster` removes the cluster".into())
            }
            Self::Busy { .. } | Self::Going { .. } | Self::LeftBehind { .. } | Self::Unfinished { .. } => {
                Err(SAID)
            }
            Self::Interrupted { .. } => Err(UNWANTED),
        }
    }
}

/// What became of a cluster that did not become ready.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum After {
    /// Nothing of it is left.
    Removed,
    /// All of it is still there.
    Kept,
    /// It was removed, but for what is on hosts that could not be reached: why.
    LeftBehind(String),
}

impl fmt::Display for After {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Removed => f.write_str("it was removed"),
            Self::Kept => f.write_str("it was kept for inspection"),
            Self::LeftBehind(why) => write!(f, "it was removed where that was possible: {why}"),
        }
    }
}
