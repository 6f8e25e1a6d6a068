//! The way up: passes over all member hosts until every worker is IDLE, and what to do about hosts that fail.

use std::{collections::BTreeMap, time::Duration};

use shoal_types::{ClusterPhase, EventKind, EventLevel, HostId, chain};
use tokio::time::Instant;

use crate::{
    drive::{BACK_OFF, LONGEST_BACK_OFF, reschedule},
    edit::relocation::NotRescheduled,
    fleet::lease::TTL,
    observe::{intent::Intent, survey},
    pass::{
        failure::Failures,
        readiness::WaitOutcome,
        run::PassOutcome,
        work::{Halt, Work},
    },
    words::fault::{ClusterFault, Fault, NotReady, Retry},
};

/// How bringing up ended.
#[derive(Debug)]
pub(crate) enum Outcome {
    /// Every worker is IDLE.
    Ready,
    /// It cannot become ready.
    Failed(NotReady),
    /// Somebody asked to stop.
    Stopped,
    /// The lease or the store was lost: another owner may be at it, nothing may be undone.
    Lost(Fault),
}

/// What the store says of the cluster. A store that is away is waited for as long as the lease lasts: beyond that another
/// owner may be at it. An interrupt ends the waiting.
async fn intent(work: &Work) -> Result<Intent, Outcome> {
    let (since, mut pause) = (Instant::now(), BACK_OFF);
    loop {
        let fault = match work.intent().await {
            Ok(intent) => return Ok(intent),
            Err(fault) if is_transient(&fault) && since.elapsed() < TTL => fault,
            Err(fault) => return Err(Outcome::Lost(fault)),
        };
        tracing::warn!(cluster.id = %work.cluster, error = chain(&fault), "the store is away, asking again");
        tokio::select! {
            () = work.interrupt.cancelled() => return Err(Outcome::Stopped),
            () = tokio::time::sleep(pause) => {}
        }
        pause = (pause * 2).min(LONGEST_BACK_OFF);
    }
}

/// Whether the same may succeed here a little later.
fn is_transient(fault: &Fault) -> bool {
    fault.class().retry == Retry::Later
}

/// Passes until the cluster is ready, cannot become so, or its deadline has passed.
pub(crate) async fn forward(work: &Work) -> Outcome {
    let mut pause = BACK_OFF;
    let mut failures = Failures::default();
    loop {
        let intent = match intent(work).await {
            Ok(intent) => intent,
            Err(ended) => return ended,
        };
        if intent.cluster.phase == ClusterPhase::Deleting {
            return Outcome::Stopped;
        }
        let left = intent.cluster.deadline.since(work.coordinator.now());
        match work.pass_within(&intent, left).await {
            Ok(PassOutcome::Through(WaitOutcome::Ready)) => return Outcome::Ready,
            Ok(PassOutcome::Through(WaitOutcome::Stalled)) => {
                failures = Failures::default();
                pause = BACK_OFF;
            }
            Ok(PassOutcome::Through(WaitOutcome::Refused { daemon, reason })) => {
                return failed(work, format!("{daemon} does not start: {reason}")).await;
            }
            Ok(PassOutcome::Through(WaitOutcome::Ended { node, host, how })) => {
                return failed(work, format!("{node} on {host} ends when it is started: {how}")).await;
            }
            Ok(PassOutcome::HostsFailed(met)) => {
                match hosts_failed(work, &intent, met, &mut failures).await {
                    Ok(true) => pause = BACK_OFF,
                    Ok(false) => pause = (pause * 2).min(LONGEST_BACK_OFF),
                    Err(NotRescheduled::Here(cause)) => return failed(work, cause).await,
                    Err(NotRescheduled::Fault(fault)) => return Outcome::Lost(fault),
                }
            }
            Err(Halt::Stopped) if work.interrupt.is_cancelled() => return Outcome::Stopped,
            // What was done could not be written down.
            Err(Halt::Stopped) if work.stop.is_cancelled() => {
                return Outcome::Lost(work.recorder.failure().into());
            }
            Err(Halt::Stopped) => {
                let allowed = intent.cluster.deadline.since(intent.cluster.created);
                let late = format!("not every worker was IDLE within {} s", allowed.as_secs());
                let causes = std::iter::once(late.as_str()).chain(failures.texts());
                return failed(work, causes.collect::<Vec<_>>().join("; ")).await;
            }
            Err(Halt::Fault(fault @ Fault::Store(_))) if !is_transient(&fault) => {
                return Outcome::Lost(fault);
            }
            Err(Halt::Fault(fault)) if is_transient(&fault) && !left.is_zero() => {
                tracing::warn!(cluster.id = %work.cluster, error = chain(&fault), "pass failed, trying again");
                let warning = work.event(&intent, EventLevel::Warn, EventKind::Step, None, chain(&fault));
                work.recorder.event(warning).await;
                pause = (pause * 2).min(LONGEST_BACK_OFF);
            }
            Err(Halt::Fault(fault @ Fault::Cluster(ClusterFault::Apart { .. }))) => {
                return failed_outside(work, &fault).await;
            }
            Err(Halt::Fault(fault)) => return failed(work, chain(&fault)).await,
        }
        tokio::select! {
            () = work.interrupt.cancelled() => return Outcome::Stopped,
            () = tokio::time::sleep(pause) => {}
        }
    }
}

/// Hosts failed in a pass: says so once, and moves the nodes of those beyond patience. True if it did.
async fn hosts_failed(
    work: &Work,
    intent: &Intent,
    met: BTreeMap<HostId, Fault>,
    failures: &mut Failures,
) -> Result<bool, NotRescheduled> {
    let now = work.coordinator.now();
    let silence = |host| {
        let kept = work.coordinator.fleet.present(host);
        kept.map_or(Duration::ZERO, |link| work.patience(host).silent_since(&link).elapsed())
    };
    let texts: BTreeMap<_, _> =
        met.iter().map(|(host, fault)| (*host, (chain(fault), silence(*host)))).collect();
    let hosts = work.members(intent).await?;
    for (host, text) in failures.note(&texts, now) {
        tracing::warn!(cluster.id = %work.cluster, host.id = %host, error = text, "host failed");
        let name = hosts.get(&host).map(|h| &h.name);
        work.recorder.event(work.event(intent, EventLevel::Warn, EventKind::Step, name, text)).await;
    }
    let unfit: BTreeMap<_, _> = met
        .into_iter()
        .filter(|(host, fault)| {
            fault.class().retry == Retry::Elsewhere || failures.beyond(*host, work.patience(*host).limit, now)
        })
        .collect();
    if unfit.is_empty() {
        return Ok(false);
    }
    for (id, fault) in unfit.iter().filter(|(_, fault)| fault.class().blames) {
        if let Some(host) = hosts.get(id) {
            survey::note_failure(&work.coordinator, &mut host.clone(), fault).await?;
        }
    }
    reschedule::reschedule(work, intent, &unfit).await?;
    Ok(true)
}

/// The cause is no matter of the nodes: they are not asked.
async fn failed_outside(work: &Work, fault: &Fault) -> Outcome {
    match work.recorder.flush().await {
        Ok(()) => {
            let (cause, hint) = (chain(fault), fault.hint().ok());
            Outcome::Failed(NotReady { cause, hint, ..NotReady::default() })
        }
        Err(error) => Outcome::Lost(error.into()),
    }
}

async fn failed(work: &Work, cause: String) -> Outcome {
    let asked = async {
        work.recorder.flush().await?;
        let intent = work.intent().await?;
        let (links, _) = work.links(&intent).await?;
        Ok::<_, Fault>(work.diagnose(&intent, &links, cause).await)
    };
    match asked.await {
        Ok(not_ready) => Outcome::Failed(not_ready),
        Err(fault) => Outcome::Lost(fault),
    }
}
