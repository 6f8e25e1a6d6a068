//! What one server does for all of them: healing, and what is due now and then.
//!
//! ```text
//! nobody's, or its holder ended: taken --> ours, renewed --> given up: at the end, or where this server reaches no hosts
//! ```
//! A lease by name. Clusters need none of it: each is looked at by every server, and mended under its own lease.

use std::sync::Arc;

use shoal_storage::{Acquired, Holder, Resource, StoreError};
use shoal_types::chain;
use tokio::sync::Mutex;

use crate::fleet::{
    coordinator::Coordinator,
    lease::{HeldLease, LONGEST_CALL, TTL, is_owned},
};

/// What it is called in the store.
const NAME: &str = "upkeep";

/// The duty of one server, while it has it.
#[derive(Debug, Default)]
pub(super) struct Duty(Mutex<Option<Arc<HeldLease>>>);

impl Duty {
    /// Whether it is this server's; it is taken if it is nobody's. Without a store it is not.
    pub(super) async fn is_ours(&self, coordinator: &Coordinator) -> bool {
        let mut held = self.0.lock().await;
        if let Some(lease) = &*held {
            match lease.covers(LONGEST_CALL).await {
                Ok(()) => return true,
                Err(error @ StoreError::LeaseLost { .. }) => {
                    tracing::warn!(error = chain(&error), "another server does what one does for all");
                    *held = None;
                }
                Err(error) => {
                    tracing::warn!(error = chain(&error), "the store cannot be used; trying again");
                    return false;
                }
            }
        }
        match take(coordinator).await {
            Ok(taken) => *held = taken,
            Err(error) => tracing::warn!(error = chain(&error), "the store cannot be used; trying again"),
        }
        held.is_some()
    }

    /// Gives it up, if it is this server's.
    pub(super) async fn give_up(&self) {
        if let Some(lease) = self.0.lock().await.take() {
            drop(lease.release().await);
        }
    }
}

async fn take(coordinator: &Coordinator) -> Result<Option<Arc<HeldLease>>, StoreError> {
    let resource = Resource::task(NAME);
    let now = coordinator.store.read().await?.leases().get(&resource).await?;
    // An earlier one of our own is in nobody's way.
    let now = now.filter(|lease| lease.holder.id != coordinator.holder.id);
    if is_owned(coordinator, now.as_ref()) {
        return Ok(None);
    }
    let mut tx = coordinator.store.begin().await?;
    match tx.leases().acquire(&resource, &coordinator.holder, coordinator.now(), TTL, Holder::lives).await? {
        Acquired::Granted(lease) => {
            tx.commit().await?;
            Ok(Some(HeldLease::keep(coordinator, lease, None, false)))
        }
        Acquired::Held(_) => Ok(None),
    }
}
