//! Namespaces: a LAN, hosts on it, nodes behind the bridges of hosts. All of it goes when a [`Lab`] is dropped.

use std::{
    fs::File,
    net::Ipv4Addr,
    process::Command,
    sync::atomic::{AtomicU32, Ordering},
};

use anyhow::{Context, bail, ensure};
use nix::sched::{CloneFlags, setns};
use shoal_proto::v1::{Member, NetworkState, Service};
use shoal_types::{MacAddr, NetworkId};

/// The bridge that stands for Docker's, and the agent's device.
pub(crate) const BRIDGE: &str = "sb3fa9c100000a";
pub(crate) const DEVICE: &str = "sv3fa9c100000a";
pub(crate) const INSTALLATION: &str = "3fa9c1";
pub(crate) const GATEWAY: Ipv4Addr = Ipv4Addr::new(10, 96, 4, 1);

/// What these tests need and the machine lacks, if it does.
pub(crate) fn missing() -> Option<&'static str> {
    if !nix::unistd::geteuid().is_root() {
        return Some("root");
    }
    let tools = [("ip", "-V"), ("bridge", "-V"), ("nsenter", "-V"), ("unshare", "-V"), ("setpriv", "-V")];
    tools
        .into_iter()
        .find(|(tool, flag)| Command::new(tool).arg(flag).output().is_err())
        .map(|(tool, _)| tool)
}

/// Runs a command and gives its standard output.
pub(crate) fn sh(command: &str) -> anyhow::Result<String> {
    let output = Command::new("sh").args(["-euc", command]).output()?;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    ensure!(output.status.success(), "`{command}`: {}", text(&output.stderr).trim());
    Ok(text(&output.stdout))
}

/// A namespace, deleted when dropped.
#[derive(Debug)]
pub(crate) struct Namespace {
    pub(crate) name: String,
}

impl Namespace {
    pub(crate) fn new(label: &str) -> anyhow::Result<Self> {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let name = format!("sa{}-{number}-{label}", std::process::id());
        sh(&format!("ip netns add {name}"))?;
        let namespace = Self { name };
        namespace.ip("link set lo up")?;
        Ok(namespace)
    }

    /// `ip -n NAMESPACE ...`
    pub(crate) fn ip(&self, arguments: &str) -> anyhow::Result<String> {
        sh(&format!("ip -n {} {arguments}", self.name))
    }

    /// Runs `work` on a thread inside the namespace; sockets it opens stay there.
    pub(crate) fn enter<T: Send>(
        &self,
        work: impl FnOnce() -> anyhow::Result<T> + Send,
    ) -> anyhow::Result<T> {
        let path = format!("/run/netns/{}", self.name);
        std::thread::scope(|scope| {
            let thread = scope.spawn(|| {
                setns(File::open(&path)?, CloneFlags::CLONE_NEWNET).with_context(|| path.clone())?;
                work()
            });
            thread.join().unwrap_or_else(|_| bail!("panicked in {}", self.name))
        })
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        // One that is left behind is named after this process, and told.
        if let Err(error) = sh(&format!("ip netns del {}", self.name)) {
            eprintln!("{error}");
        }
    }
}

/// A host: `eth0` on the LAN, and a bridge if [`Host::add_bridge`] was called.
#[derive(Debug)]
pub(crate) struct Host {
    pub(crate) namespace: Namespace,
    pub(crate) address: Ipv4Addr,
}

impl Host {
    /// What Docker does when the network is made.
    pub(crate) fn add_bridge(&self) -> anyhow::Result<()> {
        self.namespace.ip(&format!("link add {BRIDGE} mtu 1450 type bridge"))?;
        self.namespace.ip(&format!("addr add {GATEWAY}/24 dev {BRIDGE}"))?;
        self.namespace.ip(&format!("link set {BRIDGE} up")).map(drop)
    }

    /// What Docker does when a container starts: a namespace with the node's address and MAC behind the bridge.
    pub(crate) fn start(&self, node: &Node) -> anyhow::Result<Namespace> {
        let container = Namespace::new(node.name)?;
        let (host, inside) = (&self.namespace.name, &container.name);
        let port = format!("v{}", node.name);
        let mac = MacAddr::of(node.address());
        sh(&format!(
            "ip -n {host} link add {port} mtu 1450 type veth peer name eth0 address {mac} mtu 1450 netns {inside}
             ip -n {host} link set {port} master {BRIDGE} up
             ip -n {inside} addr add {}/24 dev eth0
             ip -n {inside} link set eth0 up
             ip -n {inside} route add default via {GATEWAY}",
            node.address()
        ))?;
        Ok(container)
    }

    /// What Docker does when a container ends. A namespace is torn down after its deletion returns, its cable at once here.
    pub(crate) fn stop(&self, node: &Node, container: Namespace) -> anyhow::Result<()> {
        self.namespace.ip(&format!("link del v{}", node.name))?;
        drop(container);
        Ok(())
    }

    /// `bridge -n HOST ...`
    pub(crate) fn bridge(&self, arguments: &str) -> anyhow::Result<String> {
        sh(&format!("bridge -n {} {arguments}", self.namespace.name))
    }

    pub(crate) fn has_link(&self, name: &str) -> bool {
        self.namespace.ip(&format!("link show {name}")).is_ok()
    }
}

/// Hosts on a LAN.
#[derive(Debug)]
pub(crate) struct Lab {
    pub(crate) lan: Namespace,
    pub(crate) hosts: Vec<Host>,
}

impl Lab {
    /// `count` hosts with bridges.
    pub(crate) fn new(count: u8) -> anyhow::Result<Self> {
        let lab = Self::without_bridges(count)?;
        lab.hosts.iter().try_for_each(Host::add_bridge)?;
        Ok(lab)
    }

    /// `count` hosts as they are before their engine has started.
    pub(crate) fn without_bridges(count: u8) -> anyhow::Result<Self> {
        let lan = Namespace::new("lan")?;
        lan.ip("link add lan type bridge")?;
        lan.ip("link set lan up")?;
        let mut hosts = Vec::new();
        for number in 1..=count {
            let namespace = Namespace::new(&format!("h{number}"))?;
            let address = Ipv4Addr::new(10, 77, 0, number);
            sh(&format!(
                "ip -n {lan} link add h{number} type veth peer name eth0 netns {host}
                 ip -n {lan} link set h{number} master lan up
                 ip -n {host} addr add {address}/24 dev eth0
                 ip -n {host} link set eth0 up
                 ip -n {host} route add default via 10.77.0.254",
                lan = lan.name,
                host = namespace.name,
            ))?;
            hosts.push(Host { namespace, address });
        }
        Ok(Self { lan, hosts })
    }
}

/// A node as the store has it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Node {
    pub(crate) name: &'static str,
    /// Last octet of its address.
    pub(crate) last: u8,
    /// Index of its host.
    pub(crate) host: usize,
}

impl Node {
    pub(crate) fn address(&self) -> Ipv4Addr {
        Ipv4Addr::new(10, 96, 4, self.last)
    }
}

/// What the coordinator tells host `host` when `nodes` are all there are.
pub(crate) fn state(lab: &Lab, host: usize, nodes: &[Node], revision: u64) -> NetworkState {
    let member = |node: &Node| Member {
        name: node.name.into(),
        address: node.address().to_string(),
        mac: MacAddr::of(node.address()).to_string(),
        remote: if node.host == host { String::new() } else { lab.hosts[node.host].address.to_string() },
        container: if node.host == host {
            format!("{}.dev.default.{INSTALLATION}", node.name)
        } else {
            String::new()
        },
    };
    NetworkState {
        installation: INSTALLATION.into(),
        network: network_id(),
        revision,
        vni: 10,
        bridge: BRIDGE.into(),
        device: DEVICE.into(),
        local: lab.hosts[host].address.to_string(),
        udp_port: 4799,
        mtu: 1450,
        subnet: "10.96.4.0/24".into(),
        gateway: GATEWAY.to_string(),
        members: nodes.iter().map(member).collect(),
        domain: "dev.default.shoal.internal".into(),
        services: nodes
            .iter()
            .take(1)
            .map(|n| Service { name: "_slurmctld._tcp".into(), target: n.name.into(), port: 6817 })
            .collect(),
    }
}

pub(crate) fn network_id() -> String {
    NetworkId::new(1, [1; 10]).to_string()
}
