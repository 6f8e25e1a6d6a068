//! Follows the event table while work is under way: progress is read from what is durable, wherever it was written.

use std::{sync::Arc, time::Duration};

use shoal_proto::v1;
use shoal_storage::{EventFilter, StoreError};
use shoal_types::{ClusterName, RealmName};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tonic::Status;

use crate::{Fault, coordinator::Coordinator};

/// Events read at once.
const PAGE: u32 = 1000;
/// How often the table is read although nothing was committed here: another process may be the one that writes.
const POLL: Duration = Duration::from_millis(500);

/// A cluster's events after a position, as they come.
#[derive(Debug)]
pub(crate) struct Follow {
    coordinator: Arc<Coordinator>,
    filter: EventFilter,
    /// Until this is cancelled the events may be those of another cluster of the name.
    gate: Option<CancellationToken>,
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
        Ok(Self { coordinator, filter, gate: None })
    }

    /// The same, none before `gate` is cancelled.
    pub(crate) fn after(self, gate: CancellationToken) -> Self {
        Self { gate: Some(gate), ..self }
    }

    /// Those that are there and were not given yet.
    pub(crate) async fn next(&mut self) -> Result<Vec<v1::Event>, StoreError> {
        let events = self.coordinator.store.read().await?.events().list(&self.filter).await?;
        if let Some(last) = events.last() {
            self.filter.after = last.seq;
        }
        Ok(events.iter().map(Into::into).collect())
    }

    /// Passes events on while `work` runs, then those that remain, then what `last` makes of the result. The receiver's
    /// end interrupts through `interrupt`, and the work is still waited for.
    pub(crate) async fn until<T, O: Send>(
        mut self,
        work: tokio::task::JoinHandle<Result<T, Fault>>,
        interrupt: CancellationToken,
        out: mpsc::Sender<Result<O, Status>>,
        wrap: impl Fn(v1::Event) -> O + Send,
    ) -> Result<T, Status> {
        let mut committed = self.coordinator.store.committed_events();
        let mut work = work;
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
        match outcome {
            Ok(Ok(value)) => Ok(value),
            Ok(Err(fault)) => Err(fault.into()),
            Err(join) => Err(Status::internal(format!("the work ended unexpectedly: {join}"))),
        }
    }

    async fn pass_on<O>(
        &mut self,
        out: &mpsc::Sender<Result<O, Status>>,
        wrap: &(impl Fn(v1::Event) -> O + Send),
    ) {
        if self.gate.as_ref().is_some_and(|gate| !gate.is_cancelled()) {
            return;
        }
        loop {
            let events = match self.next().await {
                Ok(events) => events,
                Err(error) => return tracing::warn!(%error, "events could not be read"),
            };
            let more = events.len() == PAGE as usize;
            for event in events {
                // Nobody listens any more: the loop around this one notices.
                drop(out.send(Ok(wrap(event))).await);
            }
            if !more {
                return;
            }
        }
    }
}
