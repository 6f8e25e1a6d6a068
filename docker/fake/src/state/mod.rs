//! Everything an engine and its host hold, behind one lock and outside of any runtime.
//!
//! Effects are plain functions of (state, time): one that cannot run now, because its caller is gone or because it takes
//! the engine a while, waits in `pending` until somebody looks at the engine at or after its time.

mod containers;
mod files;
mod images;
mod lifecycle;
mod networks;
mod volumes;

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::Arc,
};

use rand::{Rng as _, RngCore as _, SeedableRng as _};
use rand_chacha::ChaCha12Rng;
use shoal_docker::{EngineEvent, LabelFilter};
use shoal_types::{EngineFacts, Timestamp};
use tokio::sync::{mpsc, watch};

pub(crate) use self::{
    containers::Container,
    images::{Stored, digest_of},
    networks::Network,
    volumes::Volume,
};
use crate::{HostSpec, Method, Release, Saves, Truth, fleet::Shared};

/// How an engine is, as its callers see it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Condition {
    /// It answers.
    Up,
    /// Its process is gone: connections are refused. Containers live on.
    Dead,
    /// Nothing of its host can be reached. Containers live on.
    Unreachable,
    /// It accepts connections and does nothing. Containers live on.
    Hung,
}

/// How a connection is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Line {
    Stands,
    /// Broken, and both ends know.
    Reset,
    /// Broken, and nobody has been told.
    Silent,
}

/// Something that happens at a later time, whoever waits for it.
pub(crate) type Later = Box<dyn FnOnce(&mut State, Timestamp) + Send>;

pub(crate) struct Subscriber {
    pub(crate) filter: LabelFilter,
    pub(crate) events: mpsc::UnboundedSender<EngineEvent>,
}

pub(crate) struct State {
    pub(crate) name: Arc<str>,
    pub(crate) shared: Arc<Shared>,
    pub(crate) rng: ChaCha12Rng,
    pub(crate) release: Release,
    /// Without the subnets, which are those of its networks.
    pub(crate) facts: EngineFacts,
    pub(crate) condition: watch::Sender<Condition>,
    /// Clients that cannot reach it.
    pub(crate) apart: BTreeSet<Arc<str>>,
    /// Client -> its connections.
    pub(crate) lines: BTreeMap<Arc<str>, watch::Sender<Line>>,
    /// Whether the engine's process is there.
    pub(crate) has_process: bool,
    /// Counts the engine's processes: what was in flight in one does not live on in the next.
    pub(crate) life: u64,
    /// Order of making -> container.
    pub(crate) containers: BTreeMap<u64, Container>,
    pub(crate) by_name: HashMap<String, u64>,
    pub(crate) by_id: HashMap<Arc<str>, u64>,
    /// Order of making -> network; the engine's own bridge first.
    pub(crate) networks: BTreeMap<u64, Network>,
    /// Name -> volume.
    pub(crate) volumes: BTreeMap<String, Volume>,
    /// Id -> image.
    pub(crate) images: BTreeMap<String, Stored>,
    /// How images are saved.
    pub(crate) saves: Saves,
    /// (When, order of asking) -> what.
    pending: BTreeMap<(Timestamp, u64), Later>,
    pub(crate) subscribers: Vec<Subscriber>,
    pub(crate) counts: BTreeMap<Method, u64>,
    pub(crate) starts_in_flight: u64,
    pub(crate) starts_in_flight_max: u64,
    number: u64,
    pid: u32,
}

impl State {
    pub(crate) fn new(host: &HostSpec, shared: Arc<Shared>, seed: u64) -> Self {
        let mut state = Self {
            name: host.name.as_str().into(),
            shared,
            rng: ChaCha12Rng::seed_from_u64(seed),
            release: host.release,
            facts: host.facts.clone(),
            condition: watch::Sender::new(Condition::Up),
            apart: BTreeSet::new(),
            lines: BTreeMap::new(),
            has_process: true,
            life: 0,
            containers: BTreeMap::new(),
            by_name: HashMap::new(),
            by_id: HashMap::new(),
            networks: BTreeMap::new(),
            volumes: BTreeMap::new(),
            images: BTreeMap::new(),
            saves: Saves::default(),
            pending: BTreeMap::new(),
            subscribers: Vec::new(),
            counts: BTreeMap::new(),
            starts_in_flight: 0,
            starts_in_flight_max: 0,
            number: 0,
            pid: 1000,
        };
        state.predefined_networks();
        state
    }

    /// A number never given before.
    pub(crate) fn number(&mut self) -> u64 {
        self.number += 1;
        self.number
    }

    /// A process number on the host.
    pub(crate) fn pid(&mut self) -> u32 {
        self.pid += self.rng.random_range(1..=9);
        self.pid
    }

    /// An id of 64 hexadecimal digits.
    pub(crate) fn id(&mut self) -> String {
        let mut bytes = [0; 32];
        self.rng.fill_bytes(&mut bytes);
        hex::encode(bytes)
    }

    /// Does what is due, in its order, each at its own time. A hung or dead engine does nothing; what it was asked waits.
    pub(crate) fn advance(&mut self, now: Timestamp) {
        if matches!(*self.condition.borrow(), Condition::Hung | Condition::Dead) {
            return;
        }
        while let Some(entry) = self.pending.first_entry().filter(|entry| entry.key().0 <= now) {
            let ((due, _), later) = entry.remove_entry();
            later(self, due);
        }
    }

    /// When the next thing is due.
    pub(crate) fn next_due(&self) -> Option<Timestamp> {
        self.pending.first_key_value().map(|((due, _), _)| *due)
    }

    pub(crate) fn later(&mut self, due: Timestamp, what: Later) {
        let number = self.number();
        self.pending.insert((due, number), what);
    }

    /// A line of this client's.
    pub(crate) fn line(&mut self, client: &Arc<str>) -> watch::Receiver<Line> {
        let sender = self.lines.entry(Arc::clone(client)).or_insert_with(|| watch::Sender::new(Line::Stands));
        sender.subscribe()
    }

    /// Breaks the lines of one client, or of all.
    pub(crate) fn break_lines(&mut self, client: Option<&Arc<str>>, how: Line) {
        match client {
            Some(client) => drop(self.lines.remove(client).map(|line| line.send_replace(how))),
            None => {
                for line in std::mem::take(&mut self.lines).into_values() {
                    line.send_replace(how);
                }
            }
        }
    }

    /// The engine's process has ended: nobody waits any more, nothing it had begun goes on.
    pub(crate) fn process_ended(&mut self, how: Line) {
        self.life += 1;
        self.pending.clear();
        self.subscribers.clear();
        self.starts_in_flight = 0;
        self.break_lines(None, how);
    }

    /// A new process of the engine, over what the old one left.
    pub(crate) fn process_began(&mut self, now: Timestamp) {
        self.all_end();
        self.has_process = true;
        self.condition.send_replace(Condition::Up);
        for container in self.containers.keys().copied().collect::<Vec<_>>() {
            self.restart_if_always(container, now);
        }
    }

    /// No container lives on.
    pub(crate) fn all_end(&mut self) {
        for container in self.containers.keys().copied().collect::<Vec<_>>() {
            self.leave_behind(container);
        }
    }

    /// Loses everything but its predefined networks.
    pub(crate) fn forget(&mut self) {
        self.all_end();
        self.containers.clear();
        self.by_name.clear();
        self.by_id.clear();
        self.networks.clear();
        self.volumes.clear();
        self.images.clear();
        self.predefined_networks();
    }

    /// Tells the subscribers what happened; those who asked for labels, of containers that carry them.
    pub(crate) fn tell(&mut self, event: &EngineEvent) {
        self.subscribers.retain(|subscriber| {
            let is_asked_for = match event {
                EngineEvent::Container(event) => subscriber.filter.matches(&event.labels),
                EngineEvent::Network(_) => true,
            };
            !is_asked_for || subscriber.events.send(event.clone()).is_ok()
        });
    }

    pub(crate) fn truth(&self) -> Truth {
        Truth {
            containers: self.containers.values().map(Container::truth).collect(),
            networks: self.networks.values().map(|network| network.info.clone()).collect(),
            volumes: self.volumes.iter().map(|(name, volume)| volume.info(name)).collect(),
            images: self.images.values().map(Stored::summary).collect(),
            calls: self.counts.clone(),
            starts_in_flight_max: self.starts_in_flight_max,
            pending: self.pending.len(),
        }
    }
}

/// As engines tell when containers and volumes were created.
fn whole_seconds(at: Timestamp) -> Timestamp {
    Timestamp(at.0 - at.0 % 1000)
}
