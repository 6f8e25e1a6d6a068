//! Brings a ready cluster back to what the store says of it: what differs is found, passes are made, and what is left is told.
//!
//! ```text
//! observe --> differences (pure) --nothing--> well
//!                 |  lease, agents, the network's next revision if agents are to be told it anew
//!                 v
//!              passes, as for a create --> observe once more --> what is left
//! ```
//! Nothing is rolled back and no phase changes: a repair that ends early, or whose process dies, leaves the rest to the next one.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use futures_util::{FutureExt, future::join_all};
use shoal_api::{Mend, MendKind, RepairedCluster, Status};
use shoal_docker::ContainerState;
use shoal_storage::{Cluster, Host, StoreError};
use shoal_types::{
    ClusterName, ClusterPhase, EventKind, EventLevel, HostId, NodeState, RealmName, chain, natural,
};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::{
    drive::{
        BACK_OFF, LONGEST_BACK_OFF,
        lifecycle::{acquire, find_cluster},
    },
    fleet::{coordinator::Coordinator, liveness::limited},
    observe::{
        cluster::{ClusterRows, Observation, observe_cluster},
        docker_network::docker_network,
        intent::Intent,
        status::status,
        survey::{self, Depth},
    },
    pass::{
        diagnose::end_of,
        readiness::WaitOutcome,
        run::PassOutcome,
        upkeep::{Member, differences},
        work::{Halt, Work, underlays},
    },
    words::{
        agent::NodeProbe,
        fault::{ClusterFault, Fault, Retry},
    },
};

/// How long a host may take to tell of its network and of what has ended.
const LIMIT: Duration = Duration::from_secs(5);
/// For how long a node that came up may not be as it should be without being waited for.
const YOUTH: Duration = Duration::from_secs(60);
/// Passes in which a host may fail before the repair goes without it.
const TRIES: u32 = 3;

/// How a repair is made.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RepairTerms {
    /// Nothing is done.
    pub(crate) dry_run: bool,
    /// How long it may take.
    pub(crate) wait: Duration,
}

/// What is not as it should be.
struct Look {
    mends: Vec<Mend>,
    troubles: Vec<String>,
    drained: Vec<String>,
    /// Nodes were started and not seen to become ready, or came up just now: somebody, such as a repair that was interrupted, did
    /// that.
    awaited: bool,
}

/// The clusters that a repair of a realm is about: these, or all that are ready.
pub(crate) async fn clusters(
    coordinator: &Coordinator,
    realm: &RealmName,
    names: &[ClusterName],
) -> Result<Vec<ClusterName>, Fault> {
    for name in names {
        find_cluster(coordinator, realm, name).await?;
    }
    if !names.is_empty() {
        return Ok(names.to_vec());
    }
    let all = coordinator.store.read().await?.clusters().in_realm(realm).await?;
    let ready = all.into_iter().filter(|cluster| cluster.phase == ClusterPhase::Ready);
    Ok(ready.map(|cluster| cluster.spec.name).collect())
}

/// Repairs one cluster; what goes wrong is told of it.
pub(crate) async fn repair(
    coordinator: &Arc<Coordinator>,
    realm: &RealmName,
    name: &ClusterName,
    terms: RepairTerms,
    interrupt: &CancellationToken,
) -> RepairedCluster {
    let mut told = RepairedCluster { name: name.to_string(), ..RepairedCluster::default() };
    let repaired = async {
        let cluster = ready(find_cluster(coordinator, realm, name).await?)?;
        let found = look(coordinator, cluster.clone()).await?;
        told.mends = found.mends;
        (told.troubles, told.drained) = (found.troubles, found.drained);
        if terms.dry_run || told.mends.is_empty() && !found.awaited {
            return Ok(());
        }
        let (lease, cluster) = acquire(coordinator, &cluster).await?;
        let work = Work::new(coordinator.clone(), cluster.id, lease, interrupt).keeping();
        let mended = async {
            ready(cluster.clone())?;
            mend(&work, &told.mends, terms.wait).await
        }
        .await;
        work.recorder.flush().await?;
        drop(work.lease.release().await);
        let left = settled(coordinator, cluster, mended.is_ok(), interrupt).await?;
        (told.troubles, told.drained) = (left.troubles, left.drained);
        mended
    };
    let repaired: Result<(), Fault> = repaired.await;
    told.error = repaired.err().map(|fault| chain(&fault));
    told
}

/// Looks until what runs in nodes that have just come up is there: Slurm waits for some of it alone.
async fn settled(
    coordinator: &Coordinator,
    cluster: Cluster,
    mended: bool,
    interrupt: &CancellationToken,
) -> Result<Look, Fault> {
    let began = Instant::now();
    loop {
        let left = look(coordinator, cluster.clone()).await?;
        if !mended || !left.awaited || interrupt.is_cancelled() || began.elapsed() > YOUTH {
            return Ok(left);
        }
        tokio::time::sleep(BACK_OFF).await;
    }
}

/// Only a cluster that was ready is kept so.
fn ready(cluster: Cluster) -> Result<Cluster, Fault> {
    match cluster.phase {
        ClusterPhase::Ready => Ok(cluster),
        phase @ (ClusterPhase::Creating | ClusterPhase::Deleting | ClusterPhase::Failed) => {
            Err(ClusterFault::NotKept { cluster: cluster.spec.name, phase }.into())
        }
    }
}

/// Looks at all member hosts at once.
async fn look(coordinator: &Coordinator, cluster: Cluster) -> Result<Look, Fault> {
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
    let addresses = underlays(&members);
    let asks = seen.heard.iter().filter_map(|(id, heard)| {
        let host = members.get(id)?;
        let containers = heard.containers.as_ref().ok()?;
        let intent = &intent;
        let ask = async move {
            let link = coordinator.fleet.link(&coordinator.store, host).await?;
            let network = docker_network(&coordinator.naming, &link, intent.cluster.id, &intent.network);
            let network = network.await.map_err(Fault::engine(&host.name))?;
            let mut ends = BTreeMap::new();
            for container in
                containers.of_nodes().filter(|container| container.state == ContainerState::Exited)
            {
                let how = end_of(&link, &container.id).await.map_err(Fault::engine(&host.name))?;
                ends.extend(how.map(|how| (container.id.clone(), how)));
            }
            Ok((network, ends))
        };
        Some(async move { (*id, limited::<_, Fault>(&host.name, LIMIT, ask).await) }.boxed())
    });
    let mut mends = Vec::new();
    for (id, answer) in join_all(asks).await {
        let (Some(host), Some(heard)) = (members.get(&id), seen.heard.get(&id)) else { continue };
        // It does not answer: its troubles say so.
        let Ok((network, ends)) = answer else { continue };
        let name = host.name.to_string();
        let member = Member { id, name, heard, network: network.as_deref(), ends: &ends };
        mends.extend(differences(&intent, &member, &addresses));
    }
    mends.sort_by(|a, b| natural::cmp(&a.host, &b.host));
    Ok(left(coordinator, &rows, &seen, mends))
}

/// What is told of a cluster as it is: a node that somebody drained is as it should be.
fn left(coordinator: &Coordinator, rows: &ClusterRows, seen: &Observation, mends: Vec<Mend>) -> Look {
    let Status { nodes, hosts, slurm, .. } = status(rows, seen, coordinator.now());
    let reports = seen.slurm.as_ref().and_then(|slurm| slurm.as_ref().ok());
    let kept: Vec<String> = reports
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
    let mut drained = Vec::new();
    for node in nodes {
        match kept.contains(&node.name) {
            // The one trouble that Slurm has of it is what it was told.
            true if node.troubles.len() == 1 => drained.push(node.name),
            true | false => {
                troubles.extend(node.troubles.into_iter().map(|trouble| format!("{}: {trouble}", node.name)));
            }
        }
    }
    let up = |probe: &NodeProbe| probe.alive && probe.up < YOUTH;
    let agents = seen.heard.values().filter_map(|heard| heard.agent.as_ref()?.as_ref().ok());
    let is_young = agents.flat_map(|agent| agent.nodes.probes.values()).any(up);
    let awaited =
        rows.nodes.iter().any(|node| node.state != NodeState::Ready) || is_young && !troubles.is_empty();
    Look { mends, troubles, drained, awaited }
}

/// Makes passes until every node that can be is there.
async fn mend(work: &Work, mends: &[Mend], wait: Duration) -> Result<(), Fault> {
    let coordinator = &work.coordinator;
    let intent = work.intent().await?;
    let members = work.members(&intent).await?;
    let found: Vec<_> = mends.iter().map(|mend| mend.kind.as_str()).collect();
    tracing::info!(cluster.id = %work.cluster, found = ?found, "mending");
    for mend in mends {
        let host = mend.host.parse().ok();
        let text = match &mend.node {
            Some(node) => format!("{node} is mended: {}", mend.reason),
            None => format!("mended: {}", mend.reason),
        };
        let event = work.event(&intent, EventLevel::Warn, EventKind::Step, host.as_ref(), text);
        work.recorder.event(event).await;
    }
    // Agents are brought where they are missing; what hosts say of themselves now is what agents are told.
    survey::survey_of(coordinator, members.into_values().collect(), Depth::Agent).await?;
    if mends.iter().any(|mend| mend.kind == MendKind::Mesh) {
        let mut tx = work.lease.begin().await?;
        tx.networks().next_revision(intent.network.id).await?;
        tx.commit().await?;
    }
    let (began, mut pause, mut tries) = (Instant::now(), BACK_OFF, 0);
    loop {
        let intent = work.intent().await?;
        ready(intent.cluster.clone())?;
        let name = || intent.cluster.spec.name.clone();
        let not_mended = |how: String| Fault::from(ClusterFault::NotMended { cluster: name(), how });
        match work.pass_within(&intent, wait.saturating_sub(began.elapsed())).await {
            Ok(PassOutcome::Through(WaitOutcome::Ready)) => return Ok(()),
            Ok(PassOutcome::Through(WaitOutcome::Stalled)) => pause = BACK_OFF,
            Ok(PassOutcome::Through(WaitOutcome::Refused { daemon, reason })) => {
                return Err(not_mended(format!("{daemon} does not start: {reason}")));
            }
            Ok(PassOutcome::Through(WaitOutcome::Ended { node, host, how })) => {
                return Err(not_mended(format!("{node} on {host} ends when it is started: {how}")));
            }
            Ok(PassOutcome::HostsFailed(met)) => {
                tries += 1;
                if tries >= TRIES || met.values().all(|fault| fault.class().retry != Retry::Later) {
                    let faults: Vec<_> = met.values().map(|fault| chain(fault)).collect();
                    return Err(not_mended(faults.join("; ")));
                }
            }
            Err(Halt::Stopped) if work.interrupt.is_cancelled() => return Err(Fault::Stopped),
            Err(Halt::Stopped) if work.stop.is_cancelled() => return Err(work.recorder.failure().into()),
            Err(Halt::Stopped) => {
                return Err(not_mended(format!("not every node was there within {} s", wait.as_secs())));
            }
            Err(Halt::Fault(fault)) if fault.class().retry == Retry::Later && began.elapsed() < wait => {
                tracing::warn!(cluster.id = %work.cluster, error = chain(&fault), "pass failed, trying again");
            }
            Err(Halt::Fault(fault)) => return Err(fault),
        }
        tokio::select! {
            () = work.interrupt.cancelled() => return Err(Fault::Stopped),
            () = tokio::time::sleep(pause) => {}
        }
        pause = (pause * 2).min(LONGEST_BACK_OFF);
    }
}
