//! The JSON shapes. They are the interface for programs: a field is added, never renamed; what is not known is `null`,
//! an empty list `[]`; integers carry their unit in the name, times are RFC 3339 in UTC.

mod host;

use std::fmt;

use jiff::Timestamp;
use serde::Serialize;
use shoal_proto::v1;
use shoal_types::natural;

pub(crate) use self::host::HostJson;

/// A text, if it is known.
pub(super) fn known(text: String) -> Option<String> {
    (!text.is_empty()).then_some(text)
}

/// Milliseconds since the epoch as RFC 3339, if they are known.
pub(super) fn time(ms: u64) -> Option<String> {
    let at = i64::try_from(ms).ok().filter(|ms| *ms > 0)?;
    Timestamp::from_millisecond(at).ok().map(|at| at.to_string())
}

/// A node of a cluster.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct NodeJson {
    /// Its name in the cluster, such as `worker-0`.
    name: String,
    /// The cluster.
    cluster: String,
    /// The cluster's realm.
    realm: String,
    /// `controller`, `submitter` or `worker`.
    role: String,
    /// The host it is placed on.
    host: Option<String>,
    /// Its IPv4 address on the cluster's network.
    address: String,
    /// Its MAC address.
    mac: String,
    /// Its name in DNS, without a trailing dot.
    fqdn: String,
    /// `planned`, `created`, `starting`, `ready`, `stopped` or `failed`.
    state: String,
    /// How long ago the state was seen.
    age_ms: u64,
    /// Why its host cannot be asked, if it cannot: then the state is as old as `age_ms`.
    host_error: Option<String>,
    /// Its id.
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
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct NetworkJson {
    /// The cluster.
    cluster: String,
    /// The cluster's realm.
    realm: String,
    /// Its IPv4 subnet, such as `10.96.0.0/24`.
    subnet: String,
    /// The address of the gateway, the same on every host.
    gateway: String,
    /// VXLAN network identifier.
    vni: u32,
    /// Largest packet of a node, in bytes.
    mtu: u32,
    /// UDP port between hosts.
    udp_port: u32,
    /// The member hosts.
    hosts: Vec<String>,
}

impl fmt::Display for NetworkJson {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { subnet, gateway, vni, udp_port, mtu, .. } = self;
        write!(f, "{subnet}, gateway {gateway}, VNI {vni} on UDP {udp_port}, MTU {mtu}")
    }
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
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct ClusterJson {
    /// Its name.
    name: String,
    /// Its realm.
    realm: String,
    /// `creating`, `ready`, `failed` or `deleting`.
    phase: String,
    /// Version of Slurm in its image.
    slurm_version: Option<String>,
    /// Its nodes.
    nodes: Vec<NodeJson>,
    /// Its network.
    network: Option<NetworkJson>,
    /// Reference of the image, as it was asked for.
    image: String,
    /// When it was admitted.
    created: Option<String>,
    /// Why it failed, if it did.
    failure: Option<String>,
    /// Its id.
    id: String,
}

impl From<v1::Cluster> for ClusterJson {
    fn from(mut cluster: v1::Cluster) -> Self {
        cluster.nodes.sort_by(|a, b| natural::cmp(&a.name, &b.name));
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
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct EventJson {
    /// Position in the installation's log, strictly increasing; null if it is progress that is not recorded.
    seq: Option<u64>,
    /// When it happened.
    at: Option<String>,
    /// `info`, `warn` or `error`.
    level: String,
    /// What kind of thing happened, such as `node-started`.
    kind: String,
    /// The realm of the cluster.
    realm: Option<String>,
    /// The cluster it belongs to.
    cluster: Option<String>,
    /// The node it is about.
    node: Option<String>,
    /// The host it happened on.
    host: Option<String>,
    /// One line for people.
    message: String,
    /// How many bytes of a transfer are done, if it is one.
    done_bytes: Option<u64>,
    /// How many there are, if it is known.
    total_bytes: Option<u64>,
}

impl From<v1::Event> for EventJson {
    fn from(event: v1::Event) -> Self {
        Self {
            seq: (event.seq > 0).then_some(event.seq),
            at: time(event.at_ms),
            level: event.level,
            kind: event.kind,
            realm: known(event.realm),
            cluster: known(event.cluster),
            node: known(event.node),
            host: known(event.host),
            message: event.message,
            done_bytes: event.done_bytes,
            total_bytes: event.total_bytes,
        }
    }
}

/// Clusters that are gone.
#[derive(Debug, Default, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct DeletedJson {
    /// Their names, in the order they went.
    pub(crate) deleted: Vec<String>,
}

/// A host that is no longer registered.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
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
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct BuiltJson {
    /// Its reference.
    pub(crate) tag: String,
    /// Its content digest.
    pub(crate) image_id: String,
    /// The archive.
    pub(crate) path: String,
    /// Size of the archive.
    pub(crate) size_bytes: u64,
    /// Debian release it was made from.
    pub(crate) suite: String,
    /// Slurm's version in it.
    pub(crate) slurm_version: String,
}

/// A Dockerfile that was written.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct DockerfileJson {
    /// The directory it is in, with what it adds.
    pub(crate) directory: String,
    /// Debian release of the image.
    pub(crate) suite: String,
}

/// What became of an image on one host.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
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
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct VersionJson {
    /// Its version.
    pub(crate) version: &'static str,
    /// Architecture and operating system it was built for.
    pub(crate) platform: String,
}

#[cfg(test)]
mod tests;
