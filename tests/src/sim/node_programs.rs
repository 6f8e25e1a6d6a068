//! The programs inside the containers of simulated hosts: the agent, and Slurm as far as tests ask it.
//!
//! A worker is IDLE in `sinfo` if it could be: its container runs with the keys of its controller, and the tunnels of both hosts
//! lead to each other. So a cluster is ready only if the coordinator has done everything for it.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    fmt,
    net::Ipv4Addr,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use futures_util::{FutureExt as _, future::BoxFuture};
use shoal_docker::{ContainerState, ExecSpec};
use shoal_docker_fake::{
    Condition, ContainerTruth, ContainerView, End, FakeEngine, Fleet, Inside, Main, Programs, Stdio,
    VirtualClock, not_found,
};
use shoal_proto::v1;
use shoal_slurm::{SINFO_COMMAND, SLURMCTLD_PORT};
use shoal_types::{Clock as _, Timestamp};
use tokio::{io::AsyncWriteExt as _, sync::watch};

use super::{agent, mesh::HostMesh, points::Points, slurm};

/// From the start of a controller until slurmctld listens.
const CONTROLLER_BOOT: Duration = Duration::from_millis(1500);
/// From the start of a worker until slurmd has registered.
const WORKER_BOOT: Duration = Duration::from_millis(2500);
/// From one start of a daemon that ends at once to the next.
const RESTART: Duration = Duration::from_millis(400);
/// Key of the cluster, the same in all its nodes.
const MUNGE_KEY: &str = "/etc/munge/munge.key";

/// A container's last start.
#[derive(Debug, Clone)]
struct Began {
    at: Timestamp,
    controller: bool,
    id: Arc<str>,
    /// Cluster and name of the node.
    node: Option<(String, String)>,
}

/// Everybody inside the containers, and the hosts' kernels.
pub(crate) struct NodePrograms {
    pub(crate) points: Arc<Points>,
    clock: VirtualClock,
    fleet: Fleet,
    meshes: Mutex<BTreeMap<String, HostMesh>>,
    /// (engine, pid) -> whose.
    began: Mutex<HashMap<(Arc<str>, u32), Began>>,
    tokens: AtomicU64,
    /// Neither archives nor members of networks are kept: a worker is IDLE once it runs.
    lean: AtomicBool,
    /// A node whose first process ends by itself: how long after its start, and with which status.
    doomed: Mutex<Option<(String, Duration, i64)>>,
    /// Nodes that have a job.
    jobs: Mutex<BTreeSet<String>>,
}

impl fmt::Debug for NodePrograms {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("NodePrograms")
    }
}

impl NodePrograms {
    pub(crate) fn new(points: Arc<Points>, clock: VirtualClock, fleet: Fleet) -> Arc<Self> {
        let tokens = AtomicU64::new(1);
        Arc::new(Self {
            points,
            clock,
            fleet,
            meshes: Mutex::default(),
            began: Mutex::default(),
            tokens,
            lean: AtomicBool::new(false),
            doomed: Mutex::default(),
            jobs: Mutex::default(),
        })
    }

    fn meshes(&self) -> MutexGuard<'_, BTreeMap<String, HostMesh>> {
        self.meshes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn began(&self) -> MutexGuard<'_, HashMap<(Arc<str>, u32), Began>> {
        self.began.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Nodes that have a job, by name.
    pub(crate) fn jobs(&self) -> MutexGuard<'_, BTreeSet<String>> {
        self.jobs.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The mesh of a host.
    pub(crate) fn mesh<T>(&self, engine: &str, look: impl FnOnce(&mut HostMesh) -> T) -> T {
        look(self.meshes().entry(engine.to_owned()).or_default())
    }

    pub(crate) fn token(&self) -> String {
        self.tokens.fetch_add(1, Ordering::Relaxed).to_string()
    }

    /// Bridges that a host's engine has made.
    pub(crate) fn bridges(&self, engine: &str) -> Vec<String> {
        let truth = self.fleet.engine(engine).map(|engine| engine.truth());
        truth.into_iter().flat_map(|t| t.networks).filter_map(|n| n.bridge).collect()
    }

    /// What a process listens on, if it lives.
    pub(crate) fn listens(&self, engine: &str, pid: u32) -> Option<Option<u16>> {
        let began = self.began().get(&(Arc::from(engine), pid)).cloned()?;
        let truth = self.fleet.engine(engine)?.truth();
        truth.containers.iter().find(|c| c.id == began.id && c.state == ContainerState::Running)?;
        let refuses = began.node.as_ref().is_some_and(|(_, name)| self.refuses(engine, name).is_some());
        let has_all = |(_, name): &(String, String)| {
            ["munge.service", "ssh.service"].iter().all(|unit| !self.is_stopped(engine, name, unit))
        };
        let needed = began.node.as_ref().is_none_or(has_all);
        let up =
            began.controller && needed && !refuses && self.clock.now().since(began.at) >= CONTROLLER_BOOT;
        let port = self.mesh(engine, |mesh| mesh.slurmctld_port.unwrap_or(SLURMCTLD_PORT));
        Some(up.then_some(port))
    }

    /// What the daemon of a node says before it ends, if it does at every start.
    fn refuses(&self, engine: &str, node: &str) -> Option<String> {
        self.mesh(engine, |mesh| mesh.refuses.get(node).cloned())
    }

    /// Whether a unit of a node does not run.
    fn is_stopped(&self, engine: &str, node: &str, unit: &str) -> bool {
        self.mesh(engine, |mesh| mesh.stopped.get(node).is_some_and(|units| units.iter().any(|u| u == unit)))
    }

    /// What systemd says of a unit's property.
    fn property(&self, inside: &Inside, property: &str, unit: &str) -> String {
        let name = inside.container.spec.hostname.clone().unwrap_or_default();
        match property {
            "--property=NRestarts" => self.ends(inside).map_or(0, |(_, ends)| ends).to_string(),
            _ if self.is_stopped(&inside.container.engine, &name, unit) => "failed".to_owned(),
            _ => "active".to_owned(),
        }
    }

    /// The last lines of the journal of a node.
    fn journal(&self, inside: &Inside, command: &[&str]) -> String {
        let Some((words, ends)) = self.ends(inside) else { return String::new() };
        let lines = command.iter().find_map(|word| word.strip_prefix("--lines=")?.parse().ok());
        let start = format!("{words}x.service: Main process exited, code=exited, status=1/FAILURE\n");
        let log = start.repeat(ends);
        let all: Vec<&str> = log.split_inclusive('\n').collect();
        all[all.len().saturating_sub(lines.unwrap_or(usize::MAX))..].concat()
    }

    /// What the daemon of a node says whenever it ends, and how often it has.
    fn ends(&self, inside: &Inside) -> Option<(String, usize)> {
        let (engine, id) = (&inside.container.engine, &inside.container.id);
        let name = inside.container.spec.hostname.clone().unwrap_or_default();
        let words = self.refuses(engine, &name)?;
        let at = self.began().values().filter(|b| b.id == *id).map(|b| b.at).max()?;
        let up = self.clock.now().since(at).saturating_sub(CONTROLLER_BOOT);
        let ends = usize::try_from(up.as_millis() / RESTART.as_millis()).unwrap_or(usize::MAX).min(100);
        Some((words, ends))
    }

    /// What runs in the node of this container, as its host's agent would read it.
    pub(crate) fn runs(&self, engine: &str, container: String) -> v1::NodeProbe {
        let truth = self.fleet.engine(engine).map(|engine| engine.truth());
        let there = truth.into_iter().flat_map(|t| t.containers).find(|c| *c.id == *container);
        let lives = |c: &ContainerTruth| matches!(c.state, ContainerState::Running | ContainerState::Paused);
        let Some(there) = there.filter(lives) else {
            return v1::NodeProbe { container, ..v1::NodeProbe::default() };
        };
        let name = there.spec.hostname.clone().unwrap_or_default();
        let stopped = self.mesh(engine, |mesh| mesh.stopped.get(&name).cloned().unwrap_or_default());
        let daemon = match there.spec.labels.get("shoal.role").map(String::as_str) {
            Some("controller") => Some("slurmctld.service"),
            Some("worker") => Some("slurmd.service"),
            _ => None,
        };
        let all = ["munge.service", "ssh.service"].into_iter().chain(daemon);
        let refuses = self.refuses(engine, &name).is_some();
        let runs = |unit: &String| !(stopped.contains(unit) || refuses && Some(unit.as_str()) == daemon);
        let units: Vec<String> = all.map(str::to_owned).filter(runs).collect();
        let has = |unit: &str| units.iter().any(|u| u == unit);
        let began = self.began().values().filter(|b| b.id == there.id).map(|b| b.at).max();
        let up = began.map_or(Duration::ZERO, |at| self.clock.now().since(at));
        v1::NodeProbe {
            container,
            alive: true,
            manager: true,
            munge: has("munge.service"),
            sshd: has("ssh.service"),
            units,
            up_ms: u64::try_from(up.as_millis()).unwrap_or(u64::MAX),
        }
    }

    /// What a host's clock shows.
    pub(crate) fn host_clock(&self, engine: &str) -> u64 {
        self.mesh(engine, |mesh| self.clock.now().0 + mesh.clock_ahead_ms)
    }

    /// Begins to note what reaches a host for a check.
    pub(crate) fn receive(&self, engine: &str, vni: u32) -> watch::Receiver<Vec<u32>> {
        let (came, arrivals) = watch::channel(vec![]);
        self.mesh(engine, |mesh| mesh.probes.insert(vni, Arc::new(came)));
        arrivals
    }

    /// Packets of a check reach the hosts that have the addresses, as far as these let them.
    pub(crate) fn send(&self, request: &v1::SendProbesRequest) {
        let mut meshes = self.meshes();
        let underlays = meshes.values_mut().filter_map(|mesh| Some((mesh.underlay?, mesh)));
        let mut by_underlay: HashMap<Ipv4Addr, &mut HostMesh> = underlays.collect();
        let from: Option<Ipv4Addr> = request.local.parse().ok();
        for v1::ProbeTarget { remote, packets } in &request.targets {
            let to = remote.parse().ok().and_then(|to: Ipv4Addr| by_underlay.get_mut(&to));
            let Some(mesh) = to else { continue };
            let Some(probes) = mesh.probes.get(&request.vni).cloned() else { continue };
            let from = from.and_then(|from| mesh.largest_from.get(&from)).copied();
            let largest = from.or(mesh.largest_packet).unwrap_or(u32::MAX);
            let mut came: Vec<u32> =
                packets.iter().filter(|packet| packet.size <= largest).map(|packet| packet.mark).collect();
            let lost = mesh.loses.min(came.len());
            mesh.loses -= lost;
            probes.send_modify(|all| all.extend(came.drain(lost..)));
        }
    }

    /// The first process of nodes of this name ends by itself from now on.
    pub(crate) fn doom(&self, node: &str, after: Duration, status: i64) {
        *self.doomed.lock().unwrap_or_else(PoisonError::into_inner) = Some((node.to_owned(), after, status));
    }

    /// No node ends by itself any more, from its next start on.
    pub(crate) fn spare(&self) {
        *self.doomed.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// Spends no memory on what nodes and agents hold: for worlds in which only the coordinator matters.
    pub(crate) fn be_lean(&self) {
        self.lean.store(true, Ordering::Relaxed);
        self.fleet.set_keep_archives(false);
    }

    pub(crate) fn is_lean(&self) -> bool {
        self.lean.load(Ordering::Relaxed)
    }

    /// Addresses of the nodes that a line of a shell connects with and that are there, on hosts with a cable.
    fn answering(&self, inside: &Inside, line: &str) -> String {
        let has_cable = |engine: &FakeEngine| engine.condition() != Condition::Unreachable;
        if !self.fleet.engine(&inside.container.engine).is_some_and(|engine| has_cable(&engine)) {
            return String::new();
        }
        let all = self.fleet.all();
        let there = all.iter().filter(|engine| has_cable(engine)).flat_map(|e| e.truth().containers);
        let running = there.filter(|c| c.state == ContainerState::Running);
        let called = running.filter_map(|c| c.address).filter(|a| line.contains(&format!("/{a}/")));
        called.map(|address| format!("{address}\n")).collect()
    }

    /// Every node of the cluster that was started.
    fn started(&self, inside: &Inside) -> Option<String> {
        let cluster = inside.container.spec.labels.get("shoal.cluster")?;
        let began = self.began();
        let nodes = began.values().filter_map(|b| b.node.as_ref()).filter(|(of, _)| of == cluster);
        Some(nodes.map(|(_, name)| format!("{name}|idle|none\n")).collect())
    }

    /// What `sinfo` in this controller says.
    fn sinfo(&self, inside: &Inside) -> Option<String> {
        let conf = inside.read("/etc/slurm/slurm.conf")?;
        let key = inside.read(MUNGE_KEY)?;
        let workers = workers(&String::from_utf8_lossy(&conf));
        let kept = slurm::kept(inside);
        let here = inside.container.engine.to_string();
        let cluster = inside.container.spec.labels.get("shoal.cluster")?;
        let own = inside.container.address?.to_string();
        let meshes = self.meshes();
        let of_host = |engine: &str, address: &str| {
            let mesh = meshes.get(engine)?;
            mesh.devices.values().find_map(|d| d.members.get(address).cloned())
        };
        let underlay = |engine: &str| meshes.get(engine).and_then(|m| m.underlay).map(|a| a.to_string());
        let mut hosts: HashMap<String, (FakeEngine, Vec<ContainerTruth>)> = HashMap::new();
        let mut text = String::new();
        for (name, address) in workers {
            let idle = (|| {
                // From here to its host, and back.
                let to = of_host(&here, &address)?;
                let host = match to.as_str() {
                    "" => here.clone(),
                    to => meshes
                        .iter()
                        .find(|(_, m)| m.underlay.is_some_and(|u| u.to_string() == to))?
                        .0
                        .clone(),
                };
                if meshes.get(&host)?.refuses.contains_key(&name) {
                    return None;
                }
                let back = of_host(&host, &own)?;
                let expected = if host == here { Some(String::new()) } else { underlay(&here) };
                (Some(back) == expected).then_some(())?;
                if !hosts.contains_key(&host) {
                    let engine = self.fleet.engine(&host)?;
                    let truth = engine.truth();
                    hosts.insert(host.clone(), (engine, truth.containers));
                }
                let (engine, containers) = hosts.get(&host)?;
                let there = containers.iter().find(|c| {
                    c.state == ContainerState::Running
                        && c.address.is_some_and(|a| a.to_string() == address)
                        && c.spec.labels.get("shoal.cluster") == Some(cluster)
                })?;
                (engine.read_file(&there.id, MUNGE_KEY)? == key).then_some(())?;
                let began = self.began();
                let last = began.iter().filter(|(_, b)| b.id == there.id).map(|(_, b)| b.at).max()?;
                (self.clock.now().since(last) >= WORKER_BOOT).then_some(())
            })();
            let busy = self.jobs().contains(&name);
            text.push_str(&slurm::line(&name, idle.is_some(), busy, kept.get(&name)));
        }
        Some(text)
    }

    async fn command(self: Arc<Self>, inside: Inside, command: ExecSpec, mut stdio: Stdio) -> i64 {
        let words: Vec<&str> = command.cmd.iter().map(String::as_str).collect();
        let text = match words.as_slice() {
            ["/shoal", "agent", "connect"] => return agent::connect(self, inside, stdio).await,
            words if words == SINFO_COMMAND && self.is_lean() => self.started(&inside),
            words if words == SINFO_COMMAND => self.sinfo(&inside),
            ["timeout", _, "bash", "-c", line] if line.contains("/dev/tcp/") => {
                Some(format!("calling\n{}", self.answering(&inside, line)))
            }
            ["scontrol", "update", rest @ ..] => {
                let ended = slurm::update(&inside, rest);
                ended.map(|nodes| {
                    self.jobs().retain(|node| !nodes.contains(node));
                    String::new()
                })
            }
            ["sinfo", "--version"] => Some("slurm-wlm 22.05.8\n".into()),
            ["systemctl", "is-active", units @ ..] => Some("active\n".repeat(units.len())),
            ["systemctl", "show", property, "--value", unit] => {
                Some(self.property(&inside, property, unit) + "\n")
            }
            ["journalctl", ..] => Some(self.journal(&inside, &words)),
            ["/bin/sh", "-c", line] if line.contains("/usr/sbin/slurm") => {
                let works = self.mesh(&inside.container.engine, |mesh| mesh.works_by_hand);
                return if works { 124 } else { 1 };
            }
            _ => return not_found(command, stdio).await,
        };
        let Some(text) = text else { return 1 };
        // A caller that is gone does not read it.
        drop(stdio.stdout.write_all(text.as_bytes()).await);
        0
    }
}

/// The programs of a fleet: `run` needs to share them.
#[derive(Debug)]
pub(crate) struct Stage(pub(crate) Arc<NodePrograms>);

impl Programs for Stage {
    fn main(&self, container: &ContainerView) -> Main {
        let role = container.spec.labels.get("shoal.role");
        if let Some(pid) = container.pid {
            let controller = role.is_some_and(|role| role == "controller");
            let cluster = container.spec.labels.get("shoal.cluster").cloned();
            let node = cluster.zip(container.spec.hostname.clone());
            let began = Began { at: self.0.clock.now(), controller, id: container.id.clone(), node };
            self.0.began().insert((container.engine.clone(), pid), began);
        }
        let doomed = self.0.doomed.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, after, status)) =
            doomed.as_ref().filter(|(node, ..)| container.spec.hostname.as_ref() == Some(node))
        {
            // What systemd has to say of no interest comes after it.
            let noise = "Failed to attach 7 to compat systemd cgroup /init.scope, ignoring: No such file or directory\n";
            let output = Bytes::from(format!("no space left in /run\n{}", noise.repeat(20)));
            return Main { output, end: End::After(*after, *status) };
        }
        Main { output: Bytes::new(), end: End::Told(0, Bytes::new()) }
    }

    fn run(&self, inside: Inside, command: ExecSpec, stdio: Stdio) -> BoxFuture<'static, i64> {
        self.0.clone().command(inside, command, stdio).boxed()
    }
}

/// The workers in a slurm.conf, with their addresses.
fn workers(conf: &str) -> Vec<(String, String)> {
    let mut workers = Vec::new();
    for line in conf.lines().filter(|line| line.starts_with("NodeName=")) {
        let of = |key: &str| {
            let set = line.split_whitespace().find_map(|word| word.strip_prefix(key));
            set.and_then(|set| shoal_slurm::expand(set).ok()).unwrap_or_default()
        };
        workers.extend(of("NodeName=").into_iter().zip(of("NodeAddr=")));
    }
    workers
}
