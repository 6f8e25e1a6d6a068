//! Many engines, and what they share: the clock, the seed, the faults, the programs, and who watches.

use std::{
    collections::{BTreeMap, HashMap},
    fmt,
    net::Ipv4Addr,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use rand::SeedableRng as _;
use rand_chacha::ChaCha12Rng;
use shoal_docker::{Credential, Endpoint, Engine, EngineError};
use shoal_types::{Clock, Timestamp};

use crate::{
    Action, Call, FakeEngine, HostSpec, Image, Latency, NoPrograms, Programs, Refusal, Rule, Violation,
    client::Client,
    fault::Plan,
    machine::Machine,
    state::{Container, digest_of},
    truth::Watch,
};

/// Before or after the effect of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Phase {
    /// The engine has the request and has done nothing.
    Before,
    /// The engine has done what was asked, and has not said so.
    After,
}

/// What an observer is shown.
#[derive(Debug)]
pub struct Moment<'a> {
    /// The call.
    pub call: &'a Call,
    /// Where it is.
    pub phase: Phase,
}

/// Looks at every call and may decide what becomes of it.
pub type Observer = Arc<dyn Fn(&Moment<'_>) -> Option<Action> + Send + Sync>;

/// What an engine does with a call whose caller went away while it was in flight.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Vanished {
    /// As engines do: `create` is finished, `start` too on 20.10; everything else is finished or not by the seed.
    #[default]
    AsEngines,
    /// Everything is finished.
    Finishes,
    /// Nothing is finished.
    Aborts,
}

struct Settings {
    programs: Arc<dyn Programs>,
    latency: Latency,
    observer: Option<Observer>,
    vanished: Vanished,
    starts_max: u64,
    keep_archives: bool,
    /// Reference -> image that engines can pull.
    registry: BTreeMap<String, Arc<Image>>,
    /// Who may pull, name and password; everybody if `None`.
    registry_user: Option<(String, String)>,
}

/// What all engines of a fleet share.
pub(crate) struct Shared {
    pub(crate) clock: Arc<dyn Clock>,
    settings: Mutex<Settings>,
    plan: Mutex<Plan>,
    watch: Mutex<Watch>,
    /// Id -> image, so that a thousand engines hold one.
    images: Mutex<HashMap<String, Arc<Image>>>,
    calls: AtomicU64,
}

impl Shared {
    fn settings(&self) -> MutexGuard<'_, Settings> {
        self.settings.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn watch(&self) -> MutexGuard<'_, Watch> {
        self.watch.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn programs(&self) -> Arc<dyn Programs> {
        Arc::clone(&self.settings().programs)
    }

    pub(crate) fn latency(&self) -> Latency {
        self.settings().latency.clone()
    }

    pub(crate) fn keep_archives(&self) -> bool {
        self.settings().keep_archives
    }

    pub(crate) fn vanished(&self) -> Vanished {
        self.settings().vanished
    }

    /// What the registry has under a reference or a digest, for who is known there.
    pub(crate) fn in_registry(
        &self,
        reference: &str,
        known: Option<&(String, String)>,
    ) -> Result<Arc<Image>, Refusal> {
        let settings = self.settings();
        if settings.registry_user.is_some() && settings.registry_user.as_ref() != known {
            return Err(Refusal::Registry("unauthorized: authentication required".into()));
        }
        let by_digest = || {
            let fits = |(named, image): &(&String, &Arc<Image>)| digest_of(image, named) == reference;
            settings.registry.iter().find(fits).map(|(_, image)| image)
        };
        let found = settings.registry.get(reference).or_else(by_digest).cloned();
        found.ok_or_else(|| Refusal::Registry("dial tcp: connection refused".into()))
    }

    /// The one copy of this image.
    pub(crate) fn intern(&self, image: Arc<Image>) -> Arc<Image> {
        let mut images = self.images.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(images.entry(image.id.clone()).or_insert(image))
    }

    /// What becomes of a call: the observer is asked first, then, before the effect, the rules.
    pub(crate) fn decide(&self, call: &Call, phase: Phase) -> Option<Action> {
        let observer = self.settings().observer.clone();
        let observed = observer.and_then(|observer| observer(&Moment { call, phase }));
        match phase {
            Phase::After => observed,
            Phase::Before => {
                self.calls.fetch_add(1, Ordering::Relaxed);
                let ruled = self.plan.lock().unwrap_or_else(PoisonError::into_inner).decide(call);
                observed.or(ruled)
            }
        }
    }

    pub(crate) fn starts(&self, engine: &Arc<str>, in_flight: u64) {
        let most = self.settings().starts_max;
        if in_flight > most {
            let engine = Arc::clone(engine);
            self.watch().violations.push(Violation::Starts { engine, in_flight });
        }
    }

    pub(crate) fn address_taken(
        &self,
        engine: &str,
        container: &Container,
        address: Ipv4Addr,
        at: Timestamp,
    ) {
        if let Some((network, _)) = &container.network {
            self.watch().taken(network, address, format!("{engine}/{}", container.spec.name), at);
        }
    }

    pub(crate) fn address_free(&self, engine: &str, container: &Container, address: Ipv4Addr) {
        if let Some((network, _)) = &container.network {
            self.watch().free(network, address, &format!("{engine}/{}", container.spec.name));
        }
    }
}

/// Many engines in one process.
#[derive(Clone)]
pub struct Fleet {
    shared: Arc<Shared>,
    seed: u64,
    engines: Arc<Mutex<Engines>>,
}

#[derive(Default)]
struct Engines {
    /// In the order they were added.
    all: Vec<Arc<Machine>>,
    by_endpoint: HashMap<Endpoint, Arc<Machine>>,
}

impl fmt::Debug for Fleet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Fleet").field("seed", &self.seed).finish_non_exhaustive()
    }
}

impl Fleet {
    /// No engines yet. All that is drawn later comes from `seed`; `clock` must go with tokio's time, as
    /// [`VirtualClock`](crate::VirtualClock) does.
    #[must_use]
    pub fn new(seed: u64, clock: Arc<dyn Clock>) -> Self {
        let settings = Settings {
            programs: Arc::new(NoPrograms),
            latency: Latency::default(),
            observer: None,
            vanished: Vanished::default(),
            starts_max: u64::MAX,
            keep_archives: true,
            registry: BTreeMap::new(),
            registry_user: None,
        };
        let shared = Shared {
            clock,
            settings: Mutex::new(settings),
            plan: Mutex::new(Plan { rules: Vec::new(), rng: ChaCha12Rng::seed_from_u64(seed) }),
            watch: Mutex::default(),
            images: Mutex::default(),
            calls: AtomicU64::new(0),
        };
        Self { shared: Arc::new(shared), seed, engines: Arc::default() }
    }

    fn engines(&self) -> MutexGuard<'_, Engines> {
        self.engines.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds a host with its engine, which is up.
    pub fn add(&self, host: &HostSpec) -> FakeEngine {
        let mut engines = self.engines();
        // Far apart, so that no two engines of two seeds draw the same.
        let seed = self.seed.wrapping_mul(0x9e37_79b9_7f4a_7c15).wrapping_add(engines.all.len() as u64);
        let machine = Arc::new(Machine::new(host, Arc::clone(&self.shared), seed));
        engines.all.push(Arc::clone(&machine));
        engines.by_endpoint.insert(host.endpoint.clone(), Arc::clone(&machine));
        FakeEngine::new(machine)
    }

    /// Every engine, in the order they were added.
    #[must_use]
    pub fn all(&self) -> Vec<FakeEngine> {
        self.engines().all.iter().cloned().map(FakeEngine::new).collect()
    }

    /// The engine of this name.
    #[must_use]
    pub fn engine(&self, name: &str) -> Option<FakeEngine> {
        self.engines().all.iter().find(|machine| &*machine.name == name).cloned().map(FakeEngine::new)
    }

    /// Connects a client to the engine at `endpoint`, as [`shoal_docker::connect`] does to a real one.
    ///
    /// # Errors
    /// `Refused`: no such endpoint, or a dead engine; `Unreachable`, `Timeout`; `TlsRequired`; `TooOld`.
    pub async fn connect(
        &self,
        client: &str,
        endpoint: &Endpoint,
        credential: Option<&Credential>,
    ) -> Result<Arc<dyn Engine>, EngineError> {
        if matches!((endpoint, credential), (Endpoint::Tcp { .. }, None)) {
            return Err(EngineError::TlsRequired { endpoint: endpoint.clone() });
        }
        let machine = self.engines().by_endpoint.get(endpoint).cloned();
        let Some(machine) = machine else {
            let source = std::io::Error::from(std::io::ErrorKind::ConnectionRefused);
            return Err(EngineError::Refused { endpoint: endpoint.clone(), source });
        };
        let client = Client::new(machine, client.into());
        client.agree().await?;
        Ok(Arc::new(client))
    }

    /// What runs inside containers.
    pub fn set_programs(&self, programs: Arc<dyn Programs>) {
        self.shared.settings().programs = programs;
    }

    /// How long engines take.
    pub fn set_latency(&self, latency: Latency) {
        self.shared.settings().latency = latency;
    }

    /// What engines do with calls whose callers went away.
    pub fn set_vanished(&self, vanished: Vanished) {
        self.shared.settings().vanished = vanished;
    }

    /// More starts in flight than this on one engine are a [`Violation::Starts`].
    pub fn set_starts_max(&self, most: u64) {
        self.shared.settings().starts_max = most;
    }

    /// Whether archives put into containers are kept (the default), or looked at and forgotten, to save memory.
    pub fn set_keep_archives(&self, keep: bool) {
        self.shared.settings().keep_archives = keep;
    }

    /// Who looks at every call from now on. It is called without any lock held, in the task of the caller.
    pub fn observe(&self, observer: impl Fn(&Moment<'_>) -> Option<Action> + Send + Sync + 'static) {
        self.shared.settings().observer = Some(Arc::new(observer));
    }

    /// Nobody looks any more.
    pub fn observe_nothing(&self) {
        self.shared.settings().observer = None;
    }

    /// Adds a rule behind those there are.
    pub fn rule(&self, rule: Rule) {
        self.shared.plan.lock().unwrap_or_else(PoisonError::into_inner).rules.push(rule);
    }

    /// No rules any more.
    pub fn clear_rules(&self) {
        self.shared.plan.lock().unwrap_or_else(PoisonError::into_inner).rules.clear();
    }

    /// Lets engines pull this image by this reference. All other pulls find no registry.
    pub fn publish(&self, reference: &str, image: &Arc<Image>) {
        self.shared.settings().registry.insert(reference.to_owned(), Arc::clone(image));
    }

    /// Lets only this user pull.
    pub fn ask_who_pulls(&self, username: &str, password: &str) {
        self.shared.settings().registry_user = Some((username.to_owned(), password.to_owned()));
    }

    /// What must never be and was.
    #[must_use]
    pub fn violations(&self) -> Vec<Violation> {
        self.shared.watch().violations.clone()
    }

    /// How many calls were made, of all clients to all engines.
    #[must_use]
    pub fn calls(&self) -> u64 {
        self.shared.calls.load(Ordering::Relaxed)
    }
}
