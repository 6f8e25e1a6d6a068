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

use shoal_api::{Mend, RepairedCluster};
use shoal_storage::Cluster;
use shoal_types::{ClusterName, ClusterPhase, EventKind, EventLevel, HostId, RealmName, chain};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::{
    drive::{
        BACK_OFF, LONGEST_BACK_OFF,
        damage::{Look, YOUTH, look},
        lifecycle::{acquire, find_cluster},
    },
    fleet::{coordinator::Coordinator, lease::HeldLease},
    observe::survey::{self, Depth},
    pass::{
        failure::PATIENCE,
        fallen::pace,
        readiness::WaitOutcome,
        restarts::Note,
        run::PassOutcome,
        work::{Behalf, Halt, Work},
    },
    words::fault::{ClusterFault, Fault, Retry},
};

/// Looks for something to change, of some ten seconds each, in which nothing did before the nodes that are waited for are given up.
const STALLS: u32 = 6;

/// How a repair is made.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RepairTerms {
    /// Nothing is done.
    pub(crate) dry_run: bool,
    /// Who wants it.
    pub(crate) behalf: Behalf,
    /// How long it may take.
    pub(crate) wait: Duration,
    /// What runs in nodes that came up is waited for, so that what is told at the end holds.
    pub(crate) settle: bool,
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
        let found = look(coordinator, cluster.clone(), terms.behalf).await?;
        (told.troubles, told.drained) = (found.troubles, found.drained);
        // A person mends what does not heal by itself.
        if terms.behalf == Behalf::Upkeep && !cluster.healing.policy.heals() {
            return Ok(());
        }
        told.mends = found.mends;
        let needs = !told.mends.is_empty() || found.awaited;
        if terms.dry_run || !needs && found.notes.is_empty() {
            return Ok(());
        }
        if interrupt.is_cancelled() {
            return Err(Fault::Stopped);
        }
        let (lease, cluster) = acquire(coordinator, &cluster).await?;
        under_lease(coordinator, (lease, cluster), (&found.notes, found.awaited), terms, interrupt, &mut told)
            .await
    };
    let repaired: Result<(), Fault> = repaired.await;
    told.error = repaired.err().map(|fault| fault.told());
    told
}

/// Mends what is told, whoever found it, as the cluster's owner; and tells what is left.
pub(super) async fn under_lease(
    coordinator: &Arc<Coordinator>,
    (lease, cluster): (Arc<HeldLease>, Cluster),
    (notes, awaited): (&[Note], bool),
    terms: RepairTerms,
    interrupt: &CancellationToken,
    told: &mut RepairedCluster,
) -> Result<(), Fault> {
    let needs = !told.mends.is_empty() || awaited;
    let work = Work::new(coordinator.clone(), cluster.id, lease, interrupt).keeping(terms.behalf);
    let mended = async {
        note(&work, notes).await?;
        if needs {
            mend(&work, &told.mends, terms.wait).await?;
        }
        Ok(())
    }
    .await;
    let flushed = work.recorder.flush().await;
    let mended: Result<(), Fault> = mended.and_then(|()| Ok(flushed?));
    let left = match needs {
        true => look_again(&work, cluster.clone()).await.map(Some),
        false => Ok(None),
    };
    drop(work.lease.release().await);
    if let Some(left) = left? {
        let left = match mended.is_ok() && terms.settle {
            true => settled(coordinator, cluster, left, terms.behalf, interrupt).await?,
            false => left,
        };
        let remains = |mend: Mend| format!("{}: {}", mend.node.unwrap_or(mend.host), mend.reason);
        told.troubles = left.troubles;
        told.troubles.extend(left.mends.into_iter().map(remains));
        told.drained = left.drained;
    }
    mended
}

/// Tells what a look found of nodes that end again and again.
async fn note(work: &Work, notes: &[Note]) -> Result<(), Fault> {
    match notes {
        [] => Ok(()),
        notes => work.note_restarts(&work.intent().await?, notes).await,
    }
}

/// What is left, while the cluster is still owned: what ends again and again is told at once.
async fn look_again(work: &Work, cluster: Cluster) -> Result<Look, Fault> {
    let left = look(&work.coordinator, cluster, work.behalf).await?;
    note(work, &left.notes).await?;
    Ok(left)
}

/// Looks until what runs in nodes that have just come up is there: Slurm waits for some of it alone.
async fn settled(
    coordinator: &Coordinator,
    cluster: Cluster,
    mut left: Look,
    behalf: Behalf,
    interrupt: &CancellationToken,
) -> Result<Look, Fault> {
    let began = Instant::now();
    while left.awaited && !interrupt.is_cancelled() && began.elapsed() <= YOUTH {
        tokio::time::sleep(pace(left.hosts)).await;
        left = look(coordinator, cluster.clone(), behalf).await?;
    }
    Ok(left)
}

/// Only a cluster that was ready is kept so.
pub(super) fn ready(cluster: Cluster) -> Result<Cluster, Fault> {
    match cluster.phase {
        ClusterPhase::Ready => Ok(cluster),
        phase @ (ClusterPhase::Creating | ClusterPhase::Deleting | ClusterPhase::Failed) => {
            Err(ClusterFault::NotKept { cluster: cluster.spec.name, phase }.into())
        }
    }
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
