//! Clusters as lists show them: the store's word, and what the hosts say of the containers now. Pure.

use shoal_api::{Cluster, Network, Node, Phase, Time, millis};
use shoal_docker::ContainerState;
use shoal_storage::Node as Row;
use shoal_types::{HostId, NodeState, Timestamp, chain, node_fqdn};

use crate::observe::{
    cluster::{ClusterRows, Observation},
    failing::failing,
};

/// A cluster with its nodes.
pub(crate) fn shown(rows: &ClusterRows, seen: &Observation, at: Timestamp) -> Cluster {
    let ClusterRows { cluster, network: _, nodes, copies: _, owned } = rows;
    let spec = &cluster.spec;
    let node = |node: &Row| {
        let said = seen.heard.get(&node.host).map(|heard| &heard.containers);
        let there = said.and_then(|said| said.as_ref().ok());
        let error = said.and_then(|said| said.as_ref().err());
        let container = there.and_then(|there| there.of(node.id)).map(|container| container.state);
        let failing = container.and_then(|state| failing(node, state, cluster.healing.policy, at));
        let state = match failing {
            Some(_) => NodeState::Failing,
            None => now(node.state, there.map(|there| there.of(node.id).map(|c| &c.state))),
        };
        let last_seen = seen.hosts.get(&node.host).and_then(|host| host.health.last_seen);
        Node {
            id: node.id.to_string(),
            name: node.name.to_string(),
            cluster: spec.name.to_string(),
            realm: spec.realm.to_string(),
            role: node.role,
            host: host_name(seen, node.host),
            address: node.address.to_string(),
            mac: node.mac.to_string(),
            fqdn: node_fqdn(&node.name, &spec.name, &spec.realm),
            state,
            age_ms: error.map_or(0, |_| millis(at.since(last_seen.unwrap_or(node.since)))),
            host_error: error.map(|fault| chain(fault)),
            failing,
        }
    };
    Cluster {
        id: cluster.id.to_string(),
        realm: spec.realm.to_string(),
        name: spec.name.to_string(),
        phase: Phase::of(cluster.phase, *owned),
        slurm_version: cluster.slurm_version.clone(),
        nodes: nodes.iter().map(node).collect(),
        network: network(rows, seen),
        image: spec.image.clone(),
        created: Time::known(cluster.created),
        failure: cluster.failure.clone(),
        healing: cluster.healing.into(),
        expires: cluster.expiry.and_then(|expiry| Time::known(expiry.at)),
    }
}

/// A cluster's network.
pub(crate) fn network(rows: &ClusterRows, seen: &Observation) -> Option<Network> {
    let ClusterRows { cluster, network, nodes, .. } = rows;
    let network = network.as_ref()?;
    let mut members: Vec<_> =
        nodes.iter().map(|node| host_name(seen, node.host).unwrap_or_default()).collect();
    members.sort();
    members.dedup();
    Some(Network {
        id: network.id.to_string(),
        cluster: cluster.spec.name.to_string(),
        realm: cluster.spec.realm.to_string(),
        subnet: network.subnet.to_string(),
        gateway: network.gateway.to_string(),
        vni: network.vni.get(),
        mtu: network.mtu.into(),
        udp_port: network.udp_port.into(),
        hosts: members,
    })
}

/// The name of a host that is registered.
pub(crate) fn host_name(seen: &Observation, id: HostId) -> Option<String> {
    seen.hosts.get(&id).map(|host| host.name.to_string())
}

/// A node's state now: the store's word, unless its host was asked and says that the container does not run.
fn now(stored: NodeState, container: Option<Option<&ContainerState>>) -> NodeState {
    match (stored, container) {
        (
            NodeState::Starting | NodeState::Ready,
            Some(Some(ContainerState::Exited | ContainerState::Dead)),
        ) => NodeState::Stopped,
        (NodeState::Starting | NodeState::Ready | NodeState::Created, Some(None)) => NodeState::Planned,
        (stored, _) => stored,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_that_was_asked_knows_better_than_the_store() {
        let exited = ContainerState::Exited;
        let running = ContainerState::Running;
        assert_eq!(now(NodeState::Ready, Some(Some(&running))), NodeState::Ready);
        assert_eq!(now(NodeState::Ready, Some(Some(&exited))), NodeState::Stopped);
        assert_eq!(now(NodeState::Ready, Some(None)), NodeState::Planned);
        assert_eq!(now(NodeState::Ready, None), NodeState::Ready);
        assert_eq!(now(NodeState::Planned, Some(None)), NodeState::Planned);
    }
}
