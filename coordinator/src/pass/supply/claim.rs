//! The claim to bring an image to a host: one task of one process at a time.
//!
//! A lease row tells processes apart, a set in memory the tasks of one. Losing the lease costs a second copy of the same
//! content at worst, so nothing is fenced by it.

use std::sync::{Arc, PoisonError};

use shoal_storage::{Acquired, Holder, Lease, Resource};
use shoal_types::HostId;

use crate::{
    fleet::{coordinator::Coordinator, lease::TTL},
    words::fault::Fault,
};

/// The right to bring an image to a host.
#[derive(Debug)]
pub(super) struct Claim {
    coordinator: Arc<Coordinator>,
    lease: Lease,
    key: (HostId, String),
}

impl Claim {
    /// `None`: somebody else does.
    pub(super) async fn on(
        coordinator: &Arc<Coordinator>,
        host: HostId,
        image_id: &str,
    ) -> Result<Option<Self>, Fault> {
        let key = (host, image_id.to_owned());
        if !coordinator.arrivals.lock().unwrap_or_else(PoisonError::into_inner).insert(key.clone()) {
            return Ok(None);
        }
        let asked = async {
            let mut tx = coordinator.store.begin().await?;
            let resource = Resource::image(host, image_id);
            let now = coordinator.now();
            let acquired =
                tx.leases().acquire(&resource, &coordinator.holder, now, TTL, Holder::lives).await?;
            tx.commit().await?;
            Ok::<_, Fault>(acquired)
        };
        let asked = asked.await;
        if let Ok(Acquired::Granted(lease)) = asked {
            return Ok(Some(Self { coordinator: coordinator.clone(), lease, key }));
        }
        coordinator.arrivals.lock().unwrap_or_else(PoisonError::into_inner).remove(&key);
        asked.map(|_| None)
    }

    /// Keeps it for longer.
    pub(super) async fn renew(&self) {
        let renewed = async {
            let mut tx = self.coordinator.store.begin().await?;
            tx.leases().renew(&self.lease, self.coordinator.now(), TTL).await?;
            tx.commit().await
        };
        if let Err(error) = renewed.await {
            tracing::warn!(lease.resource = %self.lease.resource, %error, "lease could not be renewed");
        }
    }

    /// Gives it back; one that is not given back runs out.
    pub(super) async fn release(self) {
        let released = async {
            let mut tx = self.coordinator.store.begin().await?;
            tx.leases().release(&self.lease).await?;
            tx.commit().await
        };
        if let Err(error) = released.await {
            tracing::warn!(lease.resource = %self.lease.resource, %error, "lease could not be given back");
        }
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        self.coordinator.arrivals.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.key);
    }
}
