//! Brings a ready cluster back to what the store says of it: what differs is found, passes are made, and what is left is told.
//!
//! ```text
//! observe --> differences (pure) --nothing--> well
//!                 |  lease, agents, the network's next revision
//!                 v
//!              passes, as for a create --> observe once more --> what is left
//! ```
//! Nothing is rolled back and no phase changes: a repair that ends early, or whose process dies, leaves the rest to the next one.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use futures_util::{FutureExt, StreamExt, future::join_all, stream};
use shoal_api::{Mend, RepairedCluster, Status};
use shoal_docker::ContainerState;
use shoal_storage::{Cluster, Host, StoreError};
use shoal_types::{
    ClusterName, ClusterPhase, EventKind, EventLevel, HostId, NodeState, RealmName, chain,
    digest_of_addresses, natural,
};
use tokio::time::{Instant, timeout};
use tokio_util::sync::CancellationToken;

use crate::{
    drive::{
        BACK_OFF, LONGEST_BACK_OFF,
        lifecycle::{acquire, find_cluster},
    },
    fleet::{HostLink, coordinator::Coordinator, liveness::limited},
    observe::{
        cluster::{ClusterRows, Observation, observe_cluster},
        docker_network::docker_network,
        intent::Intent,
        status::status,
        survey::{self, Depth},
    },
    pass::{
        diagnose::end_of,
        failure::PATIENCE,
        fallen::pace,
        readiness::WaitOutcome,
        run::PassOutcome,
        upkeep::{Member, differences},
        work::{Halt, Work, underlays},
    },
    words::{
        agent::NodeProbe,
        fault::{ClusterFault, Fault, HostFault, Retry},
    },
};

/// How long a host may take to tell of its network and of what has ended.
const LIMIT: Duration = Duration::from_secs(5);
/// For how long a node that came up may not be as it should be without being waited for.
const YOUTH: Duration = Duration::from_secs(60);
/// Looks for something to change, of some ten seconds each, in which nothing did before the nodes that are waited for are given up.
const STALLS: u32 = 6;
/// Containers of one host whose end is asked about at once.
const ENDS_AT_ONCE: usize = 16;

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
    /// How many were asked.
    hosts: usize,
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
        let once: BTreeSet<_> = names.iter().cloned().collect();
        return Ok(once.into_iter().collect());
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
        // One of many, and the others were interrupted.
        if interrupt.is_cancelled() {
            return Err(Fault::Stopped);
        }
        let cluster = ready(find_cluster(coordinator, realm, name).await?)?;
        let found = look(coordinator, cluster.clone()).await?;
        let needs = !found.mends.is_empty() || found.awaited;
        (told.mends, told.troubles, told.drained) = (found.mends, found.troubles, found.drained);
        if terms.dry_run || !needs {
            return Ok(());
        }
        if interrupt.is_cancelled() {
            return Err(Fault::Stopped);
        }
        let (lease, cluster) = acquire(coordinator, &cluster).await?;
        let work = Work::new(coordinator.clone(), cluster.id, lease, interrupt).keeping();
        let mended = mend(&work, &told.mends, terms.wait).await;
        let flushed = work.recorder.flush().await;
        drop(work.lease.release().await);
        let mended = mended.and_then(|()| Ok(flushed?));
        let left = settled(coordinator, cluster, mended.is_ok(), interrupt).await?;
        let remains = |mend: Mend| format!("{}: {}", mend.node.unwrap_or(mend.host), mend.reason);
        told.troubles = left.troubles;
        told.troubles.extend(left.mends.into_iter().map(remains));
        told.drained = left.drained;
        mended
    };
    let repaired: Result<(), Fault> = repaired.await;
    told.error = repaired.err().map(|fault| match fault.hint() {
        Ok(hint) => format!("{}; {hint}", chain(&fault)),
        Err(_) => chain(&fault),
    });
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
        tokio::time::sleep(pace(left.hosts)).await;
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
    // Every member's agent is told those of all members.
    let addresses = digest_of_addresses(underlays(&members).into_values());
    let asks = seen.heard.iter().filter_map(|(id, heard)| {
        let host = members.get(id)?;
        let containers = heard.containers.as_ref().ok()?;
        let ended = containers.of_nodes().filter(|container| container.state == ContainerState::Exited);
        let ended: Vec<String> = ended.map(|container| container.id.clone()).collect();
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
    for (id, answer, ends) in join_all(asks).await {
        let (Some(host), Some(heard)) = (members.get(&id), seen.heard.get(&id)) else { continue };
        let name = host.name.to_string();
        match answer {
            Ok((_, network, old_agent)) => {
                let member = Member { id, name, heard, network: network.as_deref(), old_agent, ends: &ends };
                mends.extend(differences(&intent, &member, &addresses));
            }
            Err(fault) => unheard.push(format!("{name}: {}", chain(&fault))),
        }
    }
    mends.sort_by(|a, b| natural::cmp(&a.host, &b.host));
    let mut look = left(coordinator, &rows, &seen, mends);
    look.troubles.extend(unheard);
    Ok(look)
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
async fn ends_of(link: &HostLink, containers: Vec<String>) -> BTreeMap<String, String> {
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

/// What is told of a cluster as it is: a node that somebody drained is as it should be.
fn left(coordinator: &Coordinator, rows: &ClusterRows, seen: &Observation, mends: Vec<Mend>) -> Look {
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
    Look { mends, troubles, drained, awaited, hosts: seen.heard.len() }
}

/// Makes passes until every node that can be is there.
async fn mend(work: &Work, mends: &[Mend], wait: Duration) -> Result<(), Fault> {
    let began = Instant::now();
    let coordinator = &work.coordinator;
    let intent = work.intent().await?;
    ready(intent.cluster.clone())?;
    let members = work.members(&intent).await?;
    tracing::info!(cluster.id = %work.cluster, mends = mends.len(), "mending");
    for mend in mends {
        let host = mend.host.parse().ok();
        let text = match &mend.node {
            Some(node) => format!("{node} is to be mended: {}", mend.reason),
            None => format!("to be mended: {}", mend.reason),
        };
        let event = work.event(&intent, EventLevel::Warn, EventKind::Step, host.as_ref(), text);
        work.recorder.event(event).await;
    }
    // Agents are brought where they are missing; what hosts say of themselves now is what agents are told, and a host that is not
    // what was registered is left alone.
    let seen = survey::survey_of(coordinator, members.into_values().collect(), Depth::Agent).await?;
    let unfit: BTreeMap<HostId, String> =
        seen.iter().filter_map(|s| Some((s.host.id, chain(s.link.as_ref().err()?)))).collect();
    let mut tx = work.lease.begin().await?;
    // An agent that is told other things than before hears them as news alone.
    tx.networks().next_revision(intent.network.id).await?;
    tx.commit().await?;
    let work = work.without(unfit.keys().copied().collect());
    let passed = passes(&work, wait, began).await;
    match unfit.is_empty() {
        true => passed,
        false => {
            let reasons: Vec<_> =
                unfit.into_values().chain(passed.err().map(|fault| chain(&fault))).collect();
            Err(not_mended(&intent.cluster, reasons.join("; ")))
        }
    }
}

fn not_mended(cluster: &Cluster, how: String) -> Fault {
    ClusterFault::NotMended { cluster: cluster.spec.name.clone(), how }.into()
}

/// Passes of a cluster that is kept, until every node that can be is there.
pub(crate) async fn passes(work: &Work, wait: Duration, began: Instant) -> Result<(), Fault> {
    let (mut pause, mut stalls, mut failing) = (BACK_OFF, 0, None);
    loop {
        let intent = work.intent().await?;
        ready(intent.cluster.clone())?;
        let not_mended = |how: String| Err(not_mended(&intent.cluster, how));
        match work.pass_within(&intent, wait.saturating_sub(began.elapsed())).await {
            Ok(PassOutcome::Through(WaitOutcome::Ready)) => return Ok(()),
            Ok(PassOutcome::Through(WaitOutcome::Stalled)) => {
                (pause, failing, stalls) = (BACK_OFF, None, stalls + 1);
                if stalls >= STALLS {
                    return not_mended("some nodes do not come up".into());
                }
            }
            Ok(PassOutcome::Through(WaitOutcome::Refused { daemon, reason })) => {
                return not_mended(format!("{daemon} does not start: {reason}"));
            }
            Ok(PassOutcome::Through(WaitOutcome::Ended { node, host, how })) => {
                return not_mended(format!("{node} on {host} ends when it is started: {how}"));
            }
            Ok(PassOutcome::HostsFailed(met)) => {
                let since = *failing.get_or_insert_with(Instant::now);
                let never = met.values().all(|fault| fault.class().retry != Retry::Later);
                if never || since.elapsed() >= PATIENCE {
                    let faults: Vec<_> = met.values().map(|fault| chain(fault)).collect();
                    return not_mended(faults.join("; "));
                }
            }
            Err(Halt::Stopped) if work.interrupt.is_cancelled() => return Err(Fault::Stopped),
            Err(Halt::Stopped) if work.stop.is_cancelled() => return Err(work.recorder.failure().into()),
            Err(Halt::Stopped) => {
                return not_mended(format!("not every node was there within {} s", wait.as_secs()));
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
