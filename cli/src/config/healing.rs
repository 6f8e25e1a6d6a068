//! `healing`: what is done by itself for nodes that are down, and how flags replace it.
//!
//! ```yaml
//! healing: { policy: restart, after: 2m }
//! ```

use std::str::FromStr;

use serde::Deserialize;
use shoal_types::{HealAfterError, Healing, HealingPolicy};

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

/// The section.
#[derive(Debug, Default, Clone, PartialEq, Eq, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct HealingSection {
    /// What upkeep that no person asks for does: `none` leaves nodes alone, `restart` and `reschedule` mend them where they are.
    /// `default` is `restart` for the controller, whose state has no copy elsewhere, and `reschedule` for other nodes.
    policy: Option<Word<HealingPolicy>>,
    /// How long a node may be down before more is done for it than mending it where it is; 2m if left out.
    after: Option<Word<HealAfter>>,
}

/// What the command line says instead.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct HealingOverrides {
    /// Instead of `policy`.
    pub(crate) policy: Option<HealingPolicy>,
    /// Instead of `after`.
    pub(crate) after: Option<HealAfter>,
}

impl HealingSection {
    /// How the cluster heals, with what the command line says.
    pub(super) fn with(self, flags: HealingOverrides) -> Healing {
        let after = flags.after.or(self.after.map(|word| word.0));
        Healing {
            policy: flags.policy.or(self.policy.map(|word| word.0)).unwrap_or_default(),
            after_ms: after.map(|after| after.0).unwrap_or_default(),
        }
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
    }
}
