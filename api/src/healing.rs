//! How a cluster heals by itself.

use std::fmt;

use serde::Serialize;
use shoal_proto::{FieldError, v1};
use shoal_types::HealingPolicy;

/// How a cluster heals by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Healing {
    /// `default`, `none`, `restart` or `reschedule`.
    #[cfg_attr(feature = "schema", schemars(with = "String"))]
    pub policy: HealingPolicy,
    /// How long a node may be down before more is done for it than mending it where it is.
    pub after_ms: u64,
    /// How often the controller's state is copied off its host, at least; 0: never.
    pub copies_ms: u64,
}

impl Healing {
    /// Itself, if it is not the default: all else goes without saying.
    #[must_use]
    pub fn chosen(self) -> Option<Self> {
        (self != shoal_types::Healing::default().into()).then_some(self)
    }
}

/// `restart, after 90s`; and how often the state is copied, where that is not the default.
impl fmt::Display for Healing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}, after {}", self.policy, Time(self.after_ms))?;
        match self.copies_ms {
            0 => f.write_str(", state not copied"),
            ms if ms == shoal_types::CopyPeriod::default().as_millis() => Ok(()),
            ms => write!(f, ", state copied every {}", Time(ms)),
        }
    }
}

/// Milliseconds, as people write them.
struct Time(u64);

impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.0 % 60_000, self.0 % 1000) {
            (0, _) if self.0 > 0 => write!(f, "{}m", self.0 / 60_000),
            (_, 0) => write!(f, "{}s", self.0 / 1000),
            _ => write!(f, "{}ms", self.0),
        }
    }
}

impl From<shoal_types::Healing> for Healing {
    fn from(shoal_types::Healing { policy, after_ms, copies_ms }: shoal_types::Healing) -> Self {
        Self { policy, after_ms: after_ms.as_millis(), copies_ms: copies_ms.as_millis() }
    }
}

impl TryFrom<v1::Healing> for Healing {
    type Error = FieldError;

    fn try_from(said: v1::Healing) -> Result<Self, FieldError> {
        shoal_types::Healing::try_from(said).map(Into::into)
    }
}

impl From<Healing> for v1::Healing {
    fn from(Healing { policy, after_ms, copies_ms }: Healing) -> Self {
        Self { policy: shoal_proto::Word::wire(policy), after_ms, copies_ms: Some(copies_ms) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn survives_the_wire_and_is_told_as_it_is_given() {
        for (policy, after_ms, copies_ms, text) in [
            (HealingPolicy::Default, 120_000, 60_000, "default, after 2m"),
            (HealingPolicy::Restart, 90_000, 60_000, "restart, after 90s"),
            (HealingPolicy::None, 10_500, 0, "none, after 10500ms, state not copied"),
            (HealingPolicy::Restart, 0, 90_000, "restart, after 0s, state copied every 90s"),
        ] {
            let told = Healing { policy, after_ms, copies_ms };
            assert_eq!(told.to_string(), text);
            assert_eq!(Healing::try_from(v1::Healing::from(told)), Ok(told));
        }
        let default = Healing::from(shoal_types::Healing::default());
        assert_eq!(default.chosen(), None);
        assert_eq!(Healing::try_from(v1::Healing { copies_ms: None, ..default.into() }), Ok(default));
        for chosen in
            [Healing { policy: HealingPolicy::None, ..default }, Healing { copies_ms: 0, ..default }]
        {
            assert_eq!(chosen.chosen(), Some(chosen));
        }
        for (field, policy, after_ms, copies_ms) in [
            ("healing.policy", 0, 120_000, None),
            ("healing.after_ms", 1, 604_800_001, None),
            ("healing.copies_ms", 1, 120_000, Some(3_600_001)),
        ] {
            let refused = Healing::try_from(v1::Healing { policy, after_ms, copies_ms }).unwrap_err();
            assert_eq!(refused.field, field);
        }
    }
}
