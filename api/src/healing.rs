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
}

impl Healing {
    /// Itself, if it is not the default: all else goes without saying.
    #[must_use]
    pub fn chosen(self) -> Option<Self> {
        (self != shoal_types::Healing::default().into()).then_some(self)
    }
}

/// `restart, after 90s`
impl fmt::Display for Healing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}, after ", self.policy)?;
        match (self.after_ms % 60_000, self.after_ms % 1000) {
            (0, _) if self.after_ms > 0 => write!(f, "{}m", self.after_ms / 60_000),
            (_, 0) => write!(f, "{}s", self.after_ms / 1000),
            _ => write!(f, "{}ms", self.after_ms),
        }
    }
}

impl From<shoal_types::Healing> for Healing {
    fn from(shoal_types::Healing { policy, after_ms }: shoal_types::Healing) -> Self {
        Self { policy, after_ms: after_ms.as_millis() }
    }
}

impl TryFrom<v1::Healing> for Healing {
    type Error = FieldError;

    fn try_from(said: v1::Healing) -> Result<Self, FieldError> {
        shoal_types::Healing::try_from(said).map(Into::into)
    }
}

impl From<Healing> for v1::Healing {
    fn from(Healing { policy, after_ms }: Healing) -> Self {
        Self { policy: shoal_proto::Word::wire(policy), after_ms }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn survives_the_wire_and_is_told_as_it_is_given() {
        for (policy, after_ms, text) in [
            (HealingPolicy::Default, 120_000, "default, after 2m"),
            (HealingPolicy::Restart, 90_000, "restart, after 90s"),
            (HealingPolicy::None, 10_500, "none, after 10500ms"),
            (HealingPolicy::Restart, 0, "restart, after 0s"),
        ] {
            let told = Healing { policy, after_ms };
            assert_eq!(told.to_string(), text);
            assert_eq!(Healing::try_from(v1::Healing::from(told)), Ok(told));
        }
        assert_eq!(Healing::from(shoal_types::Healing::default()).chosen(), None);
        let chosen = Healing { policy: HealingPolicy::None, after_ms: 120_000 };
        assert_eq!(chosen.chosen(), Some(chosen));
        for (field, policy, after_ms) in
            [("healing.policy", 0, 120_000), ("healing.after_ms", 1, 604_800_001)]
        {
            let refused = Healing::try_from(v1::Healing { policy, after_ms }).unwrap_err();
            assert_eq!(refused.field, field);
        }
    }
}
