//! Clusters as shown: the store's word, and what the hosts say of the containers now.

use std::{collections::BTreeMap, time::Duration};

use shoal_api::Phase;
use shoal_docker::ContainerState;
use shoal_proto::{Word, v1};
use shoal_storage::{Cluster, Host, Network, Node};
use shoal_types::{ClusterName, HostId, NodeState, RealmName, Timestamp, node_fqdn};

use crate::{
    drive::lifecycle,
    fleet::coordinator::Coordinator,
    observe::lists::{self, Listed, Running},
    words::fault::{ClusterFault, Fault},
};

/// One cluster.
pub(crate) async fn shown_cluster(
    coordinator: &Coordinator,
    realm: &RealmName,
    name: &ClusterName,
) -> Result<v1::Cluster, Fault> {
    let cluster = lifecycle::find_cluster(coordinator, realm, name).await?;
    let shown = shown_all(coordinator, vec![cluster]).await?.pop();
    shown.ok_or_else(|| Fault::Cluster(ClusterFault::Unknown { realm: realm.clone(), name: name.clone() }))
}

/// Every cluster of a realm, by name.
pub(crate) async fn shown_clusters(
    coordinator: &Coordinator,
    realm: &RealmName,
) -> Result<Vec<v1::Cluster>, Fault> {
    let clusters = coordinator.store.read().await?.clusters().in_realm(realm).await?;
    shown_all(coordinator, clusters).await
}

/// Names of hosts, of the realm's clusters and of their nodes. No host is asked.
pub(super) async fn names(
    coordinator: &Coordinator,
    realm: &RealmName,
) -> Result<v1::ListNamesResponse, Fault> {
    let mut read = coordinator.store.read().await?;
    let hosts = read.hosts().list().await?.iter().map(|host| host.name.to_string()).collect();
    let mut clusters = Vec::new();
    for cluster in read.clusters().in_realm(realm).await? {
        let nodes = read.nodes().of_cluster(cluster.id).await?;
        let nodes = nodes.iter().map(|node| node.name.to_string()).collect();
        clusters.push(v1::NamedCluster { name: cluster.spec.name.to_string(), nodes });
    }
    Ok(v1::ListNamesResponse { hosts, clusters })
}

async fn shown_all(coordinator: &Coordinator, clusters: Vec<Cluster>) -> Result<Vec<v1::Cluster>, Fault> {
    let lists = lists::of_clusters(coordinator, clusters).await?;
    let now = coordinator.now();
    let show = |Listed { cluster, network, nodes, owned }: &Listed| {
        shown(cluster, network.as_ref(), nodes, (*owned, now), &lists.hosts, &lists.running)
    };
    Ok(lists.clusters.iter().map(show).collect())
}

/// A cluster as shown; `owned`: somebody who lives works on it.
pub(super) fn shown(
    cluster: &Cluster,
    network: Option<&Network>,
    nodes: &[Node],
    (owned, at): (bool, Timestamp),
    hosts: &BTreeMap<HostId, Host>,
    running: &BTreeMap<HostId, Running>,
) -> v1::Cluster {
    let spec = &cluster.spec;
    let host = |id: HostId| hosts.get(&id).map_or_else(String::new, |h| h.name.to_string());
    let state = |node: &Node| {
        let there = running.get(&node.host).and_then(|said| said.as_ref().ok());
        now(node.state, there.map(|there| there.get(&node.id).map(|c| &c.state)))
    };
    let error = |node: &Node| running.get(&node.host).and_then(|said| said.as_ref().err()).cloned();
    let heard =
        |node: &Node| hosts.get(&node.host).and_then(|host| host.health.last_seen).unwrap_or(node.since);
    let node = |node: &Node| v1::Node {
        id: node.id.to_string(),
        name: node.name.to_string(),
        cluster: spec.name.to_string(),
        realm: spec.realm.to_string(),
        role: node.role.wire(),
        host: host(node.host),
        address: node.address.to_string(),
        mac: node.mac.to_string(),
        fqdn: node_fqdn(&node.name, &spec.name, &spec.realm),
        state: state(node).wire(),
        age_ms: error(node).map_or(0, |_| millis(at.since(heard(node)))),
        host_error: error(node).unwrap_or_default(),
    };
    let mut members: Vec<_> = nodes.iter().map(|n| host(n.host)).collect();
    members.sort();
    members.dedup();
    let network = network.map(|n| v1::Network {
        id: n.id.to_string(),
        cluster: spec.name.to_string(),
        realm: spec.realm.to_string(),
        subnet: n.subnet.to_string(),
        gateway: n.gateway.to_string(),
        vni: n.vni.get(),
        mtu: n.mtu.into(),
        udp_port: n.udp_port.into(),
        hosts: members,
    });
    v1::Cluster {
        id: cluster.id.to_string(),
        realm: spec.realm.to_string(),
        name: spec.name.to_string(),
        phase: Phase::of(cluster.phase, owned).wire(),
        slurm_version: cluster.slurm_version.clone().unwrap_or_default(),
        nodes: nodes.iter().map(node).collect(),
        network,
        image: spec.image.clone(),
        created_ms: cluster.created.0,
        failure: cluster.failure.clone().unwrap_or_default(),
    }
}

/// A time span in whole milliseconds.
pub(super) fn millis(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
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
