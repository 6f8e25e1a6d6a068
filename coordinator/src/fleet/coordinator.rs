//! One coordinator: the store, the hosts it reaches, and the work it has under way.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
    sync::{Arc, Mutex},
    time::Duration,
};

use shoal_storage::{Holder, Rng, Store};
use shoal_types::{Clock, ClusterId, HostId, SchedulerAddress, Timestamp};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{
    fleet::{Binaries, Connect, Fleet, interrupt::Interrupt},
    words::{entropy::Entropy, naming::Naming},
};

/// How long the work under way may take to roll back when everything is to stop.
const SOFT_STOP: Duration = Duration::from_secs(300);
/// How long calls that are on their way to hosts, and the removals of a delete, are waited for when they are left to the next
/// process: shorter than a service manager waits (systemd: 90 s).
const LEAVING: Duration = Duration::from_secs(30);

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

/// What a server says of itself, and what its operator allows those who come from elsewhere.
#[derive(Debug, Clone, Default)]
pub(crate) struct Serves {
    /// Where the store is; empty if it is served to nobody.
    pub(crate) store: String,
    /// Where users elsewhere reach it, `HOST:PORT`.
    pub(crate) addresses: Vec<String>,
    /// Programs that may place their clusters.
    pub(crate) schedulers: Vec<SchedulerAddress>,
}

/// A coordinator; shared by its services and its tasks.
#[derive(Debug)]
pub(crate) struct Coordinator {
    pub(crate) store: Store,
    pub(crate) naming: Naming,
    pub(crate) fleet: Fleet,
    pub(crate) holder: Holder,
    /// What is told of it, and allowed to, others that it serves.
    pub(crate) serves: Serves,
    /// Every task is spawned here and ends before the coordinator does.
    pub(crate) tasks: TaskTracker,
    /// No further step is begun once this is cancelled.
    pub(crate) stop: CancellationToken,
    /// That of all work: its end cancels `stop`.
    interrupt: Interrupt,
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
        Self::serving(store, with, Serves::default())
    }

    /// One for the commands of others.
    pub(crate) fn serving(store: Store, with: Surroundings, serves: Serves) -> Arc<Self> {
        let naming = Naming::new(store.installation().clone());
        let interrupt = Interrupt::default();
        Arc::new(Self {
            fleet: Fleet::new(naming.clone(), with.connect, Binaries::new(&with.agent_binaries)),
            naming,
            store,
            serves,
            holder: with.holder,
            tasks: TaskTracker::new(),
            stop: interrupt.token().clone(),
            interrupt,
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

    /// An interrupt of one piece of work.
    pub(crate) fn interrupt(&self) -> Interrupt {
        self.interrupt.child()
    }

    /// Interrupts what is under way, waits for it to roll back, and closes the store.
    pub(crate) async fn shutdown(&self) {
        self.interrupt.ask();
        self.end_within(SOFT_STOP).await;
    }

    /// Begins nothing more, waits for what is under way to come to where it can be left, and closes the store.
    pub(crate) async fn leave(&self) {
        self.interrupt.leave();
        self.end_within(LEAVING).await;
    }

    async fn end_within(&self, limit: Duration) {
        self.tasks.close();
        if tokio::time::timeout(limit, self.tasks.wait()).await.is_err() {
            tracing::warn!(
                tasks = self.tasks.len(),
                "work under way did not end in time and is left to the next command"
            );
        }
        self.store.close().await;
    }
}
