//! `healing`: what is done by itself for nodes that are down, and how flags replace it.
//!
//! ```yaml
//! healing: { policy: restart, after: 2m, copies: none }
//! ```

use std::str::FromStr;

use serde::Deserialize;
use shoal_types::{CopyPeriod, CopyPeriodError, HealAfterError, Healing, HealingChange, HealingPolicy};

use super::value::Word;

/// How long a node may be down before more is done for it than mending it where it is: `90s`, `2m`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct HealAfter(pub(crate) shoal_types::HealAfter);

impl FromStr for HealAfter {
    type Err = HealAfterError;

    fn from_str(text: &str) -> Result<Self, HealAfterError> {
        let ms = crate::duration::millis(text).ok_or(HealAfterError)?;
        shoal_types::HealAfter::try_from(ms).map(Self)
    }
}

/// How often the controller's state is copied off its host: `60s`, `5m`, `none`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Copies(pub(crate) CopyPeriod);

impl FromStr for Copies {
    type Err = CopyPeriodError;

    fn from_str(text: &str) -> Result<Self, CopyPeriodError> {
        if text == "none" {
            return Ok(Self(CopyPeriod::NEVER));
        }
        let ms = crate::duration::millis(text).filter(|ms| *ms > 0).ok_or(CopyPeriodError)?;
        CopyPeriod::try_from(ms).map(Self)
    }
}

/// The section.
#[derive(Debug, Default, Clone, PartialEq, Eq, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct HealingSection {
    /// What upkeep that no person asks for does: `none` leaves nodes alone, `restart` mends them where they are, `reschedule` also on
    /// other hosts. `default` is `reschedule`, but `restart` for a controller whose state has no copy elsewhere.
    policy: Option<Word<HealingPolicy>>,
    /// How long a node may be down before more is done for it than mending it where it is; 2m if left out.
    after: Option<Word<HealAfter>>,
    /// How often a server copies the controller's state off its host, at least; `none`: never; 60s if left out.
    copies: Option<Word<Copies>>,
}

impl HealingSection {
    /// How the cluster heals, with what the command line says.
    pub(super) fn with(self, flags: HealingChange) -> Healing {
        let file = HealingChange {
            policy: self.policy.map(|word| word.0),
            after_ms: self.after.map(|word| word.0.0),
            copies_ms: self.copies.map(|word| word.0.0),
        };
        flags.of(file.of(Healing::default()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times() {
        for (text, ms) in
            [("0s", 0), ("10s", 10_000), ("2m", 120_000), ("1h30m", 5_400_000), ("7d", 604_800_000)]
        {
            assert_eq!(text.parse::<HealAfter>().map(|after| after.0.as_millis()), Ok(ms), "{text}");
        }
        for bad in ["", "120", "8d", "-2m", "soon"] {
            assert_eq!(bad.parse::<HealAfter>(), Err(HealAfterError), "{bad}");
        }
        for (text, ms) in [("none", 0), ("10s", 10_000), ("1m", 60_000), ("1h", 3_600_000)] {
            assert_eq!(text.parse::<Copies>().map(|copies| copies.0.as_millis()), Ok(ms), "{text}");
        }
        for bad in ["", "0s", "60", "9s", "61m", "None", "-1m"] {
            assert_eq!(bad.parse::<Copies>(), Err(CopyPeriodError), "{bad}");
        }
    }
}
