//! The node containers of a host: one look, for status, lists, passes and access.

use std::collections::BTreeMap;

use shoal_docker::{ContainerState, EngineError};
use shoal_types::{ClusterId, NodeId};

use crate::{
    fleet::HostLink,
    words::naming::{NODE, Naming},
};

/// Whose node containers.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Scope {
    /// Of every cluster of the installation.
    Installation,
    /// Of a cluster.
    Cluster(ClusterId),
    /// Of a node.
    Node(NodeId),
}

/// A node's container as its engine lists it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct NodeContainer {
    pub(crate) id: String,
    pub(crate) state: ContainerState,
}

/// The containers of nodes on a host.
pub(crate) type NodeContainers = BTreeMap<NodeId, NodeContainer>;

/// Asks the engine.
///
/// # Errors
/// As [`shoal_docker::Engine::list_containers`].
pub(crate) async fn node_containers(
    naming: &Naming,
    link: &HostLink,
    scope: Scope,
) -> Result<NodeContainers, EngineError> {
    let filter = match scope {
        Scope::Installation => naming.all().with_key(NODE),
        Scope::Cluster(cluster) => naming.of_cluster(cluster).with_key(NODE),
        Scope::Node(node) => naming.all().with(NODE, node.to_string()),
    };
    let there = link.engine.list_containers(&filter).await?;
    // The newest is listed first, and counts.
    let known = there.into_iter().rev().filter_map(|c| {
        Some((c.labels.get(NODE)?.parse().ok()?, NodeContainer { id: c.id, state: c.state }))
    });
    Ok(known.collect())
}

/// The container of one node.
///
/// # Errors
/// As [`node_containers`].
pub(crate) async fn container_of(
    naming: &Naming,
    link: &HostLink,
    node: NodeId,
) -> Result<Option<NodeContainer>, EngineError> {
    Ok(node_containers(naming, link, Scope::Node(node)).await?.remove(&node))
}
