//! The work on one cluster: its owner's lease, where it records, and the words for its events.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::Ipv4Addr,
    sync::Arc,
    time::Duration,
};

use futures_util::{StreamExt, future::BoxFuture};
use shoal_docker::{CallClass, EngineError};
use shoal_storage::{Host, Node, NodeReport, StoreError};
use shoal_types::{ClusterId, EventKind, EventLevel, HostId, HostName, NewEvent, NodeState};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::{
    fleet::{HostLink, coordinator::Coordinator, interrupt::Interrupt, lease::HeldLease, liveness::Patience},
    observe::{intent::Intent, survey::underlay},
    pass::{
        effects::Effects,
        failure::{PATIENCE, PATIENCE_STARTED},
        recorder::Recorder,
        ways::Tried,
    },
    words::fault::Fault,
};

/// What a pass brings a cluster to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Goal {
    /// It is made: every member host and every worker, which is IDLE.
    Made,
    /// It was ready and is kept: what member hosts that answer can have of it, with jobs on its workers and some of them drained.
    Kept,
}

/// On whose behalf a ready cluster is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Behalf {
    /// A person asked: whatever has ended is restarted.
    Person,
    /// Nobody asked: what ends again and again is restarted ever less often.
    Upkeep,
}

/// One owner's work on one cluster.
#[derive(Debug, Clone)]
pub(crate) struct Work {
    pub(crate) coordinator: Arc<Coordinator>,
    pub(crate) cluster: ClusterId,
    pub(crate) lease: Arc<HeldLease>,
    pub(crate) recorder: Recorder,
    pub(crate) effects: Arc<Effects>,
    pub(crate) goal: Goal,
    pub(crate) behalf: Behalf,
    /// Member hosts that nothing is done on: they cannot be used as they are.
    pub(crate) apart: Arc<BTreeSet<HostId>>,
    pub(crate) tried: Arc<Tried>,
    /// When it began.
    pub(crate) began: Instant,
    /// How it is ended.
    pub(crate) interrupt: Interrupt,
    /// No further step is begun once this is cancelled; calls in flight end by themselves. A child of `interrupt`.
    pub(crate) stop: CancellationToken,
}

/// Why a pass over a host ended early.
#[derive(Debug)]
pub(crate) enum Halt {
    /// The work is to stop.
    Stopped,
    /// This went wrong.
    Fault(Fault),
}

impl Halt {
    /// The fault; being stopped is one to a caller that did not ask for it.
    pub(crate) fn into_fault(self) -> Fault {
        match self {
            Self::Stopped => Fault::Stopped,
            Self::Fault(fault) => fault,
        }
    }
}

impl<E: Into<Fault>> From<E> for Halt {
    fn from(fault: E) -> Self {
        Self::Fault(fault.into())
    }
}

impl Work {
    pub(crate) fn new(
        coordinator: Arc<Coordinator>,
        cluster: ClusterId,
        lease: Arc<HeldLease>,
        interrupt: impl Into<Interrupt>,
    ) -> Self {
        let interrupt = interrupt.into();
        let stop = interrupt.token().child_token();
        let recorder = Recorder::start(lease.clone(), coordinator.clock(), &coordinator.tasks, stop.clone());
        Self {
            coordinator,
            cluster,
            lease,
            recorder,
            effects: Arc::default(),
            goal: Goal::Made,
            behalf: Behalf::Person,
            apart: Arc::default(),
            tried: Arc::default(),
            began: Instant::now(),
            interrupt,
            stop,
        }
    }

    /// The same on a cluster that is ready.
    pub(crate) fn keeping(self, behalf: Behalf) -> Self {
        Self { goal: Goal::Kept, behalf, ..self }
    }

    /// The same without these hosts.
    pub(crate) fn without(&self, apart: BTreeSet<HostId>) -> Self {
        Self { apart: Arc::new(apart), ..self.clone() }
    }

    /// How long a host may fail or say nothing that has nothing of the cluster yet, or nothing that must stay there.
    pub(crate) fn short_patience(&self) -> Patience {
        Patience { began: self.began, limit: PATIENCE }
    }

    /// How long a host may fail or say nothing.
    pub(crate) fn patience(&self, host: HostId) -> Patience {
        let limit =
            if self.lease.inherited || self.effects.started(host) { PATIENCE_STARTED } else { PATIENCE };
        Patience { began: self.began, limit }
    }

    /// What the store says of the cluster now.
    pub(crate) async fn intent(&self) -> Result<Intent, Fault> {
        let gone = || StoreError::Missing { what: "cluster", id: self.cluster.to_string() };
        let mut read = self.coordinator.store.read().await?;
        let cluster = read.clusters().get(self.cluster).await?.ok_or_else(gone)?;
        let network = read.networks().of_cluster(self.cluster).await?.ok_or_else(gone)?;
        let nodes = read.nodes().of_cluster(self.cluster).await?;
        Ok(Intent::new(cluster, network, nodes))
    }

    /// The hosts that have nodes of the cluster, by id.
    pub(crate) async fn members(&self, intent: &Intent) -> Result<BTreeMap<HostId, Host>, Fault> {
        let hosts = self.coordinator.store.read().await?.hosts().list().await?;
        let member = |host: &Host| intent.nodes.iter().any(|n| n.host == host.id);
        Ok(hosts.into_iter().filter(member).map(|host| (host.id, host)).collect())
    }

    /// May the next call of this class to a host begin? Not after the work was stopped, nor beyond the lease.
    pub(crate) async fn may(&self, link: &HostLink, class: CallClass) -> Result<(), Halt> {
        if self.stop.is_cancelled() {
            return Err(Halt::Stopped);
        }
        self.covered(link.engine.limit(class)).await
    }

    /// As [`Work::may`] for work that goes on although the create was interrupted: taking things away.
    pub(crate) async fn covered(&self, call: Duration) -> Result<(), Halt> {
        self.lease.covers(call).await.map_err(Halt::from)
    }

    /// An event of the cluster.
    pub(crate) fn event(
        &self,
        intent: &Intent,
        level: EventLevel,
        kind: EventKind,
        host: Option<&HostName>,
        message: String,
    ) -> NewEvent {
        let spec = &intent.cluster.spec;
        let event = NewEvent::new(self.coordinator.now(), level, kind, message).of(&spec.realm, &spec.name);
        NewEvent { host: host.cloned(), ..event }
    }

    /// Records a step of the cluster's way.
    pub(crate) async fn note(
        &self,
        intent: &Intent,
        kind: EventKind,
        host: Option<&HostName>,
        message: impl Into<String>,
    ) {
        self.recorder.event(self.event(intent, EventLevel::Info, kind, host, message.into())).await;
    }

    /// Records what became of a node.
    pub(crate) async fn note_node(
        &self,
        intent: &Intent,
        node: &Node,
        host: &HostName,
        (state, kind): (NodeState, EventKind),
        container: Option<String>,
        message: &str,
    ) {
        let report =
            NodeReport { id: node.id, generation: node.generation, state, container, last_error: None };
        let event = self.event(intent, EventLevel::Info, kind, Some(host), message.into());
        self.recorder.node(report, Some(NewEvent { node: Some(node.name.clone()), ..event })).await;
    }

    /// Whether calls may still be on their way to a host: another owner's, who ended without a word, or ours that were
    /// not answered.
    pub(crate) fn in_doubt(&self, host: HostId) -> bool {
        self.lease.inherited || self.effects.in_doubt(host)
    }
}

/// Underlay addresses of hosts, as far as they are known.
pub(crate) fn underlays(members: &BTreeMap<HostId, Host>) -> BTreeMap<HostId, Ipv4Addr> {
    members.values().filter_map(|host| Some((host.id, underlay(host)?))).collect()
}

/// Runs all of these, so many at a time, to their ends: a call in flight is never dropped, whatever another one met. The
/// first error, if there was one.
pub(crate) async fn all(each: Vec<BoxFuture<'_, Result<(), Halt>>>, at_once: usize) -> Result<(), Halt> {
    let mut running = futures_util::stream::iter(each).buffer_unordered(at_once);
    let mut first = Ok(());
    while let Some(outcome) = running.next().await {
        first = first.and(outcome);
    }
    first
}

/// An engine's error with the host's name.
pub(crate) fn on(link: &HostLink) -> impl Fn(EngineError) -> Halt + '_ {
    |source| Halt::Fault(Fault::engine(&link.name)(source))
}
