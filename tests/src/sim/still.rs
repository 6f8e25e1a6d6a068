//! Keeps simulated time from running ahead of the store.
//!
//! A paused runtime that has nothing to do jumps to its next timer. While SQLite, which has a thread of its own, works on an
//! answer, that would run into every timeout there is. So time stands still while any unit of work is open: tokio does not jump
//! while a blocking task is under way, and one is for as long as anybody holds a [`Still`].

use std::sync::{Arc, Mutex, PoisonError, mpsc};

use tokio::runtime::Handle;

/// Holds time still in the runtime it was made in.
#[derive(Debug)]
pub(crate) struct Stillness {
    runtime: Handle,
    held: Mutex<Held>,
}

#[derive(Debug, Default)]
struct Held {
    count: usize,
    /// Dropped to let the blocking task end.
    task: Option<mpsc::Sender<()>>,
}

/// Time stands still as long as this lives.
#[derive(Debug)]
pub(crate) struct Still(Arc<Stillness>);

impl Stillness {
    pub(crate) fn new(runtime: Handle) -> Arc<Self> {
        Arc::new(Self { runtime, held: Mutex::default() })
    }

    pub(crate) fn hold(self: &Arc<Self>) -> Still {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        held.count += 1;
        if held.task.is_none() {
            let (task, end) = mpsc::channel::<()>();
            held.task = Some(task);
            // Nothing is ever sent: it ends with its sender.
            drop(self.runtime.spawn_blocking(move || end.recv().is_ok()));
        }
        Still(self.clone())
    }
}

impl Drop for Still {
    fn drop(&mut self) {
        let mut held = self.0.held.lock().unwrap_or_else(PoisonError::into_inner);
        held.count -= 1;
        if held.count == 0 {
            held.task = None;
        }
    }
}
