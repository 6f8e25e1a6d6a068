//! Follows the event table while work is under way: progress is read from what is durable, wherever it was written.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use shoal_api::{CreateStep, DeleteStep, Placed, Placement};
use shoal_storage::{EventFilter, Node, StoreError};
use shoal_types::{ClusterName, Event, EventKind, HostId, HostName, RealmName};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::fleet::coordinator::Coordinator;

/// Events read at once.
const PAGE: u32 = 1000;
/// How often the table is read although nothing was committed here: another process may be the one that writes.
pub(crate) const POLL: Duration = Duration::from_millis(500);

/// A cluster's events after a position, as they come.
#[derive(Debug)]
pub(crate) struct Follow {
    coordinator: Arc<Coordinator>,
    filter: EventFilter,
}

impl Follow {
    /// Those after now.
    pub(crate) async fn from_now(
        coordinator: Arc<Coordinator>,
        realm: RealmName,
        cluster: Option<ClusterName>,
    ) -> Result<Self, StoreError> {
        let after = coordinator.store.read().await?.events().latest_seq().await?;
        let filter = EventFilter { realm: Some(realm), cluster, after, limit: PAGE };
        Ok(Self { coordinator, filter })
    }

    /// Those of everything after now.
    pub(crate) async fn all_from_now(coordinator: Arc<Coordinator>) -> Result<Self, StoreError> {
        let after = coordinator.store.read().await?.events().latest_seq().await?;
        let filter = EventFilter { realm: None, cluster: None, after, limit: PAGE };
        Ok(Self { coordinator, filter })
    }

    /// Those of the last cluster of this name that was admitted, from its admission on.
    pub(crate) async fn from_admission(
        coordinator: Arc<Coordinator>,
        realm: RealmName,
        cluster: ClusterName,
    ) -> Result<Self, StoreError> {
        let admitted = coordinator.store.read().await?.events().last_admission(&realm, &cluster).await?;
        let after = admitted.map_or(0, |seq| seq.saturating_sub(1));
        let filter = EventFilter { realm: Some(realm), cluster: Some(cluster), after, limit: PAGE };
        Ok(Self { coordinator, filter })
    }

    /// Those of a cluster after a position.
    pub(crate) fn after(
        coordinator: Arc<Coordinator>,
        realm: RealmName,
        cluster: ClusterName,
        after: u64,
    ) -> Self {
        let filter = EventFilter { realm: Some(realm), cluster: Some(cluster), after, limit: PAGE };
        Self { coordinator, filter }
    }

    /// Those that are there and were not given yet, at most [`PAGE`]; before them where the nodes are placed, if that may
    /// be new.
    pub(crate) async fn next(&mut self) -> Result<Page, StoreError> {
        let events = self.coordinator.store.read().await?.events().list(&self.filter).await?;
        if let Some(last) = events.last() {
            self.filter.after = last.seq;
        }
        let placed = match events.iter().any(places) {
            true => self.placed().await?,
            false => None,
        };
        let more = events.len() == PAGE as usize;
        // Who called is no progress.
        let events = events.into_iter().filter(|event| event.event.kind != EventKind::Audit);
        let steps = placed.map(FollowStep::Placed).into_iter().chain(events.map(FollowStep::Event));
        Ok(Page { steps: steps.collect(), more })
    }

    /// Where the nodes are placed now, if it is one cluster and there.
    pub(crate) async fn placed(&self) -> Result<Option<Placed>, StoreError> {
        let (Some(realm), Some(name)) = (&self.filter.realm, &self.filter.cluster) else { return Ok(None) };
        let mut read = self.coordinator.store.read().await?;
        let Some(cluster) = read.clusters().by_name(realm, name).await? else { return Ok(None) };
        let hosts = read.hosts().list().await?;
        let hosts: BTreeMap<HostId, HostName> = hosts.into_iter().map(|h| (h.id, h.name)).collect();
        let placement = |node: Node| {
            let host = hosts.get(&node.host)?.to_string();
            Some(Placement { node: node.name.to_string(), host })
        };
        let nodes = read.nodes().of_cluster(cluster.id).await?;
        let placements = nodes.into_iter().filter_map(placement).collect();
        Ok(Some(Placed { cluster: name.to_string(), placements }))
    }

    /// Passes events on while `work` runs, then those that remain. The receiver's end cancels `interrupt`,
    /// which the work may heed, and the work is still waited for.
    pub(crate) async fn until<T: Send, O: Send, E: Send>(
        mut self,
        work: impl Future<Output = T> + Send,
        interrupt: CancellationToken,
        out: mpsc::Sender<Result<O, E>>,
        wrap: impl Fn(FollowStep) -> Option<O> + Send,
    ) -> T {
        let mut committed = self.coordinator.store.committed_events();
        let mut work = std::pin::pin!(work);
        let outcome = loop {
            self.pass_on(&out, &wrap).await;
            tokio::select! {
                outcome = &mut work => break outcome,
                () = out.closed(), if !interrupt.is_cancelled() => interrupt.cancel(),
                _ = committed.changed() => {}
                () = tokio::time::sleep(POLL) => {}
            }
        };
        self.pass_on(&out, &wrap).await;
        outcome
    }

    async fn pass_on<O, E>(
        &mut self,
        out: &mpsc::Sender<Result<O, E>>,
        wrap: &(impl Fn(FollowStep) -> Option<O> + Send),
    ) {
        loop {
            let Page { steps, more } = match self.next().await {
                Ok(page) => page,
                Err(error) => return tracing::warn!(%error, "events could not be read"),
            };
            for step in steps.into_iter().filter_map(wrap) {
                // Nobody listens any more: the loop around this one notices.
                drop(out.send(Ok(step)).await);
            }
            if !more {
                return;
            }
        }
    }
}

/// What is told of a cluster.
#[derive(Debug)]
pub(crate) enum FollowStep {
    /// Something happened.
    Event(Event),
    /// Its nodes are placed, or placed anew.
    Placed(Placed),
}

impl From<FollowStep> for CreateStep {
    fn from(step: FollowStep) -> Self {
        match step {
            FollowStep::Event(event) => Self::Event(event),
            FollowStep::Placed(placed) => Self::Placed(placed),
        }
    }
}

impl From<FollowStep> for DeleteStep {
    fn from(step: FollowStep) -> Self {
        match step {
            FollowStep::Event(event) => Self::Event(event),
            FollowStep::Placed(placed) => Self::Placed(placed),
        }
    }
}

/// What is told at once.
#[derive(Debug)]
pub(crate) struct Page {
    /// In the order to be told.
    pub(crate) steps: Vec<FollowStep>,
    /// Whether there is more already.
    pub(crate) more: bool,
}

/// Whether nodes are placed otherwise after it: at admission, and where a host was given up.
fn places(event: &Event) -> bool {
    match event.event.kind {
        EventKind::Admitted | EventKind::Moved => true,
        EventKind::Host
        | EventKind::Agent
        | EventKind::Image
        | EventKind::Network
        | EventKind::NodeCreated
        | EventKind::NodeStarted
        | EventKind::NodeReady
        | EventKind::NodeFailed
        | EventKind::NodeRemoved
        | EventKind::Phase
        | EventKind::RollingBack
        | EventKind::Deleting
        | EventKind::Step
        | EventKind::Audit => false,
    }
}
