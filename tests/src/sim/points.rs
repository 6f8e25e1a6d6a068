//! Every effect of a coordinator on a host or on the store, in order: recorded in one run, met with a fault in another.
//!
//! ```text
//! engine calls  --.
//! agent calls   ---+--> at(client, what, phase) --> recorded --> the armed fault, once
//! commits       --'
//! ```
//! A point is told by what it is and how often that has happened, not by its place in the whole order: what runs side by side
//! may change places.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    sync::{Mutex, MutexGuard, PoisonError},
};

use shoal_docker_fake::Phase;
use tokio::sync::Notify;

/// A moment in a run.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Point {
    /// What is done: `engine create container`, `agent ApplyNetwork`, `store commit`.
    pub what: String,
    /// Whether it has been done.
    pub done: bool,
    /// Counted from 1.
    pub nth: usize,
}

impl fmt::Display for Point {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { what, done, nth } = self;
        write!(f, "{} {what} #{nth}", if *done { "after" } else { "before" })
    }
}

/// What goes wrong at a point.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Fault {
    /// The coordinator's process is gone.
    Crash,
    /// An error is answered.
    Error,
    /// The connection breaks.
    Lost,
    /// No answer ever comes.
    Hang,
}

impl Fault {
    /// Every fault.
    pub const ALL: [Self; 4] = [Self::Crash, Self::Error, Self::Lost, Self::Hang];
}

/// Which points are tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Choice {
    /// Every one.
    All,
    /// The first, the middle and the last of each kind.
    Few,
    /// The last of each kind.
    Last,
}

#[derive(Debug, Default)]
struct State {
    seen: BTreeMap<(String, bool), usize>,
    armed: Option<(Point, Fault)>,
    met: bool,
    /// Clients whose process is gone.
    dead: BTreeSet<String>,
    /// The store cannot be reached by anybody.
    away: bool,
}

/// All points of a world.
#[derive(Debug, Default)]
pub struct Points {
    state: Mutex<State>,
    crash: Notify,
}

impl Points {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts from the beginning, and meets this point with this fault, once.
    pub fn arm(&self, point: Option<(Point, Fault)>) {
        let dead = std::mem::take(&mut self.state().dead);
        *self.state() = State { armed: point, dead, ..State::default() };
    }

    /// Whether the armed fault was met.
    #[must_use]
    pub fn met(&self) -> bool {
        self.state().met
    }

    /// What was seen since [`Points::arm`], (what, whether done) -> how often.
    #[must_use]
    pub fn seen(&self) -> BTreeMap<(String, bool), usize> {
        self.state().seen.clone()
    }

    /// So many of those of every kind.
    #[must_use]
    pub fn chosen(&self, choice: Choice) -> Vec<Point> {
        let mut points = Vec::new();
        for ((what, done), count) in self.seen() {
            let chosen: BTreeSet<usize> = match choice {
                Choice::All => (1..=count).collect(),
                Choice::Few => [1, count.div_ceil(2), count].into(),
                Choice::Last => [count].into(),
            };
            points.extend(chosen.into_iter().map(|nth| Point { what: what.clone(), done, nth }));
        }
        points
    }

    /// From now on nothing of this client reaches anything, as if its process were gone.
    pub fn bury(&self, client: &str) {
        self.state().dead.insert(client.to_owned());
    }

    /// From now on the store can, or cannot, be reached.
    pub fn store_away(&self, away: bool) {
        self.state().away = away;
    }

    pub(crate) fn has_store(&self, client: &str) -> bool {
        let state = self.state();
        !state.away && !state.dead.contains(client)
    }

    pub(crate) fn is_dead(&self, client: &str) -> bool {
        self.state().dead.contains(client)
    }

    /// Returns once a crash was met.
    pub(crate) async fn crashed(&self) {
        self.crash.notified().await;
    }

    /// A moment of `client` has come: what goes wrong.
    pub(crate) fn at(&self, client: &str, what: &str, phase: Phase) -> Option<Fault> {
        let mut state = self.state();
        let done = phase == Phase::After;
        if state.dead.contains(client) {
            return Some(Fault::Hang);
        }
        let count = state.seen.entry((what.to_owned(), done)).or_default();
        *count += 1;
        let nth = *count;
        let (_, fault) =
            state.armed.as_ref().filter(|(p, _)| p.what == what && p.done == done && p.nth == nth)?;
        let fault = *fault;
        state.met = true;
        drop(state);
        if fault == Fault::Crash {
            self.crash.notify_one();
        }
        Some(fault)
    }
}
