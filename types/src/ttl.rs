//! How long a cluster lives.
//!
//! ```text
//! admitted, or changed --------- ttl ---------> deleted, by a server
//!                            ^ told: a tenth of it before, at most ten minutes
//! ```

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::Timestamp;

/// How long a cluster lives from now on, in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "u64", into = "u64")]
pub struct Ttl(u64);

impl Ttl {
    /// The least: a server looks twice a minute.
    pub const LEAST: Duration = Duration::from_secs(60);
    /// The most: a year.
    pub const MOST: Duration = Duration::from_secs(365 * 86_400);
    /// The longest time between the warning and the end.
    const NOTICE: Duration = Duration::from_secs(600);

    /// In milliseconds.
    #[must_use]
    pub fn as_millis(self) -> u64 {
        self.0
    }

    /// When a cluster ends that has it from `now` on.
    #[must_use]
    pub fn ends(self, now: Timestamp) -> Expiry {
        let length = Duration::from_millis(self.0);
        let notice = (length / 10).min(Self::NOTICE);
        let at = now.after(length);
        Expiry { at, told: Some(at.before(notice)) }
    }
}

/// A time that is too short or too long.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a time from 1m to 365d, such as 30m, 4h or 7d")]
pub struct TtlError;

impl TryFrom<u64> for Ttl {
    type Error = TtlError;

    fn try_from(ms: u64) -> Result<Self, TtlError> {
        let fits = (Self::LEAST..=Self::MOST).contains(&Duration::from_millis(ms));
        fits.then_some(Self(ms)).ok_or(TtlError)
    }
}

impl From<Ttl> for u64 {
    fn from(ttl: Ttl) -> Self {
        ttl.0
    }
}

/// The end of a cluster.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Expiry {
    /// When it is deleted.
    pub at: Timestamp,
    /// When that is told; `None` once it was.
    pub told: Option<Timestamp>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_told_a_tenth_before_and_at_most_ten_minutes() {
        let now = Timestamp(1_000);
        for (minutes, notice) in [(1, 6), (60, 360), (100, 600), (240, 600), (525_600, 600)] {
            let ttl = Ttl::try_from(minutes * 60_000).unwrap();
            let at = now.after(Duration::from_secs(minutes * 60));
            let told = Some(at.before(Duration::from_secs(notice)));
            assert_eq!(ttl.ends(now), Expiry { at, told }, "{minutes}");
        }
    }

    #[test]
    fn none_and_ages_are_refused() {
        for fine in [60_000, 14_400_000, 31_536_000_000] {
            let text = serde_json::to_string(&Ttl::try_from(fine).unwrap()).unwrap();
            assert_eq!(serde_json::from_str::<Ttl>(&text).map(Ttl::as_millis).ok(), Some(fine));
        }
        for wrong in [0, 59_999, 31_536_000_001, u64::MAX] {
            assert_eq!(Ttl::try_from(wrong), Err(TtlError), "{wrong}");
        }
    }
}
