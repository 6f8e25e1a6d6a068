//! Clusters as shown, by name.

use shoal_api::{Cluster, NamedCluster, Names};
use shoal_storage::Cluster as Row;
use shoal_types::{ClusterName, RealmName};

use crate::{
    drive::lifecycle,
    fleet::coordinator::Coordinator,
    observe::{cluster::observe_containers, lists::shown},
    words::fault::{ClusterFault, Fault},
};

/// One cluster.
pub(crate) async fn shown_cluster(
    coordinator: &Coordinator,
    realm: &RealmName,
    name: &ClusterName,
) -> Result<Cluster, Fault> {
    let cluster = lifecycle::find_cluster(coordinator, realm, name).await?;
    let shown = shown_all(coordinator, vec![cluster]).await?.pop();
    shown.ok_or_else(|| Fault::Cluster(ClusterFault::Unknown { realm: realm.clone(), name: name.clone() }))
}

/// Every cluster of a realm, by name.
pub(crate) async fn shown_clusters(
    coordinator: &Coordinator,
    realm: &RealmName,
) -> Result<Vec<Cluster>, Fault> {
    let clusters = coordinator.store.read().await?.clusters().in_realm(realm).await?;
    shown_all(coordinator, clusters).await
}

/// Names of hosts, of the realm's clusters and of their nodes. No host is asked.
pub(super) async fn names(coordinator: &Coordinator, realm: &RealmName) -> Result<Names, Fault> {
    let mut read = coordinator.store.read().await?;
    let hosts = read.hosts().list().await?.iter().map(|host| host.name.to_string()).collect();
    let mut clusters = Vec::new();
    for cluster in read.clusters().in_realm(realm).await? {
        let nodes = read.nodes().of_cluster(cluster.id).await?;
        let nodes = nodes.iter().map(|node| node.name.to_string()).collect();
        clusters.push(NamedCluster { name: cluster.spec.name.to_string(), nodes });
    }
    Ok(Names { hosts, clusters })
}

async fn shown_all(coordinator: &Coordinator, clusters: Vec<Row>) -> Result<Vec<Cluster>, Fault> {
    let (clusters, seen) = observe_containers(coordinator, clusters).await?;
    let now = coordinator.now();
    Ok(clusters.iter().map(|rows| shown(rows, &seen, now)).collect())
}
