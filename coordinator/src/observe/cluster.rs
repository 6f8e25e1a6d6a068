//! How every node of a cluster is now: all of its hosts are asked at once, each within a short limit of its own.
//!
//! ```text
//! per host, side by side:   list of containers ----.
//!                           session with the agent -+--> ProbeNodes (all nodes of the host), ListNetworks
//! on the controller's:      one `sinfo` for all nodes
//! ```
//! Nothing waits for anything it does not need: the agent's session and `sinfo` are execs, which cost most, and both are begun
//! by name before the list is there. Whoever does not answer is unknown; nothing is written.

use std::{
    collections::{BTreeMap, HashMap},
    error::Error,
    future::Future,
    time::Duration,
};

use futures_util::{FutureExt, future::join_all};
use shoal_slurm::NodeReport;
use shoal_storage::{Cluster, Host, Lease, Network, Node, Resource, StoreError};
use shoal_types::{HostId, Role, chain};

use crate::{
    fleet::{HostLink, coordinator::Coordinator, liveness::limited},
    observe::{
        containers::{NodeContainers, Scope, node_containers},
        slurm,
    },
    words::{
        agent::{KeptNetwork, NodeProbes},
        fault::Fault,
    },
};

/// How long an engine, an agent or the controller may take: what is longer is no answer to a question asked in passing.
const LIMIT: Duration = Duration::from_secs(2);

/// A cluster's rows, and what was heard of it.
#[derive(Debug)]
pub(crate) struct ClusterObservation {
    pub(crate) cluster: Cluster,
    pub(crate) network: Option<Network>,
    /// In the order they are numbered.
    pub(crate) nodes: Vec<Node>,
    pub(crate) lease: Option<Lease>,
    /// All registered ones.
    pub(crate) hosts: BTreeMap<HostId, Host>,
    /// What each host that has nodes said.
    pub(crate) heard: BTreeMap<HostId, MemberObservation>,
    /// What Slurm said of its nodes, by name.
    pub(crate) slurm: Result<HashMap<String, NodeReport>, String>,
}

/// What was heard of a host. Errors are one line each.
#[derive(Debug)]
pub(crate) struct MemberObservation {
    /// Containers of the cluster's nodes.
    pub(crate) containers: Result<NodeContainers, String>,
    pub(crate) agent: Result<AgentObservation, String>,
    slurm: Option<Result<HashMap<String, NodeReport>, String>>,
}

/// What a host's agent said.
#[derive(Debug)]
pub(crate) struct AgentObservation {
    pub(crate) nodes: NodeProbes,
    pub(crate) networks: Vec<KeptNetwork>,
}

/// Why nothing was heard.
#[derive(Debug, thiserror::Error)]
enum NoAnswer {
    #[error(transparent)]
    Fault(#[from] Fault),
    /// The first line of what sinfo said instead.
    #[error("{reason}")]
    Slurm { reason: String },
}

/// Looks at a cluster.
///
/// # Errors
/// The store's only: what is silent is unknown.
pub(crate) async fn look_at_cluster(
    coordinator: &Coordinator,
    cluster: Cluster,
) -> Result<ClusterObservation, StoreError> {
    let mut read = coordinator.store.read().await?;
    let network = read.networks().of_cluster(cluster.id).await?;
    let nodes = read.nodes().of_cluster(cluster.id).await?;
    let lease = read.leases().get(&Resource::cluster(cluster.id)).await?;
    let hosts: BTreeMap<_, _> = read.hosts().list().await?.into_iter().map(|h| (h.id, h)).collect();
    drop(read);
    let member = |host: &&Host| nodes.iter().any(|n| n.host == host.id);
    let looks = hosts.values().filter(member).map(|host| hear(coordinator, &cluster, &nodes, host).boxed());
    let mut heard: BTreeMap<HostId, MemberObservation> = join_all(looks).await.into_iter().collect();
    let slurm = heard.values_mut().find_map(|h| h.slurm.take());
    let slurm = slurm.unwrap_or_else(|| Err("the cluster has no controller".into()));
    Ok(ClusterObservation { cluster, network, nodes, lease, hosts, heard, slurm })
}

async fn hear(
    coordinator: &Coordinator,
    cluster: &Cluster,
    nodes: &[Node],
    host: &Host,
) -> (HostId, MemberObservation) {
    let controller = nodes.iter().find(|n| n.role == Role::Controller && n.host == host.id);
    let link = within(host, async { coordinator.fleet.link(&coordinator.store, host).await }).await;
    let link = match link {
        Ok(link) => link,
        Err(error) => {
            let slurm = controller.map(|_| Err(error.clone()));
            return (host.id, MemberObservation { containers: Err(error.clone()), agent: Err(error), slurm });
        }
    };
    let list = async {
        let there = node_containers(&coordinator.naming, &link, Scope::Cluster(cluster.id)).await;
        there.map_err(Fault::engine(&host.name))
    };
    // The agent is asked about what the list says: it waits for that with its session open.
    let (listed, ids) = tokio::sync::oneshot::channel::<Vec<String>>();
    let list = async {
        let containers = within(host, list).await;
        let of = |c: &NodeContainers| c.values().map(|container| container.id.clone()).collect();
        drop(listed.send(containers.as_ref().map(of).unwrap_or_default()));
        containers
    };
    let agent = within(host, hear_agent(coordinator, &link, ids));
    let slurm = async {
        let controller = controller?;
        let spec = &cluster.spec;
        let name = coordinator.naming.container(&controller.name, &spec.name, &spec.realm);
        Some(within(host, sinfo(&link, &name)).await)
    };
    let (containers, agent, slurm) = tokio::join!(list, agent, slurm);
    (host.id, MemberObservation { containers, agent, slurm })
}

async fn hear_agent(
    coordinator: &Coordinator,
    link: &HostLink,
    ids: tokio::sync::oneshot::Receiver<Vec<String>>,
) -> Result<AgentObservation, Fault> {
    let agent = link.present_agent().await?;
    let networks = agent.list_networks(coordinator.naming.installation());
    let nodes = async { agent.probe_nodes(ids.await.unwrap_or_default()).await };
    let (kept, nodes) = tokio::try_join!(networks, nodes)?;
    Ok(AgentObservation { nodes, networks: kept.networks })
}

async fn sinfo(link: &HostLink, container: &str) -> Result<HashMap<String, NodeReport>, NoAnswer> {
    let answer = slurm::sinfo(link, container).await.map_err(Fault::engine(&link.name))?;
    let reports = answer.map_err(|reason| NoAnswer::Slurm { reason })?;
    Ok(reports.into_iter().map(|report| (report.name.to_string(), report)).collect())
}

/// Its outcome, or one line that says why there is none.
async fn within<T, E: Error + From<Fault>>(
    host: &Host,
    ask: impl Future<Output = Result<T, E>>,
) -> Result<T, String> {
    limited(&host.name, LIMIT, ask).await.map_err(|error| chain(&error))
}
