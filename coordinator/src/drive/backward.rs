//! The way down: passes until nothing of a cluster is left, on any host and in the store.

use std::{collections::BTreeMap, time::Duration};

use futures_util::{FutureExt, future::join_all};
use shoal_types::{EventKind, EventLevel, HostId, chain};

use crate::{
    drive::{BACK_OFF, LONGEST_BACK_OFF},
    fleet::liveness::while_alive,
    observe::intent::Intent,
    pass::work::{Halt, Work},
    words::fault::{ClusterFault, Fault},
};

/// How often taking down is tried before what is left is left to the next command.
pub(crate) const TAKE_DOWN_TRIES: u32 = 4;
/// The same if the hosts that are left say nothing at all, or it has taken long already.
const FEWER_TRIES: u32 = 2;
/// How long that is.
const TAKE_DOWN_LIMIT: Duration = Duration::from_secs(10);

/// Passes until nothing of the cluster is left on any host and in the store.
///
/// # Errors
/// [`ClusterFault::LeftBehind`]: some hosts cannot be reached; their nodes stay in the store, everything else is gone.
pub(crate) async fn backward(work: &Work, tries: u32) -> Result<(), Fault> {
    let began = tokio::time::Instant::now();
    let mut pause = BACK_OFF;
    for attempt in 1.. {
        let intent = work.intent().await?;
        let failures = take_down_all(work, &intent).await?;
        if failures.is_empty() {
            let mut tx = work.lease.begin().await?;
            tx.clusters().delete(work.cluster).await?;
            let gone = work.event(&intent, EventLevel::Info, EventKind::Phase, None, "deleted".into());
            tx.events().append(&gone).await?;
            return Ok(tx.commit().await?);
        }
        let silent = failures.values().all(|fault| fault.class().silent);
        let enough = silent || began.elapsed() >= TAKE_DOWN_LIMIT;
        if attempt >= tries.min(if enough { FEWER_TRIES } else { tries }) {
            return Err(left_behind(work, &intent, &failures).await?);
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(LONGEST_BACK_OFF);
    }
    Ok(())
}

/// One pass over all hosts; each host that is clean loses its nodes in the store. What went wrong, by host.
async fn take_down_all(work: &Work, intent: &Intent) -> Result<BTreeMap<HostId, Fault>, Fault> {
    let (links, mut failures) = work.links(intent).await?;
    let passes = links
        .values()
        .map(|link| while_alive(link, work.short_patience(), work.take_down(link, intent)).boxed());
    for (&id, outcome) in links.keys().zip(join_all(passes).await) {
        match outcome {
            Ok(()) => {
                work.recorder.flush().await?;
                let nodes: Vec<_> = intent.on(id).map(|n| n.id).collect();
                let mut tx = work.lease.begin().await?;
                tx.nodes().delete(&nodes).await?;
                if work.in_doubt(id) {
                    let why = "calls that were on their way when their caller ended".into();
                    tx.remnants().add(&intent.remnant(id, why, work.coordinator.now())).await?;
                }
                tx.commit().await?;
            }
            Err(Halt::Fault(Fault::Store(error))) => return Err(error.into()),
            Err(halt) => drop(failures.insert(id, halt.into_fault())),
        }
    }
    Ok(failures)
}

/// Remembers what is left where, and says so.
async fn left_behind(
    work: &Work,
    intent: &Intent,
    failures: &BTreeMap<HostId, Fault>,
) -> Result<Fault, Fault> {
    let members = work.members(intent).await?;
    let name = |id: &HostId| members.get(id).map_or_else(|| id.to_string(), |h| h.name.to_string());
    let fault = Fault::Cluster(ClusterFault::LeftBehind {
        cluster: intent.cluster.spec.name.clone(),
        hosts: failures.keys().map(name).collect::<Vec<_>>().join(", "),
        reason: failures.values().next().map(|f| chain(f)).unwrap_or_default(),
    });
    let message = chain(&fault);
    let mut tx = work.lease.begin().await?;
    tx.clusters().set_failure(work.cluster, Some(&message), work.coordinator.now()).await?;
    for (host, why) in failures {
        tx.remnants().add(&intent.remnant(*host, chain(why), work.coordinator.now())).await?;
    }
    tx.events().append(&work.event(intent, EventLevel::Error, EventKind::Phase, None, message)).await?;
    tx.commit().await?;
    Ok(fault)
}
