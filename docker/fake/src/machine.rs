//! One host with its engine: what a test makes, pulls levers on and looks into.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use shoal_docker::{Endpoint, Engine, Timeouts};
use shoal_types::{Bytes as Size, EngineFacts, Timestamp};

use crate::{
    Condition, Image, Saves, Truth,
    client::Client,
    fleet::Shared,
    state::{Line, State},
};

/// Which engine is played: where the two differ, this decides.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Release {
    /// 20.10.24, API 1.41, cgroup version 1.
    V20_10,
    /// 28.5.2, API 1.51, cgroup version 2.
    V28_5,
}

/// A host to add to a fleet.
#[derive(Debug, Clone)]
pub struct HostSpec {
    /// Its name, unique in the fleet.
    pub name: String,
    /// Which engine it runs.
    pub release: Release,
    /// Where its engine is reached, unique in the fleet. A `tcp://` one asks for TLS material and takes any.
    pub endpoint: Endpoint,
    /// What its engine says of itself; `subnets` are those of its networks, whatever is given here.
    pub facts: EngineFacts,
}

impl HostSpec {
    /// A host of 64 CPUs and 256 GiB, reached at `unix:///fake/NAME/docker.sock`.
    #[must_use]
    pub fn new(name: &str, release: Release) -> Self {
        let (version, api, cgroup_version) = match release {
            Release::V20_10 => ("20.10.24", "1.41", 1),
            Release::V28_5 => ("28.5.2", "1.51", 2),
        };
        let facts = EngineFacts {
            id: format!("fake-engine-{name}"),
            version: version.into(),
            api_version: api.into(),
            architecture: std::env::consts::ARCH.into(),
            cpus: 64,
            memory: Size::mib(256 << 10),
            cgroup_version,
            storage_driver: "overlay2".into(),
            kernel: "6.1.0".into(),
            hostname: name.into(),
            operating_system: "Debian GNU/Linux 12 (bookworm)".into(),
            rootless: false,
            userns_remap: false,
            cpu_limits: true,
            subnets: vec![],
        };
        let endpoint = Endpoint::Unix(format!("/fake/{name}/docker.sock").into());
        Self { name: name.into(), release, endpoint, facts }
    }
}

pub(crate) struct Machine {
    pub(crate) name: Arc<str>,
    pub(crate) endpoint: Endpoint,
    pub(crate) timeouts: Timeouts,
    pub(crate) shared: Arc<Shared>,
    state: Mutex<State>,
}

impl Machine {
    pub(crate) fn new(host: &HostSpec, shared: Arc<Shared>, seed: u64) -> Self {
        Self {
            name: host.name.as_str().into(),
            endpoint: host.endpoint.clone(),
            timeouts: Timeouts::default(),
            state: Mutex::new(State::new(host, Arc::clone(&shared), seed)),
            shared,
        }
    }

    /// The state now: what is due has been done.
    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.state_at(Timestamp(0))
    }

    /// The state now, or at this time if the clock has not got there.
    pub(crate) fn state_at(&self, at: Timestamp) -> MutexGuard<'_, State> {
        let now = self.shared.clock.now().max(at);
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.advance(now);
        state
    }
}

/// A handle on one engine and its host, for the test.
#[derive(Clone)]
pub struct FakeEngine {
    machine: Arc<Machine>,
}

impl std::fmt::Debug for FakeEngine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("FakeEngine").field("name", &self.machine.name).finish_non_exhaustive()
    }
}

impl FakeEngine {
    pub(crate) fn new(machine: Arc<Machine>) -> Self {
        Self { machine }
    }

    /// Its host's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.machine.name
    }

    /// Where it is reached.
    #[must_use]
    pub fn endpoint(&self) -> &Endpoint {
        &self.machine.endpoint
    }

    /// A client of it, as [`crate::Fleet::connect`] gives without asking anything first.
    #[must_use]
    pub fn client(&self, name: &str) -> Arc<dyn Engine> {
        Arc::new(Client::new(Arc::clone(&self.machine), name.into()))
    }

    /// What really is on the host.
    #[must_use]
    pub fn truth(&self) -> Truth {
        self.machine.state().truth()
    }

    /// How it is.
    #[must_use]
    pub fn condition(&self) -> Condition {
        *self.machine.state().condition.borrow()
    }

    /// The engine's process is killed (SIGKILL): connections break and are refused. Containers live on.
    pub fn kill(&self) {
        let mut state = self.machine.state();
        state.process_ended(Line::Reset);
        state.has_process = false;
        state.condition.send_replace(Condition::Dead);
    }

    /// The host loses power: nothing answers, nobody is told, no container lives on.
    pub fn power_off(&self) {
        let mut state = self.machine.state();
        state.process_ended(Line::Silent);
        state.all_end();
        state.has_process = false;
        state.condition.send_replace(Condition::Unreachable);
    }

    /// The host's cable is cut: nothing answers, nobody is told. Containers live on, and the engine goes on with what it has.
    pub fn cut(&self) {
        let mut state = self.machine.state();
        state.break_lines(None, Line::Silent);
        state.condition.send_replace(Condition::Unreachable);
    }

    /// The engine stops (SIGSTOP): it accepts and never answers. What it was asked meanwhile it does when it is
    /// [up](Self::up) again, whoever still waits.
    pub fn hang(&self) {
        self.machine.state().condition.send_replace(Condition::Hung);
    }

    /// Whatever was wrong is over. An engine whose process had ended starts: containers that ran have ended with 137, those
    /// with policy `always` run again.
    pub fn up(&self) {
        let now = self.machine.shared.clock.now();
        let mut state = self.machine.state();
        if state.has_process {
            state.condition.send_replace(Condition::Up);
        } else {
            state.process_began(now);
        }
        state.advance(now);
    }

    /// The engine is killed and started again, at once.
    pub fn restart(&self) {
        self.kill();
        self.up();
    }

    /// The engine comes back without anything it had, with another id if `id` is given.
    pub fn forget(&self, id: Option<&str>) {
        let now = self.machine.shared.clock.now();
        let mut state = self.machine.state();
        state.process_ended(Line::Reset);
        state.forget();
        if let Some(id) = id {
            id.clone_into(&mut state.facts.id);
        }
        state.process_began(now);
    }

    /// This client alone cannot reach it any more; nobody is told.
    pub fn part(&self, client: &str) {
        let client = Arc::from(client);
        let mut state = self.machine.state();
        state.break_lines(Some(&client), Line::Silent);
        state.apart.insert(client);
    }

    /// This client can reach it again.
    pub fn join(&self, client: &str) {
        self.machine.state().apart.remove(client);
    }

    /// A container's first process ends by itself, with this status; its restart policy counts.
    pub fn end_container(&self, reference: &str, code: i64) {
        let now = self.machine.shared.clock.now();
        let mut state = self.machine.state();
        if let Some((number, run)) =
            state.find(reference).and_then(|n| Some((n, state.containers.get(&n)?.run)))
        {
            state.die(number, run, code, now);
        }
    }

    /// Somebody takes a running container off its network.
    pub fn disconnect(&self, reference: &str) {
        let now = self.machine.shared.clock.now();
        let mut state = self.machine.state();
        if let Some(number) = state.find(reference) {
            state.disconnect(number, now);
        }
    }

    /// Changes what the engine says of itself.
    pub fn change_facts(&self, change: impl FnOnce(&mut EngineFacts)) {
        change(&mut self.machine.state().facts);
    }

    /// Gives it an image, under the references of the archive it came from.
    pub fn add_image(&self, image: &Arc<Image>) {
        let image = self.machine.shared.intern(Arc::clone(image));
        self.machine.state().load(&image, &image.tags);
    }

    /// Gives it an image as it is, whatever other engines have under its id.
    pub fn forge_image(&self, image: &Arc<Image>) {
        self.machine.state().load(image, &image.tags);
    }

    /// Takes an image away by reference or id, whoever uses it.
    pub fn lose_image(&self, reference: &str) {
        self.machine.state().lose_image(reference);
    }

    /// Saves images in this way from now on.
    pub fn set_saves(&self, saves: Saves) {
        self.machine.state().saves = saves;
    }

    /// What a program inside a container would read.
    #[must_use]
    pub fn read_file(&self, container: &str, path: &str) -> Option<Bytes> {
        let mut state = self.machine.state();
        let id =
            state.find(container).and_then(|number| Some(Arc::clone(&state.containers.get(&number)?.id)))?;
        state.read_inside(&id, path)
    }
}
