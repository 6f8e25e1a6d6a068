//! What a proxy does, and at which requests.

use std::{ops::RangeInclusive, time::Duration};

/// What a host is like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// All is passed on.
    Pass,
    /// Nobody listens, and connections that stood are gone.
    Refuse,
    /// Connections stand and nothing moves on them until another mode is set.
    Hang,
    /// Every answer comes this much later.
    Slow(Duration),
}

/// When a rule acts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum When {
    /// The engine has not seen the request.
    Before,
    /// The engine has answered in full; who asked has not read a byte of it.
    After,
}

/// What a rule does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// SIGKILL to the process that asked.
    Kill,
    /// SIGKILL to the process that asked, and this much later the engine gets the request all the same.
    KillThenPass(Duration),
    /// The connection ends.
    Drop,
    /// No answer, ever; other requests are answered.
    Hang,
    /// The engine gets this many bytes of the request's body, and no more until the connection ends.
    Part(usize),
    /// It goes on this much later.
    Delay(Duration),
    /// This status with this message, in the engine's form, instead of the engine's answer.
    Answer(u16, &'static str),
    /// The whole host is in this mode from here on.
    Become(Mode),
}

/// Does something at some of the requests of a kind.
#[derive(Debug, Clone)]
pub struct Rule {
    method: &'static str,
    parts: &'static [&'static str],
    pub(super) which: RangeInclusive<u32>,
    pub(super) when: When,
    pub(super) action: Action,
}

impl Rule {
    /// At the first request with this method whose path holds all these parts.
    #[must_use]
    pub fn new(method: &'static str, parts: &'static [&'static str], when: When, action: Action) -> Self {
        Self { method, parts, which: 1..=1, when, action }
    }

    /// At the `n`-th such request instead, counted from 1.
    #[must_use]
    pub fn nth(self, n: u32) -> Self {
        Self { which: n..=n, ..self }
    }

    /// At every such request instead.
    #[must_use]
    pub fn every(self) -> Self {
        Self { which: 1..=u32::MAX, ..self }
    }

    pub(super) fn matches(&self, method: &str, line: &str) -> bool {
        self.method == method && self.parts.iter().all(|part| line.contains(part))
    }
}
