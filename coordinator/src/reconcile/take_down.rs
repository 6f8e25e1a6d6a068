//! Takes away one host's part of a cluster: containers, then tunnel port and entries, then the Docker network (which would
//! leave the port behind), then volumes. Already gone is success; repeating it changes nothing.

use std::collections::BTreeSet;

use futures_util::FutureExt;
use shoal_docker::{CallClass, ContainerSummary};
use shoal_proto::v1::RemoveNetworkRequest;
use shoal_storage::Host;
use shoal_types::{ClusterId, EventKind, HostName, NodeState, Vni};

use super::{
    bring_up::remove_container,
    work::{Halt, Work, all, on},
};
use crate::{
    Fault,
    coordinator::Coordinator,
    fleet::HostLink,
    naming::{CLUSTER, NODE, ROLE},
    render::Intent,
    server::text,
};

/// Containers removed at once on one host.
const FAN_OUT: usize = 4;

impl Work {
    /// One pass over one host; afterwards nothing of the cluster is there.
    pub(crate) async fn take_down(&self, link: &HostLink, intent: &Intent) -> Result<(), Halt> {
        let filter = self.coordinator.naming.of_cluster(self.cluster);
        self.covered(link.engine.limit(CallClass::Write)).await?;
        let there = link.engine.list_containers(&filter).await.map_err(on(link))?;
        let each: Vec<_> = there.into_iter().map(|c| self.remove_node(link, intent, c).boxed()).collect();
        all(each, FAN_OUT).await?;
        self.covered(link.engine.limit(CallClass::Write)).await?;
        remove_network(
            &self.coordinator,
            link,
            self.cluster,
            Some((intent.network.id.to_string(), intent.network.vni)),
        )
        .await?;
        for volume in link.engine.list_volumes(&filter).await.map_err(on(link))? {
            link.engine.remove_volume(&volume.name).await.map_err(on(link))?;
        }
        Ok(())
    }

    async fn remove_node(
        &self,
        link: &HostLink,
        intent: &Intent,
        container: ContainerSummary,
    ) -> Result<(), Halt> {
        self.covered(link.engine.limit(CallClass::Write)).await?;
        remove_container(link, &container.id).await.map_err(on(link))?;
        let node = container.labels.get(NODE).and_then(|id| id.parse().ok());
        if let Some(node) = intent.nodes.iter().find(|n| Some(n.id) == node) {
            let removed = (NodeState::Planned, EventKind::NodeRemoved);
            self.note_node(intent, node, &link.name, removed, None, "removed").await;
        }
        Ok(())
    }
}

/// Removes a cluster's networks on a host: the agent's part first, since Docker would leave the tunnel port behind. A host
/// with neither network nor agent never had any of it, and is spared an agent.
async fn remove_network(
    coordinator: &Coordinator,
    link: &HostLink,
    cluster: ClusterId,
    known: Option<(String, Vni)>,
) -> Result<(), Halt> {
    let naming = &coordinator.naming;
    let networks = link.engine.list_networks(&naming.of_cluster(cluster)).await.map_err(on(link))?;
    let agents = link.engine.list_containers(&naming.all().with(ROLE, "agent")).await.map_err(on(link))?;
    if let Some((network, vni)) = known.filter(|_| !networks.is_empty() || !agents.is_empty()) {
        let request = RemoveNetworkRequest {
            installation: naming.installation().to_string(),
            network,
            device: naming.device(vni),
            bridge: naming.bridge(vni),
        };
        link.ask("RemoveNetwork", |mut agent| async move { agent.remove_network(request).await }).await?;
    }
    for network in networks {
        link.engine.remove_network(&network.id).await.map_err(on(link))?;
    }
    Ok(())
}

/// Forgets a host: what can be removed there is removed, its nodes are taken out of the store, and what stays is said.
pub(crate) async fn forget_host(coordinator: &Coordinator, host: &Host) -> Result<Vec<String>, Fault> {
    let mut left = Vec::new();
    match coordinator.fleet.link(&coordinator.store, host).await {
        Err(fault) => left
            .push(format!("everything of this installation, since it cannot be reached: {}", text(&fault))),
        Ok(link) => {
            if let Err(fault) = clean(coordinator, &link, &host.name).await {
                left.push(text(&fault));
            }
        }
    }
    Ok(left)
}

/// Removes everything of the installation from a host, the agent last.
async fn clean(coordinator: &Coordinator, link: &HostLink, host: &HostName) -> Result<(), Fault> {
    let fault = Fault::engine(host);
    let ours = coordinator.naming.all();
    let containers = link.engine.list_containers(&ours).await.map_err(fault)?;
    let agent = coordinator.naming.agent();
    for container in containers.iter().filter(|c| c.name != agent) {
        remove_container(link, &container.id).await.map_err(fault)?;
    }
    let networks = link.engine.list_networks(&ours).await.map_err(fault)?;
    let clusters: BTreeSet<ClusterId> =
        networks.iter().filter_map(|n| n.labels.get(CLUSTER)?.parse().ok()).collect();
    for cluster in clusters {
        let known = coordinator.store.read().await?.networks().of_cluster(cluster).await?;
        let known = known.map(|network| (network.id.to_string(), network.vni));
        remove_network(coordinator, link, cluster, known).await.map_err(Halt::into_fault)?;
    }
    for container in containers.iter().filter(|c| c.name == agent) {
        remove_container(link, &container.id).await.map_err(fault)?;
    }
    for volume in link.engine.list_volumes(&ours).await.map_err(fault)? {
        link.engine.remove_volume(&volume.name).await.map_err(fault)?;
    }
    for image in link.engine.list_images(&ours).await.map_err(fault)? {
        for tag in &image.repo_tags {
            link.engine.remove_image(tag).await.map_err(fault)?;
        }
    }
    Ok(())
}
