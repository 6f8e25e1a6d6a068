//! A host: its capacity, its engine's facts, its state.

use std::{fmt, net::Ipv4Addr, str::FromStr};

use ipnet::Ipv4Net;
use serde::{Deserialize, Serialize};

use crate::{Bytes, MilliCpu, Vni};

/// An amount of everything a node takes from its host.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Resources {
    /// CPU, in thousandths of a core.
    pub cpu: MilliCpu,
    /// Memory in bytes.
    pub memory: Bytes,
}

/// What a host has to give: CPUs, memory and how many nodes it can carry at all.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Capacity {
    /// CPU, in thousandths of a core.
    pub cpu: MilliCpu,
    /// Memory in bytes.
    pub memory: Bytes,
    /// Nodes: the least of what inotify instances, the neighbour table and bridge ports allow.
    pub node_slots: u32,
}

/// How much more than it has a host may promise, in thousandths (1000 = no overcommit).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Overcommit {
    /// Factor on CPU, in thousandths.
    pub cpu_milli: u32,
    /// Factor on memory, in thousandths.
    pub memory_milli: u32,
}

impl Default for Overcommit {
    /// CPU fourfold, since simulated nodes are idle most of the time; memory not at all, since it cannot be taken back.
    fn default() -> Self {
        Self { cpu_milli: 4000, memory_milli: 1000 }
    }
}

/// Which way systemd gets a writable cgroup tree in a node on this host.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CgroupWay {
    /// `writable-cgroups=true` and a private cgroup namespace: Docker 28 or newer on cgroup v2, no extra capability.
    Writable,
    /// SYS_ADMIN with seccomp and AppArmor unconfined: everything older.
    SysAdmin,
}

impl CgroupWay {
    /// The word, as stored and shown.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Writable => "writable",
            Self::SysAdmin => "sys-admin",
        }
    }

    /// How far root in a node of these hosts reaches, in words; `None`: no further than its cluster.
    #[must_use]
    pub fn reach(self, hosts: &str) -> Option<String> {
        match self {
            Self::Writable => None,
            Self::SysAdmin => Some(format!(
                "root in a node is root on {hosts}, and on every host of this kind ({self}) that shares a cluster"
            )),
        }
    }
}

impl fmt::Display for CgroupWay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// Whether a host takes nodes that are root on it: those of an engine that gives them SYS_ADMIN ([`CgroupWay::SysAdmin`]).
/// Hosts with another way to a cgroup tree are not concerned.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PrivilegedNodes {
    /// It takes them.
    #[default]
    Allow,
    /// Nothing new is placed there; nodes that are there stay.
    Deny,
}

/// A word that is neither `allow` nor `deny`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("must be `allow` or `deny`")]
pub struct PrivilegedNodesError;

impl PrivilegedNodes {
    /// Every value.
    pub const ALL: [Self; 2] = [Self::Allow, Self::Deny];

    /// The word, as stored and shown.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Allow => "allow",
            Self::Deny => "deny",
        }
    }
}

impl fmt::Display for PrivilegedNodes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for PrivilegedNodes {
    type Err = PrivilegedNodesError;

    fn from_str(text: &str) -> Result<Self, PrivilegedNodesError> {
        Self::ALL.into_iter().find(|word| word.as_str() == text).ok_or(PrivilegedNodesError)
    }
}

/// Whether new nodes are placed on a host, as its operator says: whatever its state is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Scheduling {
    /// They are.
    #[default]
    Schedulable,
    /// They are not; those that are there stay.
    Cordoned,
    /// They are not, and those that are there are being moved elsewhere.
    Draining,
    /// They are not, and none is there.
    Drained,
}

impl Scheduling {
    /// Every value.
    pub const ALL: [Self; 4] = [Self::Schedulable, Self::Cordoned, Self::Draining, Self::Drained];

    /// The word, as stored and shown.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Schedulable => "schedulable",
            Self::Cordoned => "cordoned",
            Self::Draining => "draining",
            Self::Drained => "drained",
        }
    }
}

impl fmt::Display for Scheduling {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// A word that is none of [`Scheduling`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("must be `schedulable`, `cordoned`, `draining` or `drained`")]
pub struct SchedulingError;

impl FromStr for Scheduling {
    type Err = SchedulingError;

    fn from_str(text: &str) -> Result<Self, SchedulingError> {
        Self::ALL.into_iter().find(|word| word.as_str() == text).ok_or(SchedulingError)
    }
}

/// What an engine says of itself and its machine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EngineFacts {
    /// The engine's own id (`docker info`: ID), the same whatever endpoint it is reached by.
    pub id: String,
    /// Engine version, such as `28.5.2`.
    pub version: String,
    /// API version spoken with it, such as `1.41`.
    pub api_version: String,
    /// Architecture in Docker's words, such as `x86_64`.
    pub architecture: String,
    /// CPUs of the machine.
    pub cpus: u32,
    /// Memory of the machine in bytes.
    pub memory: Bytes,
    /// 1 or 2.
    pub cgroup_version: u8,
    /// Storage driver, such as `overlay2`.
    pub storage_driver: String,
    /// Kernel release.
    pub kernel: String,
    /// The machine's hostname.
    pub hostname: String,
    /// Operating system, as the engine names it.
    pub operating_system: String,
    /// The engine runs without root.
    pub rootless: bool,
    /// The engine remaps user ids.
    pub userns_remap: bool,
    /// Whether it can limit a container's CPU: its cgroup tree has the CFS controller.
    pub cpu_limits: bool,
    /// Subnets of the engine's IPv4 networks.
    pub subnets: Vec<Ipv4Net>,
}

impl EngineFacts {
    /// An engine that is as it should be, for tests: Docker 28.5.2 on Debian, 8 CPUs and 16 GiB.
    #[cfg(feature = "testing")]
    #[must_use]
    pub fn sample() -> Self {
        Self {
            id: "E".into(),
            version: "28.5.2".into(),
            api_version: "1.51".into(),
            architecture: "x86_64".into(),
            cpus: 8,
            memory: Bytes::mib(16384),
            cgroup_version: 2,
            storage_driver: "overlay2".into(),
            kernel: "6.18".into(),
            hostname: "machine".into(),
            operating_system: "Debian GNU/Linux 12 (bookworm)".into(),
            rootless: false,
            userns_remap: false,
            cpu_limits: true,
            subnets: vec![],
        }
    }

    /// The way systemd gets its cgroup tree here.
    #[must_use]
    pub fn cgroup_way(&self) -> CgroupWay {
        let major: u32 = self.version.split('.').next().and_then(|v| v.parse().ok()).unwrap_or(0);
        if self.cgroup_version == 2 && major >= 28 { CgroupWay::Writable } else { CgroupWay::SysAdmin }
    }
}

/// What the agent reports of its machine: limits and what is already in use there.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct HostFacts {
    /// The id the agent drew for the machine and keeps there; empty in rows older than it.
    #[serde(default)]
    pub agent_id: String,
    /// Address other hosts send tunnel packets to, when the operator names none: that of the default route.
    pub default_address: Option<Ipv4Addr>,
    /// MTU of the interface that has the underlay address.
    pub underlay_mtu: u32,
    /// `fs.inotify.max_user_instances`.
    pub inotify_instances: u32,
    /// `net.ipv4.neigh.default.gc_thresh3`.
    pub neighbour_limit: u32,
    /// Destinations of the machine's main routing table, the default route left out.
    pub routes: Vec<Ipv4Net>,
    /// What takes addresses whatever that table says; none in rows older than it.
    #[serde(default)]
    pub diversions: Vec<Diversion>,
    /// VXLAN identifiers in use on the machine.
    pub vnis: Vec<Vni>,
    /// Why the kernel cannot filter tunnel packets; empty if it can, and in rows older than it.
    #[serde(default)]
    pub filter_fault: String,
}

/// Addresses that something on a host leads away, swallows or has itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Diversion {
    /// The addresses.
    pub subnet: Ipv4Net,
    /// What does, as a person is told.
    pub by: String,
}

/// Whether a host can be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum HostState {
    /// Its engine answered.
    Ready,
    /// Its engine did not answer the last time.
    Unreachable,
    /// Its engine is silent but its agent is heard by its peers: its nodes live on.
    EngineDown,
}

impl HostState {
    /// Every state.
    pub const ALL: [Self; 3] = [Self::Ready, Self::Unreachable, Self::EngineDown];

    /// The word, as stored and shown.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ready => "ready",
            Self::Unreachable => "unreachable",
            Self::EngineDown => "engine-down",
        }
    }
}

impl fmt::Display for HostState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// Whether a host's agent answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AgentState {
    /// It answered the last time.
    Ready,
    /// It did not, or it has not been brought there.
    Absent,
}

impl AgentState {
    /// Every state.
    pub const ALL: [Self; 2] = [Self::Ready, Self::Absent];

    /// The word, as stored and shown.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ready => "ready",
            Self::Absent => "absent",
        }
    }
}

impl fmt::Display for AgentState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}
