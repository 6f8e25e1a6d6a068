//! What has to be done on one host for one cluster: intent and observation in, steps out. Pure.
//!
//! ```text
//! container of the node        step
//! none                         Create     create -> archive -> start
//! created, exited              Fill       archive -> start: an earlier try may have ended between any two calls
//! running, paused, restarting  nothing
//! being removed                Wait
//! dead, of another generation,
//! of no node placed here       Remove, before anything is created
//! ```
//! In doubt, when calls of a dead owner may still reach the host, a created container is removed and created anew:
//! the archive or the start that was meant for it must not meet those that follow, or a node boots while its files change.

use std::collections::BTreeMap;

use shoal_docker::{ContainerState, ContainerSummary};
use shoal_types::{Generation, NodeId};

use crate::{
    observe::containers::HostContainers,
    words::naming::{GENERATION, NODE},
};

/// A node placed on this host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Wanted {
    pub(crate) node: NodeId,
    pub(crate) generation: Generation,
}

/// What to do for one node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum NodeStep {
    /// It has no container.
    Create,
    /// Its container is there and does not run.
    Fill { container: String },
    /// Its container runs.
    Keep { container: String },
    /// Its container is being removed by somebody.
    Wait,
}

/// The steps on one host.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct HostPlan {
    /// Containers of the cluster that nothing here explains, first of all.
    pub(crate) remove: Vec<String>,
    /// One step per wanted node, in the order given.
    pub(crate) nodes: Vec<(NodeId, NodeStep)>,
}

/// Compares what is wanted on a host with the containers of the cluster that are there.
pub(crate) fn bring_up(wanted: &[Wanted], there: &HostContainers, in_doubt: bool) -> HostPlan {
    let mut plan = HostPlan::default();
    let mut found: BTreeMap<NodeId, &ContainerSummary> = BTreeMap::new();
    for container in there.all() {
        let node = container.labels.get(NODE).and_then(|id| id.parse::<NodeId>().ok());
        let generation = container.labels.get(GENERATION).and_then(|g| g.parse().ok()).map(Generation);
        let explained = wanted.iter().find(|w| Some(w.node) == node && Some(w.generation) == generation);
        let is_fit = match container.state {
            ContainerState::Dead => false,
            ContainerState::Created => !in_doubt,
            ContainerState::Running
            | ContainerState::Paused
            | ContainerState::Restarting
            | ContainerState::Exited
            | ContainerState::Removing => true,
        };
        match explained {
            Some(wanted) if is_fit && !found.contains_key(&wanted.node) => {
                found.insert(wanted.node, container);
            }
            Some(_) | None => plan.remove.push(container.id.clone()),
        }
    }
    for wanted in wanted {
        let step = match found.get(&wanted.node) {
            None => NodeStep::Create,
            Some(container) => match container.state {
                ContainerState::Created | ContainerState::Exited => {
                    NodeStep::Fill { container: container.id.clone() }
                }
                ContainerState::Running | ContainerState::Paused | ContainerState::Restarting => {
                    NodeStep::Keep { container: container.id.clone() }
                }
                // A dead one is among those to be removed.
                ContainerState::Removing | ContainerState::Dead => NodeStep::Wait,
            },
        };
        plan.nodes.push((wanted.node, step));
    }
    plan
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(n: u8) -> NodeId {
        NodeId::new(1, [n; 10])
    }

    fn wanted(n: u8) -> Wanted {
        Wanted { node: node(n), generation: Generation(2) }
    }

    fn container(id: &str, n: u8, generation: u64, state: ContainerState) -> ContainerSummary {
        ContainerSummary {
            id: id.into(),
            name: id.into(),
            labels: [(NODE.to_owned(), node(n).to_string()), (GENERATION.to_owned(), generation.to_string())]
                .into(),
            state,
            image_id: String::new(),
            created: None,
        }
    }

    #[test]
    fn each_state_has_its_step() {
        let there = HostContainers::new(vec![
            container("b", 2, 2, ContainerState::Created),
            container("c", 3, 2, ContainerState::Running),
            container("d", 4, 2, ContainerState::Removing),
            container("e", 5, 2, ContainerState::Exited),
        ]);
        let plan = bring_up(&[wanted(1), wanted(2), wanted(3), wanted(4), wanted(5)], &there, false);
        let steps: Vec<_> = plan.nodes.into_iter().map(|(_, step)| step).collect();
        assert_eq!(
            steps,
            [
                NodeStep::Create,
                NodeStep::Fill { container: "b".into() },
                NodeStep::Keep { container: "c".into() },
                NodeStep::Wait,
                NodeStep::Fill { container: "e".into() },
            ]
        );
        assert!(plan.remove.is_empty());
    }

    #[test]
    fn in_doubt_a_created_container_is_made_anew() {
        let there = HostContainers::new(vec![
            container("b", 2, 2, ContainerState::Created),
            container("c", 3, 2, ContainerState::Running),
            container("e", 5, 2, ContainerState::Exited),
        ]);
        let plan = bring_up(&[wanted(2), wanted(3), wanted(5)], &there, true);
        assert_eq!(plan.remove, ["b"]);
        let steps: Vec<_> = plan.nodes.into_iter().map(|(_, step)| step).collect();
        assert_eq!(
            steps,
            [
                NodeStep::Create,
                NodeStep::Keep { container: "c".into() },
                NodeStep::Fill { container: "e".into() },
            ]
        );
    }

    #[test]
    fn what_nothing_explains_goes_first() {
        let there = HostContainers::new(vec![
            container("old", 1, 1, ContainerState::Running),
            container("foreign", 9, 2, ContainerState::Running),
            container("twin", 2, 2, ContainerState::Running),
            container("twin-2", 2, 2, ContainerState::Created),
        ]);
        let plan = bring_up(&[wanted(1), wanted(2)], &there, false);
        assert_eq!(plan.remove, ["old", "foreign", "twin-2"]);
        assert_eq!(
            plan.nodes,
            [(node(1), NodeStep::Create), (node(2), NodeStep::Keep { container: "twin".into() })]
        );
    }
}
