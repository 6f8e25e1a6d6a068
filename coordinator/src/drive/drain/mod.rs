//! Rids a host of its nodes, and lets it have some again.
//!
//! ```text
//! cordon --> draining --> each cluster with nodes there, at once: cluster.rs --> drained, if none is left
//! uncordon --> schedulable; Slurm gives jobs again to nodes that a drain kept from them
//! ```
//! What has moved has moved: a drain that ends early, or whose process dies, leaves the rest to the next one.

pub(in crate::drive) mod batch;
pub(in crate::drive) mod cluster;
pub(in crate::drive) mod slurm;
mod state;

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use futures_util::{
    FutureExt, StreamExt,
    future::{BoxFuture, join_all},
    stream,
};
use shoal_api::DrainedCluster;
use shoal_slurm::drain_reason;
use shoal_storage::{Cluster, Host, HostSettings, Node};
use shoal_types::{ClusterPhase, EventLevel, HostName, NodeState, Scheduling, chain};
use tokio_util::sync::CancellationToken;

use crate::{
    drive::{
        drain::{batch::COME_UP, cluster::drain_cluster, slurm::Controller},
        hosts::{find_host, host_event},
        lifecycle,
        repair::{RepairTerms, repair},
    },
    fleet::coordinator::Coordinator,
    observe::intent::Intent,
    pass::work::Behalf,
    words::fault::{Fault, HostFault},
};

/// Clusters whose nodes are moved at once: their hosts bound what each of them costs.
const AT_ONCE: usize = 8;

/// How a host is drained.
#[derive(Debug, Clone, Copy)]
pub(crate) struct DrainTerms {
    /// Nothing is done.
    pub(crate) dry_run: bool,
    /// Jobs are not waited for.
    pub(crate) now: bool,
    /// How long jobs are waited for.
    pub(crate) timeout: Duration,
}

/// Keeps new nodes off a host.
pub(crate) async fn cordon(coordinator: &Coordinator, name: &HostName) -> Result<Host, Fault> {
    let host = find_host(coordinator, name).await?;
    match host.settings.scheduling {
        // It is more than cordoned.
        Scheduling::Drained => Ok(host),
        Scheduling::Schedulable | Scheduling::Cordoned | Scheduling::Draining => {
            set(coordinator, name, Scheduling::Cordoned).await
        }
    }
}

/// Places nodes on a host again, and has Slurm give jobs to those that a drain of it kept from them, wherever they are by now.
pub(crate) async fn uncordon(coordinator: &Coordinator, name: &HostName) -> Result<Host, Fault> {
    let host = set(coordinator, name, Scheduling::Schedulable).await?;
    give_jobs(coordinator, &host, Whose::All).await?;
    Ok(host)
}

/// Which of the nodes that a drain of a host kept from jobs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Whose {
    /// All of them.
    All,
    /// Those that have moved by now: an earlier drain that ended early has not told Slurm.
    Moved,
}

/// Has Slurm give jobs to nodes that a drain of this host kept from them, in every cluster.
async fn give_jobs(coordinator: &Coordinator, host: &Host, whose: Whose) -> Result<(), Fault> {
    let clusters = coordinator.store.read().await?.clusters().list().await?;
    let ready = clusters.into_iter().filter(|cluster| cluster.phase == ClusterPhase::Ready);
    let each = ready.map(|cluster| {
        async move {
            let named = cluster.spec.name.clone();
            // Slurm may be away; an operator sees the nodes' reason there.
            if let Err(fault) = give_jobs_of(coordinator, cluster, host, whose).await {
                tracing::warn!(cluster.name = %named, error = chain(&fault), "Slurm was not told to give jobs again");
            }
        }
        .boxed()
    });
    join_all(each).await;
    Ok(())
}

async fn give_jobs_of(
    coordinator: &Coordinator,
    cluster: Cluster,
    host: &Host,
    whose: Whose,
) -> Result<(), Fault> {
    let mut read = coordinator.store.read().await?;
    let Some(network) = read.networks().of_cluster(cluster.id).await? else { return Ok(()) };
    let nodes = read.nodes().of_cluster(cluster.id).await?;
    drop(read);
    let intent = Intent::new(cluster, network, nodes);
    let meant = intent.nodes.iter().filter(|node| whose == Whose::All || node.host != host.id);
    let meant: Vec<&Node> = meant.collect();
    Controller::of(coordinator, &intent).await?.give_jobs(&meant, &drain_reason(&host.name)).await
}

/// Moves all nodes of a host to others; `told` hears of each cluster as its nodes have moved, or why some have not. What is said of
/// the host afterwards.
pub(crate) async fn drain(
    coordinator: &Arc<Coordinator>,
    name: &HostName,
    terms: DrainTerms,
    interrupt: &CancellationToken,
    told: impl Fn(DrainedCluster) -> BoxFuture<'static, ()> + Send,
) -> Result<Scheduling, Fault> {
    let mut host = find_host(coordinator, name).await?;
    if host.settings.scheduling == Scheduling::Drained {
        return Err(HostFault::Drained { host: name.clone() }.into());
    }
    if !terms.dry_run {
        host = set(coordinator, name, Scheduling::Draining).await?;
        // Of an earlier drain that ended early.
        lifecycle::clear_what_was_left(coordinator).await;
        bring_up(coordinator, interrupt).await?;
        give_jobs(coordinator, &host, Whose::Moved).await?;
    }
    let each = clusters_on(coordinator, &host).await?.into_iter();
    let each = each.map(|cluster| drain_cluster(coordinator, cluster, &host, terms, interrupt).boxed());
    let mut each = stream::iter(each.collect::<Vec<_>>()).buffer_unordered(AT_ONCE);
    while let Some(cluster) = each.next().await {
        told(cluster).await;
    }
    let nodes = coordinator.store.read().await?.nodes().on_host(host.id).await?;
    let mut now = find_host(coordinator, name).await?;
    // Somebody may have ended it meanwhile.
    if nodes.is_empty() && now.settings.scheduling == Scheduling::Draining {
        now = set(coordinator, name, Scheduling::Drained).await?;
    }
    Ok(now.settings.scheduling)
}

/// Brings up the nodes that have a place and were not seen to run there: a drain that ended between the two has no more of them on
/// its host.
pub(in crate::drive) async fn bring_up(
    coordinator: &Arc<Coordinator>,
    interrupt: &CancellationToken,
) -> Result<(), Fault> {
    let mut read = coordinator.store.read().await?;
    let mut unseen = Vec::new();
    for cluster in read.clusters().list().await? {
        let nodes = read.nodes().of_cluster(cluster.id).await?;
        if cluster.phase == ClusterPhase::Ready && nodes.iter().any(is_unseen) {
            unseen.push((cluster.spec.realm, cluster.spec.name));
        }
    }
    drop(read);
    let terms = RepairTerms { dry_run: false, behalf: Behalf::Person, wait: COME_UP, settle: false };
    let each = unseen.iter().map(|(realm, name)| repair(coordinator, realm, name, terms, interrupt).boxed());
    for repaired in join_all(each).await {
        if let Some(error) = repaired.error {
            tracing::warn!(cluster.name = repaired.name, error, "not every node came up");
        }
    }
    Ok(())
}

/// Whether a node was not seen to be ready since it was placed.
fn is_unseen(node: &Node) -> bool {
    match node.state {
        NodeState::Planned | NodeState::Created | NodeState::Starting => true,
        NodeState::Ready | NodeState::Stopped | NodeState::Failed | NodeState::Failing => false,
    }
}

async fn clusters_on(coordinator: &Coordinator, host: &Host) -> Result<Vec<Cluster>, Fault> {
    let mut read = coordinator.store.read().await?;
    let on_host: BTreeSet<_> = read.nodes().on_host(host.id).await?.iter().map(|node| node.cluster).collect();
    let mut clusters = read.clusters().list().await?;
    clusters.retain(|cluster| on_host.contains(&cluster.id));
    Ok(clusters)
}

/// What an operator says of a host, unless it says so already.
async fn set(coordinator: &Coordinator, name: &HostName, scheduling: Scheduling) -> Result<Host, Fault> {
    let host = find_host(coordinator, name).await?;
    if host.settings.scheduling == scheduling {
        return Ok(host);
    }
    let mut tx = coordinator.store.begin().await?;
    tx.hosts().change(&host, &HostSettings { scheduling, ..host.settings.clone() }).await?;
    // What was decided on hosts as they were is decided anew.
    tx.placements_changed().await?;
    tx.events().append(&host_event(coordinator, name, EventLevel::Info, scheduling.to_string())).await?;
    tx.commit().await?;
    find_host(coordinator, name).await
}
