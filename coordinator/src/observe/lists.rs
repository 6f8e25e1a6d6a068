//! Clusters as lists show them: the store's rows, and what the hosts say of the containers now.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use futures_util::{FutureExt, future::join_all};
use shoal_storage::{Cluster, Host, Network, Node, Resource};
use shoal_types::{HostId, chain};

use crate::{
    fleet::{coordinator::Coordinator, lease::is_owned, liveness::limited},
    observe::containers::{NodeContainers, Scope, node_containers},
    words::fault::Fault,
};

/// How long a host may take to list its containers before the store's word is shown.
const LOOK: Duration = Duration::from_secs(3);

/// Clusters, and the hosts they are on.
#[derive(Debug)]
pub(crate) struct Lists {
    pub(crate) clusters: Vec<Listed>,
    /// All registered hosts.
    pub(crate) hosts: BTreeMap<HostId, Host>,
    /// What each host with nodes says of them.
    pub(crate) running: BTreeMap<HostId, Running>,
}

/// A cluster's rows.
#[derive(Debug)]
pub(crate) struct Listed {
    pub(crate) cluster: Cluster,
    pub(crate) network: Option<Network>,
    pub(crate) nodes: Vec<Node>,
    /// Whether somebody who lives works on it.
    pub(crate) owned: bool,
}

/// What a host says of its node containers, or why it says nothing.
pub(crate) type Running = Result<NodeContainers, String>;

/// Reads the rows of these clusters and asks every host that has nodes of them, all at once.
///
/// # Errors
/// The store's only: a silent host is part of the answer.
pub(crate) async fn of_clusters(coordinator: &Coordinator, clusters: Vec<Cluster>) -> Result<Lists, Fault> {
    let mut read = coordinator.store.read().await?;
    let hosts: BTreeMap<HostId, Host> = read.hosts().list().await?.into_iter().map(|h| (h.id, h)).collect();
    let mut listed = Vec::new();
    for cluster in clusters {
        let network = read.networks().of_cluster(cluster.id).await?;
        let nodes = read.nodes().of_cluster(cluster.id).await?;
        let lease = read.leases().get(&Resource::cluster(cluster.id)).await?;
        listed.push(Listed { cluster, network, nodes, owned: is_owned(coordinator, lease.as_ref()) });
    }
    drop(read);
    let members: BTreeSet<HostId> = listed.iter().flat_map(|l| &l.nodes).map(|node| node.host).collect();
    let asked = members.iter().filter_map(|id| hosts.get(id));
    let running = join_all(asked.map(|host| running(coordinator, host).boxed())).await.into_iter().collect();
    Ok(Lists { clusters: listed, hosts, running })
}

/// The node containers of a host and their states, or why it cannot be asked.
async fn running(coordinator: &Coordinator, host: &Host) -> (HostId, Running) {
    let ask = async {
        let link = coordinator.fleet.link(&coordinator.store, host).await?;
        let there = node_containers(&coordinator.naming, &link, Scope::Installation).await;
        there.map_err(Fault::engine(&host.name))
    };
    let running = limited(&host.name, LOOK, ask).await;
    (host.id, running.map_err(|fault| chain(&fault)))
}
