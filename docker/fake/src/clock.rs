//! A clock that goes with tokio's, also over several runtimes: what makes a simulated crash of a process cheap.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use shoal_types::{Clock, Timestamp};
use tokio::{runtime::Handle, time::Instant};

/// Goes with the time of the tokio runtime it was last [entered](VirtualClock::enter) in, and stands still outside of one.
#[derive(Debug, Clone)]
pub struct VirtualClock {
    reading: Arc<Mutex<Reading>>,
}

#[derive(Debug)]
struct Reading {
    /// The last time told.
    last: Timestamp,
    /// The instant that was `Timestamp`.
    anchor: Option<(Instant, Timestamp)>,
}

impl VirtualClock {
    /// Stands at `start` until it is entered.
    #[must_use]
    pub fn new(start: Timestamp) -> Self {
        Self { reading: Arc::new(Mutex::new(Reading { last: start, anchor: None })) }
    }

    /// Goes on from the last time told with the time of the current runtime: to be called first in every runtime.
    ///
    /// # Panics
    /// Outside of a runtime.
    pub fn enter(&self) {
        let _inside = Handle::current();
        let mut reading = self.reading.lock().unwrap_or_else(PoisonError::into_inner);
        reading.anchor = Some((Instant::now(), reading.last));
    }

    /// Stands still until it is entered again: to be called before a runtime is dropped, so that what is told while its
    /// tasks end does not depend on how tokio ends them.
    pub fn leave(&self) {
        let now = self.now();
        let mut reading = self.reading.lock().unwrap_or_else(PoisonError::into_inner);
        (reading.last, reading.anchor) = (now, None);
    }

    /// Steps forward by itself. Outside of a runtime, or what is due in an engine would come late.
    pub fn step(&self, by: Duration) {
        let mut reading = self.reading.lock().unwrap_or_else(PoisonError::into_inner);
        reading.last = reading.last.after(by);
        if let Some((_, base)) = &mut reading.anchor {
            *base = base.after(by);
        }
    }
}

impl Clock for VirtualClock {
    fn now(&self) -> Timestamp {
        let mut reading = self.reading.lock().unwrap_or_else(PoisonError::into_inner);
        if let (Some((anchor, base)), Ok(_)) = (reading.anchor, Handle::try_current()) {
            let now = base.after(Instant::now().saturating_duration_since(anchor));
            reading.last = reading.last.max(now);
        }
        reading.last
    }
}
