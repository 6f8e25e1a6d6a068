//! Forgets a host: what can be removed there is removed, its nodes leave the store, and what stays is said.

use std::{collections::BTreeSet, sync::Arc};

use shoal_api::Unregistered;
use shoal_docker::EngineError;
use shoal_storage::{Cluster, Host, Node};
use shoal_types::{ClusterId, ClusterPhase, EventLevel, HostId, HostName, SecretId, chain};
use tokio_util::sync::CancellationToken;

use crate::{
    drive::{hosts, lifecycle},
    fleet::{
        HostLink,
        coordinator::Coordinator,
        lease::HeldLease,
        removal::{remove_container, remove_image, remove_network},
    },
    observe::containers::{HostContainers, Scope},
    pass::work::Work,
    words::{
        fault::{ClusterFault, Fault, HostFault},
        naming::CLUSTER,
    },
};

/// Unregisters a host. With nodes on it only if `force`: then what can be removed there is removed, the rest is said.
pub(crate) async fn unregister(
    coordinator: &Arc<Coordinator>,
    name: &HostName,
    force: bool,
) -> Result<Unregistered, Fault> {
    let host = hosts::find_host(coordinator, name).await?;
    let nodes = coordinator.store.read().await?.nodes().on_host(host.id).await?;
    let count = u32::try_from(nodes.len()).unwrap_or(u32::MAX);
    if count > 0 && !force {
        return Err(Fault::Host(HostFault::InUse { host: name.clone(), nodes: count }));
    }
    let owned = own(coordinator, nodes.iter().map(|n| n.cluster).collect()).await?;
    let left_behind = clean(coordinator, &host).await?;
    for (lease, cluster) in owned {
        forget_nodes(coordinator, &lease, &cluster, &nodes).await?;
    }
    forget(coordinator, host.id, host.settings.credential).await?;
    let mut tx = coordinator.store.begin().await?;
    tx.events()
        .append(&hosts::host_event(coordinator, name, EventLevel::Info, "unregistered".into()))
        .await?;
    tx.commit().await?;
    Ok(Unregistered { name: name.to_string(), forgotten_nodes: count, left_behind })
}

/// The leases of these clusters, all or none: nobody works on them while their host goes.
async fn own(
    coordinator: &Coordinator,
    clusters: BTreeSet<ClusterId>,
) -> Result<Vec<(Arc<HeldLease>, Cluster)>, Fault> {
    let mut owned = Vec::new();
    for id in clusters {
        let Some(cluster) = coordinator.store.read().await?.clusters().get(id).await? else { continue };
        match lifecycle::acquire(coordinator, &cluster).await {
            Ok(held) => owned.push(held),
            Err(Fault::Cluster(ClusterFault::Unknown { .. })) => {}
            Err(fault) => {
                for (lease, _) in owned {
                    drop(lease.release().await);
                }
                return Err(fault);
            }
        }
    }
    Ok(owned)
}

/// Takes the nodes of one cluster out of the store; a cluster being deleted goes with its last one, the members of
/// another are told that they are gone.
async fn forget_nodes(
    coordinator: &Arc<Coordinator>,
    lease: &Arc<HeldLease>,
    cluster: &Cluster,
    nodes: &[Node],
) -> Result<(), Fault> {
    let gone: Vec<_> = nodes.iter().filter(|n| n.cluster == cluster.id).map(|n| n.id).collect();
    let mut tx = lease.begin().await?;
    tx.nodes().delete(&gone).await?;
    let last = tx.nodes().of_cluster(cluster.id).await?.is_empty();
    if last && cluster.phase == ClusterPhase::Deleting {
        tx.clusters().delete(cluster.id).await?;
        return Ok(tx.commit().await?);
    }
    if let Some(network) = tx.networks().of_cluster(cluster.id).await? {
        tx.networks().next_revision(network.id).await?;
    }
    tx.commit().await?;
    let work = Work::new(coordinator.clone(), cluster.id, lease.clone(), &CancellationToken::new());
    let told = match cluster.phase {
        ClusterPhase::Ready | ClusterPhase::Failed if !last => work.tell_members().await,
        ClusterPhase::Ready | ClusterPhase::Failed | ClusterPhase::Creating | ClusterPhase::Deleting => {
            Ok(())
        }
    };
    lease.release().await?;
    told
}

/// Takes a host and its credentials out of the store, and ends this process's link to it.
pub(crate) async fn forget(
    coordinator: &Coordinator,
    id: HostId,
    credential: Option<SecretId>,
) -> Result<(), Fault> {
    let mut tx = coordinator.store.begin().await?;
    tx.hosts().delete(id).await?;
    tx.placements_changed().await?;
    if let Some(secret) = credential {
        tx.secrets().delete(secret).await?;
    }
    tx.commit().await?;
    coordinator.fleet.forget(id);
    Ok(())
}

/// Removes everything of the installation from a host, the agent last; what stays there, in words.
pub(crate) async fn clean(coordinator: &Coordinator, host: &Host) -> Result<Vec<String>, Fault> {
    let link = match coordinator.fleet.link(&coordinator.store, host).await {
        Ok(link) => link,
        Err(fault) => {
            let all = "everything of this installation, since it cannot be reached";
            return Ok(vec![format!("{all}: {}", chain(&fault))]);
        }
    };
    let mut left = Vec::new();
    if let Err(fault) = clean_link(coordinator, &link, &host.name, &mut left).await {
        left.push(chain(&fault));
    }
    Ok(left)
}

async fn clean_link(
    coordinator: &Coordinator,
    link: &HostLink,
    host: &HostName,
    left: &mut Vec<String>,
) -> Result<(), Fault> {
    let fault = Fault::engine(host);
    let ours = coordinator.naming.all();
    let agent = coordinator.naming.agent();
    let mut note = |outcome: Result<(), EngineError>| {
        left.extend(outcome.err().map(|error| chain(&fault(error))));
    };
    let there = HostContainers::look(&coordinator.naming, link, Scope::Installation).await.map_err(fault)?;
    for container in there.all().iter().filter(|c| c.name != agent) {
        note(remove_container(link, &container.id).await.map(drop));
    }
    let networks = link.engine.list_networks(&ours).await.map_err(fault)?;
    let clusters: BTreeSet<ClusterId> =
        networks.iter().filter_map(|n| n.labels.get(CLUSTER)?.parse().ok()).collect();
    for cluster in clusters {
        let known = coordinator.store.read().await?.networks().of_cluster(cluster).await?;
        remove_network(&coordinator.naming, link, cluster, known.as_ref()).await?;
    }
    for container in there.all().iter().filter(|c| c.name == agent) {
        note(remove_container(link, &container.id).await.map(drop));
    }
    for volume in link.engine.list_volumes(&ours).await.map_err(fault)? {
        note(link.engine.remove_volume(&volume.name).await.map(drop));
    }
    for image in link.engine.list_images(&ours).await.map_err(fault)? {
        note(remove_image(&*link.engine, &image.id, &image.repo_tags).await.map(drop));
    }
    Ok(())
}
