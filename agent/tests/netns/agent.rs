//! An agent process inside a host's namespace, and a client of it.

use std::{
    path::PathBuf,
    process::{Child, Command},
    time::Duration,
};

use anyhow::{Context, bail};
use hyper_util::rt::TokioIo;
use shoal_proto::v1::{
    ApplyNetworkRequest, KeptNetwork, ListNetworksRequest, NetworkState, RemoveNetworkRequest,
    agent_client::AgentClient,
};
use tempfile::TempDir;
use tokio::{net::UnixStream, time::Instant};
use tonic::{
    Status,
    transport::{Channel, Endpoint},
};

use crate::lab::{BRIDGE, DEVICE, Host, INSTALLATION, Lab, Node, network_id, state};

/// How long anything may take here; a loaded machine is slow.
const PATIENCE: Duration = Duration::from_secs(20);
const LOOK_AGAIN: Duration = Duration::from_millis(20);

/// Runs a test's asynchronous part.
pub(crate) fn block_on<T>(work: impl Future<Output = anyhow::Result<T>>) -> anyhow::Result<T> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(work)
}

/// Waits until `what` holds.
pub(crate) async fn eventually(what: &str, mut holds: impl AsyncFnMut() -> bool) -> anyhow::Result<()> {
    let deadline = Instant::now() + PATIENCE;
    while !holds().await {
        if Instant::now() > deadline {
            bail!("not within {PATIENCE:?}: {what}");
        }
        tokio::time::sleep(LOOK_AGAIN).await;
    }
    Ok(())
}

/// A running agent; killed when dropped.
#[derive(Debug)]
pub(crate) struct Agent {
    process: Child,
    directory: PathBuf,
    pub(crate) client: AgentClient<Channel>,
}

impl Agent {
    /// Starts an agent on `host` that keeps its state, socket and resolv.conf in `directory`.
    ///
    /// As in its container: two capabilities, `/proc/sys` read-only, the host's namespace.
    pub(crate) async fn start(host: &Host, directory: &TempDir) -> anyhow::Result<Self> {
        let directory = directory.path().to_owned();
        let resolv = directory.join("resolv.conf");
        if !resolv.exists() {
            std::fs::write(&resolv, "nameserver 10.77.0.254\n")?;
        }
        let script = "mount --bind $1/resolv.conf /etc/resolv.conf
            mount --bind /proc/sys /proc/sys
            mount -o remount,bind,ro /proc/sys
            exec setpriv --bounding-set=-all,+net_admin,+net_bind_service --inh-caps=-all --pdeathsig KILL \
                 \"$2\" agent $1/state $1/agent.sock";
        let mut process = Command::new("nsenter")
            .arg(format!("--net=/run/netns/{}", host.namespace.name))
            .args(["unshare", "--mount", "sh", "-euc", script, "sh"])
            .arg(&directory)
            .arg(std::env::current_exe()?)
            .spawn()?;
        let socket = directory.join("agent.sock");
        let mut stream = None;
        let started = eventually("the agent opens its socket", async || {
            stream = UnixStream::connect(&socket).await.ok();
            stream.is_some() || !matches!(process.try_wait(), Ok(None))
        });
        started.await?;
        if let Some(status) = process.try_wait()? {
            bail!("agent ended: {status}");
        }
        let client = client(stream.context("no session")?).await?;
        Ok(Self { process, directory, client })
    }

    pub(crate) fn socket(&self) -> PathBuf {
        self.directory.join("agent.sock")
    }

    /// Memory that is its own and no file's (`RssAnon` of proc_pid_status(5)).
    pub(crate) fn anonymous_bytes(&self) -> anyhow::Result<u64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.process.id()))?;
        let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:")).context("no RssAnon")?;
        let kib: u64 = line.trim().trim_end_matches("kB").trim().parse()?;
        Ok(kib * 1024)
    }

    /// Processor time it has taken (fields 14 and 15 of proc_pid_stat(5), in hundredths of a second).
    pub(crate) fn cpu_time(&self) -> anyhow::Result<Duration> {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.process.id()))?;
        let fields = stat.rsplit_once(')').context("no name")?.1.split_ascii_whitespace();
        let ticks: u64 = fields.skip(11).take(2).map(|ticks| ticks.parse().unwrap_or(0)).sum();
        Ok(Duration::from_millis(10 * ticks))
    }

    /// SIGKILL.
    pub(crate) fn kill(mut self) -> anyhow::Result<()> {
        self.process.kill()?;
        self.process.wait()?;
        Ok(())
    }

    /// True if something was changed.
    pub(crate) async fn apply(&self, state: NetworkState) -> Result<bool, Status> {
        let request = ApplyNetworkRequest { state: Some(state) };
        Ok(self.client.clone().apply_network(request).await?.into_inner().changed)
    }

    /// True if something was there.
    pub(crate) async fn remove(&self) -> Result<bool, Status> {
        self.remove_of(&network_id(), DEVICE).await
    }

    /// Removes a device of the network of this id, or with none, of no network that is kept.
    pub(crate) async fn remove_of(&self, network: &str, device: &str) -> Result<bool, Status> {
        let request = RemoveNetworkRequest {
            installation: INSTALLATION.into(),
            network: network.into(),
            device: device.into(),
            bridge: BRIDGE.into(),
            revision: 0,
        };
        Ok(self.client.clone().remove_network(request).await?.into_inner().removed)
    }

    /// What it keeps, and stray devices.
    pub(crate) async fn list(&self) -> Result<(Vec<KeptNetwork>, Vec<String>), Status> {
        let request = ListNetworksRequest { installation: INSTALLATION.into() };
        let listing = self.client.clone().list_networks(request).await?.into_inner();
        Ok((listing.networks, listing.stray_devices))
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        // It has ended already, or ends now.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// A client on a stream that stands.
pub(crate) async fn client<S>(stream: S) -> anyhow::Result<AgentClient<Channel>>
where
    S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Send + Unpin + 'static,
{
    let mut stream = Some(stream);
    let connector = tower::service_fn(move |_| {
        let taken = stream.take().ok_or_else(|| std::io::Error::other("the session has ended"));
        async { taken.map(TokioIo::new) }
    });
    let channel = Endpoint::from_static("http://agent").connect_with_connector(connector).await?;
    Ok(AgentClient::new(channel))
}

/// A lab with an agent on every host.
pub(crate) struct Fleet {
    pub(crate) agents: Vec<Agent>,
    pub(crate) directories: Vec<TempDir>,
    pub(crate) lab: Lab,
}

impl Fleet {
    pub(crate) async fn new(hosts: u8) -> anyhow::Result<Self> {
        let lab = Lab::new(hosts)?;
        let (mut agents, mut directories) = (Vec::new(), Vec::new());
        for host in &lab.hosts {
            let directory = tempfile::tempdir()?;
            agents.push(Agent::start(host, &directory).await?);
            directories.push(directory);
        }
        Ok(Self { agents, directories, lab })
    }

    /// Tells every host.
    pub(crate) async fn apply(&self, nodes: &[Node], revision: u64) -> anyhow::Result<()> {
        for host in 0..self.agents.len() {
            self.apply_to(host, nodes, revision).await?;
        }
        Ok(())
    }

    /// Tells one host.
    pub(crate) async fn apply_to(&self, host: usize, nodes: &[Node], revision: u64) -> anyhow::Result<bool> {
        Ok(self.agents[host].apply(state(&self.lab, host, nodes, revision)).await?)
    }
}
