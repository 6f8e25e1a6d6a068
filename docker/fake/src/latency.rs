//! How long engines take, by class of call.

use std::{ops::RangeInclusive, time::Duration};

use rand::Rng as _;
use rand_chacha::ChaCha12Rng;
use shoal_docker::CallClass;

/// From request to answer, in milliseconds, drawn evenly.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Latency {
    /// Of [`CallClass::Read`].
    pub read: RangeInclusive<u64>,
    /// Of [`CallClass::Write`].
    pub write: RangeInclusive<u64>,
    /// Of [`CallClass::Start`].
    pub start: RangeInclusive<u64>,
    /// Of [`CallClass::Exec`]: until the command begins.
    pub exec: RangeInclusive<u64>,
    /// Of [`CallClass::Transfer`], after the data is there.
    pub transfer: RangeInclusive<u64>,
    /// From being told to end until a container has ended.
    pub stop: RangeInclusive<u64>,
    /// From the start of a removal until the container is gone.
    pub removal: RangeInclusive<u64>,
}

impl Default for Latency {
    /// What a two-core engine takes with four calls in flight (measured 2026-11-21, rounded).
    fn default() -> Self {
        Self {
            read: 1..=5,
            write: 10..=60,
            start: 100..=400,
            exec: 30..=80,
            transfer: 200..=1400,
            stop: 20..=200,
            removal: 20..=150,
        }
    }
}

impl Latency {
    /// Everything at once.
    #[must_use]
    pub fn none() -> Self {
        let none = || 0..=0;
        Self {
            read: none(),
            write: none(),
            start: none(),
            exec: none(),
            transfer: none(),
            stop: none(),
            removal: none(),
        }
    }

    /// Until a call takes effect, and from there to its answer.
    pub(crate) fn draw(&self, class: CallClass, rng: &mut ChaCha12Rng) -> (Duration, Duration) {
        let range = match class {
            CallClass::Read => &self.read,
            CallClass::Write => &self.write,
            CallClass::Start => &self.start,
            CallClass::Exec => &self.exec,
            CallClass::Transfer => &self.transfer,
        };
        let whole = rng.random_range(range.clone());
        let before = rng.random_range(0..=whole);
        (Duration::from_millis(before), Duration::from_millis(whole - before))
    }
}
