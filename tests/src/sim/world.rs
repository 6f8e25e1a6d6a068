//! A simulated world: hosts with their engines, a store on a real disk, simulated time; coordinators come and go in it.
//!
//! ```text
//! World --live(...)--> Life: a runtime of paused time, in which coordinators run
//!   |                    ends by itself, or with the crash of an armed point: the runtime is dropped with all calls in flight
//!   '-- hosts, store and clock go on: the next life finds what the one before left
//! ```

use std::{
    io::Write as _,
    net::Ipv4Addr,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use anyhow::Context as _;
use shoal_docker::{FileContent, ImageArchive, ImageFile, Layer};
use shoal_docker_fake::{
    Action, FakeEngine, Fleet, HostSpec, Image, Moment, NoPrograms, Phase, Refusal, Release, VirtualClock,
};
use shoal_types::{Clock as _, Timestamp};
use tempfile::TempDir;
use tokio::{
    runtime::{Builder, Handle},
    task::JoinSet,
};

use super::{
    coordinator::{Coordinator, Seeded},
    mesh::HostMesh,
    node_programs::{NodePrograms, Stage},
    points::{Fault, Points},
    time_lock::TimeLock,
};

/// The image all hosts have.
pub const IMAGE: &str = "shoal-node:sim";
/// Where worlds lie: in memory if possible, since every commit waits for its disk.
const MEMORY: &str = "/dev/shm";
/// When the world began.
const DAWN: Timestamp = Timestamp(1_800_000_000_000);

/// A simulated world; clones are the same one.
#[derive(Debug, Clone)]
pub struct World(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    dir: TempDir,
    clock: VirtualClock,
    fleet: Fleet,
    points: Arc<Points>,
    cast: Arc<NodePrograms>,
    entropy: Arc<Seeded>,
}

impl Drop for Inner {
    fn drop(&mut self) {
        // They hold the fleet, which holds them.
        self.fleet.set_programs(Arc::new(NoPrograms));
        self.fleet.observe_nothing();
    }
}

/// A time in which coordinators live.
#[derive(Debug, Clone)]
pub struct Life {
    world: World,
    still: Arc<TimeLock>,
}

impl Life {
    /// Starts a coordinator; its name tells it from others.
    ///
    /// # Errors
    /// The store cannot be used.
    pub async fn coordinator(&self, name: &str) -> anyhow::Result<Coordinator> {
        Coordinator::start(&self.world, &self.still, name, None).await
    }

    /// Starts one on a machine of its own: whether it lives, no other can tell.
    ///
    /// # Errors
    /// As [`Life::coordinator`].
    pub async fn elsewhere(&self, name: &str) -> anyhow::Result<Coordinator> {
        Coordinator::start(&self.world, &self.still, name, Some(name)).await
    }

    /// Lets time go by.
    pub async fn pass(&self, time: Duration) {
        tokio::time::sleep(time).await;
    }
}

impl World {
    /// Hosts `h1` to `hN`, engines of both kinds in turn, all drawn from `seed`.
    ///
    /// # Errors
    /// No directory can be made.
    pub fn new(seed: u64, hosts: usize) -> anyhow::Result<Self> {
        let kinds = [Release::V28_5, Release::V20_10].into_iter().cycle();
        Self::of(seed, &kinds.take(hosts).collect::<Vec<_>>())
    }

    fn of(seed: u64, hosts: &[Release]) -> anyhow::Result<Self> {
        let memory = Path::new(MEMORY);
        let dir = if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() };
        let dir = dir.context("a directory for the store")?;
        let mut agent = std::fs::File::create(dir.path().join("agent"))?;
        agent.write_all(b"#!simulated")?;
        let clock = VirtualClock::new(DAWN);
        let fleet = Fleet::new(seed, Arc::new(clock.clone()));
        let points = Arc::new(Points::default());
        let cast = NodePrograms::new(points.clone(), clock.clone(), fleet.clone());
        fleet.set_programs(Arc::new(Stage(cast.clone())));
        let watched = points.clone();
        fleet.observe(move |moment| observe(&watched, moment));
        let image = node_image_as(IMAGE)?;
        for (number, release) in (1_usize..).zip(hosts) {
            let name = format!("h{number}");
            let engine = fleet.add(&HostSpec::new(&name, *release));
            engine.add_image(&image);
            let [high, low] = u16::try_from(number).context("fewer hosts")?.to_be_bytes();
            cast.mesh(&name, |mesh| mesh.underlay = Some(Ipv4Addr::new(10, 77, high, low)));
        }
        let entropy = Seeded::new(seed);
        Ok(Self(Arc::new(Inner { dir, clock, fleet, points, cast, entropy })))
    }

    /// The same, with every host registered.
    ///
    /// # Errors
    /// As [`World::new`], or what the coordinator says.
    pub fn registered(seed: u64, hosts: usize) -> anyhow::Result<Self> {
        Self::new(seed, hosts)?.with_hosts()
    }

    /// A registered host of this kind of engine.
    ///
    /// # Errors
    /// As [`World::registered`].
    pub fn only(seed: u64, release: Release) -> anyhow::Result<Self> {
        Self::of(seed, &[release])?.with_hosts()
    }

    fn with_hosts(self) -> anyhow::Result<Self> {
        let world = self;
        let names: Vec<String> = world.fleet().all().iter().map(|e| e.name().to_owned()).collect();
        world
            .live(async |life| {
                let coordinator = life.coordinator("setup").await?;
                for name in names {
                    coordinator.register(&name).await?;
                }
                coordinator.shutdown().await;
                anyhow::Ok(())
            })?
            .context("a crash while hosts were registered")??;
        Ok(world)
    }

    /// Runs coordinators until `story` ends, or until an armed crash; `None` then. What `story` leaves running is gone with it.
    ///
    /// # Errors
    /// No runtime can be made.
    pub fn live<T>(&self, story: impl AsyncFnOnce(Life) -> T) -> anyhow::Result<Option<T>> {
        self.live_in(true, story)
    }

    /// The same in real time: for a story with another program in it, whose answers no timeout may run ahead of.
    ///
    /// # Errors
    /// As [`World::live`].
    pub fn live_awake<T>(&self, story: impl AsyncFnOnce(Life) -> T) -> anyhow::Result<Option<T>> {
        self.live_in(false, story)
    }

    fn live_in<T>(&self, paused: bool, story: impl AsyncFnOnce(Life) -> T) -> anyhow::Result<Option<T>> {
        let runtime = Builder::new_current_thread().enable_all().start_paused(paused).build()?;
        let ended = runtime.block_on(async {
            self.0.clock.enter();
            let life = Life { world: self.clone(), still: TimeLock::new(Handle::current()) };
            let ended = tokio::select! {
                biased;
                () = self.0.points.crashed() => None,
                ended = story(life) => Some(ended),
            };
            self.0.clock.leave();
            ended
        });
        drop(runtime);
        Ok(ended)
    }

    /// Lets time go by without any coordinator.
    ///
    /// # Errors
    /// As [`World::live`].
    pub fn pass(&self, time: Duration) -> anyhow::Result<()> {
        self.live(async |life| life.pass(time).await).map(drop)
    }

    /// The clock.
    #[must_use]
    pub fn clock(&self) -> &VirtualClock {
        &self.0.clock
    }

    /// What time it is.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.0.clock.now()
    }

    /// The engines.
    #[must_use]
    pub fn fleet(&self) -> &Fleet {
        &self.0.fleet
    }

    /// The points of this world.
    #[must_use]
    pub fn points(&self) -> &Arc<Points> {
        &self.0.points
    }

    /// The engine of a host.
    ///
    /// # Panics
    /// There is no such host.
    #[must_use]
    pub fn engine(&self, host: &str) -> FakeEngine {
        self.0.fleet.engine(host).unwrap_or_else(|| panic!("no host {host}"))
    }

    /// The mesh of a host, looked at or changed.
    pub fn mesh<T>(&self, host: &str, look: impl FnOnce(&mut HostMesh) -> T) -> T {
        let bridges = self.0.cast.bridges(host);
        self.0.cast.mesh(host, |mesh| {
            mesh.pass(&bridges);
            look(mesh)
        })
    }

    /// A host loses power: what its kernel had is gone.
    pub fn power_off(&self, host: &str) {
        self.engine(host).power_off();
        self.0.cast.mesh(host, |mesh| mesh.devices.clear());
    }

    /// A host is set up anew on the same engine: everything of it is gone.
    pub fn forget(&self, host: &str) {
        self.engine(host).forget(None);
        self.0.cast.mesh(host, |mesh| {
            mesh.devices.clear();
            mesh.kept.clear();
        });
    }

    /// A node of this name has a job, or no longer.
    pub fn job(&self, node: &str, runs: bool) {
        match runs {
            true => self.0.cast.jobs().insert(node.to_owned()),
            false => self.0.cast.jobs().remove(node),
        };
    }

    /// Whether a node of this name has a job.
    pub fn has_job(&self, node: &str) -> bool {
        self.0.cast.jobs().contains(node)
    }

    /// The first process of nodes of this name ends by itself from now on, so long after its start.
    pub fn doom(&self, node: &str, after: Duration, status: i64) {
        self.0.cast.doom(node, after, status);
    }

    /// Nodes stay up again, from their next start on.
    pub fn spare(&self) {
        self.0.cast.spare();
    }

    /// Spends no memory on what nodes and agents hold: for measuring the coordinator.
    pub fn be_lean(&self) {
        self.0.cast.be_lean();
    }

    /// Serves the API of every engine on the socket `NAME.sock` in `dir`, until what is returned is dropped.
    ///
    /// # Errors
    /// A socket cannot be made.
    pub fn serve(&self, dir: &Path) -> std::io::Result<Vec<JoinSet<()>>> {
        let engines = self.fleet().all();
        engines
            .iter()
            .map(|engine| super::api::serve(engine, &dir.join(format!("{}.sock", engine.name()))))
            .collect()
    }

    pub(crate) fn state_dir(&self) -> PathBuf {
        self.0.dir.path().into()
    }

    pub(crate) fn entropy(&self) -> Arc<Seeded> {
        self.0.entropy.clone()
    }

    pub(crate) fn bury(&self, client: &str) {
        self.0.points.bury(client);
        for engine in self.0.fleet.all() {
            engine.part(client);
        }
    }
}

/// What becomes of a call.
fn observe(points: &Points, moment: &Moment<'_>) -> Option<Action> {
    let call = moment.call;
    // Pings are signs of life: how many there are depends on how long the rest takes.
    if call.method == shoal_docker_fake::Method::Ping {
        return None;
    }
    let fault = points.at(&call.client, &format!("engine {}", call.method.name()), moment.phase)?;
    Some(match (fault, moment.phase) {
        (Fault::Error, _) => Action::Answer(Refusal::ServerError(500, "simulated".into())),
        (Fault::Lost, Phase::Before) => Action::DropBefore,
        (Fault::Lost, Phase::After) => Action::DropAfter,
        (Fault::Hang, Phase::Before) => Action::Hang,
        (Fault::Hang, Phase::After) => Action::HangAfter,
        // The request is on its way: what the engine does with it is its own matter.
        (Fault::Crash, Phase::Before) => return None,
        (Fault::Crash, Phase::After) => Action::HangAfter,
    })
}

/// The image of [`IMAGE`], as it would be known by another reference.
///
/// # Errors
/// It cannot be packed.
pub fn node_image_as(reference: &str) -> anyhow::Result<Arc<Image>> {
    let passwd =
        "root:x:0:0::/root:/bin/sh\nmunge:x:101:102::/:/bin/false\nslurm:x:64030:64030::/:/bin/false\n";
    let archive = ImageArchive {
        reference: reference.into(),
        architecture: ImageArchive::architecture_of(std::env::consts::ARCH).into(),
        entrypoint: vec!["/sbin/init".into()],
        cmd: vec![],
        env: std::collections::BTreeMap::new(),
        labels: [("shoal.slurm.version".to_owned(), "22.05.8".to_owned())].into(),
        stop_signal: None,
        layer: Layer::Files(vec![ImageFile {
            path: "etc/passwd".into(),
            mode: 0o644,
            content: FileContent::Bytes(passwd.into()),
        }]),
    };
    Ok(Image::packed(&archive.pack()?)?)
}
