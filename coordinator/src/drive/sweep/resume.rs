//! What was interrupted, and what became of it.

use shoal_api::{ResumeEnd, ResumedCluster};
use shoal_storage::{Cluster, Resource, StoreError};
use shoal_types::{ClusterPhase, RealmName};

use crate::{drive::sweep::known, fleet::coordinator::Coordinator, words::fault::Fault};

/// The clusters of a realm on their way: being created or deleted, by a live process or by none.
pub(crate) async fn unfinished(coordinator: &Coordinator, realm: &RealmName) -> Result<Vec<Cluster>, Fault> {
    let mut clusters = coordinator.store.read().await?.clusters().in_realm(realm).await?;
    clusters.retain(|cluster| is_unfinished(cluster.phase));
    Ok(clusters)
}

/// What became of a cluster that was on its way.
pub(crate) async fn resumed(
    coordinator: &Coordinator,
    before: Cluster,
) -> Result<ResumedCluster, StoreError> {
    let mut read = coordinator.store.read().await?;
    let now = read.clusters().get(before.id).await?;
    let lease = read.leases().get(&Resource::cluster(before.id)).await?;
    let busy = lease.and_then(|lease| known::busy(coordinator, &lease));
    let (end, reason) = match now {
        None => (ResumeEnd::Removed, None),
        Some(now) => match now.phase {
            ClusterPhase::Ready => (ResumeEnd::Ready, None),
            ClusterPhase::Failed => (ResumeEnd::Kept, now.failure),
            ClusterPhase::Creating | ClusterPhase::Deleting => match busy {
                Some(busy) => (ResumeEnd::Busy, Some(format!("it {busy}"))),
                None => (ResumeEnd::Left, now.failure),
            },
        },
    };
    Ok(ResumedCluster { name: before.spec.name.to_string(), end, reason })
}

fn is_unfinished(phase: ClusterPhase) -> bool {
    match phase {
        ClusterPhase::Creating | ClusterPhase::Deleting => true,
        ClusterPhase::Ready | ClusterPhase::Failed => false,
    }
}
