//! The JSON shape of a host.

use std::collections::BTreeMap;

use serde::Serialize;
use shoal_proto::v1;
use shoal_types::MilliCpu;

use super::{super::cores::Cores, known, time};

/// What a host can give, or has given.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct AmountsJson {
    /// CPUs, in whole ones and parts of one.
    cpus: Cores,
    /// Memory.
    memory_bytes: u64,
    /// Nodes, whatever their size.
    node_slots: u32,
}

impl From<v1::Amounts> for AmountsJson {
    fn from(amounts: v1::Amounts) -> Self {
        Self {
            cpus: Cores(MilliCpu(amounts.cpu_milli)),
            memory_bytes: amounts.memory_bytes,
            node_slots: amounts.node_slots,
        }
    }
}

/// A host's engine.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
struct EngineJson {
    /// Its version, such as `28.5.2`.
    version: Option<String>,
    /// The highest version of its API.
    api_version: Option<String>,
    /// `v1` or `v2`.
    cgroup: Option<String>,
    /// How a node with systemd comes to a writable cgroup tree: `writable` or `sys-admin`.
    cgroup_way: Option<String>,
}

/// A host's agent.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
struct AgentJson {
    /// Version of the `shoal` it is.
    version: Option<String>,
    /// `ready` or `absent`.
    state: String,
}

/// A registered host.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct HostJson {
    /// Its name.
    name: String,
    /// Where its engine listens: `unix://` or `tcp://`.
    endpoint: String,
    /// `ready`, `unreachable` or `engine-down`.
    state: String,
    /// Its labels, key to value.
    labels: BTreeMap<String, String>,
    /// What it can give to nodes.
    capacity: AmountsJson,
    /// What is promised to nodes.
    reserved: AmountsJson,
    /// How many nodes are placed on it.
    nodes: u32,
    /// Its Docker Engine.
    engine: EngineJson,
    /// Shoal's agent on it.
    agent: AgentJson,
    /// Its id.
    id: String,
    /// The IPv4 address that carries tunnels.
    underlay: Option<String>,
    /// Why it cannot be used, if it cannot.
    error: Option<String>,
    /// When it last answered.
    last_seen: Option<String>,
}

impl From<v1::Host> for HostJson {
    fn from(host: v1::Host) -> Self {
        Self {
            name: host.name,
            endpoint: host.endpoint,
            state: host.state,
            labels: host.labels.into_iter().collect(),
            capacity: host.capacity.unwrap_or_default().into(),
            reserved: host.reserved.unwrap_or_default().into(),
            nodes: host.nodes,
            engine: EngineJson {
                version: known(host.engine_version),
                api_version: known(host.engine_api_version),
                cgroup: known(host.engine_cgroup),
                cgroup_way: known(host.cgroup_way),
            },
            agent: AgentJson { version: known(host.agent_version), state: host.agent_state },
            id: host.id,
            underlay: known(host.underlay),
            error: known(host.error),
            last_seen: time(host.last_seen_ms),
        }
    }
}
