//! What of a ready cluster is damaged: one look at all its member hosts at once. Nothing is changed by it.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use futures_util::{FutureExt, StreamExt, future::join_all, stream};
use shoal_api::{Mend, Status};
use shoal_docker::ContainerState;
use shoal_storage::{Cluster, Host, StoreError};
use shoal_types::{HostId, NodeId, NodeState, chain, digest_of_addresses, natural};
use tokio::time::timeout;

use crate::{
    fleet::{HostLink, coordinator::Coordinator, liveness::limited},
    observe::{
        cluster::{ClusterRows, Observation, observe_cluster},
        docker_network::docker_network,
        intent::Intent,
        status::status,
    },
    pass::{
        end::{End, end_of},
        restarts::Note,
        upkeep::{Member, differences},
        work::{Behalf, underlays},
    },
    words::{
        agent::NodeProbe,
        fault::{Fault, HostFault},
    },
};

/// How long a host may take to tell of its network and of what has ended.
const LIMIT: Duration = Duration::from_secs(5);
/// For how long a node that came up may not be as it should be without being waited for.
pub(super) const YOUTH: Duration = Duration::from_secs(60);
/// Containers of one host whose end is asked about at once.
const ENDS_AT_ONCE: usize = 16;

/// What is not as it should be.
pub(super) struct Look {
    pub(super) mends: Vec<Mend>,
    pub(super) troubles: Vec<String>,
    pub(super) drained: Vec<String>,
    /// Nodes were started and not seen to become ready, or came up just now: somebody, such as a repair that was interrupted, did
    /// that.
    pub(super) awaited: bool,
    /// What is to be told of nodes that end again and again.
    pub(super) notes: Vec<Note>,
    /// How many were asked.
    pub(super) hosts: usize,
}

/// Looks at all member hosts at once.
pub(super) async fn look(coordinator: &Coordinator, cluster: Cluster, behalf: Behalf) -> Result<Look, Fault> {
    let gone = || StoreError::Missing { what: "network of cluster", id: cluster.id.to_string() };
    let (rows, seen) = observe_cluster(coordinator, cluster.clone()).await?;
    let network = rows.network.clone().ok_or_else(gone)?;
    let intent = Intent::new(rows.cluster.clone(), network, rows.nodes.clone());
    let members: BTreeMap<HostId, Host> = seen
        .hosts
        .iter()
        .filter(|(id, _)| seen.heard.contains_key(id))
        .map(|(id, h)| (*id, h.clone()))
        .collect();
    // Every member's agent is told those of all members.
    let addresses = digest_of_addresses(underlays(&members).into_values());
    let asks = seen.heard.iter().filter_map(|(id, heard)| {
        let host = members.get(id)?;
        let containers = heard.containers.as_ref().ok()?;
        let ended = |state| matches!(state, ContainerState::Exited | ContainerState::Dead);
        let ended: Vec<String> =
            containers.of_nodes().filter(|c| ended(c.state)).map(|c| c.id.clone()).collect();
        let ask = ask(coordinator, host, &intent);
        Some(
            async move {
                let asked = limited::<_, Fault>(&host.name, LIMIT, ask).await;
                // How they ended is told if it is heard.
                let ends = match &asked {
                    Ok((link, ..)) => ends_of(link, ended).await,
                    Err(_) => BTreeMap::new(),
                };
                (*id, asked, ends)
            }
            .boxed(),
        )
    });
    let (mut mends, mut unheard) = (Vec::new(), Vec::new());
    let (mut held, mut notes) = (BTreeSet::new(), Vec::new());
    for (id, answer, ends) in join_all(asks).await {
        let (Some(host), Some(heard)) = (members.get(&id), seen.heard.get(&id)) else { continue };
        let name = host.name.to_string();
        match answer {
            Ok((_, network, old_agent)) => {
                let member = Member { id, name, heard, network: network.as_deref(), old_agent, ends: &ends };
                let found = differences(&intent, &member, &addresses, behalf, coordinator.now());
                mends.extend(found.mends);
                held.extend(found.standing.held);
                notes.extend(found.standing.notes);
            }
            Err(fault) => unheard.push(format!("{name}: {}", chain(&fault))),
        }
    }
    mends.sort_by(|a, b| natural::cmp(&a.host, &b.host));
    let mut look = left(coordinator, &rows, &seen, &held);
    look.troubles.extend(unheard);
    Ok(Look { mends, notes, ..look })
}

/// What is asked of a host that answers beside what is observed: whether its engine is the one that was registered, the cluster's
/// Docker network, and whether its agent is of another build.
async fn ask(
    coordinator: &Coordinator,
    host: &Host,
    intent: &Intent,
) -> Result<(Arc<HostLink>, Option<String>, bool), Fault> {
    let link = coordinator.fleet.link(&coordinator.store, host).await?;
    let engine = Fault::engine(&host.name);
    let network = docker_network(&coordinator.naming, &link, intent.cluster.id, &intent.network);
    let (facts, network, current) = tokio::join!(link.engine.facts(), network, link.agent_is_current());
    if facts.map_err(&engine)?.id != host.engine.id {
        let endpoint = host.settings.endpoint.clone();
        return Err(HostFault::OtherEngine { host: host.name.clone(), endpoint }.into());
    }
    Ok((link.clone(), network.map_err(engine)?, !current?))
}

/// How these containers ended, of those that could be asked about in time.
async fn ends_of(link: &HostLink, containers: Vec<String>) -> BTreeMap<String, End> {
    let asks: Vec<_> = containers
        .into_iter()
        .map(|id| async move { (end_of(link, &id).await.ok().flatten(), id) }.boxed())
        .collect();
    let mut answers = stream::iter(asks).buffer_unordered(ENDS_AT_ONCE);
    let mut ends = BTreeMap::new();
    let heard = async {
        while let Some((how, id)) = answers.next().await {
            ends.extend(how.map(|how| (id, how)));
        }
    };
    // What came by then is told.
    drop(timeout(LIMIT, heard).await);
    ends
}

/// What is told of a cluster as it is: a node that somebody drained is as it should be. Those that are `held` wait for their next
/// restart, and nobody waits for them.
fn left(coordinator: &Coordinator, rows: &ClusterRows, seen: &Observation, held: &BTreeSet<NodeId>) -> Look {
    let Status { nodes, hosts, slurm, .. } = status(rows, seen, coordinator.now());
    let reports = seen.slurm.as_ref().and_then(|slurm| slurm.as_ref().ok());
    let kept: BTreeSet<String> = reports
        .into_iter()
        .flat_map(|reports| reports.values())
        .filter(|report| report.is_drained())
        .map(|report| report.name.to_string())
        .collect();
    let mut troubles = Vec::new();
    for host in hosts {
        let of_host = [host.error, host.agent_error, host.network_trouble];
        troubles.extend(of_host.into_iter().flatten().map(|trouble| format!("{}: {trouble}", host.name)));
    }
    troubles.extend(slurm.error.map(|error| format!("Slurm gives no answer: {error}")));
    let (mut drained, mut of_held) = (Vec::new(), Vec::new());
    for (row, node) in rows.nodes.iter().zip(nodes) {
        if kept.contains(&node.name) && node.troubles.len() == 1 {
            // The one trouble that Slurm has of it is what it was told.
            drained.push(node.name);
            continue;
        }
        let told = node.troubles.into_iter().map(|trouble| format!("{}: {trouble}", node.name));
        match held.contains(&row.id) {
            true => of_held.extend(told),
            false => troubles.extend(told),
        }
    }
    let up = |probe: &NodeProbe| probe.alive && probe.up < YOUTH;
    let agents = seen.heard.values().filter_map(|heard| heard.agent.as_ref()?.as_ref().ok());
    let is_young = agents.flat_map(|agent| agent.nodes.probes.values()).any(up);
    let unready = rows.nodes.iter().any(|node| node.state != NodeState::Ready && !held.contains(&node.id));
    let awaited = unready || is_young && !troubles.is_empty();
    troubles.extend(of_held);
    Look { mends: vec![], troubles, drained, awaited, notes: vec![], hosts: seen.heard.len() }
}
