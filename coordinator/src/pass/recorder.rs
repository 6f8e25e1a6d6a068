//! Writes down what was done: many reports, few transactions.
//!
//! Workers send what they did; one task takes whatever has gathered meanwhile and commits it at once, guarded by the
//! lease. A store that is slow makes batches larger, not workers slower.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use shoal_storage::{NodeReport, StoreError};
use shoal_types::{Clock, NewEvent};
use tokio::{
    sync::{mpsc, oneshot},
    time::Instant,
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{
    fleet::lease::{HeldLease, TTL},
    words::fault::store,
};

/// Reports that may wait; beyond that, workers do.
const QUEUE: usize = 1024;

/// How long a batch is retried that the store could not take, once the work is stopped; before, for as long as the lease lasts.
const STOPPING: Duration = Duration::from_secs(10);
/// How long to leave the store alone between two tries.
const PAUSE: Duration = Duration::from_secs(1);

/// Something to be written down.
#[derive(Debug)]
enum Entry {
    Record(Box<(Option<NodeReport>, Option<NewEvent>)>),
    Flush(oneshot::Sender<()>),
}

/// Where work under way writes down what it did.
#[derive(Debug, Clone)]
pub(crate) struct Recorder {
    entries: mpsc::Sender<Entry>,
    failure: Arc<Mutex<Option<StoreError>>>,
}

impl Recorder {
    /// Starts the writing task; it ends with the last clone. A failure cancels `stop`: what cannot be written down must
    /// not go on.
    pub(crate) fn start(
        lease: Arc<HeldLease>,
        clock: Arc<dyn Clock>,
        tasks: &TaskTracker,
        stop: CancellationToken,
    ) -> Self {
        let (entries, queue) = mpsc::channel(QUEUE);
        let failure = Arc::new(Mutex::new(None));
        let recorder = Self { entries, failure: failure.clone() };
        tasks.spawn(async move {
            if let Err(error) = write(queue, &lease, &*clock, &stop).await {
                tracing::warn!(%error, "progress could not be recorded");
                *failure.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
                stop.cancel();
            }
        });
        recorder
    }

    /// Writes down an event.
    pub(crate) async fn event(&self, event: NewEvent) {
        self.send(Entry::Record(Box::new((None, Some(event))))).await;
    }

    /// Writes down what became of a node, with its event.
    pub(crate) async fn node(&self, report: NodeReport, event: Option<NewEvent>) {
        self.send(Entry::Record(Box::new((Some(report), event)))).await;
    }

    /// Returns once everything sent before is durable.
    ///
    /// # Errors
    /// The [`StoreError`] that ended the writing.
    pub(crate) async fn flush(&self) -> Result<(), StoreError> {
        let (done, wait) = oneshot::channel();
        self.send(Entry::Flush(done)).await;
        if wait.await.is_ok() {
            return Ok(());
        }
        Err(self.failure())
    }

    /// What ended the writing.
    pub(crate) fn failure(&self) -> StoreError {
        let failure = self.failure.lock().unwrap_or_else(PoisonError::into_inner).take();
        failure.unwrap_or_else(|| StoreError::Aborted { operation: "recording progress".into() })
    }

    async fn send(&self, entry: Entry) {
        // The task has ended only after a failure, which `flush` reports.
        drop(self.entries.send(entry).await);
    }
}

async fn write(
    mut queue: mpsc::Receiver<Entry>,
    lease: &HeldLease,
    clock: &dyn Clock,
    stop: &CancellationToken,
) -> Result<(), StoreError> {
    let mut batch = Vec::new();
    while queue.recv_many(&mut batch, QUEUE).await > 0 {
        let (mut reports, mut events, mut flushes) = (Vec::new(), Vec::new(), Vec::new());
        for entry in batch.drain(..) {
            match entry {
                Entry::Record(record) => {
                    let (report, event) = *record;
                    reports.extend(report);
                    events.extend(event);
                }
                Entry::Flush(done) => flushes.push(done),
            }
        }
        if !reports.is_empty() || !events.is_empty() {
            let (since, mut stopped) = (Instant::now(), None);
            while let Err(error) = commit(lease, clock, &reports, &events).await {
                let over = |stopped: Instant| stopped.elapsed() >= STOPPING;
                if !store::is_away(&error) || since.elapsed() >= TTL || stopped.is_some_and(over) {
                    return Err(error);
                }
                tracing::warn!(%error, "the store is away, recording again");
                tokio::time::sleep(PAUSE).await;
                if stop.is_cancelled() {
                    stopped.get_or_insert_with(Instant::now);
                }
            }
        }
        for done in flushes {
            // Whoever asked may have gone.
            let _ = done.send(());
        }
    }
    Ok(())
}

/// One batch, in one transaction. A commit whose answer was lost may be repeated: reports say what is, and an event told
/// twice is better than one not told.
async fn commit(
    lease: &HeldLease,
    clock: &dyn Clock,
    reports: &[NodeReport],
    events: &[NewEvent],
) -> Result<(), StoreError> {
    let mut tx = lease.begin().await?;
    tx.nodes().report(reports, clock.now()).await?;
    for event in events {
        tx.events().append(event).await?;
    }
    tx.commit().await
}
