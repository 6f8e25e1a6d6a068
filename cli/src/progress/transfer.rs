//! Bytes on their way to a host: how many, and how fast.

use std::{collections::VecDeque, time::Duration};

use shoal_types::Bytes;

/// Over which time a rate is taken.
const WINDOW_MS: u64 = 5000;

/// A transfer as it was told.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Transfer {
    /// How many bytes are done.
    pub(super) done: u64,
    /// How many there are, if known.
    pub(super) total: Option<u64>,
    /// When it was told and how many were done, oldest first.
    told: VecDeque<(u64, u64)>,
}

impl Transfer {
    /// At a time, in milliseconds, so many bytes are done. One that begins again forgets what was before.
    pub(super) fn at(&mut self, at_ms: u64, done: u64, total: Option<u64>) {
        if done < self.done {
            self.told.clear();
        }
        (self.done, self.total) = (done, total);
        self.told.push_back((at_ms, done));
        while self.told.len() > 2 && self.told.front().is_some_and(|(at, _)| at + WINDOW_MS < at_ms) {
            self.told.pop_front();
        }
    }

    /// Whether all of it is done.
    pub(super) fn is_whole(&self) -> bool {
        self.total == Some(self.done)
    }

    /// Bytes a second, once two times are known.
    pub(super) fn rate(&self) -> Option<u64> {
        let ((first, before), (last, now)) = (self.told.front()?, self.told.back()?);
        (u128::from(now - before) * 1000)
            .checked_div(u128::from(last.saturating_sub(*first)))
            .and_then(|rate| u64::try_from(rate).ok())
    }

    /// How much longer it takes at this rate.
    pub(super) fn left(&self) -> Option<Duration> {
        let left = self.total?.checked_sub(self.done)?;
        left.checked_div(self.rate()?).map(Duration::from_secs)
    }

    /// `102 MiB/180 MiB`.
    pub(super) fn amount(&self) -> String {
        match self.total {
            Some(total) => format!("{}/{}", Bytes(self.done), Bytes(total)),
            None => Bytes(self.done).to_string(),
        }
    }

    /// `45.1 MiB/s`.
    pub(super) fn pace(&self) -> String {
        self.rate().map(|rate| format!("{}/s", Bytes(rate))).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_over_the_last_seconds() {
        let mut transfer = Transfer::default();
        transfer.at(1000, 0, Some(200 << 20));
        assert_eq!((transfer.rate(), transfer.left()), (None, None));
        transfer.at(2000, 10 << 20, Some(200 << 20));
        assert_eq!(transfer.pace(), "10 MiB/s");
        assert_eq!(transfer.left(), Some(Duration::from_secs(19)));
        for second in 3..=20 {
            transfer.at(second * 1000, (10 + (second - 2) * 5) << 20, Some(200 << 20));
        }
        // What was faster is long past.
        assert_eq!(transfer.pace(), "5 MiB/s");
        assert_eq!(transfer.amount(), "100 MiB/200 MiB");
        transfer.at(21_000, 1024, Some(200 << 20));
        assert_eq!((transfer.rate(), transfer.amount().as_str()), (None, "1 KiB/200 MiB"));
        transfer.at(22_000, 200 << 20, Some(200 << 20));
        assert!(transfer.is_whole());
    }
}
