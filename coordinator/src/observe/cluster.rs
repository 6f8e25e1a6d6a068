//! Clusters as they are now: their rows, and what is heard of the hosts with nodes of them, all asked at once, each within a
//! short limit of its own. Lists hear the containers, status hears everything.
//!
//! ```text
//! per host, side by side:   list of containers ----.
//!                           session with the agent -+--> ProbeNodes (all nodes of the host), ListNetworks
//! on the controller's:      one `sinfo` for all nodes
//! ```
//! Nothing waits for anything it does not need: the agent's session and `sinfo` are execs, which cost most, and both are begun
//! by name before the list is there. Whoever does not answer is unknown; nothing is written.

use std::{
    collections::{BTreeMap, BTreeSet},
    future::Future,
    sync::Arc,
    time::Duration,
};

use futures_util::{FutureExt, future::join_all};
use shoal_storage::{Cluster, Host, Mode, Network, Node, Resource, Session, StateCopy, StoreError};
use shoal_types::{HostId, Role};

use crate::{
    fleet::{HostLink, coordinator::Coordinator, lease::is_owned, liveness::limited},
    observe::{
        containers::{HostContainers, Scope},
        slurm::{self, SlurmNodes, SlurmSilence},
    },
    words::{
        agent::{KeptNetwork, NodeProbes},
        fault::Fault,
    },
};

/// How long an engine, an agent or the controller may take: what is longer is no answer to a question asked in passing.
const LIMIT: Duration = Duration::from_secs(2);
/// How long a host may take to be reached and to list its containers before the store's word is shown.
const LIST: Duration = Duration::from_secs(3);

/// A cluster's rows.
#[derive(Debug)]
pub(crate) struct ClusterRows {
    pub(crate) cluster: Cluster,
    pub(crate) network: Option<Network>,
    /// In the order they are numbered.
    pub(crate) nodes: Vec<Node>,
    /// What is known of copies of what nodes keep.
    pub(crate) copies: Vec<StateCopy>,
    /// Whether somebody who lives works on it.
    pub(crate) owned: bool,
}

/// What was heard of clusters.
#[derive(Debug, Default)]
pub(crate) struct Observation {
    /// All registered hosts.
    pub(crate) hosts: BTreeMap<HostId, Host>,
    /// What each host that has nodes said.
    pub(crate) heard: BTreeMap<HostId, MemberObservation>,
    /// What Slurm said of its nodes; `None`: it was not asked.
    pub(crate) slurm: Option<Result<SlurmNodes, SlurmSilence>>,
}

/// What was heard of a host.
#[derive(Debug)]
pub(crate) struct MemberObservation {
    /// Of the cluster, or of the whole installation.
    pub(crate) containers: Heard<HostContainers>,
    /// `None`: it was not asked.
    pub(crate) agent: Option<Heard<AgentObservation>>,
}

/// What was heard, or the fault in its place, whose class says whether the host was silent.
pub(crate) type Heard<T> = Result<T, Arc<Fault>>;

/// What a host's agent said.
#[derive(Debug)]
pub(crate) struct AgentObservation {
    pub(crate) nodes: NodeProbes,
    pub(crate) networks: Vec<KeptNetwork>,
}

/// What the hosts of these clusters say of their containers.
///
/// # Errors
/// The store's only: what is silent is unknown.
pub(crate) async fn observe_containers(
    coordinator: &Coordinator,
    clusters: Vec<Cluster>,
) -> Result<(Vec<ClusterRows>, Observation), StoreError> {
    let mut read = coordinator.store.read().await?;
    let hosts = registered(&mut read).await?;
    let mut rows = Vec::new();
    for cluster in clusters {
        rows.push(ClusterRows::read(coordinator, &mut read, cluster).await?);
    }
    drop(read);
    let members: BTreeSet<HostId> = rows.iter().flat_map(|r| &r.nodes).map(|node| node.host).collect();
    let looks = members.iter().filter_map(|id| hosts.get(id)).map(|host| {
        let ask = async {
            let link = coordinator.fleet.link(&coordinator.store, host).await?;
            containers(coordinator, &link, Scope::Installation).await
        };
        async move {
            let containers = heard(host, LIST, ask).await;
            (host.id, MemberObservation { containers, agent: None })
        }
        .boxed()
    });
    let heard = join_all(looks).await.into_iter().collect();
    Ok((rows, Observation { hosts, heard, slurm: None }))
}

/// What hosts, agents and Slurm say of a cluster.
///
/// # Errors
/// The store's only: what is silent is unknown.
pub(crate) async fn observe_cluster(
    coordinator: &Coordinator,
    cluster: Cluster,
) -> Result<(ClusterRows, Observation), StoreError> {
    let mut read = coordinator.store.read().await?;
    let hosts = registered(&mut read).await?;
    let rows = ClusterRows::read(coordinator, &mut read, cluster).await?;
    drop(read);
    let seen = Observation { hosts, ..Observation::default() };
    let member = |host: &&Host| rows.nodes.iter().any(|node| node.host == host.id);
    let looks = seen.hosts.values().filter(member).map(|host| hear(coordinator, &rows, host).boxed());
    let (mut heard, mut slurm) = (BTreeMap::new(), None);
    for (host, member, said) in join_all(looks).await {
        heard.insert(host, member);
        slurm = slurm.or(said);
    }
    let slurm = Some(slurm.unwrap_or(Err(SlurmSilence::NoController)));
    Ok((rows, Observation { heard, slurm, ..seen }))
}

type Said = Option<Result<SlurmNodes, SlurmSilence>>;

async fn hear(
    coordinator: &Coordinator,
    rows: &ClusterRows,
    host: &Host,
) -> (HostId, MemberObservation, Said) {
    let ClusterRows { cluster, nodes, .. } = rows;
    let controller = nodes.iter().find(|n| n.role == Role::Controller && n.host == host.id);
    let link = match heard(host, LIMIT, coordinator.fleet.link(&coordinator.store, host)).await {
        Ok(link) => link,
        Err(fault) => {
            let slurm = controller.map(|_| Err(SlurmSilence::Host(fault.clone())));
            let agent = Some(Err(fault.clone()));
            return (host.id, MemberObservation { containers: Err(fault), agent }, slurm);
        }
    };
    // The agent is asked about what the list says: it waits for that with its session open.
    let (listed, ids) = tokio::sync::oneshot::channel::<Vec<String>>();
    let list = async {
        let containers = heard(host, LIMIT, containers(coordinator, &link, Scope::Cluster(cluster.id))).await;
        let of = |there: &HostContainers| there.of_nodes().map(|container| container.id.clone()).collect();
        drop(listed.send(containers.as_ref().map(of).unwrap_or_default()));
        containers
    };
    let agent = heard(host, LIMIT, hear_agent(coordinator, &link, ids));
    let slurm = async {
        let spec = &cluster.spec;
        let name = coordinator.naming.container(&controller?.name, &spec.name, &spec.realm);
        Some(limited(&host.name, LIMIT, hear_slurm(&link, &name)).await)
    };
    let (containers, agent, slurm) = tokio::join!(list, agent, slurm);
    (host.id, MemberObservation { containers, agent: Some(agent) }, slurm)
}

async fn containers(
    coordinator: &Coordinator,
    link: &HostLink,
    scope: Scope,
) -> Result<HostContainers, Fault> {
    HostContainers::look(&coordinator.naming, link, scope).await.map_err(Fault::engine(&link.name))
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

async fn hear_slurm(link: &HostLink, container: &str) -> Result<SlurmNodes, SlurmSilence> {
    let answer = slurm::sinfo(link, container).await.map_err(Fault::engine(&link.name))?;
    answer.map_err(|reason| SlurmSilence::Said { reason })
}

async fn heard<T>(host: &Host, limit: Duration, ask: impl Future<Output = Result<T, Fault>>) -> Heard<T> {
    limited(&host.name, limit, ask).await.map_err(Arc::new)
}

async fn registered<M: Mode>(read: &mut Session<M>) -> Result<BTreeMap<HostId, Host>, StoreError> {
    Ok(read.hosts().list().await?.into_iter().map(|host| (host.id, host)).collect())
}

impl ClusterRows {
    async fn read<M: Mode>(
        coordinator: &Coordinator,
        read: &mut Session<M>,
        cluster: Cluster,
    ) -> Result<Self, StoreError> {
        let network = read.networks().of_cluster(cluster.id).await?;
        let nodes = read.nodes().of_cluster(cluster.id).await?;
        let copies = read.state_copies().of_cluster(cluster.id).await?;
        let lease = read.leases().get(&Resource::cluster(cluster.id)).await?;
        Ok(Self { cluster, network, nodes, copies, owned: is_owned(coordinator, lease.as_ref()) })
    }
}
