//! Forgets a host: what can be removed there is removed, its nodes leave the store, and what stays is said.

use std::{collections::BTreeSet, sync::Arc};

use shoal_docker::EngineError;
use shoal_storage::{Cluster, Host, Node};
use shoal_types::{ClusterId, ClusterPhase, EventLevel, HostId, HostName, SecretId};
use tokio_util::sync::CancellationToken;

use crate::{
    fleet::{
        HostLink,
        coordinator::Coordinator,
        lease::Held,
        removal::{remove_container, remove_network},
    },
    pass::work::Work,
    words::{chain::text, fault::Fault, naming::CLUSTER},
};

/// What forgetting a host left.
#[derive(Debug, Default)]
pub(crate) struct Unregistered {
    pub(crate) forgotten_nodes: u32,
    pub(crate) left_behind: Vec<String>,
}

impl Coordinator {
    /// Unregisters a host. With nodes on it only if `force`: then what can be removed there is removed, the rest is said.
    pub(crate) async fn unregister(
        self: &Arc<Self>,
        name: &HostName,
        force: bool,
    ) -> Result<Unregistered, Fault> {
        let host = self.host(name).await?;
        let nodes = self.store.read().await?.nodes().on_host(host.id).await?;
        let count = u32::try_from(nodes.len()).unwrap_or(u32::MAX);
        if count > 0 && !force {
            return Err(Fault::HostInUse { host: name.clone(), nodes: count });
        }
        let owned = self.own(nodes.iter().map(|n| n.cluster).collect()).await?;
        let left_behind = self.clean(&host).await?;
        for (lease, cluster) in owned {
            self.forget_nodes(&lease, &cluster, &nodes).await?;
        }
        self.forget(host.id, host.settings.tls).await?;
        let mut tx = self.store.begin().await?;
        tx.events().append(&self.host_event(name, EventLevel::Info, "unregistered".into())).await?;
        tx.commit().await?;
        Ok(Unregistered { forgotten_nodes: count, left_behind })
    }

    /// The leases of these clusters, all or none: nobody works on them while their host goes.
    async fn own(&self, clusters: BTreeSet<ClusterId>) -> Result<Vec<(Arc<Held>, Cluster)>, Fault> {
        let mut owned = Vec::new();
        for id in clusters {
            let Some(cluster) = self.store.read().await?.clusters().get(id).await? else { continue };
            match self.acquire(&cluster).await {
                Ok(held) => owned.push(held),
                Err(Fault::NoCluster { .. }) => {}
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
        self: &Arc<Self>,
        lease: &Arc<Held>,
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
        let work = Work::new(self.clone(), cluster.id, lease.clone(), &CancellationToken::new());
        let told = match cluster.phase {
            ClusterPhase::Ready | ClusterPhase::Failed if !last => work.tell_members().await,
            ClusterPhase::Ready | ClusterPhase::Failed | ClusterPhase::Creating | ClusterPhase::Deleting => {
                Ok(())
            }
        };
        lease.release().await?;
        told
    }

    /// Takes a host and its credentials out of the store.
    pub(crate) async fn forget(&self, id: HostId, tls: Option<SecretId>) -> Result<(), Fault> {
        let mut tx = self.store.begin().await?;
        tx.hosts().delete(id).await?;
        tx.placements_changed().await?;
        if let Some(secret) = tls {
            tx.secrets().delete(secret).await?;
        }
        tx.commit().await?;
        Ok(())
    }

    /// Removes everything of the installation from a host, the agent last; what stays there, in words.
    pub(crate) async fn clean(&self, host: &Host) -> Result<Vec<String>, Fault> {
        let link = match self.fleet.link(&self.store, host).await {
            Ok(link) => link,
            Err(fault) => {
                let all = "everything of this installation, since it cannot be reached";
                return Ok(vec![format!("{all}: {}", text(&fault))]);
            }
        };
        let mut left = Vec::new();
        if let Err(fault) = self.clean_link(&link, &host.name, &mut left).await {
            left.push(text(&fault));
        }
        Ok(left)
    }

    async fn clean_link(
        &self,
        link: &HostLink,
        host: &HostName,
        left: &mut Vec<String>,
    ) -> Result<(), Fault> {
        let fault = Fault::engine(host);
        let ours = self.naming.all();
        let agent = self.naming.agent();
        let mut note = |outcome: Result<(), EngineError>| {
            left.extend(outcome.err().map(|error| text(&fault(error))));
        };
        let containers = link.engine.list_containers(&ours).await.map_err(fault)?;
        for container in containers.iter().filter(|c| c.name != agent) {
            note(remove_container(link, &container.id).await.map(drop));
        }
        let networks = link.engine.list_networks(&ours).await.map_err(fault)?;
        let clusters: BTreeSet<ClusterId> =
            networks.iter().filter_map(|n| n.labels.get(CLUSTER)?.parse().ok()).collect();
        for cluster in clusters {
            let known = self.store.read().await?.networks().of_cluster(cluster).await?;
            remove_network(&self.naming, link, cluster, known.as_ref()).await?;
        }
        for container in containers.iter().filter(|c| c.name == agent) {
            note(remove_container(link, &container.id).await.map(drop));
        }
        for volume in link.engine.list_volumes(&ours).await.map_err(fault)? {
            note(link.engine.remove_volume(&volume.name).await.map(drop));
        }
        for image in link.engine.list_images(&ours).await.map_err(fault)? {
            for tag in &image.repo_tags {
                note(link.engine.remove_image(tag).await.map(drop));
            }
        }
        Ok(())
    }
}
