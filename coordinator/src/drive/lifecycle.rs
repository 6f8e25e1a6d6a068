//! Whole commands on clusters: create, delete, and finishing what a dead process left half done.
//!
//! ```text
//! create: finish interrupted ones --> survey --> image --> admit --> forward --ready--> done
//!                                                                      | failed, interrupted
//!                                                                      v
//!                                                    deleting --> backward --> gone (or kept: `failed`)
//! ```
//! A command's work runs in a task of its own, followed or not; an interrupt rolls a create back.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use shoal_storage::{Acquired, Cluster, Conflict, Holder, Resource, StoreError};
use shoal_types::{
    ClusterId, ClusterName, ClusterPhase, ClusterSpec, EventKind, ImageRef, PhaseChange, RealmName, chain,
};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::{
    drive::{
        backward::{self, TAKE_DOWN_TRIES},
        forward::{self, Outcome},
        hosts,
        sweep::remnants,
    },
    edit::admission::{self, CreateTerms, DryRun},
    fleet::{
        coordinator::Coordinator,
        interrupt::Interrupt,
        lease::{Claim, HeldLease, LONGEST_CALL, TTL},
    },
    observe::{
        image,
        survey::{self, Depth, HostObservation},
    },
    pass::{supply::pull, work::Work},
    words::fault::{After, ClusterFault, Fault, ImageFault, NotReady, store},
};

/// How long the owner of a cluster is waited for: by a delete, until it has seen its phase and rolled it back.
const HAND_OVER: Duration = Duration::from_secs(60);
/// How often it looks.
const LOOK: Duration = Duration::from_millis(500);

/// Hosts as they are now; this machine's engine is registered if none is.
pub(crate) async fn hosts_for_work(coordinator: &Coordinator) -> Result<Vec<HostObservation>, Fault> {
    let none = coordinator.store.read().await?.hosts().list().await?.is_empty();
    if none {
        hosts::register_local(coordinator).await?;
    }
    survey::survey(coordinator, Depth::Agent).await
}

/// Where a cluster would go.
pub(crate) async fn dry_run(coordinator: &Coordinator, spec: &ClusterSpec) -> Result<DryRun, Fault> {
    let seen = hosts_for_work(coordinator).await?;
    let image = image::resolve(coordinator, &spec.image, &seen).await?;
    admission::dry_run(coordinator, spec, &seen, &image).await
}

/// Creates a cluster and returns when it is ready; `interrupt` rolls it back. `admitted` is cancelled once what happens
/// to a cluster of this name happens to this one.
pub(crate) async fn create(
    coordinator: &Arc<Coordinator>,
    spec: ClusterSpec,
    terms: CreateTerms,
    interrupt: Interrupt,
    admitted: CancellationToken,
) -> Result<ClusterId, Fault> {
    finish_interrupted(coordinator, &spec.realm, &[], &interrupt).await?;
    // Admission is what decides; but who can know now need not wait for the hosts.
    if coordinator.store.read().await?.clusters().by_name(&spec.realm, &spec.name).await?.is_some() {
        let taken = Conflict::ClusterName { realm: spec.realm, name: spec.name };
        return Err(StoreError::Conflict(taken).into());
    }
    let seen = hosts_for_work(coordinator).await?;
    let image = match image::resolve(coordinator, &spec.image, &seen).await {
        Err(Fault::Image(ImageFault::NotFound { .. })) if ImageRef::of(&spec.image).is_remote => {
            // No cluster has this name: what is told of it from here on is of this one.
            admitted.cancel();
            pull::fetch(coordinator, &spec, &seen, terms.wait, interrupt.token()).await?;
            image::resolve(coordinator, &spec.image, &seen).await?
        }
        known => known?,
    };
    if interrupt.is_cancelled() {
        return Err(Fault::Stopped);
    }
    let cluster = admission::admit(coordinator, &spec, &seen, &image, terms).await?;
    admitted.cancel();
    drop(seen);
    let work = Work::new(coordinator.clone(), cluster.id, cluster.lease, interrupt);
    let outcome = finish(&work, &spec.name, terms.keep_on_failure).await;
    drop(work.lease.release().await);
    outcome.map(|()| cluster.id)
}

/// Deletes a cluster and returns when nothing of it is left. Whoever is bringing it up is told by its phase, and rolls
/// it back.
pub(crate) async fn delete(
    coordinator: &Arc<Coordinator>,
    realm: &RealmName,
    name: &ClusterName,
) -> Result<(), Fault> {
    let started = Instant::now();
    let mut cluster = find_cluster(coordinator, realm, name).await?;
    let lease = loop {
        match acquire(coordinator, &cluster).await {
            Ok((lease, now)) => {
                cluster = now;
                break lease;
            }
            Err(busy @ Fault::Cluster(ClusterFault::Busy { .. })) if started.elapsed() > HAND_OVER => {
                return Err(busy);
            }
            Err(Fault::Cluster(ClusterFault::Busy { .. })) => ask_to_delete(coordinator, &cluster).await?,
            // Its owner has rolled it back.
            Err(Fault::Cluster(ClusterFault::Unknown { .. })) => return Ok(()),
            Err(fault) => return Err(fault),
        }
        tokio::select! {
            () = coordinator.stop.cancelled() => return Err(Fault::Stopped),
            () = tokio::time::sleep(LOOK) => {}
        }
    };
    let work = Work::new(coordinator.clone(), cluster.id, lease, Interrupt::default());
    let outcome = async {
        work.change_phase(PhaseChange::Delete, EventKind::Deleting, "deleting").await?;
        backward::backward(&work, TAKE_DOWN_TRIES).await
    }
    .await;
    if outcome.is_err() {
        drop(work.lease.release().await);
    }
    outcome
}

/// Sets a cluster's phase to `deleting` for its owner to see.
async fn ask_to_delete(coordinator: &Coordinator, cluster: &Cluster) -> Result<(), Fault> {
    let mut tx = coordinator.store.begin().await?;
    let Some(now) = tx.clusters().get(cluster.id).await? else { return Ok(()) };
    if now.phase != ClusterPhase::Deleting {
        tx.clusters().set_phase(now.id, now.phase, ClusterPhase::Deleting, coordinator.now()).await?;
        tx.commit().await?;
    }
    Ok(())
}

/// Finishes what processes that died left in a realm: forward while there is time, else backward. `except` are those
/// the caller is about to take away.
pub(crate) async fn finish_interrupted(
    coordinator: &Arc<Coordinator>,
    realm: &RealmName,
    except: &[ClusterName],
    interrupt: &Interrupt,
) -> Result<(), Fault> {
    let clusters = coordinator.store.read().await?.clusters().in_realm(realm).await?;
    for listed in clusters.into_iter().filter(|c| !except.contains(&c.spec.name)) {
        finish_one(coordinator, &listed, interrupt).await?;
    }
    clear_what_was_left(coordinator).await;
    Ok(())
}

/// Finishes a cluster that was listed, if it is half made or half gone and nobody works on it.
///
/// # Errors
/// The store's, and that of an interrupt. Others are logged.
pub(crate) async fn finish_one(
    coordinator: &Arc<Coordinator>,
    listed: &Cluster,
    interrupt: &Interrupt,
) -> Result<(), Fault> {
    match listed.phase {
        ClusterPhase::Ready | ClusterPhase::Failed => return Ok(()),
        ClusterPhase::Creating | ClusterPhase::Deleting => {}
    }
    // What was listed may be long past: what counts is what the row says under the lease.
    let (lease, cluster) = match acquire(coordinator, listed).await {
        Ok(owned) => owned,
        // Its owner lives, or has finished it.
        Err(Fault::Cluster(ClusterFault::Busy { .. } | ClusterFault::Unknown { .. })) => return Ok(()),
        Err(fault) => return Err(fault),
    };
    let work = Work::new(coordinator.clone(), cluster.id, lease, interrupt.clone());
    let name = &cluster.spec.name;
    let outcome = match cluster.phase {
        ClusterPhase::Ready | ClusterPhase::Failed => Ok(()),
        // Its hosts are asked once: what keeps it may last, and the command is about something else.
        ClusterPhase::Deleting => backward::backward(&work, 1).await,
        ClusterPhase::Creating => finish(&work, name, cluster.keep_on_failure).await,
    };
    drop(work.lease.release().await);
    match outcome {
        Ok(()) => tracing::info!(cluster.name = %name, "finished what was interrupted"),
        Err(
            fault @ Fault::Cluster(
                ClusterFault::Interrupted { .. }
                | ClusterFault::Unfinished { .. }
                | ClusterFault::Left { .. },
            ),
        ) if interrupt.is_cancelled() => return Err(fault),
        // It is not what was asked for; the events say it, and the next command tries again.
        Err(fault) => {
            tracing::warn!(cluster.name = %name, error = chain(&fault), "interrupted work could not be finished");
        }
    }
    Ok(())
}

/// Clears the remnants on hosts that answer by now. A failure is logged, and the next command tries again: the user asked for
/// something else.
pub(crate) async fn clear_what_was_left(coordinator: &Coordinator) {
    let cleared = async {
        let mut read = coordinator.store.read().await?;
        let left: BTreeSet<_> = read.remnants().list().await?.iter().map(|r| r.what.host).collect();
        let mut hosts = read.hosts().list().await?;
        drop(read);
        hosts.retain(|host| left.contains(&host.id));
        if hosts.is_empty() {
            return Ok(());
        }
        let seen = survey::survey_of(coordinator, hosts, Depth::Engine).await?;
        remnants::clear_remnants(coordinator, &seen).await.map(drop)
    };
    if let Err(fault) = cleared.await {
        let fault: Fault = fault;
        tracing::warn!(error = chain(&fault), "what was left on hosts stays for now");
    }
}

/// The cluster of this name.
pub(crate) async fn find_cluster(
    coordinator: &Coordinator,
    realm: &RealmName,
    name: &ClusterName,
) -> Result<Cluster, Fault> {
    let cluster = coordinator.store.read().await?.clusters().by_name(realm, name).await?;
    cluster.ok_or_else(|| Fault::Cluster(ClusterFault::Unknown { realm: realm.clone(), name: name.clone() }))
}

/// Takes the cluster's lease, at once if its holder no longer lives, and reads the cluster under it.
pub(crate) async fn acquire(
    coordinator: &Coordinator,
    cluster: &Cluster,
) -> Result<(Arc<HeldLease>, Cluster), Fault> {
    let spec = &cluster.spec;
    let busy = |holder: String| Fault::Cluster(ClusterFault::Busy { cluster: spec.name.clone(), holder });
    let claim = Claim::on(coordinator, cluster.id).ok_or_else(|| busy("this process".into()))?;
    let mut tx = coordinator.store.begin().await?;
    let gone =
        || Fault::Cluster(ClusterFault::Unknown { realm: spec.realm.clone(), name: spec.name.clone() });
    let now = tx.clusters().get(cluster.id).await?.ok_or_else(gone)?;
    let resource = Resource::cluster(cluster.id);
    let before = tx.leases().get(&resource).await?;
    // Calls in flight outlive an unreleased lease by at most LONGEST_CALL.
    let now_at = coordinator.now();
    let inherited = before.is_some_and(|b| !b.is_released() && now_at < b.until.after(LONGEST_CALL));
    match tx.leases().acquire(&resource, &coordinator.holder, now_at, TTL, Holder::lives).await? {
        Acquired::Granted(lease) => {
            tx.commit().await?;
            Ok((HeldLease::keep(coordinator, lease, Some(claim), inherited), now))
        }
        Acquired::Held(lease) => Err(busy(format!("process {} ({})", lease.holder.pid, lease.holder.id))),
    }
}

/// The lease of a cluster, as soon as who has it gives it back.
pub(crate) async fn acquire_in_turn(
    coordinator: &Coordinator,
    cluster: &Cluster,
    interrupt: &CancellationToken,
) -> Result<(Arc<HeldLease>, Cluster), Fault> {
    let began = Instant::now();
    loop {
        match acquire(coordinator, cluster).await {
            Err(Fault::Cluster(ClusterFault::Busy { .. })) if began.elapsed() < HAND_OVER => {}
            acquired => return acquired,
        }
        tokio::select! {
            () = interrupt.cancelled() => return Err(Fault::Stopped),
            () = tokio::time::sleep(LOOK) => {}
        }
    }
}

/// Brings a cluster forward; one that fails or is interrupted is taken back, unless it is to be kept.
async fn finish(work: &Work, name: &ClusterName, keep: bool) -> Result<(), Fault> {
    match forward::forward(work).await {
        Outcome::Ready => match work.change_phase(PhaseChange::Settled, EventKind::Phase, "ready").await {
            // Deleted by another process while the last node became idle.
            Err(Fault::Cluster(ClusterFault::Phase { .. })) => take_back(work, name).await,
            settled => settled,
        },
        Outcome::Lost(fault) => Err(fault),
        Outcome::Stopped if work.interrupt.leaves() => {
            work.recorder.flush().await?;
            Err(ClusterFault::Left { cluster: name.clone() }.into())
        }
        Outcome::Stopped => take_back(work, name).await,
        Outcome::Failed(source) if keep => {
            note_failure(work, &source).await?;
            work.change_phase(PhaseChange::Kept, EventKind::Phase, "failed: kept for inspection").await?;
            Err(Fault::Cluster(ClusterFault::NotReady {
                cluster: name.clone(),
                source: source.into(),
                after: After::Kept,
            }))
        }
        Outcome::Failed(source) => {
            note_failure(work, &source).await?;
            let text = format!("failed: rolling back: {}", source.brief());
            work.change_phase(PhaseChange::Delete, EventKind::RollingBack, &text).await?;
            let after = match backward::backward(work, TAKE_DOWN_TRIES).await {
                Ok(()) => After::Removed,
                Err(left @ Fault::Cluster(ClusterFault::LeftBehind { .. })) => {
                    After::LeftBehind(chain(&left))
                }
                Err(fault) => return Err(fault),
            };
            Err(Fault::Cluster(ClusterFault::NotReady {
                cluster: name.clone(),
                source: source.into(),
                after,
            }))
        }
    }
}

/// Takes back a cluster that somebody no longer wants. Without a store nothing can be taken back: the next command does.
async fn take_back(work: &Work, name: &ClusterName) -> Result<(), Fault> {
    let back = async {
        work.change_phase(PhaseChange::Delete, EventKind::RollingBack, "interrupted: rolling back").await?;
        backward::backward(work, TAKE_DOWN_TRIES).await
    };
    match back.await {
        Ok(()) => Err(ClusterFault::Interrupted { cluster: name.clone() }.into()),
        Err(Fault::Store(source)) if store::is_away(&source) => {
            Err(ClusterFault::Unfinished { cluster: name.clone(), source }.into())
        }
        Err(fault) => Err(fault),
    }
}

async fn note_failure(work: &Work, why: &NotReady) -> Result<(), Fault> {
    let mut tx = work.lease.begin().await?;
    tx.clusters().set_failure(work.cluster, Some(&why.to_string()), work.coordinator.now()).await?;
    Ok(tx.commit().await?)
}
