//! Hosts: what is known of them, and what is asked of them.

use std::{collections::BTreeMap, fmt, net::Ipv4Addr};

use serde::Serialize;
use shoal_proto::{FieldError, Word, v1};
use shoal_types::{
    AgentState, Bytes, CgroupWay, HostMtu, HostState, MilliCpu, MtuSetting, PrivilegedNodes, Scheduling,
    Timestamp,
};

use crate::{
    CgroupVersion, Cores, Time,
    value::{known, need, text},
};

/// What a host can give, or has given.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Amounts {
    /// CPUs, in whole ones and parts of one.
    pub cpus: Cores,
    /// Memory.
    pub memory_bytes: u64,
    /// Nodes, whatever their size.
    pub node_slots: u32,
}

impl From<v1::Amounts> for Amounts {
    fn from(amounts: v1::Amounts) -> Self {
        Self {
            cpus: Cores(MilliCpu(amounts.cpu_milli)),
            memory_bytes: amounts.memory_bytes,
            node_slots: amounts.node_slots,
        }
    }
}

impl From<Amounts> for v1::Amounts {
    fn from(Amounts { cpus, memory_bytes, node_slots }: Amounts) -> Self {
        Self { cpu_milli: cpus.0.0, memory_bytes, node_slots }
    }
}

/// A host's engine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Engine {
    /// Its version, such as `28.5.2`.
    pub version: Option<String>,
    /// The highest version of its API.
    pub api_version: Option<String>,
    /// `v1` or `v2`.
    #[cfg_attr(feature = "schema", schemars(with = "Option<String>"))]
    pub cgroup: CgroupVersion,
    /// How a node with systemd comes to a writable cgroup tree: `writable` or `sys-admin`.
    #[cfg_attr(feature = "schema", schemars(with = "Option<String>"))]
    pub cgroup_way: CgroupWay,
}

/// A host's agent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Agent {
    /// Version of the `shoal` it is.
    pub version: Option<String>,
    /// `ready` or `absent`.
    #[cfg_attr(feature = "schema", schemars(with = "String"))]
    pub state: AgentState,
}

/// A registered host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Host {
    /// Its name.
    pub name: String,
    /// Where its engine listens: `unix://`, `tcp://` or `ssh://`.
    pub endpoint: String,
    /// `ready`, `unreachable` or `engine-down`.
    #[cfg_attr(feature = "schema", schemars(with = "String"))]
    pub state: HostState,
    /// Its labels, key to value.
    pub labels: BTreeMap<String, String>,
    /// What it can give to nodes.
    pub capacity: Amounts,
    /// What is promised to nodes.
    pub reserved: Amounts,
    /// How many nodes are placed on it.
    pub nodes: u32,
    /// Its Docker Engine.
    pub engine: Engine,
    /// Shoal's agent on it.
    pub agent: Agent,
    /// Whether nodes are placed there though they are root on it, `allow` or `deny`: a question only where `cgroup_way` is
    /// `sys-admin`.
    #[cfg_attr(feature = "schema", schemars(with = "String"))]
    pub privileged_nodes: PrivilegedNodes,
    /// Whether new nodes are placed there, as its operator says: `schedulable`, `cordoned`, `draining` or `drained`.
    #[cfg_attr(feature = "schema", schemars(with = "String"))]
    pub scheduling: Scheduling,
    /// Its id.
    pub id: String,
    /// The IPv4 address that carries tunnels.
    pub underlay: Option<String>,
    /// The largest IP packet that its path to other hosts carries, in bytes: `set_mtu`, else the MTU of the interface with the
    /// underlay address.
    pub mtu: Option<u32>,
    /// What its operator said of that.
    #[cfg_attr(feature = "schema", schemars(with = "Option<u16>"))]
    pub set_mtu: Option<HostMtu>,
    /// Why it cannot be used, if it cannot.
    pub error: Option<String>,
    /// Why it cannot drop tunnel packets of strangers, if it cannot.
    pub filter_fault: Option<String>,
    /// When it last answered.
    #[cfg_attr(feature = "schema", schemars(with = "Option<String>"))]
    pub last_seen: Option<Time>,
    /// How long ago that was, by the coordinator's clock; 0 if just now or never.
    #[serde(skip)]
    pub age_ms: u64,
}

impl TryFrom<v1::Host> for Host {
    type Error = FieldError;

    fn try_from(host: v1::Host) -> Result<Self, FieldError> {
        Ok(Self {
            name: host.name,
            endpoint: host.endpoint,
            state: HostState::read("host.state", host.state)?,
            labels: host.labels.into_iter().collect(),
            capacity: need("host.capacity", host.capacity)?.into(),
            reserved: need("host.reserved", host.reserved)?.into(),
            nodes: host.nodes,
            engine: Engine {
                version: known(host.engine_version),
                api_version: known(host.engine_api_version),
                cgroup: CgroupVersion::read("host.engine_cgroup", host.engine_cgroup)?,
                cgroup_way: CgroupWay::read("host.cgroup_way", host.cgroup_way)?,
            },
            agent: Agent {
                version: known(host.agent_version),
                state: AgentState::read("host.agent_state", host.agent_state)?,
            },
            privileged_nodes: PrivilegedNodes::read("host.privileged_nodes", host.privileged_nodes)?,
            scheduling: Scheduling::read("host.scheduling", host.scheduling)?,
            id: host.id,
            underlay: known(host.underlay),
            mtu: Some(host.mtu_bytes).filter(|mtu| *mtu > 0),
            set_mtu: host.set_mtu_bytes.map(set_mtu).transpose()?,
            error: known(host.error),
            filter_fault: known(host.filter_fault),
            last_seen: Time::known(Timestamp(host.last_seen_ms)),
            age_ms: host.age_ms,
        })
    }
}

impl From<Host> for v1::Host {
    fn from(host: Host) -> Self {
        Self {
            id: host.id,
            name: host.name,
            endpoint: host.endpoint,
            state: host.state.wire(),
            labels: host.labels.into_iter().collect(),
            capacity: Some(host.capacity.into()),
            reserved: Some(host.reserved.into()),
            nodes: host.nodes,
            engine_version: text(host.engine.version),
            engine_api_version: text(host.engine.api_version),
            engine_cgroup: host.engine.cgroup.wire(),
            cgroup_way: host.engine.cgroup_way.wire(),
            agent_version: text(host.agent.version),
            agent_state: host.agent.state.wire(),
            underlay: text(host.underlay),
            error: text(host.error),
            filter_fault: text(host.filter_fault),
            last_seen_ms: Time::wire(host.last_seen),
            age_ms: host.age_ms,
            privileged_nodes: host.privileged_nodes.wire(),
            scheduling: host.scheduling.wire(),
            mtu_bytes: host.mtu.unwrap_or(0),
            set_mtu_bytes: host.set_mtu.map(|mtu| mtu.get().into()),
        }
    }
}

fn set_mtu(bytes: u32) -> Result<HostMtu, FieldError> {
    HostMtu::try_from(u64::from(bytes)).map_err(|reason| FieldError::new("host.set_mtu_bytes", reason))
}

/// A host that is no longer registered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Unregistered {
    /// Its name.
    pub name: String,
    /// Nodes forgotten by force.
    pub forgotten_nodes: u32,
    /// What stays on the host.
    pub left_behind: Vec<String>,
}

impl Unregistered {
    /// The answer about the host of this name.
    pub(crate) fn read(name: String, answer: v1::UnregisterHostResponse) -> Self {
        let v1::UnregisterHostResponse { forgotten_nodes, left_behind } = answer;
        Self { name, forgotten_nodes, left_behind }
    }
}

impl From<Unregistered> for v1::UnregisterHostResponse {
    fn from(Unregistered { name: _, forgotten_nodes, left_behind }: Unregistered) -> Self {
        Self { forgotten_nodes, left_behind }
    }
}

/// Client credentials of an engine, PEM.
#[derive(Clone, PartialEq, Eq)]
pub struct TlsCredentials {
    /// Certificate of the authority that signed the engine's.
    pub ca: String,
    /// Client certificate.
    pub cert: String,
    /// Its key.
    pub key: String,
}

impl fmt::Debug for TlsCredentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TlsCredentials").finish_non_exhaustive()
    }
}

impl From<TlsCredentials> for v1::TlsCredentials {
    fn from(TlsCredentials { ca, cert, key }: TlsCredentials) -> Self {
        Self { ca, cert, key }
    }
}

/// What opens an account on a host by SSH.
#[derive(Clone, PartialEq, Eq)]
pub struct SshCredentials {
    /// A private key without passphrase.
    pub private_key: String,
    /// The host's keys as in a known_hosts file, without names.
    pub known_hosts: Vec<String>,
}

impl fmt::Debug for SshCredentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SshCredentials").finish_non_exhaustive()
    }
}

impl From<SshCredentials> for v1::SshCredentials {
    fn from(SshCredentials { private_key, known_hosts }: SshCredentials) -> Self {
        Self { private_key, known_hosts }
    }
}

/// What a host is given besides its name and endpoint; `None` is what the engine reports, or what was set before.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct HostSettings {
    /// How it is reached with TLS.
    pub tls: Option<TlsCredentials>,
    /// How it is reached by SSH, where not as the user reaches it.
    pub ssh: Option<SshCredentials>,
    /// Labels to set; an empty value removes one.
    pub labels: BTreeMap<String, String>,
    /// CPUs to count on.
    pub cpus: Option<MilliCpu>,
    /// Memory to count on.
    pub memory: Option<Bytes>,
    /// Factor on CPU, in thousandths.
    pub overcommit_cpu_milli: Option<u32>,
    /// Factor on memory, in thousandths.
    pub overcommit_memory_milli: Option<u32>,
    /// Address other hosts send tunnel packets to.
    pub underlay: Option<Ipv4Addr>,
    /// MTU of its path to other hosts, or that it is the interface's.
    pub mtu: Option<MtuSetting>,
    /// Whether nodes may be placed there that are root on it.
    pub privileged_nodes: Option<PrivilegedNodes>,
}

impl HostSettings {
    /// The request that sets them on a host that is registered.
    pub(crate) fn update(self, name: String, endpoint: Option<String>) -> v1::UpdateHostRequest {
        v1::UpdateHostRequest {
            name,
            endpoint,
            tls: self.tls.map(Into::into),
            ssh: self.ssh.map(Into::into),
            labels: self.labels.into_iter().collect(),
            cpu_milli: self.cpus.map(|cpus| cpus.0),
            memory_bytes: self.memory.map(|memory| memory.0),
            overcommit_cpu_milli: self.overcommit_cpu_milli,
            overcommit_memory_milli: self.overcommit_memory_milli,
            underlay: self.underlay.map(|address| address.to_string()),
            privileged_nodes: self.privileged_nodes.map(Word::wire),
            mtu_bytes: self.mtu.map(|mtu| mtu.bytes().map_or(0, |mtu| mtu.get().into())),
        }
    }

    /// The request that registers a host with them.
    pub(crate) fn register(self, name: String, endpoint: String) -> v1::RegisterHostRequest {
        let r = self.update(name, None);
        v1::RegisterHostRequest {
            name: r.name,
            endpoint,
            tls: r.tls,
            ssh: r.ssh,
            labels: r.labels,
            cpu_milli: r.cpu_milli,
            memory_bytes: r.memory_bytes,
            overcommit_cpu_milli: r.overcommit_cpu_milli,
            overcommit_memory_milli: r.overcommit_memory_milli,
            underlay: r.underlay,
            privileged_nodes: r.privileged_nodes,
            mtu_bytes: r.mtu_bytes,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn host() -> v1::Host {
        v1::Host {
            name: "host1".into(),
            state: HostState::Ready.wire(),
            capacity: Some(v1::Amounts { cpu_milli: 8000, memory_bytes: 1 << 34, node_slots: 120 }),
            reserved: Some(v1::Amounts::default()),
            engine_version: "28.5.2".into(),
            engine_cgroup: CgroupVersion::V2.wire(),
            cgroup_way: CgroupWay::Writable.wire(),
            agent_state: AgentState::Absent.wire(),
            privileged_nodes: PrivilegedNodes::Allow.wire(),
            scheduling: Scheduling::Schedulable.wire(),
            ..v1::Host::default()
        }
    }

    #[test]
    fn answers_survive_the_wire() {
        let amounts = |cpus| Amounts { cpus: Cores(MilliCpu(cpus)), memory_bytes: 1 << 34, node_slots: 120 };
        let whole = Host {
            name: "host1".into(),
            endpoint: "tcp://10.77.0.1:2376".into(),
            state: HostState::Unreachable,
            labels: [("rack".into(), "a".into())].into(),
            capacity: amounts(8000),
            reserved: amounts(1050),
            nodes: 3,
            engine: Engine {
                version: Some("28.5.2".into()),
                api_version: Some("1.51".into()),
                cgroup: CgroupVersion::V2,
                cgroup_way: CgroupWay::Writable,
            },
            agent: Agent { version: Some("0.1.0".into()), state: AgentState::Ready },
            privileged_nodes: PrivilegedNodes::Deny,
            scheduling: Scheduling::Draining,
            id: "hos_1".into(),
            underlay: Some("10.77.0.1".into()),
            mtu: Some(1400),
            set_mtu: HostMtu::try_from(1400).ok(),
            error: Some("refused".into()),
            filter_fault: Some("the kernel has no nf_tables".into()),
            last_seen: Time::known(Timestamp(1_700_000_000_001)),
            age_ms: 9,
        };
        let bare = Host {
            engine: Engine { version: None, api_version: None, ..whole.engine.clone() },
            agent: Agent { version: None, state: AgentState::Absent },
            underlay: None,
            mtu: None,
            set_mtu: None,
            error: None,
            filter_fault: None,
            last_seen: None,
            ..whole.clone()
        };
        for host in [whole, bare] {
            assert_eq!(Host::try_from(v1::Host::from(host.clone())), Ok(host));
        }
        let gone =
            Unregistered { name: "host1".into(), forgotten_nodes: 2, left_behind: vec!["a volume".into()] };
        assert_eq!(Unregistered::read("host1".into(), gone.clone().into()), gone);
    }

    #[test]
    fn what_is_empty_is_not_known() {
        let host = Host::try_from(host()).unwrap();
        assert_eq!(host.engine.version.as_deref(), Some("28.5.2"));
        assert_eq!((host.underlay, host.error, host.last_seen, host.agent.version), (None, None, None, None));
    }

    #[test]
    fn what_is_unknown_is_refused_by_field() {
        for (field, change) in [
            ("host.state", (|h| h.state = 99) as fn(&mut v1::Host)),
            ("host.capacity", |h| h.capacity = None),
            ("host.reserved", |h| h.reserved = None),
            ("host.engine_cgroup", |h| h.engine_cgroup = 0),
            ("host.cgroup_way", |h| h.cgroup_way = 99),
            ("host.agent_state", |h| h.agent_state = 0),
            ("host.privileged_nodes", |h| h.privileged_nodes = 0),
            ("host.scheduling", |h| h.scheduling = 0),
            ("host.set_mtu_bytes", |h| h.set_mtu_bytes = Some(0)),
        ] {
            let mut wire = host();
            change(&mut wire);
            assert_eq!(Host::try_from(wire).unwrap_err().field, field);
        }
    }

    #[test]
    fn an_mtu_is_left_alone_set_or_taken_back() {
        let wire = |mtu| HostSettings { mtu, ..HostSettings::default() }.update("h".into(), None).mtu_bytes;
        let settings = [None, Some(MtuSetting::Auto), Some(MtuSetting::Bytes(HostMtu::MOST))];
        assert_eq!(settings.map(wire), [None, Some(0), Some(65_535)]);
    }

    #[test]
    fn a_key_is_not_shown() {
        let tls = TlsCredentials { ca: "a".into(), cert: "b".into(), key: "hunter2".into() };
        assert!(!format!("{tls:?}").contains("hunter2"));
    }
}
