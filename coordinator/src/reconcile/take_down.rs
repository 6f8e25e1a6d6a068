//! Takes away one host's part of a cluster: containers, then tunnel port and entries, then the Docker network (which would
//! leave the port behind), then volumes. Already gone is success; repeating it changes nothing.

use std::time::Duration;

use futures_util::FutureExt;
use shoal_docker::{CallClass, ContainerSummary};
use shoal_proto::v1::RemoveNetworkRequest;
use shoal_storage::Network;
use shoal_types::{ClusterId, EventKind, NodeState};

use super::{
    bring_up::remove_container,
    work::{Halt, Work, all, on},
};
use crate::{
    coordinator::Coordinator,
    fleet::HostLink,
    naming::{NODE, ROLE},
    render::Intent,
};

/// Containers removed at once on one host.
const FAN_OUT: usize = 4;
/// When a host is looked at again to which calls may still be on their way: an engine that has a request carries it out
/// within a second, unless it is stuck; what comes later is a remnant's matter.
const SECOND_LOOK: Duration = Duration::from_secs(1);

impl Work {
    /// One pass over one host; afterwards nothing of the cluster is there.
    pub(crate) async fn take_down(&self, link: &HostLink, intent: &Intent) -> Result<(), Halt> {
        let filter = self.coordinator.naming.of_cluster(self.cluster);
        self.remove_nodes(link, intent).await?;
        if self.in_doubt(link.id) {
            tokio::time::sleep(SECOND_LOOK).await;
            self.remove_nodes(link, intent).await?;
        }
        self.covered(link.engine.limit(CallClass::Write)).await?;
        remove_network(&self.coordinator, link, self.cluster, Some(&intent.network)).await?;
        for volume in link.engine.list_volumes(&filter).await.map_err(on(link))? {
            link.engine.remove_volume(&volume.name).await.map_err(on(link))?;
        }
        Ok(())
    }

    async fn remove_nodes(&self, link: &HostLink, intent: &Intent) -> Result<(), Halt> {
        let filter = self.coordinator.naming.of_cluster(self.cluster);
        self.covered(link.engine.limit(CallClass::Write)).await?;
        let there = link.engine.list_containers(&filter).await.map_err(on(link))?;
        let each: Vec<_> = there.into_iter().map(|c| self.remove_node(link, intent, c).boxed()).collect();
        all(each, FAN_OUT).await
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
pub(crate) async fn remove_network(
    coordinator: &Coordinator,
    link: &HostLink,
    cluster: ClusterId,
    known: Option<&Network>,
) -> Result<(), Halt> {
    let naming = &coordinator.naming;
    let networks = link.engine.list_networks(&naming.of_cluster(cluster)).await.map_err(on(link))?;
    let agents = link.engine.list_containers(&naming.all().with(ROLE, "agent")).await.map_err(on(link))?;
    if let Some(network) = known.filter(|_| !networks.is_empty() || !agents.is_empty()) {
        let request = RemoveNetworkRequest {
            installation: naming.installation().to_string(),
            network: network.id.to_string(),
            device: naming.device(network.vni),
            bridge: naming.bridge(network.vni),
            revision: network.revision.0,
        };
        link.ask("RemoveNetwork", |mut agent| async move { agent.remove_network(request).await }).await?;
    }
    for network in networks {
        link.engine.remove_network(&network.id).await.map_err(on(link))?;
    }
    Ok(())
}
