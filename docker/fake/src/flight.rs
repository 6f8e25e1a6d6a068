//! A call on its way: to the engine, its effect there, and back, with everything that can go wrong between.
//!
//! ```text
//! connect --> Before: observer, rules --> latency --> effect --> After: observer --> latency --> answer
//!    |                                       |
//!    '- refused, unreachable                 '- dropped here, the engine may finish it alone
//! ```

use std::{
    future::{Future, pending},
    io,
    sync::Arc,
    time::Duration,
};

use rand::Rng as _;
use shoal_docker::{EngineError, Subject};
use shoal_types::Timestamp;
use tokio::{
    sync::watch,
    time::{Instant, sleep, timeout},
};

use crate::{
    Action, Call, Condition, Method, Phase, Refusal, Release, Vanished,
    client::Client,
    machine::Machine,
    state::{Line, State},
};

/// A silent peer is noticed after 10 s + 3 x 5 s of TCP keepalive: the real adapter's.
const KEEPALIVE: Duration = Duration::from_secs(25);

/// What a call does to the engine, at a time.
pub(crate) type Effect<T> = Box<dyn FnOnce(&mut State, Timestamp) -> Result<T, Refusal> + Send>;

/// Returns once the line does not stand any more.
pub(crate) async fn broken(line: &mut watch::Receiver<Line>) {
    drop(line.wait_for(|line| *line != Line::Stands).await);
}

/// Returns once a broken line's client has noticed.
pub(crate) async fn noticed(line: &watch::Receiver<Line>) {
    let silent = *line.borrow() == Line::Silent;
    if silent {
        sleep(KEEPALIVE).await;
    }
}

impl Client {
    pub(crate) fn request(&self, method: Method, subject: Subject) -> Call {
        let (engine, client) = (Arc::clone(&self.machine.name), Arc::clone(&self.name));
        Call { engine, client, method, subject }
    }

    pub(crate) fn unreachable(&self, kind: io::ErrorKind) -> EngineError {
        EngineError::Unreachable { endpoint: self.machine.endpoint.clone(), source: kind.into() }
    }

    /// Asks for an effect within the limit of the call's class.
    pub(crate) async fn call<T: Send + 'static>(
        &self,
        call: &Call,
        effect: impl FnOnce(&mut State, Timestamp) -> Result<T, Refusal> + Send + 'static,
    ) -> Result<T, EngineError> {
        let limit = self.machine.timeouts.limit(call.method.class());
        self.call_then(call, limit, effect, |value| std::future::ready(Ok(value))).await
    }

    /// Asks for an effect that is followed by something that takes the engine a while; all within `limit`.
    pub(crate) async fn call_then<T, U, F>(
        &self,
        call: &Call,
        limit: Duration,
        effect: impl FnOnce(&mut State, Timestamp) -> Result<T, Refusal> + Send + 'static,
        then: impl FnOnce(T) -> F + Send,
    ) -> Result<U, EngineError>
    where
        T: Send + 'static,
        F: Future<Output = Result<U, EngineError>> + Send,
    {
        if !call.is_well_formed() {
            let refused = Refusal::BadRequest("not a usable name".into());
            return Err(refused.error(&self.machine.endpoint, call));
        }
        let began = Instant::now();
        let asked = timeout(limit, self.ask(call, Box::new(effect), then)).await;
        let answer = asked.unwrap_or_else(|_| {
            Err(EngineError::Timeout {
                endpoint: self.machine.endpoint.clone(),
                call: call.method.name(),
                subject: call.subject.clone(),
                after: limit,
            })
        });
        match &answer {
            Err(error) if error.is_silence() => self.pulse.note_miss(began),
            Ok(_) | Err(_) => self.pulse.note_answer(),
        }
        answer
    }

    async fn ask<T, U, F>(
        &self,
        call: &Call,
        effect: Effect<T>,
        then: impl FnOnce(T) -> F + Send,
    ) -> Result<U, EngineError>
    where
        T: Send + 'static,
        F: Future<Output = Result<U, EngineError>> + Send,
    {
        let mut line = self.dial().await?;
        tokio::select! {
            biased;
            () = broken(&mut line) => {}
            answer = self.serve(call, effect, then) => return answer,
        }
        noticed(&line).await;
        Err(self.unreachable(io::ErrorKind::ConnectionReset))
    }

    /// A line to the engine.
    pub(crate) async fn dial(&self) -> Result<watch::Receiver<Line>, EngineError> {
        let (condition, line) = {
            let mut state = self.machine.state();
            let apart = state.apart.contains(&self.name);
            let condition = if apart { Condition::Unreachable } else { *state.condition.borrow() };
            (condition, state.line(&self.name))
        };
        match condition {
            Condition::Up | Condition::Hung => Ok(line),
            Condition::Dead => {
                let (endpoint, source) =
                    (self.machine.endpoint.clone(), io::ErrorKind::ConnectionRefused.into());
                Err(EngineError::Refused { endpoint, source })
            }
            Condition::Unreachable => {
                sleep(self.machine.timeouts.connect).await;
                Err(self.unreachable(io::ErrorKind::TimedOut))
            }
        }
    }

    async fn serve<T, U, F>(
        &self,
        call: &Call,
        effect: Effect<T>,
        then: impl FnOnce(T) -> F + Send,
    ) -> Result<U, EngineError>
    where
        T: Send + 'static,
        F: Future<Output = Result<U, EngineError>> + Send,
    {
        let shared = &self.machine.shared;
        let dropped = || self.unreachable(io::ErrorKind::UnexpectedEof);
        let decided = shared.decide(call, Phase::Before);
        let (mut before, after) = {
            let mut state = self.machine.state();
            *state.counts.entry(call.method).or_default() += 1;
            shared.latency().draw(call.method.class(), &mut state.rng)
        };
        match &decided {
            Some(Action::DropBefore) => {
                sleep(before).await;
                return Err(dropped());
            }
            Some(Action::Late(by)) => {
                let due = shared.clock.now().after(before + *by);
                self.machine.state().later(due, Box::new(|state, at| drop(effect(state, at))));
                return Err(dropped());
            }
            Some(Action::Answer(refusal)) => {
                sleep(before + after).await;
                return Err(refusal.clone().error(&self.machine.endpoint, call));
            }
            Some(Action::Hang) => return pending().await,
            Some(Action::Slow(by)) => before += *by,
            Some(Action::DropAfter | Action::HangAfter) | None => {}
        }
        let flight = Flight::depart(&self.machine, call.method, effect, before);
        sleep(before).await;
        self.awake().await;
        let landed = flight.land();
        let done = match landed {
            Ok(value) => then(value).await,
            Err(refusal) => Err(refusal.error(&self.machine.endpoint, call)),
        };
        let observed = shared.decide(call, Phase::After);
        match observed.or(decided) {
            Some(Action::DropBefore | Action::DropAfter | Action::Late(_)) => return Err(dropped()),
            Some(Action::Hang | Action::HangAfter) => return pending().await,
            Some(Action::Answer(refusal)) => return Err(refusal.error(&self.machine.endpoint, call)),
            Some(Action::Slow(_)) | None => {}
        }
        sleep(after).await;
        done
    }

    /// Returns once the engine is not hung.
    async fn awake(&self) {
        let mut condition = self.machine.state().condition.subscribe();
        drop(condition.wait_for(|condition| *condition != Condition::Hung).await);
    }

    /// Waits for something that the engine does at a time.
    pub(crate) async fn until(&self, at: Timestamp) -> Result<(), EngineError> {
        sleep(at.since(self.machine.shared.clock.now())).await;
        self.awake().await;
        drop(self.machine.state_at(at));
        Ok(())
    }
}

/// A call between its request and its effect. Dropped there, its caller has vanished.
struct Flight<T: Send + 'static> {
    machine: Arc<Machine>,
    method: Method,
    life: u64,
    due: Timestamp,
    effect: Option<Effect<T>>,
}

impl<T: Send + 'static> Flight<T> {
    fn depart(machine: &Arc<Machine>, method: Method, effect: Effect<T>, before: Duration) -> Self {
        let due = machine.shared.clock.now().after(before);
        let mut state = machine.state();
        let life = state.life;
        if method == Method::Start {
            state.starts_in_flight += 1;
            state.starts_in_flight_max = state.starts_in_flight_max.max(state.starts_in_flight);
            let in_flight = state.starts_in_flight;
            machine.shared.starts(&machine.name, in_flight);
        }
        drop(state);
        Self { machine: Arc::clone(machine), method, life, due, effect: Some(effect) }
    }

    fn land(mut self) -> Result<T, Refusal> {
        let machine = Arc::clone(&self.machine);
        let now = machine.shared.clock.now().max(self.due);
        let mut state = machine.state_at(now);
        self.over(&mut state);
        match self.effect.take() {
            Some(effect) => effect(&mut state, now),
            None => Err(Refusal::ServerError(500, "the call has landed already".into())),
        }
    }

    /// It is not in flight any more.
    fn over(&self, state: &mut State) {
        if self.method == Method::Start && state.life == self.life {
            state.starts_in_flight = state.starts_in_flight.saturating_sub(1);
        }
    }
}

impl<T: Send + 'static> Drop for Flight<T> {
    /// The caller is gone. What the engine finishes it finishes at its time, whole.
    fn drop(&mut self) {
        let Some(effect) = self.effect.take() else { return };
        let machine = Arc::clone(&self.machine);
        let mut state = machine.state();
        self.over(&mut state);
        // What a process was asked for ends with it.
        if state.life != self.life {
            return;
        }
        let finishes = match (machine.shared.vanished(), self.method, state.release) {
            (Vanished::Finishes, ..)
            | (Vanished::AsEngines, Method::CreateContainer, _)
            | (Vanished::AsEngines, Method::Start, Release::V20_10) => true,
            (Vanished::Aborts, ..) => false,
            (Vanished::AsEngines, ..) => state.rng.random(),
        };
        if finishes {
            state.later(self.due, Box::new(|state, at| drop(effect(state, at))));
        }
    }
}
