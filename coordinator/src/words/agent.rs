//! What agents are told and what they say, as types of the domain. `fleet/agent/` makes messages of the one and reads the other.

use std::{
    collections::{BTreeSet, HashMap},
    net::{IpAddr, Ipv4Addr},
    time::Duration,
};

use ipnet::Ipv4Net;
use shoal_types::{Bytes, Diversion, InstallationId, MacAddr, NetworkId, NodeName, Revision, Timestamp, Vni};

/// One host's part of a network, whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct NetworkState {
    pub(crate) installation: InstallationId,
    pub(crate) network: NetworkId,
    /// An agent refuses a lower one than it keeps.
    pub(crate) revision: Revision,
    pub(crate) vni: Vni,
    /// Name of Docker's bridge, which must exist.
    pub(crate) bridge: String,
    /// Name of the VXLAN device.
    pub(crate) device: String,
    /// Underlay address of the host; an agent refuses a network without one.
    pub(crate) local: Option<Ipv4Addr>,
    /// Destination port of tunnel packets.
    pub(crate) udp_port: u16,
    /// Of nodes, in bytes.
    pub(crate) mtu: u16,
    pub(crate) subnet: Ipv4Net,
    pub(crate) gateway: Ipv4Addr,
    /// Every node of the network, those of the host included.
    pub(crate) members: Vec<Member>,
    /// Domain of the cluster: `<cluster>.<realm>.shoal.internal`.
    pub(crate) domain: String,
    /// SRV records below the domain.
    pub(crate) services: Vec<Service>,
}

/// A node of a network.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Member {
    pub(crate) name: NodeName,
    pub(crate) address: Ipv4Addr,
    pub(crate) mac: MacAddr,
    pub(crate) place: Place,
}

/// Where a node is, as seen from the host that is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Place {
    /// On that host, in the container of this name.
    Here {
        /// The name, which follows from the node's.
        container: String,
    },
    /// On another host.
    There {
        /// Underlay address of that other host, if it has one.
        underlay: Option<Ipv4Addr>,
    },
}

/// A service that names tell of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Service {
    /// Such as `_slurmctld._tcp`.
    pub(crate) name: String,
    pub(crate) target: NodeName,
    pub(crate) port: u16,
}

/// A host's part of a network that is to go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct NetworkRemoval {
    pub(crate) installation: InstallationId,
    /// `None`: whatever network had the device, as long as the agent keeps none with it.
    pub(crate) network: Option<NetworkId>,
    pub(crate) device: String,
    pub(crate) bridge: String,
    /// The last one that the store has; of a network that was removed an agent takes only a higher one again.
    pub(crate) revision: Option<Revision>,
}

/// What an agent reads of its machine.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct AgentFacts {
    pub(crate) version: String,
    /// Tells the host from every other.
    pub(crate) agent_id: String,
    /// Address of the default route's interface.
    pub(crate) default_address: Option<Ipv4Addr>,
    pub(crate) interfaces: Vec<Interface>,
    /// `fs.inotify.max_user_instances`.
    pub(crate) inotify_instances: u32,
    /// `net.ipv4.neigh.default.gc_thresh3`.
    pub(crate) neighbour_limit: u32,
    /// Destination subnets of the main table.
    pub(crate) routes: Vec<Ipv4Net>,
    /// What takes addresses whatever the main table says.
    pub(crate) diversions: Vec<Diversion>,
    /// Of the machine's VXLAN devices.
    pub(crate) vnis: Vec<Vni>,
    /// Why the kernel cannot filter tunnel packets; empty if it can.
    pub(crate) filter_fault: String,
}

/// A network interface of a machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Interface {
    pub(crate) addresses: Vec<Ipv4Addr>,
    /// In bytes.
    pub(crate) mtu: u32,
}

/// What a check of a host needs to know beyond its facts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct HostHealth {
    pub(crate) clock: Timestamp,
    /// The file system of the engine's data.
    pub(crate) disk_total: Bytes,
    pub(crate) disk_free: Bytes,
    /// Most processes and threads there may be.
    pub(crate) pid_limit: u64,
    /// Addresses with a listener on port 53.
    pub(crate) name_listeners: Vec<IpAddr>,
    /// The bridge with the most ports.
    pub(crate) bridge: Option<Bridge>,
}

/// A bridge of a host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Bridge {
    pub(crate) name: String,
    pub(crate) ports: u32,
}

/// What an agent says of the containers it was asked about.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct NodeProbes {
    /// Version and build of the agent.
    pub(crate) version: String,
    /// By the id of the container.
    pub(crate) probes: HashMap<String, NodeProbe>,
}

/// What runs in a node, as `/proc` tells it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct NodeProbe {
    /// Its first process lives.
    pub(crate) alive: bool,
    /// That process is systemd and takes commands.
    pub(crate) manager: bool,
    /// Units that have processes.
    pub(crate) units: BTreeSet<String>,
    /// munged listens on its socket.
    pub(crate) munge: bool,
    /// sshd listens, or systemd does for it.
    pub(crate) sshd: bool,
    /// How long its first process has run.
    pub(crate) up: Duration,
}

/// What an agent keeps of an installation.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct KeptNetworks {
    pub(crate) networks: Vec<KeptNetwork>,
    /// VXLAN devices with the installation's name that no kept network explains.
    pub(crate) stray_devices: Vec<String>,
}

/// A network as an agent keeps it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct KeptNetwork {
    pub(crate) network: NetworkId,
    /// What is wrong with the device or its entries.
    pub(crate) trouble: Option<String>,
    pub(crate) device: String,
    pub(crate) bridge: String,
    /// The digest of the underlay addresses of its hosts, this one's too.
    pub(crate) underlays: String,
}

/// Where packets of a check come in: a device of its own on one host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ProbeDevice {
    pub(crate) name: String,
    pub(crate) vni: Vni,
    /// Underlay address of the host.
    pub(crate) local: Ipv4Addr,
    pub(crate) udp_port: u16,
}

/// Packets of a check, from one host to others.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ProbePackets {
    /// Underlay address of the sender.
    pub(crate) local: Ipv4Addr,
    pub(crate) udp_port: u16,
    pub(crate) vni: Vni,
    pub(crate) targets: Vec<ProbeTarget>,
}

/// What one of the others is sent, in this order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ProbeTarget {
    /// Its underlay address.
    pub(crate) remote: Ipv4Addr,
    pub(crate) packets: Vec<ProbePacket>,
}

/// A packet of a check.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ProbePacket {
    /// Tells it from every other packet of the check.
    pub(crate) mark: u32,
    /// As an IP packet, in bytes.
    pub(crate) size: u32,
}

/// What became of the packets to one target.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ProbesSent {
    /// So many of them left, the first ones.
    pub(crate) sent: usize,
    /// Why the others did not, if there are any.
    pub(crate) error: Option<String>,
}
