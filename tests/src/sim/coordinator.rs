//! A coordinator's process, simulated: the real coordinator with a store connection, a name and a life of its own.
//!
//! Leases tell processes apart by pid and start time, and take over at once from one that is gone. So every simulated process
//! has a real one, which sleeps, and is killed when the simulated one crashes.

use std::{
    any::Any,
    path::PathBuf,
    process::{Child, Command},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use anyhow::{Context as _, ensure};
use async_trait::async_trait;
use rand::{RngCore as _, SeedableRng as _};
use rand_chacha::ChaCha12Rng;
use shoal_api::{
    DrainStep, DrainedCluster, RebalanceStep, RebalancedCluster, RebalancedHost, RepairStep, RepairedCluster,
};
use shoal_coordinator::{Connect, Embedded, Entropy, KeepEvents, Surroundings, embedded_in};
use shoal_docker::{Credential, Endpoint, Engine, EngineError};
use shoal_docker_fake::{Fleet, Phase};
use shoal_proto::v1::{
    self, clusters_client::ClustersClient, follow_cluster_response, hosts_client::HostsClient,
    insight_client::InsightClient, upkeep_client::UpkeepClient,
};
use shoal_storage::{Fate, Holder, Moment, Probe, Rng, SealingKey, Store, StoreUrl};
use shoal_types::{Clock as _, RealmName, Scheduling, Timestamp};
use tonic::{Status, Streaming, transport::Channel};

use super::{
    points::{Fault, Points},
    time_lock::{TimeGuard, TimeLock},
    world::{IMAGE, World},
};

/// How long a commit takes that hangs: longer than the longest back-off, shorter than anybody waits for the writer.
const STALL: Duration = Duration::from_secs(8);

/// Randomness of a world.
#[derive(Debug)]
pub(crate) struct Seeded(Mutex<ChaCha12Rng>);

impl Seeded {
    pub(crate) fn new(seed: u64) -> Arc<Self> {
        Arc::new(Self(Mutex::new(ChaCha12Rng::seed_from_u64(seed))))
    }
}

impl Entropy for Seeded {
    fn rng(&self) -> Box<Rng> {
        let seed = self.0.lock().unwrap_or_else(PoisonError::into_inner).next_u64();
        Box::new(ChaCha12Rng::seed_from_u64(seed))
    }
}

/// The way to simulated engines.
#[derive(Debug)]
struct Engines {
    fleet: Fleet,
    client: String,
}

#[async_trait]
impl Connect for Engines {
    async fn connect(
        &self,
        endpoint: &Endpoint,
        credential: Option<&Credential>,
    ) -> Result<Arc<dyn Engine>, EngineError> {
        self.fleet.connect(&self.client, endpoint, credential).await
    }

    async fn server_expiry(
        &self,
        _: &Endpoint,
        _: Option<&Credential>,
    ) -> Result<Option<Timestamp>, EngineError> {
        Ok(None)
    }
}

/// A real process that stands for a simulated one.
#[derive(Debug)]
struct Double(Child);

impl Double {
    fn spawn() -> anyhow::Result<Self> {
        Ok(Self(Command::new("sleep").arg("infinity").spawn().context("sleep")?))
    }

    fn holder(&self, name: &str) -> anyhow::Result<Holder> {
        let pid = self.0.id();
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat"))?;
        let start = stat
            .rsplit_once(')')
            .and_then(|(_, fields)| fields.split_ascii_whitespace().nth(19)?.parse().ok());
        let pid_start = start.context("start time in /proc/PID/stat")?;
        let holder = Holder { pid, pid_start, ..Holder::this_process(name)? };
        ensure!(holder.lives(), "process {pid} was to live");
        Ok(holder)
    }
}

impl Drop for Double {
    fn drop(&mut self) {
        // It cannot have ended by itself.
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

/// Where the store's points come from.
struct Watch {
    client: String,
    points: Arc<Points>,
    still: Arc<TimeLock>,
}

impl Probe for Watch {
    fn work(&self) -> Option<Box<dyn Any + Send + Sync>> {
        self.points.has_store(&self.client).then(|| Box::new(self.still.hold()) as Box<dyn Any + Send + Sync>)
    }

    fn commit(&self, moment: Moment) -> Option<Fate> {
        let phase = match moment {
            Moment::Before => Phase::Before,
            Moment::After => Phase::After,
        };
        Some(match self.points.at(&self.client, "store commit", phase)? {
            Fault::Crash => Fate::Never,
            Fault::Error | Fault::Lost => Fate::Breaks,
            Fault::Hang if self.points.is_dead(&self.client) => Fate::Breaks,
            Fault::Hang => {
                self.still.stall(STALL);
                Fate::Stalls(STALL)
            }
        })
    }
}

/// A running coordinator.
#[derive(Debug)]
pub struct Coordinator {
    name: String,
    embedded: Embedded,
    /// Its store, for looking at.
    pub store: Store,
    world: World,
    double: Mutex<Option<Double>>,
}

/// How a coordinator is told to make a cluster.
#[derive(Debug, Clone)]
pub struct Wish {
    /// Its name.
    pub name: String,
    /// Workers beside the controller.
    pub workers: u32,
    /// Its image.
    pub image: String,
    /// How long it may take.
    pub wait: Duration,
    /// Whether it stays if it fails.
    pub keep: bool,
    /// Who places it.
    pub scheduler: String,
    /// By which rules.
    pub placing: v1::Placing,
    /// Text for slurm.conf.
    pub main: String,
    /// MTU of its nodes.
    pub mtu: Option<u32>,
    /// How long it lives.
    pub ttl: Option<Duration>,
}

impl Wish {
    /// A controller and so many workers, within five minutes.
    #[must_use]
    pub fn new(name: &str, workers: u32) -> Self {
        let image = super::world::IMAGE.to_owned();
        Self {
            name: name.into(),
            workers,
            image,
            wait: Duration::from_secs(300),
            keep: false,
            scheduler: "spread".into(),
            placing: v1::Placing::default(),
            main: String::new(),
            mtu: None,
            ttl: None,
        }
    }

    /// What it is to be.
    #[must_use]
    pub fn spec(&self) -> v1::ClusterSpec {
        self.request().spec.unwrap_or_default()
    }

    fn request(&self) -> v1::CreateClusterRequest {
        let group = |role: v1::Role, count| v1::NodeGroup {
            role: role.into(),
            count,
            reserve_cpu_milli: 50,
            reserve_memory_bytes: 64 << 20,
            cpu_limit_milli: None,
            memory_limit_bytes: 512 << 20,
            tmp_size_bytes: 64 << 20,
            shm_size_bytes: None,
            constraints: vec![],
            ..v1::NodeGroup::default()
        };
        let main = (!self.main.is_empty()).then(|| ("main".to_owned(), self.main.clone())).into_iter();
        let spec = v1::ClusterSpec {
            realm: "default".into(),
            name: self.name.clone(),
            image: self.image.clone(),
            scheduler: self.scheduler.clone(),
            placing: Some(self.placing.clone()),
            profile: v1::Profile::System.into(),
            groups: vec![group(v1::Role::Controller, 1), group(v1::Role::Worker, self.workers)],
            slurm_main: main.collect(),
            mtu_bytes: self.mtu,
            ttl_ms: self.ttl.and_then(|ttl| u64::try_from(ttl.as_millis()).ok()),
            ..v1::ClusterSpec::default()
        };
        let wait_ms = u64::try_from(self.wait.as_millis()).unwrap_or(u64::MAX);
        v1::CreateClusterRequest { spec: Some(spec), wait_ms, keep_on_failure: self.keep }
    }

    /// Has a coordinator create it, and waits for it.
    ///
    /// # Errors
    /// What the coordinator says.
    pub async fn create(&self, mut clusters: ClustersClient<Channel>) -> Result<v1::Cluster, Status> {
        let begun = clusters.create_cluster(self.request()).await?.into_inner();
        self.ready(clusters, begun).await
    }

    fn follow(&self, begun: v1::CreateClusterResponse) -> v1::FollowClusterRequest {
        v1::FollowClusterRequest {
            realm: "default".into(),
            name: self.name.clone(),
            create: begun.create,
            after_seq: begun.after_seq,
        }
    }

    /// Waits for its cluster, whose create was begun.
    async fn ready(
        &self,
        mut clusters: ClustersClient<Channel>,
        begun: v1::CreateClusterResponse,
    ) -> Result<v1::Cluster, Status> {
        let mut steps = clusters.follow_cluster(self.follow(begun)).await?.into_inner();
        while let Some(step) = steps.message().await? {
            if let Some(follow_cluster_response::Step::Ready(cluster)) = step.step {
                return Ok(cluster);
            }
        }
        Err(Status::internal("the stream ended without a word"))
    }
}

impl Coordinator {
    /// Starts one in the present runtime; on `machine`, if it is another one than that of the others.
    pub(crate) async fn start(
        world: &World,
        still: &Arc<TimeLock>,
        name: &str,
        machine: Option<&str>,
    ) -> anyhow::Result<Self> {
        let held: TimeGuard = still.hold();
        let double = Double::spawn()?;
        let seeded = world.entropy();
        let state: PathBuf = world.state_dir();
        let key = SealingKey::load_or_create(&state.join("key"), &mut *seeded.rng())?;
        let url = StoreUrl::file(state.join("shoal.db"));
        let store = Store::open(&url, key, world.clock().now(), &mut *seeded.rng()).await?;
        let points = world.points().clone();
        store.probe(Arc::new(Watch { client: name.into(), points, still: still.clone() }));
        let mut holder = double.holder(name)?;
        if let Some(machine) = machine {
            holder.boot_id = format!("boot of {machine}");
        }
        let surroundings = Surroundings {
            clock: Arc::new(world.clock().clone()),
            entropy: seeded,
            connect: Arc::new(Engines { fleet: world.fleet().clone(), client: name.into() }),
            agent_binaries: [(std::env::consts::ARCH.to_owned(), state.join("agent"))].into(),
            holder,
        };
        let embedded = embedded_in(store.clone(), surroundings).await?;
        drop(held);
        Ok(Self {
            name: name.into(),
            embedded,
            store,
            world: world.clone(),
            double: Mutex::new(Some(double)),
        })
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// A channel to it.
    #[must_use]
    pub fn channel(&self) -> Channel {
        self.embedded.channel()
    }

    /// Its clusters.
    #[must_use]
    pub fn clusters(&self) -> ClustersClient<Channel> {
        ClustersClient::new(self.channel())
    }

    /// Its hosts.
    #[must_use]
    pub fn hosts(&self) -> HostsClient<Channel> {
        HostsClient::new(self.channel())
    }

    /// Registers a simulated host.
    ///
    /// # Errors
    /// What the coordinator says.
    pub async fn register(&self, host: &str) -> Result<(), Status> {
        let endpoint = self.world.engine(host).endpoint().to_string();
        let request =
            v1::RegisterHostRequest { name: host.into(), endpoint, ..v1::RegisterHostRequest::default() };
        self.hosts().register_host(request).await.map(drop)
    }

    /// Unregisters a host; what was left behind.
    ///
    /// # Errors
    /// What the coordinator says.
    pub async fn unregister(&self, host: &str, force: bool) -> Result<v1::UnregisterHostResponse, Status> {
        let request = v1::UnregisterHostRequest { name: host.into(), force };
        Ok(self.hosts().unregister_host(request).await?.into_inner())
    }

    /// Where a cluster of this specification would go.
    ///
    /// # Errors
    /// What the coordinator says.
    pub async fn plan(&self, spec: v1::ClusterSpec) -> Result<v1::PlanClusterResponse, Status> {
        let request = v1::PlanClusterRequest { spec: Some(spec) };
        Ok(self.clusters().plan_cluster(request).await?.into_inner())
    }

    /// Why a node of the realm `default` is where it is.
    ///
    /// # Errors
    /// What the coordinator says.
    pub async fn explain(&self, cluster: &str, node: &str) -> Result<v1::ExplainPlacementResponse, Status> {
        let (realm, cluster, node) = ("default".into(), cluster.into(), node.into());
        let request = v1::ExplainPlacementRequest { realm, cluster, node };
        Ok(self.clusters().explain_placement(request).await?.into_inner())
    }

    /// Creates a cluster and waits for it.
    ///
    /// # Errors
    /// What the coordinator says.
    pub async fn create(&self, wish: &Wish) -> Result<v1::Cluster, Status> {
        let begun = self.begin(wish).await?;
        self.ready(wish, begun).await
    }

    /// Begins to create a cluster: returns once it is admitted.
    ///
    /// # Errors
    /// What the coordinator says.
    pub async fn begin(&self, wish: &Wish) -> Result<v1::CreateClusterResponse, Status> {
        Ok(self.clusters().create_cluster(wish.request()).await?.into_inner())
    }

    /// Follows a create that was begun.
    ///
    /// # Errors
    /// What the coordinator says.
    pub async fn follow(
        &self,
        wish: &Wish,
        begun: v1::CreateClusterResponse,
    ) -> Result<Streaming<v1::FollowClusterResponse>, Status> {
        Ok(self.clusters().follow_cluster(wish.follow(begun)).await?.into_inner())
    }

    /// Interrupts a create that was begun.
    ///
    /// # Errors
    /// What the coordinator says.
    pub async fn interrupt(&self, begun: &v1::CreateClusterResponse) -> Result<(), Status> {
        let request = v1::InterruptCreateRequest {
            create: begun.create.clone(),
            realm: RealmName::default().to_string(),
        };
        self.clusters().interrupt_create(request).await.map(drop)
    }

    /// Waits for a cluster whose create was begun.
    ///
    /// # Errors
    /// What the coordinator says.
    pub async fn ready(&self, wish: &Wish, begun: v1::CreateClusterResponse) -> Result<v1::Cluster, Status> {
        wish.ready(self.clusters(), begun).await
    }

    /// Gives a cluster so long from now on; `None`: it stays.
    ///
    /// # Errors
    /// What the coordinator says.
    pub async fn set_ttl(&self, cluster: &str, ttl: Option<Duration>) -> Result<(), Status> {
        let ttl_ms = ttl.map_or(0, |ttl| u64::try_from(ttl.as_millis()).unwrap_or(u64::MAX));
        let request = v1::UpdateClusterRequest {
            realm: "default".into(),
            name: cluster.into(),
            ttl_ms: Some(ttl_ms),
            ..v1::UpdateClusterRequest::default()
        };
        self.clusters().update_cluster(request).await.map(drop)
    }

    /// Deletes clusters, all if none is named.
    ///
    /// # Errors
    /// What the coordinator says.
    pub async fn delete(&self, names: &[&str]) -> Result<(), Status> {
        let request = v1::DeleteClusterRequest {
            realm: "default".into(),
            names: names.iter().map(ToString::to_string).collect(),
            all: names.is_empty(),
        };
        let mut steps = self.clusters().delete_cluster(request).await?.into_inner();
        while steps.message().await?.is_some() {}
        Ok(())
    }

    /// How a cluster is.
    ///
    /// # Errors
    /// What the coordinator says.
    pub async fn status(&self, cluster: &str) -> Result<v1::GetStatusResponse, Status> {
        let request = v1::GetStatusRequest { realm: "default".into(), cluster: cluster.into() };
        let mut insight = InsightClient::new(self.embedded.channel());
        Ok(insight.get_status(request).await?.into_inner())
    }

    /// What is wrong with these hosts, or with all.
    ///
    /// # Errors
    /// What the coordinator says.
    pub async fn examine(&self, hosts: &[&str]) -> Result<v1::ExamineHostsResponse, Status> {
        let hosts = hosts.iter().map(ToString::to_string).collect();
        let request = v1::ExamineHostsRequest { hosts, image: IMAGE.into() };
        let mut insight = InsightClient::new(self.embedded.channel());
        Ok(insight.examine_hosts(request).await?.into_inner())
    }

    /// Removes what no row explains, however young and however much.
    ///
    /// # Errors
    /// What the coordinator says.
    pub async fn sweep(&self) -> Result<v1::SweepResponse, Status> {
        let request = v1::SweepRequest { dry_run: false, grace_ms: Some(0), yes_really: true };
        Ok(UpkeepClient::new(self.channel()).sweep(request).await?.into_inner())
    }

    /// Finishes what was interrupted.
    ///
    /// # Errors
    /// What the coordinator says.
    pub async fn resume(&self) -> Result<(), Status> {
        let request = v1::ResumeRequest { realm: "default".into() };
        let mut steps = UpkeepClient::new(self.channel()).resume(request).await?.into_inner();
        while steps.message().await?.is_some() {}
        Ok(())
    }

    /// Begins to bring every ready cluster back; it ends when the answer is dropped.
    ///
    /// # Errors
    /// What the coordinator says.
    pub async fn begin_repair(&self) -> Result<Streaming<v1::RepairResponse>, Status> {
        let request = v1::RepairRequest { realm: "default".into(), ..v1::RepairRequest::default() };
        Ok(UpkeepClient::new(self.channel()).repair(request).await?.into_inner())
    }

    /// Brings ready clusters back, or says what of them is not as it should be.
    ///
    /// # Errors
    /// What the coordinator says.
    pub async fn repair(&self, names: &[&str], dry_run: bool) -> Result<Vec<RepairedCluster>, Status> {
        let names = names.iter().map(ToString::to_string).collect();
        self.repaired(v1::RepairRequest { names, dry_run, ..v1::RepairRequest::default() }).await
    }

    /// Brings every ready cluster back as upkeep does that no person asks for.
    ///
    /// # Errors
    /// What the coordinator says.
    pub async fn upkeep(&self) -> Result<Vec<RepairedCluster>, Status> {
        self.repaired(v1::RepairRequest { unattended: true, ..v1::RepairRequest::default() }).await
    }

    async fn repaired(&self, request: v1::RepairRequest) -> Result<Vec<RepairedCluster>, Status> {
        let request = v1::RepairRequest { realm: "default".into(), wait_ms: 300_000, ..request };
        let mut steps = UpkeepClient::new(self.channel()).repair(request).await?.into_inner();
        let mut clusters = Vec::new();
        while let Some(step) = steps.message().await? {
            if let Ok(RepairStep::Cluster(cluster)) = RepairStep::try_from(step) {
                clusters.push(cluster);
            }
        }
        Ok(clusters)
    }

    /// Gives a cluster other keys.
    ///
    /// # Errors
    /// What the coordinator answers.
    pub async fn rotate_keys(&self, cluster: &str, now: bool) -> Result<RepairedCluster, Status> {
        let (realm, cluster) = ("default".into(), cluster.into());
        let request = v1::RotateKeysRequest { realm, cluster, now, wait_ms: 300_000 };
        let mut steps = UpkeepClient::new(self.channel()).rotate_keys(request).await?.into_inner();
        let mut rotated = Err(Status::internal("the end was not told"));
        while let Some(step) = steps.message().await? {
            if let Ok(RepairStep::Cluster(cluster)) = RepairStep::try_from(step) {
                rotated = Ok(cluster);
            }
        }
        rotated
    }

    /// Drains a host: every cluster that had nodes there, and what is said of the host afterwards.
    ///
    /// # Errors
    /// What the coordinator answers.
    pub async fn drain(
        &self,
        host: &str,
        now: bool,
        timeout_ms: u64,
    ) -> Result<(Vec<DrainedCluster>, Scheduling), Status> {
        let request = v1::DrainHostRequest { name: host.into(), dry_run: false, now, timeout_ms };
        Self::drained(self.hosts().drain_host(request).await?.into_inner()).await
    }

    /// Where the nodes of a host would go.
    ///
    /// # Errors
    /// What the coordinator answers.
    pub async fn plan_drain(&self, host: &str) -> Result<(Vec<DrainedCluster>, Scheduling), Status> {
        let request =
            v1::DrainHostRequest { name: host.into(), dry_run: true, ..v1::DrainHostRequest::default() };
        Self::drained(self.hosts().drain_host(request).await?.into_inner()).await
    }

    async fn drained(
        mut steps: Streaming<v1::DrainHostResponse>,
    ) -> Result<(Vec<DrainedCluster>, Scheduling), Status> {
        let mut clusters = Vec::new();
        while let Some(step) = steps.message().await? {
            match DrainStep::try_from(step) {
                Ok(DrainStep::Cluster(cluster)) => clusters.push(cluster),
                Ok(DrainStep::Ended(word)) => return Ok((clusters, word)),
                Ok(DrainStep::Event(_)) | Err(_) => {}
            }
        }
        Err(Status::internal("the end was not told"))
    }

    /// The service for upkeep.
    #[must_use]
    pub fn upkeep_client(&self) -> UpkeepClient<Channel> {
        UpkeepClient::new(self.channel())
    }

    /// Evens out load: every cluster, and the hosts afterwards; with `dry_run` as they would be.
    ///
    /// # Errors
    /// What the coordinator answers.
    pub async fn rebalance(
        &self,
        dry_run: bool,
        max_moves: u32,
    ) -> Result<(Vec<RebalancedCluster>, Vec<RebalancedHost>), Status> {
        let request = v1::RebalanceRequest { realm: "default".into(), names: vec![], dry_run, max_moves };
        let mut steps = self.upkeep_client().rebalance(request).await?.into_inner();
        let (mut done, mut now) = (Vec::new(), Vec::new());
        while let Some(step) = steps.message().await? {
            match RebalanceStep::try_from(step) {
                Ok(RebalanceStep::Plan { hosts, clusters }) if dry_run => (done, now) = (clusters, hosts),
                Ok(RebalanceStep::Cluster(cluster)) => done.push(cluster),
                Ok(RebalanceStep::Ended(hosts)) => now = hosts,
                Ok(RebalanceStep::Plan { .. } | RebalanceStep::Event(_)) | Err(_) => {}
            }
        }
        Ok((done, now))
    }

    /// Its process is killed, while others in the same runtime live on: nothing of it reaches anything any more.
    pub fn kill(&self) {
        self.world.bury(&self.name);
        drop(self.double.lock().unwrap_or_else(PoisonError::into_inner).take());
    }

    /// Keeps clusters as they should be from now on, as a server does.
    pub fn keep(&self, events: KeepEvents) {
        self.embedded.keep(events);
    }

    /// Ends as a server does: what is under way is left to the next process.
    pub async fn leave(self) {
        self.embedded.leave().await;
    }

    /// Ends as a command does: what is under way is rolled back.
    pub async fn shutdown(self) {
        self.embedded.shutdown().await;
    }
}
