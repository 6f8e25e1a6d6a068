//! Clusters as shown: the store's word, and what the hosts say of the containers now.

use std::{collections::BTreeMap, time::Duration};

use futures_util::{FutureExt, future::join_all};
use shoal_api::Phase;
use shoal_docker::ContainerState;
use shoal_proto::{Word, v1};
use shoal_storage::{Cluster, Host, Lease, Network, Node, Resource};
use shoal_types::{ClusterName, HostId, NodeId, NodeState, RealmName, Timestamp, node_fqdn};

use crate::{
    fleet::coordinator::Coordinator,
    words::{chain::text, fault::Fault, naming::NODE},
};

/// How long a host may take to list its containers before the store's word is shown.
const LOOK: Duration = Duration::from_secs(3);

impl Coordinator {
    /// One cluster.
    pub(crate) async fn shown_cluster(
        &self,
        realm: &RealmName,
        name: &ClusterName,
    ) -> Result<v1::Cluster, Fault> {
        let cluster = self.cluster(realm, name).await?;
        let shown = self.shown(vec![cluster]).await?.pop();
        shown.ok_or_else(|| Fault::NoCluster { realm: realm.clone(), name: name.clone() })
    }

    /// Every cluster of a realm, by name.
    pub(crate) async fn shown_clusters(&self, realm: &RealmName) -> Result<Vec<v1::Cluster>, Fault> {
        let clusters = self.store.read().await?.clusters().in_realm(realm).await?;
        self.shown(clusters).await
    }

    /// Names of hosts, of the realm's clusters and of their nodes. No host is asked.
    pub(super) async fn names(&self, realm: &RealmName) -> Result<v1::ListNamesResponse, Fault> {
        let mut read = self.store.read().await?;
        let hosts = read.hosts().list().await?.iter().map(|host| host.name.to_string()).collect();
        let mut clusters = Vec::new();
        for cluster in read.clusters().in_realm(realm).await? {
            let nodes = read.nodes().of_cluster(cluster.id).await?;
            let nodes = nodes.iter().map(|node| node.name.to_string()).collect();
            clusters.push(v1::NamedCluster { name: cluster.spec.name.to_string(), nodes });
        }
        Ok(v1::ListNamesResponse { hosts, clusters })
    }

    async fn shown(&self, clusters: Vec<Cluster>) -> Result<Vec<v1::Cluster>, Fault> {
        let mut read = self.store.read().await?;
        let hosts: BTreeMap<HostId, Host> =
            read.hosts().list().await?.into_iter().map(|h| (h.id, h)).collect();
        let mut rows = Vec::new();
        for cluster in clusters {
            let network = read.networks().of_cluster(cluster.id).await?;
            let nodes = read.nodes().of_cluster(cluster.id).await?;
            let lease = read.leases().get(&Resource::cluster(cluster.id)).await?;
            rows.push((cluster, network, nodes, lease));
        }
        drop(read);
        let members = rows.iter().flat_map(|(_, _, nodes, _)| nodes).map(|n| n.host);
        let members: std::collections::BTreeSet<_> = members.collect();
        let looks =
            join_all(members.iter().filter_map(|id| hosts.get(id)).map(|host| self.running(host).boxed()))
                .await;
        let running: BTreeMap<HostId, Running> = looks.into_iter().collect();
        let now = self.now();
        let show =
            |(cluster, network, nodes, lease): (Cluster, Option<Network>, Vec<Node>, Option<Lease>)| {
                let owned = self.is_owned(lease.as_ref());
                shown(&cluster, network.as_ref(), &nodes, (owned, now), &hosts, &running)
            };
        Ok(rows.into_iter().map(show).collect())
    }

    /// Whether the holder of a cluster's lease is at work: one of this machine must live.
    pub(crate) fn is_owned(&self, lease: Option<&Lease>) -> bool {
        let here = |lease: &Lease| lease.holder.boot_id == self.holder.boot_id;
        lease.is_some_and(|l| l.runs_at(self.now()) && (!here(l) || l.holder.lives()))
    }

    /// The node containers of a host and their states, or why it cannot be asked.
    async fn running(&self, host: &Host) -> (HostId, Running) {
        let ask = async {
            let link = self.fleet.link(&self.store, host).await?;
            let there = link.engine.list_containers(&self.naming.all().with_key(NODE)).await;
            there.map_err(Fault::engine(&host.name))
        };
        let silent = |_| Err(Fault::Silent { host: host.name.clone(), seconds: LOOK.as_secs() });
        let there = tokio::time::timeout(LOOK, ask).await.unwrap_or_else(silent);
        let state = |c: shoal_docker::ContainerSummary| Some((c.labels.get(NODE)?.parse().ok()?, c.state));
        let running = there.map(|there| there.into_iter().filter_map(state).collect());
        (host.id, running.map_err(|fault| text(&fault)))
    }
}

/// What a host says of its node containers, or why it says nothing.
pub(super) type Running = Result<BTreeMap<NodeId, ContainerState>, String>;

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
        now(node.state, there.map(|there| there.get(&node.id)))
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
