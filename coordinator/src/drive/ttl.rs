//! The end of a cluster that was made for a while: changed, told before, and carried out.
//!
//! ```text
//! admitted or changed --> told: a warning --> over: deleted, under the cluster's lease
//! ```
//! Only servers tell and delete. A cluster that somebody works on is deleted once they are done; one that is still being created becomes
//! ready, or not, first.

use std::sync::Arc;

use shoal_storage::{Cluster, StoreError};
use shoal_types::{
    ClusterName, ClusterPhase, EventKind, EventLevel, NewEvent, PhaseChange, RealmName, Timestamp, Ttl,
};

use crate::{
    drive::{backward, lifecycle::acquire},
    fleet::coordinator::Coordinator,
    pass::work::Work,
    words::fault::{ClusterFault, Fault},
};

/// Gives a cluster so long from now on; `None`: it stays.
pub(crate) async fn set_ttl(
    coordinator: &Coordinator,
    realm: &RealmName,
    name: &ClusterName,
    ttl: Option<Ttl>,
) -> Result<(), Fault> {
    let mut tx = coordinator.store.begin().await?;
    let cluster = tx.clusters().by_name(realm, name).await?;
    let cluster =
        cluster.ok_or_else(|| ClusterFault::Unknown { realm: realm.clone(), name: name.clone() })?;
    match cluster.phase {
        ClusterPhase::Creating | ClusterPhase::Ready | ClusterPhase::Failed => {}
        ClusterPhase::Deleting => return Err(ClusterFault::Going { cluster: name.clone() }.into()),
    }
    let now = coordinator.now();
    let expiry = ttl.map(|ttl| ttl.ends(now));
    if expiry.is_none() && cluster.expiry.is_none() {
        return Ok(());
    }
    tx.clusters().set_expiry(cluster.id, expiry, now).await?;
    let message = match expiry {
        Some(expiry) => format!("it will be deleted in {}", minutes(expiry.at, now)),
        None => "it stays until somebody deletes it".to_owned(),
    };
    let event = NewEvent::new(now, EventLevel::Info, EventKind::Step, message).of(realm, name);
    tx.events().append(&event).await?;
    Ok(tx.commit().await?)
}

/// Tells that a cluster will be deleted, once, if it is time to.
pub(crate) async fn tell(coordinator: &Coordinator, cluster: &Cluster) -> Result<(), StoreError> {
    let now = coordinator.now();
    let is_due = |cluster: &Cluster| {
        let told = cluster.expiry.and_then(|expiry| expiry.told);
        cluster.phase != ClusterPhase::Deleting && told.is_some_and(|told| told <= now)
    };
    if !is_due(cluster) {
        return Ok(());
    }
    let mut tx = coordinator.store.begin().await?;
    // Another server may have been first.
    let Some(cluster) = tx.clusters().get(cluster.id).await?.filter(is_due) else { return Ok(()) };
    let Some(expiry) = cluster.expiry else { return Ok(()) };
    tx.clusters().set_expiry(cluster.id, Some(shoal_types::Expiry { told: None, ..expiry }), now).await?;
    let name = &cluster.spec.name;
    let left = minutes(expiry.at, now);
    let message = format!(
        "it will be deleted in {left}: its time to live ends; `shoal set cluster {name} --ttl DURATION` gives it more"
    );
    let event = NewEvent::new(now, EventLevel::Warn, EventKind::Step, message).of(&cluster.spec.realm, name);
    tx.events().append(&event).await?;
    tx.commit().await
}

/// Whether a cluster is to be deleted by now.
pub(crate) fn is_over(cluster: &Cluster, now: Timestamp) -> bool {
    cluster.expiry.is_some_and(|expiry| expiry.at <= now)
}

/// Deletes a cluster whose time is over.
///
/// # Errors
/// [`ClusterFault::LeftBehind`]: not everything of it could be removed; the next look goes on.
pub(crate) async fn expire(coordinator: &Arc<Coordinator>, listed: &Cluster) -> Result<(), Fault> {
    let (lease, cluster) = match acquire(coordinator, listed).await {
        Err(Fault::Cluster(ClusterFault::Busy { .. } | ClusterFault::Unknown { .. })) => return Ok(()),
        owned => owned?,
    };
    let work = Work::new(coordinator.clone(), cluster.id, lease, coordinator.interrupt());
    let outcome = async {
        let may_go = matches!(cluster.phase, ClusterPhase::Ready | ClusterPhase::Failed);
        // Under the lease: somebody may have given it more.
        if !may_go || !is_over(&cluster, coordinator.now()) {
            return Ok(());
        }
        let why = "its time to live is over: deleting";
        work.change_phase(PhaseChange::Delete, EventKind::Deleting, why).await?;
        backward::backward(&work, 1).await
    }
    .await;
    drop(work.lease.release().await);
    outcome
}

/// How long until then, for people: in minutes, at least one.
fn minutes(at: Timestamp, now: Timestamp) -> String {
    match at.since(now).as_secs().div_ceil(60).max(1) {
        1 => "1 minute".into(),
        minutes if minutes % 1440 == 0 => format!("{} d", minutes / 1440),
        minutes if minutes % 60 == 0 => format!("{} h", minutes / 60),
        minutes => format!("{minutes} minutes"),
    }
}
