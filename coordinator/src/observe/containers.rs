//! The containers of ours on a host: one list by label, the same for status, lists, passes, sweeps and access.

use std::collections::BTreeMap;

use shoal_docker::{ContainerSummary, EngineError};
use shoal_types::{ClusterId, NodeId};

use crate::{
    fleet::HostLink,
    words::naming::{NODE, Naming},
};

/// Whose containers.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Scope {
    /// Of the whole installation: of every node, and of agents and probes too.
    Installation,
    /// Of a cluster.
    Cluster(ClusterId),
    /// Of a node.
    Node(NodeId),
}

/// The containers of ours on a host, as its engine lists them.
#[derive(Debug, Clone, Default)]
pub(crate) struct HostContainers {
    /// The newest first.
    listed: Vec<ContainerSummary>,
    /// Node -> where its container is in the list; of several the newest counts.
    nodes: BTreeMap<NodeId, usize>,
}

impl HostContainers {
    /// Those that an engine listed.
    pub(crate) fn new(listed: Vec<ContainerSummary>) -> Self {
        let node = |c: &ContainerSummary| c.labels.get(NODE)?.parse().ok();
        let newest_last = listed.iter().enumerate().rev();
        let nodes = newest_last.filter_map(|(at, container)| Some((node(container)?, at))).collect();
        Self { listed, nodes }
    }

    /// Asks the engine, once.
    ///
    /// # Errors
    /// As [`shoal_docker::Engine::list_containers`].
    pub(crate) async fn look(naming: &Naming, link: &HostLink, scope: Scope) -> Result<Self, EngineError> {
        let filter = match scope {
            Scope::Installation => naming.all(),
            Scope::Cluster(cluster) => naming.of_cluster(cluster),
            Scope::Node(node) => naming.all().with(NODE, node.to_string()),
        };
        Ok(Self::new(link.engine.list_containers(&filter).await?))
    }

    /// The container of a node.
    pub(crate) fn of(&self, node: NodeId) -> Option<&ContainerSummary> {
        self.nodes.get(&node).and_then(|at| self.listed.get(*at))
    }

    /// The containers of nodes, one of each.
    pub(crate) fn of_nodes(&self) -> impl Iterator<Item = &ContainerSummary> {
        self.nodes.values().filter_map(|at| self.listed.get(*at))
    }

    /// All of them.
    pub(crate) fn all(&self) -> &[ContainerSummary] {
        &self.listed
    }

    /// All of them, taken.
    pub(crate) fn into_all(self) -> Vec<ContainerSummary> {
        self.listed
    }
}

/// The container of one node.
///
/// # Errors
/// As [`HostContainers::look`].
pub(crate) async fn container_of(
    naming: &Naming,
    link: &HostLink,
    node: NodeId,
) -> Result<Option<ContainerSummary>, EngineError> {
    Ok(HostContainers::look(naming, link, Scope::Node(node)).await?.of(node).cloned())
}

#[cfg(test)]
mod tests {
    use shoal_docker::ContainerState;

    use super::*;

    #[test]
    fn the_newest_container_of_a_node_counts_and_what_is_of_no_node_is_listed_all_the_same() {
        let node = |n: u8| NodeId::new(1, [n; 10]);
        let container = |id: &str, label: Option<String>| ContainerSummary {
            id: id.into(),
            name: id.into(),
            labels: label.map(|label| (NODE.to_owned(), label)).into_iter().collect(),
            state: ContainerState::Running,
            image_id: String::new(),
            created: None,
            attachments: vec![],
        };
        let there = HostContainers::new(vec![
            container("new", Some(node(1).to_string())),
            container("agent", None),
            container("old", Some(node(1).to_string())),
            container("odd", Some("nobody".into())),
        ]);
        assert_eq!(there.of(node(1)).map(|c| c.id.as_str()), Some("new"));
        assert!(there.of(node(2)).is_none());
        assert_eq!(there.of_nodes().map(|c| c.id.as_str()).collect::<Vec<_>>(), ["new"]);
        assert_eq!(there.all().len(), 4);
    }
}
