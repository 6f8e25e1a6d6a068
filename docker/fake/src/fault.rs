//! Faults: rules that match calls and fail them. A test may change the list at any time.

use std::time::Duration;

use rand::Rng as _;
use rand_chacha::ChaCha12Rng;

use crate::{Call, Method, Refusal};

/// What happens to one call instead of what was asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// The connection breaks, and the engine never acts.
    DropBefore,
    /// The engine acts, and the connection breaks before it has said so.
    DropAfter,
    /// The connection breaks at once; the engine acts this much later than it would have.
    Late(Duration),
    /// The engine answers this and does nothing. [After](crate::Phase::After) the effect: it answers this although it did.
    Answer(Refusal),
    /// The engine acts and answers this much later.
    Slow(Duration),
    /// The engine neither acts nor answers: the caller waits for its own limit.
    Hang,
    /// The engine acts and never answers.
    HangAfter,
}

/// How often a rule's action is taken among the calls that fit it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum When {
    Always,
    Nth(u64),
    EveryNth(u64),
    PerMille(u32),
}

/// A rule: calls that fit meet an action. The first rule whose turn it is decides.
#[derive(Debug, Clone)]
pub struct Rule {
    method: Option<Method>,
    engine: Option<String>,
    client: Option<String>,
    subject: Option<String>,
    when: When,
    action: Action,
    seen: u64,
}

impl Rule {
    /// Every call of `method` meets `action`; narrowed by the other functions.
    #[must_use]
    pub fn on(method: Method, action: Action) -> Self {
        Self { method: Some(method), ..Self::any(action) }
    }

    /// Every call meets `action`.
    #[must_use]
    pub fn any(action: Action) -> Self {
        Self { method: None, engine: None, client: None, subject: None, when: When::Always, action, seen: 0 }
    }

    /// Only on the engine of this name.
    #[must_use]
    pub fn engine(self, name: &str) -> Self {
        Self { engine: Some(name.to_owned()), ..self }
    }

    /// Only calls of the client of this name.
    #[must_use]
    pub fn client(self, name: &str) -> Self {
        Self { client: Some(name.to_owned()), ..self }
    }

    /// Only calls whose subject, as shown (`container n3`), contains this.
    #[must_use]
    pub fn subject(self, part: &str) -> Self {
        Self { subject: Some(part.to_owned()), ..self }
    }

    /// Only the `n`-th call that fits, counted from 1.
    #[must_use]
    pub fn nth(self, n: u64) -> Self {
        Self { when: When::Nth(n), ..self }
    }

    /// Only every `n`-th call that fits.
    #[must_use]
    pub fn every(self, n: u64) -> Self {
        Self { when: When::EveryNth(n.max(1)), ..self }
    }

    /// Only so many of a thousand calls that fit, drawn from the fleet's seed.
    #[must_use]
    pub fn per_mille(self, n: u32) -> Self {
        Self { when: When::PerMille(n), ..self }
    }

    fn fits(&self, call: &Call) -> bool {
        self.method.is_none_or(|method| method == call.method)
            && self.engine.as_deref().is_none_or(|engine| engine == &*call.engine)
            && self.client.as_deref().is_none_or(|client| client == &*call.client)
            && self.subject.as_deref().is_none_or(|part| call.subject.to_string().contains(part))
    }

    fn turn(&mut self, rng: &mut ChaCha12Rng) -> bool {
        self.seen += 1;
        match self.when {
            When::Always => true,
            When::Nth(n) => self.seen == n,
            When::EveryNth(n) => self.seen.is_multiple_of(n),
            When::PerMille(n) => rng.random_ratio(n.min(1000), 1000),
        }
    }
}

/// The rules in force.
#[derive(Debug)]
pub(crate) struct Plan {
    pub(crate) rules: Vec<Rule>,
    pub(crate) rng: ChaCha12Rng,
}

impl Plan {
    /// The fault of this call, if any. Every matching rule counts the call.
    pub(crate) fn decide(&mut self, call: &Call) -> Option<Action> {
        let mut decided = None;
        for rule in &mut self.rules {
            if rule.fits(call) && rule.turn(&mut self.rng) && decided.is_none() {
                decided = Some(rule.action.clone());
            }
        }
        decided
    }
}
