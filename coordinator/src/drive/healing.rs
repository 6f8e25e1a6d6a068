//! How a cluster heals by itself, changed: an edit of intent, which takes no lease. Upkeep goes by it from its next look on.

use shoal_api::Healing as Told;
use shoal_types::{ClusterName, ClusterPhase, EventKind, EventLevel, HealingChange, NewEvent, RealmName};

use crate::{
    fleet::coordinator::Coordinator,
    words::fault::{ClusterFault, Fault},
};

/// Changes it.
pub(crate) async fn set_healing(
    coordinator: &Coordinator,
    realm: &RealmName,
    name: &ClusterName,
    change: HealingChange,
) -> Result<(), Fault> {
    let mut tx = coordinator.store.begin().await?;
    let cluster = tx.clusters().by_name(realm, name).await?;
    let cluster =
        cluster.ok_or_else(|| ClusterFault::Unknown { realm: realm.clone(), name: name.clone() })?;
    match cluster.phase {
        ClusterPhase::Creating | ClusterPhase::Ready | ClusterPhase::Failed => {}
        ClusterPhase::Deleting => return Err(ClusterFault::Going { cluster: name.clone() }.into()),
    }
    let healing = change.of(cluster.healing);
    if healing == cluster.healing {
        return Ok(());
    }
    let at = coordinator.now();
    tx.clusters().set_healing(cluster.id, healing, at).await?;
    let message = format!("healing is {}", Told::from(healing));
    let event = NewEvent::new(at, EventLevel::Info, EventKind::Step, message).of(realm, name);
    tx.events().append(&event).await?;
    Ok(tx.commit().await?)
}
