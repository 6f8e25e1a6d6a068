//! Frames that nobody but a member may send: what a node, a container of others, a user of a host, a host of another network
//! and a stranger on the LAN try, each by one UDP datagram to a tunnel port.
//!
//! ```text
//!   [a0] other network   [v1] [c0] victims   [x0] docker0        [v2] victim         [b2] other network
//!     sb..0b                sb..0a              |                  sb..0a               sb..0b
//!     '----------------- host 1 ----------------'                  host 2               host 3        stranger
//!                        10.77.0.1                                 10.77.0.2            10.77.0.3     10.77.0.4
//! ```
//!
//! Hosts forward as with Docker: FORWARD drops, a bridge speaks with itself and with the outside, and what leaves is given the
//! host's address.

use std::{
    collections::BTreeSet,
    net::{Ipv4Addr, SocketAddrV4, UdpSocket},
    time::{Duration, Instant},
};

use anyhow::{Context, ensure};
use nix::unistd::{Uid, setfsuid};
use shoal_proto::v1::NetworkState;
use shoal_types::{MacAddr, NetworkId};

use crate::{
    agent::{Agent, Fleet, block_on, eventually},
    lab::{BRIDGE, DEVICE, GATEWAY, Host, INSTALLATION, Lab, Namespace, Node, sh, state},
    net::speak,
    nft,
};

const TUNNEL: u16 = 4799;
const VICTIM_VNI: u32 = 10;
pub(crate) const TABLE: &str = "shoal_3fa9c1";
pub(crate) const OTHER_BRIDGE: &str = "sb3fa9c100000b";
pub(crate) const OTHER_GATEWAY: Ipv4Addr = Ipv4Addr::new(10, 96, 5, 1);
const NODES: [Node; 3] = [
    Node { name: "c0", last: 2, host: 0 },
    Node { name: "v1", last: 3, host: 0 },
    Node { name: "v2", last: 4, host: 1 },
];
const OTHERS: [Node; 2] = [Node { name: "a0", last: 2, host: 0 }, Node { name: "b2", last: 3, host: 2 }];
/// Port of the victims' sockets.
const PORT: u16 = 9;
const REPEAT: usize = 3;
/// What has not come by then does not come: all of it is inside this machine.
const QUIET: Duration = Duration::from_millis(300);
const PATIENCE: Duration = Duration::from_secs(10);
const NOBODY: u32 = 65_534;

/// The other network, as host `host` is told.
pub(crate) fn other(lab: &Lab, host: usize) -> anyhow::Result<NetworkState> {
    let mut state = state(lab, host, &OTHERS, 1);
    state.network = other_id();
    (state.bridge, state.device, state.vni) = (OTHER_BRIDGE.into(), "sv3fa9c100000b".into(), 11);
    (state.subnet, state.gateway) = ("10.96.5.0/24".into(), OTHER_GATEWAY.to_string());
    for member in &mut state.members {
        member.address = member.address.replace("10.96.4.", "10.96.5.");
        member.mac = MacAddr::of(member.address.parse()?).to_string();
    }
    state.domain = "prod.default.shoal.internal".into();
    Ok(state)
}

fn other_id() -> String {
    NetworkId::new(2, [2; 10]).to_string()
}

/// The engine's part of packets that pass through a host, for these bridges.
pub(crate) fn forward_as_docker(host: &Host, bridges: &[(&str, &str)]) -> anyhow::Result<()> {
    let inside =
        |script: &str| sh(&format!("ip netns exec {} sh -euc '{script}'", host.namespace.name)).map(drop);
    inside(
        "sysctl -qw net.ipv4.ip_forward=1 net.bridge.bridge-nf-call-iptables=1
         iptables -P FORWARD DROP
         iptables -A FORWARD -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT",
    )?;
    for (bridge, subnet) in bridges {
        inside(&format!(
            "iptables -A FORWARD -i {bridge} -o {bridge} -j ACCEPT
             iptables -A FORWARD -i {bridge} -o eth0 -j ACCEPT
             iptables -t nat -A POSTROUTING -s {subnet} ! -o {bridge} -j MASQUERADE"
        ))?;
    }
    Ok(())
}

/// A container on a bridge: its address ends as given.
pub(crate) fn attach(
    host: &Host,
    name: &str,
    bridge: &str,
    gateway: Ipv4Addr,
    last: u8,
) -> anyhow::Result<Namespace> {
    let container = Namespace::new(name)?;
    let [a, b, c, _] = gateway.octets();
    let address = Ipv4Addr::new(a, b, c, last);
    sh(&format!(
        "ip -n {host} link add v{name} mtu 1450 type veth peer name eth0 address {mac} mtu 1450 netns {inside}
         ip -n {host} link set v{name} master {bridge} up
         ip -n {inside} addr add {address}/24 dev eth0
         ip -n {inside} link set eth0 up
         ip -n {inside} route add default via {gateway}",
        host = host.namespace.name,
        inside = container.name,
        mac = MacAddr::of(address),
    ))?;
    Ok(container)
}

/// Who sends where, to whom.
struct Way<'a> {
    name: &'static str,
    from: &'a Namespace,
    user: u32,
    to: Ipv4Addr,
    victim: &'a Node,
}

/// Everything of the picture above, with both networks told.
struct Stage {
    fleet: Fleet,
    a0: Namespace,
    x0: Namespace,
    b2: Namespace,
    c0: Namespace,
    v1: Namespace,
    v2: Namespace,
}

impl Stage {
    async fn new() -> anyhow::Result<Self> {
        let fleet = Fleet::new(4).await?;
        for host in &fleet.lab.hosts[..3] {
            sh(&format!(
                "ip -n {ns} link add {OTHER_BRIDGE} mtu 1450 up type bridge
                 ip -n {ns} addr add {OTHER_GATEWAY}/24 dev {OTHER_BRIDGE}
                 ip -n {ns} link add docker0 up type bridge
                 ip -n {ns} addr add 172.17.0.1/16 dev docker0",
                ns = host.namespace.name
            ))?;
            let bridges =
                [(BRIDGE, "10.96.4.0/24"), (OTHER_BRIDGE, "10.96.5.0/24"), ("docker0", "172.17.0.0/16")];
            forward_as_docker(host, &bridges)?;
        }
        for host in [0, 1] {
            fleet.apply_to(host, &NODES, 1).await?;
        }
        for host in [0, 2] {
            fleet.agents[host].apply(other(&fleet.lab, host)?).await?;
        }
        let hosts = &fleet.lab.hosts;
        let [c0, v1, v2] = NODES.map(|n| hosts[n.host].start(&n));
        Ok(Self {
            a0: attach(&hosts[0], "a0", OTHER_BRIDGE, OTHER_GATEWAY, 2)?,
            b2: attach(&hosts[2], "b2", OTHER_BRIDGE, OTHER_GATEWAY, 3)?,
            x0: attach(&hosts[0], "x0", "docker0", [172, 17, 0, 1].into(), 2)?,
            c0: c0?,
            v1: v1?,
            v2: v2?,
            fleet,
        })
    }

    fn ways(&self) -> Vec<Way<'_>> {
        let hosts = &self.fleet.lab.hosts;
        let (first, second) = (hosts[0].address, hosts[1].address);
        let [_, v1, v2] = &NODES;
        let docker0 = Ipv4Addr::new(172, 17, 0, 1);
        let way = |name, from, to, victim| Way { name, from, user: 0, to, victim };
        vec![
            way("a node, by its gateway", &self.a0, OTHER_GATEWAY, v1),
            way("a node, by the victim's gateway", &self.a0, GATEWAY, v1),
            way("a node, by its host's address", &self.a0, first, v1),
            way("a node, by another host's address", &self.a0, second, v2),
            way("a container of others, by its gateway", &self.x0, docker0, v1),
            way("a container of others, by its host's address", &self.x0, first, v1),
            way("a container of others, by another host's address", &self.x0, second, v2),
            way("a member of another network", &hosts[2].namespace, first, v1),
            way("a stranger", &hosts[3].namespace, first, v1),
            way("a stranger, to a host of one network", &hosts[3].namespace, second, v2),
            Way { user: NOBODY, ..way("a user of a host", &hosts[0].namespace, second, v2) },
            Way { user: NOBODY, ..way("a user of a host, to itself", &hosts[0].namespace, first, v1) },
        ]
    }

    /// Which of the ways lead into the network.
    fn arrived(&self) -> anyhow::Result<BTreeSet<String>> {
        let bind = |of: &Namespace| of.enter(|| Ok(UdpSocket::bind(("0.0.0.0", PORT))?));
        let sockets = [bind(&self.v1)?, bind(&self.v2)?];
        for way in self.ways() {
            way.send(&datagram(way.victim, way.name)?)?;
        }
        // The last word is a member's, through the tunnel: all before it has come by then.
        for (from, node) in [(&self.v2, &NODES[1]), (&self.c0, &NODES[2])] {
            from.enter(|| Ok(UdpSocket::bind("0.0.0.0:0")?.send_to(b"member", (node.address(), PORT))?))?;
        }
        let mut heard = BTreeSet::new();
        for socket in sockets {
            socket.set_read_timeout(Some(PATIENCE))?;
            let mut words = [0; 256];
            loop {
                match socket.recv(&mut words) {
                    Ok(length) if &words[..length] == b"member" => socket.set_read_timeout(Some(QUIET))?,
                    Ok(length) => drop(heard.insert(String::from_utf8(words[..length].to_vec())?)),
                    Err(error) => {
                        ensure!(socket.read_timeout()? == Some(QUIET), "a member is not heard: {error}");
                        break;
                    }
                }
            }
        }
        Ok(heard)
    }

    /// What the second victim takes for the controller's MAC after a forged ARP reply by each way that leads to it.
    fn poisoned(&self) -> anyhow::Result<bool> {
        let controller = NODES[0].address();
        sh(&format!("ip netns exec {} sysctl -qw net.ipv4.neigh.eth0.locktime=0", self.v2.name))?;
        speak(&self.v2, &self.c0, &NODES[0])?;
        let ways = self.ways();
        for way in ways.iter().filter(|way| way.victim.name == "v2") {
            way.send(&arp_reply(way.victim, controller))?;
        }
        let began = Instant::now();
        while began.elapsed() < QUIET {
            let entry = self.v2.ip(&format!("neigh show {controller}"))?;
            if entry.contains("02:00:00:00:00:66") {
                self.v2.ip(&format!("neigh del {controller} dev eth0"))?;
                return Ok(true);
            }
        }
        Ok(false)
    }
}

impl Way<'_> {
    fn send(&self, datagram: &[u8]) -> anyhow::Result<()> {
        self.from.enter(|| {
            // Of this thread, which ends with this.
            setfsuid(Uid::from_raw(self.user));
            let socket = UdpSocket::bind("0.0.0.0:0")?;
            for _ in 0..REPEAT {
                // A rule for what leaves a host refuses in the face of the sender.
                let answer = socket.send_to(datagram, SocketAddrV4::new(self.to, TUNNEL));
                if let Err(error) = answer {
                    ensure!(self.user != 0, "{}: {error}", self.name);
                }
            }
            Ok(())
        })
    }
}

/// A VXLAN header and an Ethernet frame to a node.
fn frame(to: &Node, ether_type: [u8; 2], content: &[u8]) -> Vec<u8> {
    let [_, high, middle, low] = VICTIM_VNI.to_be_bytes();
    let mut bytes = vec![8, 0, 0, 0, high, middle, low, 0];
    bytes.extend(MacAddr::of(to.address()).0);
    bytes.extend(MacAddr::of(NODES[0].address()).0);
    bytes.extend(ether_type);
    bytes.extend(content);
    bytes
}

/// A datagram to a node's port, as from its controller.
fn datagram(to: &Node, words: &str) -> anyhow::Result<Vec<u8>> {
    let udp = u16::try_from(8 + words.len())?;
    let mut header = vec![0x45, 0];
    header.extend((20 + udp).to_be_bytes());
    header.extend([0, 0, 0, 0, 64, 17, 0, 0]);
    header.extend(NODES[0].address().octets());
    header.extend(to.address().octets());
    let sum: u32 = header.chunks(2).map(|word| u32::from(u16::from_be_bytes([word[0], word[1]]))).sum();
    let sum = !u16::try_from((sum & 0xffff) + (sum >> 16))?;
    header[10..12].copy_from_slice(&sum.to_be_bytes());
    header.extend([0, 1]);
    header.extend(PORT.to_be_bytes());
    header.extend(udp.to_be_bytes());
    header.extend([0, 0]);
    header.extend(words.bytes());
    Ok(frame(to, [8, 0], &header))
}

/// "`address` is at a MAC of nobody" (RFC 826).
fn arp_reply(to: &Node, address: Ipv4Addr) -> Vec<u8> {
    let mut content = vec![0, 1, 8, 0, 6, 4, 0, 2, 2, 0, 0, 0, 0, 0x66];
    content.extend(address.octets());
    content.extend(MacAddr::of(to.address()).0);
    content.extend(to.address().octets());
    frame(to, [8, 6], &content)
}

pub(crate) fn nobody_but_a_member_sends_into_a_network() -> anyhow::Result<()> {
    block_on(async {
        let mut stage = Stage::new().await?;
        let arrived = stage.arrived()?;
        ensure!(arrived.is_empty(), "{arrived:?}");
        ensure!(!stage.poisoned()?, "an ARP reply arrived");
        speak(&stage.v1, &stage.v2, &NODES[2])?;
        let heard = stage.b2.enter(|| Ok(UdpSocket::bind(("0.0.0.0", PORT))?))?;
        heard.set_read_timeout(Some(PATIENCE))?;
        let far = (Ipv4Addr::new(10, 96, 5, 3), PORT);
        stage.a0.enter(|| Ok(UdpSocket::bind("0.0.0.0:0")?.send_to(b"member", far)?))?;
        heard.recv(&mut [0; 16]).context("the other network is cut")?;
        // That these are ways at all: without the table each of them leads inside.
        let agents: Vec<Agent> = stage.fleet.agents.drain(..).collect();
        agents.into_iter().try_for_each(Agent::kill)?;
        for host in &stage.fleet.lab.hosts[..2] {
            ensure!(nft::tables(&host.namespace)?.contains(&TABLE.to_owned()), "it went with its agent");
            nft::delete(&host.namespace, TABLE)?;
        }
        let arrived = stage.arrived()?;
        let closed: Vec<_> = stage.ways().iter().map(|w| w.name).filter(|w| !arrived.contains(*w)).collect();
        ensure!(closed.is_empty(), "no ways, with or without the table: {closed:?}");
        ensure!(stage.poisoned()?, "no way for an ARP reply, with or without the table");
        // An agent that starts sees to it.
        for host in [0, 1] {
            let agent = Agent::start(&stage.fleet.lab.hosts[host], &stage.fleet.directories[host]).await?;
            let namespace = &stage.fleet.lab.hosts[host].namespace;
            let back = async || nft::tables(namespace).is_ok_and(|tables| tables.iter().any(|t| t == TABLE));
            eventually("the table is back", back).await?;
            stage.fleet.agents.push(agent);
        }
        let arrived = stage.arrived()?;
        ensure!(arrived.is_empty(), "{arrived:?}");
        Ok(())
    })
}

pub(crate) fn the_table_is_kept_and_goes_with_the_last_network() -> anyhow::Result<()> {
    block_on(async {
        let fleet = Fleet::new(3).await?;
        let (host, agent) = (&fleet.lab.hosts[0], &fleet.agents[0]);
        host.namespace.ip(&format!("link add {OTHER_BRIDGE} up type bridge"))?;
        forward_as_docker(host, &[(BRIDGE, "10.96.4.0/24")])?;
        let dockers = || sh(&format!("ip netns exec {} iptables-save | grep -v ^#", host.namespace.name));
        let before = (nft::tables(&host.namespace)?, dockers()?);
        let has = || Ok::<_, anyhow::Error>(nft::tables(&host.namespace)?.iter().any(|t| t == TABLE));
        fleet.apply_to(0, &NODES, 1).await?;
        ensure!(has()? && dockers()? == before.1);
        // Somebody reloads the whole ruleset.
        nft::delete(&host.namespace, TABLE)?;
        eventually("the table comes back", async || has().is_ok_and(|has| has)).await?;
        ensure!(!fleet.apply_to(0, &NODES, 1).await?, "nothing is left to change");
        agent.apply(other(&fleet.lab, 0)?).await?;
        ensure!(agent.remove().await? && has()?, "a network is left");
        ensure!(agent.remove_of(&other_id(), "sv3fa9c100000b").await?);
        let after = (nft::tables(&host.namespace)?, dockers()?);
        ensure!(after == before, "{after:?}\nwas {before:?}");
        Ok(())
    })
}

/// Each installation knows the hosts of its own networks.
pub(crate) fn two_installations_share_hosts_and_port() -> anyhow::Result<()> {
    block_on(async {
        let fleet = Fleet::new(3).await?;
        let second = |host: usize| {
            let mut state = other(&fleet.lab, host)?;
            let rename = |name: &str| name.replace(INSTALLATION, "0a0b0c");
            (state.bridge, state.device) = (rename(&state.bridge), rename(&state.device));
            state.installation = "0a0b0c".into();
            anyhow::Ok(state)
        };
        let nodes = [NODES[1], NODES[2]];
        for host in [0, 1] {
            fleet.apply_to(host, &nodes, 1).await?;
        }
        let mut agents = Vec::new();
        let mut containers = Vec::new();
        for node in OTHERS {
            let host = &fleet.lab.hosts[node.host];
            let state = second(node.host)?;
            host.namespace.ip(&format!("link add {} mtu 1450 up type bridge", state.bridge))?;
            let directory = tempfile::tempdir()?;
            let agent = Agent::start(host, &directory).await?;
            agent.apply(state.clone()).await?;
            containers.push(attach(host, node.name, &state.bridge, OTHER_GATEWAY, node.last)?);
            agents.push((agent, directory));
        }
        let host = &fleet.lab.hosts[0].namespace;
        let tables = nft::tables(host)?;
        ensure!(
            tables.contains(&TABLE.to_owned()) && tables.contains(&"shoal_0a0b0c".to_owned()),
            "{tables:?}"
        );
        let (v1, v2) = (fleet.lab.hosts[0].start(&nodes[0])?, fleet.lab.hosts[1].start(&nodes[1])?);
        speak(&v1, &v2, &nodes[1])?;
        let heard = containers[1].enter(|| Ok(UdpSocket::bind(("0.0.0.0", PORT))?))?;
        heard.set_read_timeout(Some(PATIENCE))?;
        containers[0].enter(|| Ok(UdpSocket::bind("0.0.0.0:0")?.send_to(b"member", ("10.96.5.3", PORT))?))?;
        heard.recv(&mut [0; 16]).context("the second installation's network is cut")?;
        ensure!(fleet.agents[0].remove().await?);
        ensure!(nft::tables(host)?.iter().any(|t| t == "shoal_0a0b0c"), "it went with the other's");
        ensure!(!fleet.lab.hosts[0].has_link(DEVICE));
        Ok(())
    })
}
