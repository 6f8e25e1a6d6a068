//! Durations as people write them: `90s`, `5m`, `1h30m`; `0` means no limit.

use std::{str::FromStr, time::Duration};

/// Longest wait that makes sense: a week.
const MAX_SECONDS: u64 = 7 * 24 * 60 * 60;

/// How long to wait for a cluster to become ready.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Wait(Option<Duration>);

impl Wait {
    /// In milliseconds; 0 = no limit, as in the protocol.
    pub(crate) fn as_millis(self) -> u64 {
        self.0.map_or(0, |d| u64::try_from(d.as_millis()).unwrap_or(u64::MAX))
    }
}

/// A text that is no duration.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum WaitError {
    /// Not numbers with units, largest unit first.
    #[error("not a duration: use forms such as 90s, 5m or 1h30m, or 0 for no limit")]
    Malformed,
    /// More than a week.
    #[error("too long: at most 7 days; use 0 for no limit")]
    TooLong,
}

impl FromStr for Wait {
    type Err = WaitError;

    fn from_str(text: &str) -> Result<Self, WaitError> {
        if text == "0" {
            return Ok(Self(None));
        }
        let mut rest = text;
        let mut seconds: u64 = 0;
        for (unit, length) in [('d', 86_400), ('h', 3600), ('m', 60), ('s', 1)] {
            let Some((number, after)) = rest.split_once(unit) else { continue };
            if number.is_empty() || !number.bytes().all(|b| b.is_ascii_digit()) {
                return Err(WaitError::Malformed);
            }
            let number: u64 = number.parse().map_err(|_| WaitError::TooLong)?;
            seconds = seconds.saturating_add(number.saturating_mul(length));
            rest = after;
        }
        match (rest.is_empty() && !text.is_empty(), seconds) {
            (false, _) => Err(WaitError::Malformed),
            (true, 0) => Ok(Self(None)),
            (true, 1..=MAX_SECONDS) => Ok(Self(Some(Duration::from_secs(seconds)))),
            (true, _) => Err(WaitError::TooLong),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms() {
        for (text, ms) in [
            ("0", 0),
            ("0s", 0),
            ("1s", 1000),
            ("90s", 90_000),
            ("5m", 300_000),
            ("1h30m", 5_400_000),
            ("1d2h3m4s", 93_784_000),
            ("7d", 604_800_000),
        ] {
            assert_eq!(text.parse::<Wait>().map(Wait::as_millis), Ok(ms), "{text}");
        }
    }

    #[test]
    fn refuses() {
        for bad in ["", "5", "m", "5x", "-5m", "5m5", "30m1h", "1m1m", "1.5h", " 5m", "5m ", "٣m", "+5m"] {
            assert_eq!(bad.parse::<Wait>(), Err(WaitError::Malformed), "{bad}");
        }
        for long in ["8d", "99999999999999999999d", "18446744073709551615d"] {
            assert_eq!(long.parse::<Wait>(), Err(WaitError::TooLong), "{long}");
        }
    }
}
