//! How often each user may call: so many calls a second, and four seconds' worth of them at once.

use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use shoal_types::UserId;
use tokio::time::Instant;

/// Seconds whose calls may come at once: a command makes a handful.
const BURST: f64 = 4.0;

/// What each user has left.
#[derive(Debug)]
pub(super) struct Rates {
    a_second: f64,
    left: Mutex<BTreeMap<UserId, Left>>,
}

#[derive(Debug, Clone, Copy)]
struct Left {
    calls: f64,
    at: Instant,
}

impl Rates {
    pub(super) fn new(a_second: u32) -> Self {
        Self { a_second: f64::from(a_second.max(1)), left: Mutex::default() }
    }

    /// Takes one call.
    ///
    /// # Errors
    /// There is none left: in how long there is one.
    pub(super) fn take(&self, user: UserId, now: Instant) -> Result<(), Duration> {
        let most = self.a_second * BURST;
        let mut all = self.left.lock().unwrap_or_else(PoisonError::into_inner);
        // Who has all again is as good as one who never called.
        all.retain(|of, left| *of == user || self.now(left, now) < most);
        let left = all.entry(user).or_insert(Left { calls: most, at: now });
        let calls = self.now(left, now);
        *left = Left { calls: calls - if calls >= 1.0 { 1.0 } else { 0.0 }, at: now };
        match calls >= 1.0 {
            true => Ok(()),
            false => Err(Duration::from_secs_f64((1.0 - calls) / self.a_second)),
        }
    }

    fn now(&self, left: &Left, now: Instant) -> f64 {
        let since = now.saturating_duration_since(left.at).as_secs_f64();
        (left.calls + since * self.a_second).min(self.a_second * BURST)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_then_so_many_a_second_and_each_user_alone() {
        let (rates, now) = (Rates::new(10), Instant::now());
        let (ann, bob) = (UserId::new(0, [1; 10]), UserId::new(0, [2; 10]));
        for _ in 0..40 {
            assert_eq!(rates.take(ann, now), Ok(()));
        }
        let wait = rates.take(ann, now).unwrap_err();
        assert_eq!(wait, Duration::from_millis(100));
        assert_eq!(rates.take(bob, now), Ok(()));
        let later = now + Duration::from_millis(250);
        assert_eq!((rates.take(ann, later), rates.take(ann, later)), (Ok(()), Ok(())));
        assert!(rates.take(ann, later).is_err());
        let much_later = now + Duration::from_secs(60);
        rates.take(ann, much_later).unwrap();
        assert_eq!(rates.left.lock().unwrap().len(), 1, "who does not call is forgotten");
    }
}
