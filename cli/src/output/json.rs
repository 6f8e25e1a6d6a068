//! The JSON shapes. They are the interface for programs: a field is added, never renamed; what is not known is `null`,
//! an empty list `[]`; integers carry their unit in the name, times are RFC 3339 in UTC.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::Serialize;
use shoal_proto::v1;
use shoal_types::MilliCpu;

use super::cores::Cores;
use crate::natural;

fn known(text: String) -> Option<String> {
    (!text.is_empty()).then_some(text)
}

fn time(ms: u64) -> Option<String> {
    let at = i64::try_from(ms).ok().filter(|ms| *ms > 0)?;
    Timestamp::from_millisecond(at).ok().map(|at| at.to_string())
}

/// What a host can give, or has given.
#[derive(Debug, Serialize)]
pub(crate) struct AmountsJson {
    cpus: Cores,
    memory_bytes: u64,
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
struct EngineJson {
    version: Option<String>,
    api_version: Option<String>,
    cgroup: Option<String>,
    cgroup_way: Option<String>,
}

/// A host's agent.
#[derive(Debug, Serialize)]
struct AgentJson {
    version: Option<String>,
    state: String,
}

/// A registered host.
#[derive(Debug, Serialize)]
pub(crate) struct HostJson {
    name: String,
    endpoint: String,
    state: String,
    labels: BTreeMap<String, String>,
    capacity: AmountsJson,
    reserved: AmountsJson,
    nodes: u32,
    engine: EngineJson,
    agent: AgentJson,
    id: String,
    underlay: Option<String>,
    error: Option<String>,
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

/// A node of a cluster.
#[derive(Debug, Serialize)]
pub(crate) struct NodeJson {
    name: String,
    cluster: String,
    realm: String,
    role: String,
    host: Option<String>,
    address: String,
    mac: String,
    fqdn: String,
    state: String,
    /// How long ago the state was seen.
    age_ms: u64,
    host_error: Option<String>,
    id: String,
}

impl From<v1::Node> for NodeJson {
    fn from(node: v1::Node) -> Self {
        Self {
            name: node.name,
            cluster: node.cluster,
            realm: node.realm,
            role: node.role,
            host: known(node.host),
            address: node.address,
            mac: node.mac,
            fqdn: node.fqdn,
            state: node.state,
            age_ms: node.age_ms,
            host_error: known(node.host_error),
            id: node.id,
        }
    }
}

impl NodeJson {
    /// All of `nodes`, in the order they are given.
    pub(crate) fn all(nodes: Vec<v1::Node>) -> Vec<Self> {
        nodes.into_iter().map(Into::into).collect()
    }
}

/// A cluster's network.
#[derive(Debug, Serialize)]
pub(crate) struct NetworkJson {
    cluster: String,
    realm: String,
    subnet: String,
    gateway: String,
    vni: u32,
    mtu: u32,
    udp_port: u32,
    hosts: Vec<String>,
}

impl From<v1::Network> for NetworkJson {
    fn from(network: v1::Network) -> Self {
        let mut hosts = network.hosts;
        hosts.sort_by(|a, b| natural::cmp(a, b));
        Self {
            cluster: network.cluster,
            realm: network.realm,
            subnet: network.subnet,
            gateway: network.gateway,
            vni: network.vni,
            mtu: network.mtu,
            udp_port: network.udp_port,
            hosts,
        }
    }
}

/// A cluster with its nodes.
#[derive(Debug, Serialize)]
pub(crate) struct ClusterJson {
    name: String,
    realm: String,
    phase: String,
    slurm_version: Option<String>,
    nodes: Vec<NodeJson>,
    network: Option<NetworkJson>,
    image: String,
    created: Option<String>,
    failure: Option<String>,
    id: String,
}

impl From<v1::Cluster> for ClusterJson {
    fn from(cluster: v1::Cluster) -> Self {
        Self {
            name: cluster.name,
            realm: cluster.realm,
            phase: cluster.phase,
            slurm_version: known(cluster.slurm_version),
            nodes: NodeJson::all(cluster.nodes),
            network: cluster.network.map(Into::into),
            image: cluster.image,
            created: time(cluster.created_ms),
            failure: known(cluster.failure),
            id: cluster.id,
        }
    }
}

/// Something that happened.
#[derive(Debug, Serialize)]
pub(crate) struct EventJson {
    seq: u64,
    at: Option<String>,
    level: String,
    kind: String,
    realm: Option<String>,
    cluster: Option<String>,
    node: Option<String>,
    host: Option<String>,
    message: String,
}

impl From<v1::Event> for EventJson {
    fn from(event: v1::Event) -> Self {
        Self {
            seq: event.seq,
            at: time(event.at_ms),
            level: event.level,
            kind: event.kind,
            realm: known(event.realm),
            cluster: known(event.cluster),
            node: known(event.node),
            host: known(event.host),
            message: event.message,
        }
    }
}

#[derive(Debug, Serialize)]
struct PlacementJson {
    node: String,
    host: String,
}

#[derive(Debug, Serialize)]
struct RefusalJson {
    host: String,
    filter: String,
    reason: String,
}

/// Where a cluster would go, and why not elsewhere.
#[derive(Debug, Serialize)]
pub(crate) struct PlanJson {
    placements: Vec<PlacementJson>,
    refusals: Vec<RefusalJson>,
    fits: bool,
    reason: Option<String>,
}

impl From<v1::PlanClusterResponse> for PlanJson {
    fn from(plan: v1::PlanClusterResponse) -> Self {
        let placement = |p: v1::Placement| PlacementJson { node: p.node, host: p.host };
        let refusal = |r: v1::Refusal| RefusalJson { host: r.host, filter: r.filter, reason: r.reason };
        Self {
            placements: plan.placements.into_iter().map(placement).collect(),
            refusals: plan.refusals.into_iter().map(refusal).collect(),
            fits: plan.fits,
            reason: known(plan.reason),
        }
    }
}

/// Clusters that are gone.
#[derive(Debug, Default, Serialize)]
pub(crate) struct DeletedJson {
    /// Their names, in the order they went.
    pub(crate) deleted: Vec<String>,
}

/// A host that is no longer registered.
#[derive(Debug, Serialize)]
pub(crate) struct UnregisteredJson {
    /// Its name.
    pub(crate) name: String,
    /// Nodes forgotten by force.
    pub(crate) forgotten_nodes: u32,
    /// What stays on the host.
    pub(crate) left_behind: Vec<String>,
}

/// An image that was built.
#[derive(Debug, Serialize)]
pub(crate) struct BuiltJson {
    /// Its reference.
    pub(crate) tag: String,
    /// Its content digest.
    pub(crate) image_id: String,
    /// The archive.
    pub(crate) path: String,
    /// Size of the archive.
    pub(crate) size_bytes: u64,
    /// Slurm's version in it.
    pub(crate) slurm_version: String,
}

/// What became of an image on one host.
#[derive(Debug, Serialize)]
pub(crate) struct LoadedJson {
    /// The host.
    pub(crate) host: String,
    /// References the image has there.
    pub(crate) references: Vec<String>,
    /// Its content digest.
    pub(crate) image_id: Option<String>,
    /// How long it took.
    pub(crate) elapsed_ms: Option<u64>,
    /// Why it is not there.
    pub(crate) error: Option<String>,
}

impl From<v1::LoadedImage> for LoadedJson {
    fn from(loaded: v1::LoadedImage) -> Self {
        Self {
            host: loaded.host,
            references: loaded.references,
            image_id: known(loaded.image_id),
            elapsed_ms: Some(loaded.elapsed_ms),
            error: None,
        }
    }
}

impl From<v1::LoadImageFailure> for LoadedJson {
    fn from(failure: v1::LoadImageFailure) -> Self {
        let v1::LoadImageFailure { host, error } = failure;
        Self { host, references: Vec::new(), image_id: None, elapsed_ms: None, error: Some(error) }
    }
}

/// Which `shoal` this is.
#[derive(Debug, Serialize)]
pub(crate) struct VersionJson {
    /// Its version.
    pub(crate) version: &'static str,
    /// Architecture and operating system it was built for.
    pub(crate) platform: String,
}

#[cfg(test)]
mod tests;
