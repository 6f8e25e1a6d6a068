//! When an engine answered last, and since when it has not.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::time::Instant;

/// Signs of life of an engine, as one client of it has them. Clones are the same one.
#[derive(Debug, Clone, Default)]
pub struct Pulse(Arc<Mutex<Signs>>);

#[derive(Debug, Clone, Copy, Default)]
struct Signs {
    answered: Option<Instant>,
    /// When the first call after that began that was not answered within its limit, or found nobody.
    missed: Option<Instant>,
}

impl Pulse {
    fn signs(&self) -> MutexGuard<'_, Signs> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// It answered a call, whatever it was asked.
    pub fn note_answer(&self) {
        *self.signs() = Signs { answered: Some(Instant::now()), missed: None };
    }

    /// It did not answer a call that began then. Who gives a call up before its limit knows nothing.
    pub fn note_miss(&self, began: Instant) {
        let mut signs = self.signs();
        let since = signs.answered.map_or(began, |answered| answered.max(began));
        signs.missed = Some(signs.missed.map_or(since, |missed| missed.min(since)));
    }

    /// When it last answered a call of this client.
    #[must_use]
    pub fn answered(&self) -> Option<Instant> {
        self.signs().answered
    }

    /// Since when it has been silent, if anybody asked: an engine that nobody asks is not silent.
    #[must_use]
    pub fn silent_since(&self) -> Option<Instant> {
        self.signs().missed
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn silence_is_what_was_asked_in_vain() {
        let (pulse, second) = (Pulse::default(), Duration::from_secs(1));
        pulse.note_answer();
        tokio::time::advance(second * 60).await;
        assert_eq!(pulse.silent_since(), None, "nobody asked");
        let began = Instant::now();
        tokio::time::advance(second * 30).await;
        pulse.note_miss(began);
        pulse.note_miss(Instant::now());
        assert_eq!(pulse.silent_since().map(|at| at.elapsed()), Some(second * 30));
        pulse.note_answer();
        assert_eq!((pulse.silent_since(), pulse.answered()), (None, Some(Instant::now())));
        // A call that began before the last answer has missed nothing before it.
        pulse.note_miss(began);
        assert_eq!(pulse.silent_since(), Some(Instant::now()));
    }
}
