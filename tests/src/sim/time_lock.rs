//! Keeps simulated time from running ahead of the store.
//!
//! A paused runtime that has nothing to do jumps to its next timer. While SQLite, which has a thread of its own, works on an
//! answer, that would run into every timeout there is. So time stands still while any unit of work is open: tokio does not jump
//! while a blocking task is under way, and one is for as long as anybody holds a [`TimeGuard`].

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError, mpsc},
    time::Duration,
};

use tokio::runtime::Handle;

/// Holds time still in the runtime it was made in.
#[derive(Debug)]
pub(crate) struct TimeLock {
    runtime: Handle,
    held: Mutex<Held>,
}

#[derive(Debug, Default)]
struct Held {
    count: usize,
    /// Dropped to let the blocking task end.
    task: Option<mpsc::Sender<()>>,
    /// The store itself waits for time to go by: so must everybody who waits for the store.
    stalled: bool,
}

/// Time stands still as long as this lives.
#[derive(Debug)]
pub(crate) struct TimeGuard(Arc<TimeLock>);

impl TimeLock {
    pub(crate) fn new(runtime: Handle) -> Arc<Self> {
        Arc::new(Self { runtime, held: Mutex::default() })
    }

    fn held(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn hold(self: &Arc<Self>) -> TimeGuard {
        let mut held = self.held();
        held.count += 1;
        self.settle(&mut held);
        TimeGuard(self.clone())
    }

    /// Lets time go by for so long although units of work are open.
    pub(crate) fn stall(self: &Arc<Self>, time: Duration) {
        let mut held = self.held();
        held.stalled = true;
        self.settle(&mut held);
        let over = self.clone();
        drop(self.runtime.spawn(async move {
            tokio::time::sleep(time).await;
            let mut held = over.held();
            held.stalled = false;
            over.settle(&mut held);
        }));
    }

    /// Has the blocking task run if it must, and only then.
    fn settle(&self, held: &mut Held) {
        if held.count == 0 || held.stalled {
            held.task = None;
        } else if held.task.is_none() {
            let (task, end) = mpsc::channel::<()>();
            held.task = Some(task);
            // Nothing is ever sent: it ends with its sender.
            drop(self.runtime.spawn_blocking(move || end.recv()));
        }
    }
}

impl Drop for TimeGuard {
    fn drop(&mut self) {
        let mut held = self.0.held();
        held.count -= 1;
        self.0.settle(&mut held);
    }
}
