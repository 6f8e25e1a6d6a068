//! A lease held while work is under way: renewed in the background, asked before every call to a host.
//!
//! No call begins unless the lease outlasts it, so that a call in flight never meets a second owner's.

use std::{
    collections::BTreeSet,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use shoal_storage::{Holder, Lease, OwnerTransaction, Store, StoreError};
use shoal_types::{Clock, ClusterId, Timestamp};
use tokio_util::sync::CancellationToken;

use crate::fleet::coordinator::Coordinator;

/// How long a lease lasts: longer than any call but a transfer, which changes nothing a second owner could trip over.
pub(crate) const TTL: Duration = Duration::from_secs(90);
/// The longest a call to an engine that changes something takes: starting a container.
pub(crate) const LONGEST_CALL: Duration = Duration::from_secs(60);
/// How often it is renewed: two renewals may fail before the longest call has to wait.
const RENEW: Duration = Duration::from_secs(10);

/// The right of one task of this process to work on a cluster.
#[derive(Debug)]
pub(crate) struct Claim {
    cluster: ClusterId,
    owned: Arc<Mutex<BTreeSet<ClusterId>>>,
}

impl Claim {
    /// `None`: another task of this process works on it.
    pub(crate) fn on(coordinator: &Coordinator, cluster: ClusterId) -> Option<Self> {
        let owned = coordinator.owned.clone();
        let first = owned.lock().unwrap_or_else(PoisonError::into_inner).insert(cluster);
        first.then_some(Self { cluster, owned })
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        self.owned.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.cluster);
    }
}

/// Who holds a lease.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Owner<'a> {
    /// Nobody: it was given back, or has expired.
    Nobody,
    /// A process that lives, or one of another machine.
    Lives(&'a Lease),
    /// A process of this machine that has ended. Its calls may land on hosts until the lease expires.
    Ended(&'a Holder),
}

/// Who holds this lease now.
pub(crate) fn owner<'a>(coordinator: &Coordinator, lease: Option<&'a Lease>) -> Owner<'a> {
    match lease.filter(|lease| lease.runs_at(coordinator.now())) {
        None => Owner::Nobody,
        Some(lease) => match lease.holder.boot_id == coordinator.holder.boot_id && !lease.holder.lives() {
            true => Owner::Ended(&lease.holder),
            false => Owner::Lives(lease),
        },
    }
}

/// Whether the holder of a cluster's lease is at work.
pub(crate) fn is_owned(coordinator: &Coordinator, lease: Option<&Lease>) -> bool {
    matches!(owner(coordinator, lease), Owner::Lives(_))
}

/// A lease of this process.
#[derive(Debug)]
pub(crate) struct HeldLease {
    lease: Lease,
    store: Store,
    clock: Arc<dyn Clock>,
    until: AtomicU64,
    /// Taken over from a holder that did not give it back: its calls may still be on their way to hosts.
    pub(crate) inherited: bool,
    /// Renewing and giving back do not overtake one another.
    turn: tokio::sync::Mutex<()>,
    /// Cancelled when the lease is lost or given back.
    over: CancellationToken,
    claim: Mutex<Option<Claim>>,
}

impl HeldLease {
    /// Keeps a lease just granted; its renewal runs until it is dropped or lost. `claim`: if it is a cluster's.
    pub(crate) fn keep(
        coordinator: &Coordinator,
        lease: Lease,
        claim: Option<Claim>,
        inherited: bool,
    ) -> Arc<Self> {
        let held = Arc::new(Self {
            until: AtomicU64::new(lease.until.0),
            lease,
            store: coordinator.store.clone(),
            clock: coordinator.clock(),
            inherited,
            turn: tokio::sync::Mutex::new(()),
            over: CancellationToken::new(),
            claim: Mutex::new(claim),
        });
        coordinator.tasks.spawn(renew(Arc::downgrade(&held), held.over.clone()));
        held
    }

    /// A transaction that may record what was done.
    ///
    /// # Errors
    /// [`StoreError::LeaseLost`]: another process took over; nothing may be undone by this one.
    pub(crate) async fn begin(&self) -> Result<OwnerTransaction, StoreError> {
        self.store.begin().await?.guard(&self.lease).await
    }

    /// Returns once the lease lasts longer than a call of this length, or is lost.
    ///
    /// # Errors
    /// [`StoreError::LeaseLost`].
    pub(crate) async fn covers(&self, call: Duration) -> Result<(), StoreError> {
        loop {
            if self.over.is_cancelled() {
                let (resource, epoch) = (self.lease.resource.clone(), self.lease.epoch);
                return Err(StoreError::LeaseLost { resource, epoch });
            }
            let until = Timestamp(self.until.load(Ordering::Acquire));
            if until > self.clock.now().after(call) {
                return Ok(());
            }
            self.renew_once().await?;
        }
    }

    /// Whether the store still has this process as the holder: what a call that cannot be taken back asks first.
    ///
    /// # Errors
    /// [`StoreError::LeaseLost`]: it has not.
    pub(crate) async fn confirm(&self) -> Result<(), StoreError> {
        let (resource, epoch) = (self.lease.resource.clone(), self.lease.epoch);
        let stored = self.store.read().await?.leases().get(&resource).await?;
        match stored {
            Some(lease) if lease.epoch == epoch => Ok(()),
            Some(_) | None => Err(StoreError::LeaseLost { resource, epoch }),
        }
    }

    /// Gives the lease back, so that the next command need not wait for it to run out.
    pub(crate) async fn release(&self) -> Result<(), StoreError> {
        self.over.cancel();
        let _turn = self.turn.lock().await;
        let released = async {
            let mut tx = self.store.begin().await?;
            tx.leases().release(&self.lease).await?;
            tx.commit().await
        };
        let released = released.await;
        drop(self.claim.lock().unwrap_or_else(PoisonError::into_inner).take());
        released
    }

    async fn renew_once(&self) -> Result<(), StoreError> {
        let _turn = self.turn.lock().await;
        if self.over.is_cancelled() {
            let (resource, epoch) = (self.lease.resource.clone(), self.lease.epoch);
            return Err(StoreError::LeaseLost { resource, epoch });
        }
        let renewed = async {
            let mut tx = self.store.begin().await?;
            let renewed = tx.leases().renew(&self.lease, self.clock.now(), TTL).await?;
            tx.commit().await?;
            Ok(renewed.until)
        };
        match renewed.await {
            Ok(until) => {
                self.until.store(until.0, Ordering::Release);
                Ok(())
            }
            Err(lost @ StoreError::LeaseLost { .. }) => {
                self.over.cancel();
                Err(lost)
            }
            Err(error) => Err(error),
        }
    }
}

impl Drop for HeldLease {
    fn drop(&mut self) {
        self.over.cancel();
    }
}

async fn renew(held: std::sync::Weak<HeldLease>, over: CancellationToken) {
    loop {
        tokio::select! {
            () = over.cancelled() => return,
            () = tokio::time::sleep(RENEW) => {}
        }
        let Some(held) = held.upgrade().filter(|held| !held.over.is_cancelled()) else { return };
        if let Err(error) = held.renew_once().await {
            tracing::warn!(lease.resource = %held.lease.resource, %error, "lease could not be renewed");
        }
    }
}
