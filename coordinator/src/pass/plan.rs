//! What has to be done on one host for one cluster: intent and observation in, steps out. Pure.
//!
//! ```text
//! container of the node        step
//! none                         Create     create -> archive -> start
//! created, exited              Fill       archive -> start: an earlier try may have ended between any two calls
//! running, paused, restarting  nothing
//! being removed                Wait
//! dead, of another generation,
//! elsewhere on the network,
//! of no node placed here       Remove, before anything is created
//! ```
//! A container is elsewhere if its network, address or MAC address is another than the node's: it is made anew, because an engine
//! that connects it again forgets the address.
//! In doubt, when calls of a dead owner may still reach the host, a created container is removed and created anew:
//! the archive or the start that was meant for it must not meet those that follow, or a node boots while its files change.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    net::Ipv4Addr,
};

use shoal_docker::{ContainerState, ContainerSummary};
use shoal_storage::Node;
use shoal_types::{Generation, MacAddr, NodeId};

use crate::{
    observe::containers::HostContainers,
    words::naming::{GENERATION, NODE},
};

/// A node placed on this host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Wanted {
    pub(crate) node: NodeId,
    pub(crate) generation: Generation,
    pub(crate) address: Ipv4Addr,
    pub(crate) mac: MacAddr,
}

impl Wanted {
    pub(crate) fn of(node: &Node) -> Self {
        Self { node: node.id, generation: node.generation, address: node.address, mac: node.mac }
    }

    /// How its container is elsewhere on the network than the node is to be; `network` is the id of the cluster's, if the host has it.
    pub(crate) fn drift(&self, container: &ContainerSummary, network: Option<&str>) -> Option<Drift> {
        let runs = match container.state {
            ContainerState::Running | ContainerState::Paused => true,
            // While a restart policy waits, an engine has released what it tells of a device.
            ContainerState::Restarting
            | ContainerState::Created
            | ContainerState::Exited
            | ContainerState::Dead
            | ContainerState::Removing => false,
        };
        let all = || container.attachments.iter();
        let by_id = all().find(|a| Some(a.network_id.as_str()) == network);
        // Before its first start a container has the names of its networks alone.
        let unstarted = || all().filter(|a| a.network_id.is_empty());
        let by_address = || unstarted().find(|a| a.address == Some(self.address));
        let found = by_id.or_else(by_address).or_else(|| unstarted().next());
        let Some(attachment) = found else { return Some(Drift::Network) };
        if attachment.address.is_none_or(|address| address != self.address) {
            return Some(Drift::Address(attachment.address));
        }
        // Engines tell the address of a device alone, which there is while it runs.
        (runs && attachment.mac != Some(self.mac)).then_some(Drift::Mac(attachment.mac))
    }
}

/// What of a container's place on the network is not the node's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Drift {
    /// It is not on the cluster's network.
    Network,
    /// It has this address there.
    Address(Option<Ipv4Addr>),
    /// It has this MAC address there.
    Mac(Option<MacAddr>),
}

impl fmt::Display for Drift {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Network => f.write_str("it is not on the cluster's network"),
            Self::Address(None) => f.write_str("it has no address"),
            Self::Address(Some(address)) => write!(f, "it has another address, {address}"),
            Self::Mac(None) => f.write_str("it has no MAC address"),
            Self::Mac(Some(mac)) => write!(f, "it has another MAC address, {mac}"),
        }
    }
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
    /// Its container is being removed by somebody, or it waits for its next restart.
    Wait,
}

/// The steps on one host.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct HostPlan {
    /// Containers of the cluster that nothing here explains, first of all.
    pub(crate) remove: Vec<String>,
    /// One step per wanted node, in the order given.
    pub(crate) nodes: Vec<(NodeId, NodeStep)>,
    /// Nodes that ended, and in which container: what is done for them is a restart.
    pub(crate) ended: BTreeMap<NodeId, String>,
}

impl HostPlan {
    /// Leaves these nodes, which have ended, as they are.
    pub(crate) fn hold(&mut self, held: &BTreeSet<NodeId>) {
        let left: BTreeSet<&String> = held.iter().filter_map(|id| self.ended.get(id)).collect();
        self.remove.retain(|container| !left.contains(container));
        for (_, step) in self.nodes.iter_mut().filter(|(id, _)| held.contains(id)) {
            *step = NodeStep::Wait;
        }
    }
}

/// Compares what is wanted on a host with the containers of the cluster that are there. `network` is the id of the cluster's network
/// there, if there is one.
pub(crate) fn bring_up(
    wanted: &[Wanted],
    there: &HostContainers,
    network: Option<&str>,
    in_doubt: bool,
) -> HostPlan {
    let mut plan = HostPlan::default();
    let mut found: BTreeMap<NodeId, &ContainerSummary> = BTreeMap::new();
    for container in there.all() {
        let node = container.labels.get(NODE).and_then(|id| id.parse::<NodeId>().ok());
        let generation = container.labels.get(GENERATION).and_then(|g| g.parse().ok()).map(Generation);
        let explained = wanted.iter().find(|w| Some(w.node) == node && Some(w.generation) == generation);
        let has_ended = matches!(container.state, ContainerState::Exited | ContainerState::Dead);
        if let Some(wanted) = explained.filter(|w| has_ended && w.drift(container, network).is_none()) {
            plan.ended.entry(wanted.node).or_insert_with(|| container.id.clone());
        }
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
            Some(wanted)
                if is_fit
                    && !found.contains_key(&wanted.node)
                    && (container.state == ContainerState::Removing
                        || wanted.drift(container, network).is_none()) =>
            {
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
        // A container that runs beside one that has ended is its node.
        if matches!(step, NodeStep::Keep { .. } | NodeStep::Wait) {
            plan.ended.remove(&wanted.node);
        }
        plan.nodes.push((wanted.node, step));
    }
    plan
}

#[cfg(test)]
mod tests {
    use shoal_docker::Attachment;

    use super::*;

    fn node(n: u8) -> NodeId {
        NodeId::new(1, [n; 10])
    }

    /// The id of the cluster's network.
    const NETWORK: Option<&str> = Some("net");

    fn wanted(n: u8) -> Wanted {
        let address = Ipv4Addr::new(10, 96, 4, n);
        Wanted { node: node(n), generation: Generation(2), address, mac: MacAddr::of(address) }
    }

    fn attachment(network_id: &str, n: u8, mac: bool) -> Attachment {
        let Wanted { address, mac: own, .. } = wanted(n);
        Attachment {
            network: "shoal-dev".into(),
            network_id: network_id.into(),
            address: Some(address),
            mac: mac.then_some(own),
        }
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
            attachments: vec![attachment("net", n, true)],
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
        let plan = bring_up(&[wanted(1), wanted(2), wanted(3), wanted(4), wanted(5)], &there, NETWORK, false);
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
    fn a_node_that_ended_can_be_held_and_any_other_is_not_one_that_ended() {
        let there = HostContainers::new(vec![
            container("exited", 1, 2, ContainerState::Exited),
            container("dead", 2, 2, ContainerState::Dead),
            container("old", 3, 1, ContainerState::Exited),
            container("made", 4, 2, ContainerState::Created),
            ContainerSummary { attachments: vec![], ..container("cut", 5, 2, ContainerState::Exited) },
            container("runs", 6, 2, ContainerState::Running),
            container("twin", 6, 2, ContainerState::Exited),
        ]);
        let all = [1, 2, 3, 4, 5, 6, 7].map(wanted);
        let plan = bring_up(&all, &there, NETWORK, false);
        assert_eq!(plan.ended, [(node(1), "exited".into()), (node(2), "dead".into())].into());
        let mut held = plan.clone();
        held.hold(&[node(1), node(2)].into());
        assert_eq!(plan.remove, ["dead", "old", "cut", "twin"]);
        assert_eq!(held.remove, ["old", "cut", "twin"]);
        let waits = |plan: &HostPlan| plan.nodes.iter().filter(|(_, step)| *step == NodeStep::Wait).count();
        assert_eq!((waits(&plan), waits(&held)), (0, 2));
        assert_eq!(held.nodes[2..], plan.nodes[2..]);
    }

    #[test]
    fn in_doubt_a_created_container_is_made_anew() {
        let there = HostContainers::new(vec![
            container("b", 2, 2, ContainerState::Created),
            container("c", 3, 2, ContainerState::Running),
            container("e", 5, 2, ContainerState::Exited),
        ]);
        let plan = bring_up(&[wanted(2), wanted(3), wanted(5)], &there, NETWORK, true);
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
        let plan = bring_up(&[wanted(1), wanted(2)], &there, NETWORK, false);
        assert_eq!(plan.remove, ["old", "foreign", "twin-2"]);
        assert_eq!(
            plan.nodes,
            [(node(1), NodeStep::Create), (node(2), NodeStep::Keep { container: "twin".into() })]
        );
    }

    #[test]
    fn a_container_elsewhere_on_the_network_is_made_anew() {
        use ContainerState::{Created, Exited, Paused, Restarting, Running};
        let with = |state, attachments: Vec<Attachment>| ContainerSummary {
            attachments,
            ..container("c", 3, 2, state)
        };
        let moved = Attachment { address: Some(Ipv4Addr::new(10, 96, 4, 9)), ..attachment("net", 3, true) };
        let nowhere = Attachment { address: None, ..attachment("net", 3, true) };
        let others = attachment("bridge", 9, true);
        let other = || Attachment { network: "bridge".into(), address: None, ..attachment("", 3, false) };
        for (name, state, attachments, drift) in [
            ("right", Running, vec![attachment("net", 3, true)], None),
            ("and on another network", Running, vec![others.clone(), attachment("net", 3, true)], None),
            ("disconnected", Running, vec![], Some(Drift::Network)),
            ("on another network alone", Paused, vec![others], Some(Drift::Network)),
            ("connected anew", Running, vec![moved.clone()], Some(Drift::Address(moved.address))),
            ("without an address", Running, vec![nowhere], Some(Drift::Address(None))),
            ("without its MAC address", Running, vec![attachment("net", 3, false)], Some(Drift::Mac(None))),
            ("that is told while it runs", Exited, vec![attachment("net", 3, false)], None),
            ("of a network that is gone", Exited, vec![attachment("old", 3, false)], Some(Drift::Network)),
            ("about to be restarted", Restarting, vec![attachment("net", 3, false)], None),
            ("never started, and on another one", Created, vec![other(), attachment("", 3, true)], None),
            ("ended, and connected to another one", Exited, vec![other(), attachment("net", 3, false)], None),
            ("never started", Created, vec![attachment("", 3, true)], None),
            (
                "for another address",
                Created,
                vec![Attachment { network_id: String::new(), ..moved.clone() }],
                Some(Drift::Address(moved.address)),
            ),
        ] {
            let container = with(state, attachments);
            assert_eq!(wanted(3).drift(&container, NETWORK), drift, "{name}");
            let plan = bring_up(&[wanted(3)], &HostContainers::new(vec![container]), NETWORK, false);
            assert_eq!(plan.remove.len(), usize::from(drift.is_some()), "{name}");
            let anew = plan.nodes == [(node(3), NodeStep::Create)];
            assert_eq!(anew, drift.is_some(), "{name}");
        }
        // Its host has lost the network.
        let left = with(Exited, vec![attachment("net", 3, false)]);
        assert_eq!(wanted(3).drift(&left, None), Some(Drift::Network));
        assert_eq!(Drift::Address(None).to_string(), "it has no address");
    }
}
