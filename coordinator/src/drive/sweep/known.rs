//! What the store knows that explains things on hosts. Read after the hosts were listed.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use shoal_storage::{Holder, Lease, Remnant, Resource, StoreError};
use shoal_types::{ClusterId, Generation, HostId, NetworkId, NodeId, Vni};

use crate::fleet::{
    coordinator::Coordinator,
    lease::{Owner, owner},
};

/// The store's word.
#[derive(Debug, Clone, Default)]
pub(crate) struct StoreView {
    pub(crate) clusters: BTreeMap<ClusterId, KnownCluster>,
    pub(crate) nodes: BTreeMap<NodeId, Place>,
    /// Network -> its cluster.
    pub(crate) networks: BTreeMap<NetworkId, ClusterId>,
    /// VNI -> the cluster of its network.
    pub(crate) vnis: BTreeMap<Vni, ClusterId>,
    /// Clusters of which a row says that they were deleted.
    pub(crate) deleted: BTreeSet<ClusterId>,
    pub(crate) remnants: Vec<Remnant>,
}

/// A cluster.
#[derive(Debug, Clone, Default)]
pub(crate) struct KnownCluster {
    /// The hosts its nodes are placed on.
    pub(crate) hosts: BTreeSet<HostId>,
    /// Why it is to be left alone, in words that follow its name.
    pub(crate) busy: Option<String>,
}

/// Where a node is placed.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Place {
    pub(crate) cluster: ClusterId,
    pub(crate) host: HostId,
    pub(crate) generation: Generation,
}

/// Reads what explains things on hosts, in one view of the store.
pub(crate) async fn read_known(coordinator: &Coordinator) -> Result<StoreView, StoreError> {
    let mut known = StoreView::default();
    let mut read = coordinator.store.read().await?;
    let leases = read.leases().list().await?;
    let leases: HashMap<_, _> = leases.iter().map(|lease| (&lease.resource, lease)).collect();
    for cluster in read.clusters().list().await? {
        let lease = leases.get(&Resource::cluster(cluster.id));
        let busy = lease.and_then(|lease| busy(coordinator, lease));
        known.clusters.insert(cluster.id, KnownCluster { busy, ..KnownCluster::default() });
    }
    for node in read.nodes().list().await? {
        let place = Place { cluster: node.cluster, host: node.host, generation: node.generation };
        known.nodes.insert(node.id, place);
        known.clusters.entry(node.cluster).or_default().hosts.insert(node.host);
    }
    let vnis: BTreeMap<_, _> = read.networks().list().await?.into_iter().map(|n| (n.id, n.vni)).collect();
    for (cluster, network) in read.networks().attachments().await? {
        known.networks.insert(network, cluster);
        known.vnis.extend(vnis.get(&network).map(|vni| (*vni, cluster)));
    }
    known.deleted = read.clusters().deleted().await?;
    known.remnants = read.remnants().list().await?;
    Ok(known)
}

/// Names the lease's holder, alive or dead.
pub(super) fn busy(coordinator: &Coordinator, lease: &Lease) -> Option<String> {
    match owner(coordinator, Some(lease)) {
        Owner::Nobody => None,
        Owner::Ended(Holder { pid, .. }) => {
            Some(format!("was left by process {pid}, which has ended: `shoal resume` finishes it"))
        }
        Owner::Lives(Lease { holder: Holder { id, pid, .. }, .. }) => {
            Some(format!("is being worked on by process {pid} ({id})"))
        }
    }
}
