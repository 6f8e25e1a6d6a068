//! Healing: what may be done by itself for a node that is down. A policy of its cluster and its role decide. Pure.

use std::{fmt, str::FromStr, time::Duration};

use serde::{Deserialize, Serialize};

use crate::Role;

/// What a cluster's owner wants done by itself.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum HealingPolicy {
    /// By role: what [`HealingPolicy::allows`] says.
    #[default]
    Default,
    /// Nothing: a person mends it.
    None,
    /// Every node is mended where it is.
    Restart,
    /// Every node may be placed on another host, the controller whatever its state's newest copy is, and without one, too.
    Reschedule,
}

/// Whether a node's state has a copy off its host that may take its place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Copied {
    /// It has, or the node has no state.
    Yes,
    /// It has none, or one that is too old.
    No,
}

/// What may be done for a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Heal {
    /// Nothing.
    Nothing,
    /// It is mended where it is.
    Restart,
    /// It is mended where it is, or placed on another host.
    Reschedule,
}

impl HealingPolicy {
    /// Every policy.
    pub const ALL: [Self; 4] = [Self::Default, Self::None, Self::Restart, Self::Reschedule];

    /// What may be done for a node of this role. By default the controller stays until its state has a copy elsewhere.
    #[must_use]
    pub fn allows(self, role: Role, copy: Copied) -> Heal {
        match (self, role, copy) {
            (Self::None, ..) => Heal::Nothing,
            (Self::Restart, ..) | (Self::Default, Role::Controller, Copied::No) => Heal::Restart,
            (Self::Reschedule, ..)
            | (Self::Default, Role::Controller, Copied::Yes)
            | (Self::Default, Role::Submitter | Role::Api | Role::Worker, _) => Heal::Reschedule,
        }
    }

    /// Whether anything may be done for any node.
    #[must_use]
    pub fn heals(self) -> bool {
        Role::ALL.into_iter().any(|role| self.allows(role, Copied::No) != Heal::Nothing)
    }

    /// The word, as given, stored and shown.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Default => "default",
            Self::None => "none",
            Self::Restart => "restart",
            Self::Reschedule => "reschedule",
        }
    }
}

impl fmt::Display for HealingPolicy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// A word that is no policy.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not a healing policy: default, none, restart or reschedule")]
pub struct HealingPolicyError {
    /// What was read.
    pub text: String,
}

impl FromStr for HealingPolicy {
    type Err = HealingPolicyError;

    fn from_str(text: &str) -> Result<Self, HealingPolicyError> {
        let found = Self::ALL.into_iter().find(|policy| policy.as_str() == text);
        found.ok_or_else(|| HealingPolicyError { text: text.into() })
    }
}

/// How long a node may be down before more is done for it than mending it where it is, in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "u64", into = "u64")]
pub struct HealAfter(u64);

impl HealAfter {
    /// The most: a week. An engine that is started anew answers again within 3 to 8 s: less than that gives it no chance.
    pub const MOST: Duration = Duration::from_secs(7 * 86_400);

    /// In milliseconds.
    #[must_use]
    pub fn as_millis(self) -> u64 {
        self.0
    }
}

impl Default for HealAfter {
    /// Two minutes: longer than a host takes to start again.
    fn default() -> Self {
        Self(120_000)
    }
}

/// A time that is too long, or none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a time from 0s to 7d, such as 90s, 2m or 1h")]
pub struct HealAfterError;

impl TryFrom<u64> for HealAfter {
    type Error = HealAfterError;

    fn try_from(ms: u64) -> Result<Self, HealAfterError> {
        let fits = Duration::from_millis(ms) <= Self::MOST;
        fits.then_some(Self(ms)).ok_or(HealAfterError)
    }
}

impl From<HealAfter> for u64 {
    fn from(after: HealAfter) -> Self {
        after.0
    }
}

/// How often a controller's state is copied off its host, at least, in milliseconds; 0: never.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "u64", into = "u64")]
pub struct CopyPeriod(u64);

impl CopyPeriod {
    /// It is never copied.
    pub const NEVER: Self = Self(0);
    /// The shortest: slurmctld itself writes up to 5 s late.
    pub const LEAST: Duration = Duration::from_secs(10);
    /// The longest.
    pub const MOST: Duration = Duration::from_secs(3600);

    /// In milliseconds; 0: never.
    #[must_use]
    pub fn as_millis(self) -> u64 {
        self.0
    }

    /// The time between two copies; `None`: there are none.
    #[must_use]
    pub fn every(self) -> Option<Duration> {
        (self != Self::NEVER).then_some(Duration::from_millis(self.0))
    }
}

impl Default for CopyPeriod {
    fn default() -> Self {
        Self(60_000)
    }
}

/// A period that is too long or too short, or none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a time from 10s to 1h, such as 60s or 5m, and not `none`")]
pub struct CopyPeriodError;

impl TryFrom<u64> for CopyPeriod {
    type Error = CopyPeriodError;

    fn try_from(ms: u64) -> Result<Self, CopyPeriodError> {
        let fits = ms == 0 || (Self::LEAST..=Self::MOST).contains(&Duration::from_millis(ms));
        fits.then_some(Self(ms)).ok_or(CopyPeriodError)
    }
}

impl From<CopyPeriod> for u64 {
    fn from(period: CopyPeriod) -> Self {
        period.0
    }
}

/// How a cluster heals by itself.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Healing {
    /// What may be done.
    pub policy: HealingPolicy,
    /// After how long.
    pub after_ms: HealAfter,
    /// How often the controller's state is copied off its host. Specifications of before have the default.
    #[serde(default)]
    pub copies_ms: CopyPeriod,
}

/// What is to be changed of how a cluster heals.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct HealingChange {
    /// Instead of the policy.
    pub policy: Option<HealingPolicy>,
    /// Instead of the time after which more is done.
    pub after_ms: Option<HealAfter>,
    /// Instead of the period of copies.
    pub copies_ms: Option<CopyPeriod>,
}

impl HealingChange {
    /// What it makes of this; what it does not name stays.
    #[must_use]
    pub fn of(self, before: Healing) -> Healing {
        Healing {
            policy: self.policy.unwrap_or(before.policy),
            after_ms: self.after_ms.unwrap_or(before.after_ms),
            copies_ms: self.copies_ms.unwrap_or(before.copies_ms),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_policy_and_role_has_its_answer() {
        let all = |heal| [heal; 4];
        assert_eq!(Role::ALL[0], Role::Controller);
        for copy in [Copied::Yes, Copied::No] {
            let of = |policy: HealingPolicy| Role::ALL.map(|role| policy.allows(role, copy));
            let controller = if copy == Copied::Yes { Heal::Reschedule } else { Heal::Restart };
            let [_, others @ ..] = all(Heal::Reschedule);
            assert_eq!(of(HealingPolicy::Default)[0], controller);
            assert_eq!(of(HealingPolicy::Default)[1..], others);
            assert_eq!(of(HealingPolicy::None), all(Heal::Nothing));
            assert_eq!(of(HealingPolicy::Restart), all(Heal::Restart));
            assert_eq!(of(HealingPolicy::Reschedule), all(Heal::Reschedule));
        }
        assert_eq!(HealingPolicy::ALL.map(HealingPolicy::heals), [true, false, true, true]);
    }

    #[test]
    fn words_and_times_come_back_and_others_are_refused() {
        for policy in HealingPolicy::ALL {
            assert_eq!(policy.to_string().parse(), Ok(policy));
        }
        assert_eq!(
            "Restart".parse::<HealingPolicy>().unwrap_err().to_string(),
            "`Restart` is not a healing policy: default, none, restart or reschedule"
        );
        for fine in [0, 10_000, 120_000, 604_800_000] {
            assert_eq!(HealAfter::try_from(fine).map(HealAfter::as_millis), Ok(fine));
        }
        for wrong in [604_800_001, u64::MAX] {
            assert_eq!(HealAfter::try_from(wrong), Err(HealAfterError), "{wrong}");
        }
        for (ms, every) in [(0, None), (10_000, Some(10)), (60_000, Some(60)), (3_600_000, Some(3600))] {
            let period = CopyPeriod::try_from(ms).unwrap();
            assert_eq!((period.as_millis(), period.every()), (ms, every.map(Duration::from_secs)));
        }
        for wrong in [1, 9_999, 3_600_001, u64::MAX] {
            assert_eq!(CopyPeriod::try_from(wrong), Err(CopyPeriodError), "{wrong}");
        }
        let text = serde_json::to_string(&Healing::default()).unwrap();
        assert_eq!(text, r#"{"policy":"default","after_ms":120000,"copies_ms":60000}"#);
        assert_eq!(serde_json::from_str::<Healing>(&text).unwrap(), Healing::default());
        let of_before = r#"{"policy":"default","after_ms":120000}"#;
        assert_eq!(serde_json::from_str::<Healing>(of_before).unwrap(), Healing::default());
        assert!(serde_json::from_str::<Healing>(r#"{"policy":"none","after_ms":604800001}"#).is_err());
    }
}
