//! One coordinator: the store, the hosts it reaches, and the work it has under way.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
    sync::{Arc, Mutex},
    time::Duration,
};

use shoal_storage::{Holder, Rng, Store};
use shoal_types::{Clock, ClusterId, HostId, Timestamp};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{
    fleet::{Binaries, Connect, Fleet},
    words::{entropy::Entropy, naming::Naming},
};

/// How long the work under way may take to roll back when everything is to stop.
const SOFT_STOP: Duration = Duration::from_secs(300);

/// What a coordinator works with besides its store.
#[derive(Debug)]
pub struct Surroundings {
    /// What time it is.
    pub clock: Arc<dyn Clock>,
    /// Where ids, seeds and nonces come from.
    pub entropy: Arc<dyn Entropy>,
    /// How engines are reached.
    pub connect: Arc<dyn Connect>,
    /// Executables of the agent, architecture in Docker's words (`aarch64`) -> path; for this machine's own architecture
    /// instead of this process's executable.
    pub agent_binaries: BTreeMap<String, PathBuf>,
    /// Whose leases are taken.
    pub holder: Holder,
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
    /// Clusters somebody in this process works on: a lease tells processes apart, not the tasks of one.
    pub(crate) owned: Arc<Mutex<BTreeSet<ClusterId>>>,
    /// Images that tasks of this process are bringing to hosts.
    pub(crate) arrivals: Arrivals,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
}

/// Images that tasks of this process are bringing to hosts.
pub(crate) type Arrivals = Arc<Mutex<BTreeSet<(HostId, String)>>>;

impl Coordinator {
    pub(crate) fn new(store: Store, with: Surroundings) -> Arc<Self> {
        let naming = Naming::new(store.installation().clone());
        Arc::new(Self {
            fleet: Fleet::new(naming.clone(), with.connect, Binaries::new(&with.agent_binaries)),
            naming,
            store,
            holder: with.holder,
            tasks: TaskTracker::new(),
            stop: CancellationToken::new(),
            owned: Arc::default(),
            arrivals: Arrivals::default(),
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
