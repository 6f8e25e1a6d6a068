//! The coordinator at scale: `cargo xtask bench scale`.
//!
//! ```text
//! this process                                          its child (`scale hosts DIR`)
//! coordinator, its store, the client --DIR/h1.sock--> 1,000 fake engines with their agents
//!                                      ...
//! ```
//! Memory: 20 clusters of 1,000 nodes, one after the other, on 1,000 hosts. The coordinator is the program's own with the
//! program's own client of Docker, alone in a process whose largest resident size is at most 300 MiB. Speed: small clusters created
//! one after the other on ten hosts of this process, with SQLite, in simulated time that waits for the work.

use std::{
    env, fs,
    io::{self, Read as _},
    path::Path,
    process::{self, Child, Command, Stdio},
    time::Instant,
};

use anyhow::{Context as _, ensure};
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use shoal_coordinator::{Embedded, Options, embedded};
use shoal_docker_fake::Latency;
use shoal_proto::v1::{self, clusters_client::ClustersClient, hosts_client::HostsClient};
use shoal_tests::sim::{Wish, World};
use tempfile::TempDir;

const HOSTS: usize = 1000;
const CLUSTERS: usize = 20;
/// Beside the controller.
const WORKERS: u32 = 999;
/// Largest resident size of the coordinator's process, its program included.
const MEMORY_MAX_MIB: f64 = 300.0;
/// Clusters after which every buffer has been used.
const WARM: usize = 10;
/// Small clusters, and their workers.
const SMALL: (usize, u32) = (60, 4);
/// Hosts registered at once.
const AT_ONCE: usize = 16;
/// Argument of the process that plays the hosts.
const PLAY: &str = "hosts";
/// Where sockets and store lie: in memory if possible, since every commit waits for its disk.
const IN_MEMORY: &str = "/dev/shm";

/// A size of a process in MiB: a field of its `/proc/PID/status` (proc_pid_status(5)).
fn size(process: u32, field: &str) -> anyhow::Result<f64> {
    let status = fs::read_to_string(format!("/proc/{process}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix(field)?.strip_prefix(':'));
    let kib = line.and_then(|rest| rest.split_ascii_whitespace().next());
    Ok(kib.with_context(|| format!("{field} of process {process}"))?.parse::<f64>()? / 1024.0)
}

/// Resident memory in MiB: of the coordinator, and of the process that plays the hosts.
fn resident(hosts: &Hosts) -> anyhow::Result<(f64, f64)> {
    Ok((size(process::id(), "VmRSS")?, size(hosts.0.id(), "VmRSS")?))
}

fn directory() -> anyhow::Result<TempDir> {
    let memory = Path::new(IN_MEMORY);
    Ok(if memory.is_dir() { tempfile::tempdir_in(memory)? } else { tempfile::tempdir()? })
}

/// The process that plays the hosts; it ends with this, and when its standard input does.
struct Hosts(Child);

impl Hosts {
    /// Returns once all of them listen.
    fn start(sockets: &Path) -> anyhow::Result<Self> {
        let mut command = Command::new(env::current_exe()?);
        command.arg(PLAY).arg(sockets).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut hosts = Self(command.spawn()?);
        let mut said = [0];
        hosts
            .0
            .stdout
            .take()
            .context("its output")?
            .read_exact(&mut said)
            .context("the hosts did not come up")?;
        Ok(hosts)
    }
}

impl Drop for Hosts {
    fn drop(&mut self) {
        // It may have ended by itself.
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

/// Plays the hosts until standard input ends.
fn play(sockets: &Path) -> anyhow::Result<()> {
    let world = World::new(1, HOSTS)?;
    world.be_lean();
    // The agent's image goes to hosts whose store nobody waits for here.
    world.fleet().set_latency(Latency { transfer: 0..=0, ..Latency::default() });
    let played = world.live_awake(async |_| {
        let serving = world.serve(sockets)?;
        println!("up");
        let ended = tokio::task::spawn_blocking(|| io::copy(&mut io::stdin(), &mut io::sink())).await?;
        drop(serving);
        anyhow::Ok(ended.map(drop)?)
    })?;
    played.context("no crash was armed")?
}

async fn register(coordinator: &Embedded, sockets: &Path) -> anyhow::Result<()> {
    let one = |number| {
        let name = format!("h{number}");
        let endpoint = format!("unix://{}/{name}.sock", sockets.display());
        let request = v1::RegisterHostRequest { name, endpoint, ..v1::RegisterHostRequest::default() };
        let mut hosts = HostsClient::new(coordinator.channel());
        async move { hosts.register_host(request).await.map(drop) }
    };
    Ok(stream::iter((1..=HOSTS).map(one)).buffer_unordered(AT_ONCE).try_collect().await?)
}

async fn grow(coordinator: &Embedded, hosts: &Hosts, sockets: &Path) -> anyhow::Result<()> {
    let began = Instant::now();
    println!("coordinator at the start: {:.1} MiB resident", resident(hosts)?.0);
    register(coordinator, sockets).await?;
    let mut last = resident(hosts)?;
    println!("{HOSTS} hosts: {:.1} MiB resident, after {:.1?}", last.0, began.elapsed());
    let mut warm = last;
    for number in 1..=CLUSTERS {
        Wish::new(&format!("c{number}"), WORKERS).create(ClustersClient::new(coordinator.channel())).await?;
        let now = resident(hosts)?;
        let (more, of_hosts) = (now.0 - last.0, now.1 - last.1);
        println!(
            "cluster {number}: {:.1} MiB resident, {more:+.1} MiB (the hosts' process {of_hosts:+.1} MiB), after {:.1?}",
            now.0,
            began.elapsed()
        );
        last = now;
        if number == WARM {
            warm = now;
        }
    }
    let (peak, nodes) = (size(process::id(), "VmHWM")?, CLUSTERS * (WORKERS as usize + 1));
    let each = |all: f64| all / (CLUSTERS - WARM) as f64;
    println!(
        "{HOSTS} hosts, {nodes} nodes: at most {peak:.1} MiB resident, {:+.2} MiB a cluster after the first {WARM} (the hosts' process {:+.2} MiB)",
        each(last.0 - warm.0),
        each(last.1 - warm.1)
    );
    ensure!(peak <= MEMORY_MAX_MIB, "{peak:.1} MiB are more than {MEMORY_MAX_MIB}");
    Ok(())
}

fn memory() -> anyhow::Result<()> {
    // A connection to each host's agent and some to its engine, at both ends.
    let (_, most) = getrlimit(Resource::RLIMIT_NOFILE)?;
    setrlimit(Resource::RLIMIT_NOFILE, most, most)?;
    let dir = directory()?;
    let hosts = Hosts::start(dir.path())?;
    let agent = dir.path().join("agent");
    fs::write(&agent, "#!simulated")?;
    let options = Options {
        state_dir: dir.path().join("state"),
        store: None,
        key_file: None,
        agent_binaries: [(env::consts::ARCH.to_owned(), agent)].into(),
    };
    // As `shoal create cluster` has it.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let coordinator = embedded(options).await?;
        grow(&coordinator, &hosts, dir.path()).await?;
        coordinator.shutdown().await;
        anyhow::Ok(())
    })?;
    drop(hosts);
    Ok(())
}

fn speed() -> anyhow::Result<()> {
    let (count, workers) = SMALL;
    let world = World::registered(2, 10)?;
    let began = Instant::now();
    let ended = world.live(async |life| {
        let coordinator = life.coordinator("bench").await?;
        for number in 0..count {
            coordinator.create(&Wish::new(&format!("c{number}"), workers)).await?;
        }
        anyhow::Ok(())
    })?;
    ended.context("no crash was armed")??;
    let minute = count as f64 * 60.0 / began.elapsed().as_secs_f64();
    println!("{minute:.0} creates of {} nodes a minute", workers + 1);
    Ok(())
}

fn main() -> anyhow::Result<()> {
    let args: Vec<String> = env::args().skip(1).collect();
    if let [word, sockets] = args.as_slice()
        && word == PLAY
    {
        return play(Path::new(sockets));
    }
    memory()?;
    speed()
}
