//! Durations as people write them, in jiff's friendly format: `90s`, `5m`, `1h30m`, `1 hour 30 minutes`.

use std::{str::FromStr, time::Duration};

use jiff::{SpanRelativeTo, fmt::friendly::SpanParser};

/// Longest wait that makes sense: a week.
const MAX_WAIT_MS: u64 = 7 * 24 * 60 * 60 * 1000;

/// Longest age that makes sense: ten years.
const MAX_AGE_MS: u64 = 3650 * 24 * 60 * 60 * 1000;

/// A duration in milliseconds, days of 24 hours; `None` for texts that are none, and where it is negative or finer.
pub(crate) fn millis(text: &str) -> Option<u64> {
    let span = SpanParser::new().parse_span(text).ok()?;
    let length = Duration::try_from(span.to_duration(SpanRelativeTo::days_are_24_hours()).ok()?).ok()?;
    u64::try_from(length.as_millis()).ok().filter(|ms| Duration::from_millis(*ms) == length)
}

/// How long to wait for a cluster to become ready; `0` means no limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Wait(u64);

impl Wait {
    /// In milliseconds; 0 = no limit, as in the protocol.
    pub(crate) fn as_millis(self) -> u64 {
        self.0
    }
}

/// A text that is no such time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a duration of at most 7 days, in whole milliseconds: use forms such as 90s, 5m or 1h30m")]
pub(crate) struct WaitError;

impl FromStr for Wait {
    type Err = WaitError;

    fn from_str(text: &str) -> Result<Self, WaitError> {
        let ms = if text == "0" { Some(0) } else { millis(text) };
        ms.filter(|ms| *ms <= MAX_WAIT_MS).map(Self).ok_or(WaitError)
    }
}

/// How old something may become.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Age(pub(crate) Duration);

/// A text that is no such age.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a duration of 1 minute to 10 years: use forms such as 12h or 30d")]
pub(crate) struct AgeError;

impl FromStr for Age {
    type Err = AgeError;

    fn from_str(text: &str) -> Result<Self, AgeError> {
        let ms = millis(text).filter(|ms| (60_000..=MAX_AGE_MS).contains(ms));
        ms.map(|ms| Self(Duration::from_millis(ms))).ok_or(AgeError)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ages() {
        for (text, seconds) in [("30d", 30 * 86_400), ("12h", 43_200), ("1m", 60), ("3650d", 3650 * 86_400)] {
            assert_eq!(text.parse(), Ok(Age(Duration::from_secs(seconds))), "{text}");
        }
        for text in ["", "0", "30", "59s", "3651d", "-1d", "for ever"] {
            assert_eq!(text.parse::<Age>(), Err(AgeError), "{text}");
        }
    }

    #[test]
    fn forms() {
        for (text, ms) in [
            ("0", 0),
            ("0s", 0),
            ("1s", 1000),
            ("500ms", 500),
            ("90s", 90_000),
            ("5m", 300_000),
            ("1h30m", 5_400_000),
            ("1 hour 30 minutes", 5_400_000),
            ("1.5h", 5_400_000),
            ("1d2h3m4s", 93_784_000),
            ("7d", 604_800_000),
        ] {
            assert_eq!(text.parse::<Wait>().map(Wait::as_millis), Ok(ms), "{text}");
        }
    }

    #[test]
    fn refuses() {
        for bad in ["", "5", "m", "5x", "-5m", "5m ago", "5m5", "30m1h", "1m1m", " 5m", "٣m", "1us", "1mo"] {
            assert_eq!(bad.parse::<Wait>(), Err(WaitError), "{bad}");
        }
        for long in ["8d", "604800001ms", "99999999999999999999d", "18446744073709551615d"] {
            assert_eq!(long.parse::<Wait>(), Err(WaitError), "{long}");
        }
    }
}
