//! Takes away one host's part of a cluster: containers, then tunnel port and entries, then the Docker network (which would
//! leave the port behind), then volumes. Already gone is success; repeating it changes nothing.

use std::time::Duration;

use futures_util::FutureExt;
use shoal_docker::{CallClass, ContainerSummary};
use shoal_types::{EventKind, NodeState};

use crate::{
    fleet::{
        HostLink,
        removal::{remove_container, remove_network},
    },
    observe::{
        containers::{HostContainers, Scope},
        intent::Intent,
    },
    pass::work::{Halt, Work, all, on},
    words::naming::NODE,
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
        remove_network(&self.coordinator.naming, link, self.cluster, Some(&intent.network)).await?;
        for volume in link.engine.list_volumes(&filter).await.map_err(on(link))? {
            link.engine.remove_volume(&volume.name).await.map_err(on(link))?;
        }
        Ok(())
    }

    async fn remove_nodes(&self, link: &HostLink, intent: &Intent) -> Result<(), Halt> {
        self.covered(link.engine.limit(CallClass::Write)).await?;
        let (naming, scope) = (&self.coordinator.naming, Scope::Cluster(self.cluster));
        let there = HostContainers::look(naming, link, scope).await.map_err(on(link))?;
        let each: Vec<_> =
            there.into_all().into_iter().map(|c| self.remove_node(link, intent, c).boxed()).collect();
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
