//! `placing`: rules on where nodes go, and how flags add to them.
//!
//! ```yaml
//! placing:
//!   apart: [controller]
//!   preferApart: [worker]
//!   maxPerHost: 4
//!   spreadOver: rack
//!   pins: ['controller=host1', 'worker-[0-3]=host2']
//!   schedulerTimeout: 2s
//!   schedulerFallback: spread
//! ```

use std::{num::NonZeroU32, str::FromStr};

use serde::Deserialize;
use shoal_types::{LabelKey, Pin, Placing, Role, SchedulerError, Strategy};

use super::value::{Count, Word};

/// How long a scheduler may take, in milliseconds: `500ms`, `2s`, `1m`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Limit(u32);

/// A text that is no such time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a time from 1ms to 5m, such as 500ms, 2s or 1m")]
pub(crate) struct LimitError;

impl FromStr for Limit {
    type Err = LimitError;

    fn from_str(text: &str) -> Result<Self, LimitError> {
        match crate::duration::millis(text).and_then(|ms| u32::try_from(ms).ok()) {
            Some(ms @ 1..=shoal_types::MAX_SCHEDULER_TIMEOUT_MS) => Ok(Self(ms)),
            _ => Err(LimitError),
        }
    }
}

/// Who places if a program cannot: a strategy, or nobody (`fail`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Fallback(Option<Strategy>);

/// A text that is neither.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not fail, and {0}")]
pub(crate) struct FallbackError(SchedulerError);

impl FromStr for Fallback {
    type Err = FallbackError;

    fn from_str(text: &str) -> Result<Self, FallbackError> {
        match text {
            "fail" => Ok(Self(None)),
            other => other.parse().map(|strategy| Self(Some(strategy))).map_err(FallbackError),
        }
    }
}

/// The section.
#[derive(Debug, Default, Clone, PartialEq, Eq, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct PlacingSection {
    /// Roles kept apart from those of other clusters.
    apart: Option<Vec<Word<Role>>>,
    /// Roles kept apart where that is possible.
    prefer_apart: Option<Vec<Word<Role>>>,
    /// Most nodes on one host.
    max_per_host: Option<Count>,
    /// The label whose values get equal numbers.
    spread_over: Option<Word<LabelKey>>,
    /// Nodes whose host is named.
    pins: Option<Vec<Word<Pin>>>,
    /// Time limit for a scheduler of the user's own.
    scheduler_timeout: Option<Word<Limit>>,
    /// Strategy that places when the user's scheduler fails, or `fail`.
    scheduler_fallback: Option<Word<Fallback>>,
}

/// What the command line says: lists add to the configuration's, single values replace them.
#[derive(Debug, Default, Clone)]
pub(crate) struct PlacingOverrides {
    /// Besides `apart`.
    pub(crate) apart: Vec<Role>,
    /// Besides `preferApart`.
    pub(crate) prefer_apart: Vec<Role>,
    /// Instead of `maxPerHost`.
    pub(crate) max_per_host: Option<NonZeroU32>,
    /// Instead of `spreadOver`.
    pub(crate) spread_over: Option<LabelKey>,
    /// Besides `pins`.
    pub(crate) pins: Vec<Pin>,
    /// Instead of `schedulerTimeout`.
    pub(crate) scheduler_timeout: Option<Limit>,
    /// Instead of `schedulerFallback`.
    pub(crate) scheduler_fallback: Option<Fallback>,
}

fn words<T>(words: Option<Vec<Word<T>>>) -> impl Iterator<Item = T> {
    words.into_iter().flatten().map(|word| word.0)
}

impl PlacingSection {
    /// The rules, with what the command line says.
    pub(super) fn with(self, flags: PlacingOverrides) -> Placing {
        let fallback = flags.scheduler_fallback.or(self.scheduler_fallback.map(|word| word.0));
        let timeout = flags.scheduler_timeout.or(self.scheduler_timeout.map(|word| word.0));
        Placing {
            apart: words(self.apart).chain(flags.apart).collect(),
            prefer_apart: words(self.prefer_apart).chain(flags.prefer_apart).collect(),
            max_per_host: flags.max_per_host.or(self.max_per_host.map(|count| count.0)),
            spread_over: flags.spread_over.or(self.spread_over.map(|word| word.0)),
            pins: words(self.pins).chain(flags.pins).collect(),
            scheduler_timeout_ms: timeout.map(|limit| limit.0),
            scheduler_fallback: fallback.and_then(|fallback| fallback.0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_and_fallbacks() {
        assert_eq!("500ms".parse(), Ok(Limit(500)));
        assert_eq!("1.5s".parse(), Ok(Limit(1500)));
        assert_eq!("5m".parse(), Ok(Limit(300_000)));
        for bad in ["", "5", "0s", "1us", "301s", "6m", "-1s", "1h", "s", "4294967295m"] {
            assert_eq!(bad.parse::<Limit>(), Err(LimitError), "{bad}");
        }
        assert_eq!("fail".parse(), Ok(Fallback(None)));
        assert_eq!("binpack".parse(), Ok(Fallback(Some(Strategy::Binpack))));
        assert!("grpc://127.0.0.1:1".parse::<Fallback>().is_err());
    }
}
