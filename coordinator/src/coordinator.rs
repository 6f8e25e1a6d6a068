//! One coordinator: the store, the hosts it reaches, and the work it has under way.

use std::{sync::Arc, time::Duration};

use shoal_storage::{Holder, Rng, Store};
use shoal_types::{Clock, Timestamp};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{
    entropy::Entropy,
    fleet::{Binaries, Connect, Fleet},
    naming::Naming,
};

/// How long the work under way may take to roll back when everything is to stop.
const SOFT_STOP: Duration = Duration::from_secs(300);

/// What a coordinator works with besides its store.
#[derive(Debug)]
pub(crate) struct Surroundings {
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) entropy: Arc<dyn Entropy>,
    pub(crate) connect: Arc<dyn Connect>,
    pub(crate) binaries: Binaries,
    pub(crate) holder: Holder,
}

/// A coordinator; shared by its services and its tasks.
#[derive(Debug)]
pub(crate) struct Coordinator {
    pub(crate) store: Store,
    pub(crate) naming: Naming,
    pub(crate) fleet: Fleet,
    pub(crate) holder: Holder,
    /// Every task is spawned here and ends before the coordinator does.
    pub(crate) tasks: TaskTracker,
    /// Interrupts what is under way: creates roll back.
    pub(crate) stop: CancellationToken,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
}

impl Coordinator {
    pub(crate) fn new(store: Store, with: Surroundings) -> Arc<Self> {
        let naming = Naming::new(store.installation().clone());
        Arc::new(Self {
            fleet: Fleet::new(naming.clone(), with.connect, with.binaries),
            naming,
            store,
            holder: with.holder,
            tasks: TaskTracker::new(),
            stop: CancellationToken::new(),
            clock: with.clock,
            entropy: with.entropy,
        })
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    pub(crate) fn clock(&self) -> Arc<dyn Clock> {
        self.clock.clone()
    }

    pub(crate) fn rng(&self) -> Box<Rng> {
        self.entropy.rng()
    }

    /// Interrupts what is under way, waits for it to roll back, and closes the store.
    pub(crate) async fn shutdown(&self) {
        self.stop.cancel();
        self.tasks.close();
        if tokio::time::timeout(SOFT_STOP, self.tasks.wait()).await.is_err() {
            tracing::warn!(
                tasks = self.tasks.len(),
                "work under way did not end in time and is left to the next command"
            );
        }
        self.store.close().await;
    }
}
