//! Clusters, their nodes and networks.

use std::fmt;

use serde::Serialize;
use shoal_proto::{FieldError, Word, v1};
use shoal_types::{NodeState, Role, Timestamp, natural};

use crate::{
    Failing, Healing, Phase, Time,
    value::{all, known, messages, need, text},
};

/// A node of a cluster.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Node {
    /// Its name in the cluster, such as `worker-0`.
    pub name: String,
    /// The cluster.
    pub cluster: String,
    /// The cluster's realm.
    pub realm: String,
    /// `controller`, `submitter` or `worker`.
    #[cfg_attr(feature = "schema", schemars(with = "String"))]
    pub role: Role,
    /// The host it is placed on.
    pub host: Option<String>,
    /// Its IPv4 address on the cluster's network.
    pub address: String,
    /// Its MAC address.
    pub mac: String,
    /// Its name in DNS, without a trailing dot.
    pub fqdn: String,
    /// `planned`, `created`, `starting`, `ready`, `stopped`, `failed` or `failing`.
    #[cfg_attr(feature = "schema", schemars(with = "String"))]
    pub state: NodeState,
    /// How long ago the state was seen.
    pub age_ms: u64,
    /// Why its host cannot be asked, if it cannot: then the state is as old as `age_ms`.
    pub host_error: Option<String>,
    /// How it ends again and again, if it does.
    pub failing: Option<Failing>,
    /// Its id.
    pub id: String,
}

impl TryFrom<v1::Node> for Node {
    type Error = FieldError;

    fn try_from(node: v1::Node) -> Result<Self, FieldError> {
        Ok(Self {
            name: node.name,
            cluster: node.cluster,
            realm: node.realm,
            role: Role::read("node.role", node.role)?,
            host: known(node.host),
            address: node.address,
            mac: node.mac,
            fqdn: node.fqdn,
            state: NodeState::read("node.state", node.state)?,
            age_ms: node.age_ms,
            host_error: known(node.host_error),
            failing: node.failing.map(Into::into),
            id: node.id,
        })
    }
}

impl From<Node> for v1::Node {
    fn from(node: Node) -> Self {
        Self {
            id: node.id,
            name: node.name,
            cluster: node.cluster,
            realm: node.realm,
            role: node.role.wire(),
            host: text(node.host),
            address: node.address,
            mac: node.mac,
            fqdn: node.fqdn,
            state: node.state.wire(),
            age_ms: node.age_ms,
            host_error: text(node.host_error),
            failing: node.failing.map(Into::into),
        }
    }
}

/// A cluster's network.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Network {
    /// The cluster.
    pub cluster: String,
    /// The cluster's realm.
    pub realm: String,
    /// Its IPv4 subnet, such as `10.96.0.0/24`.
    pub subnet: String,
    /// The address of the gateway, the same on every host.
    pub gateway: String,
    /// VXLAN network identifier.
    pub vni: u32,
    /// Largest packet of a node, in bytes.
    pub mtu: u32,
    /// UDP port between hosts.
    pub udp_port: u32,
    /// The member hosts.
    pub hosts: Vec<String>,
    /// Its id.
    #[serde(skip)]
    pub id: String,
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { subnet, gateway, vni, udp_port, mtu, .. } = self;
        write!(f, "{subnet}, gateway {gateway}, VNI {vni} on UDP {udp_port}, MTU {mtu}")
    }
}

impl From<v1::Network> for Network {
    /// Hosts come in natural order.
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
            id: network.id,
        }
    }
}

impl From<Network> for v1::Network {
    fn from(network: Network) -> Self {
        Self {
            id: network.id,
            cluster: network.cluster,
            realm: network.realm,
            subnet: network.subnet,
            gateway: network.gateway,
            vni: network.vni,
            mtu: network.mtu,
            udp_port: network.udp_port,
            hosts: network.hosts,
        }
    }
}

/// A cluster with its nodes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Cluster {
    /// Its name.
    pub name: String,
    /// Its realm.
    pub realm: String,
    /// `creating`, `ready`, `failed`, `deleting` or `interrupted`.
    #[cfg_attr(feature = "schema", schemars(with = "String"))]
    pub phase: Phase,
    /// Version of Slurm in its image.
    pub slurm_version: Option<String>,
    /// Its nodes.
    pub nodes: Vec<Node>,
    /// Its network.
    pub network: Option<Network>,
    /// Reference of the image, as it was asked for.
    pub image: String,
    /// When it was admitted.
    #[cfg_attr(feature = "schema", schemars(with = "Option<String>"))]
    pub created: Option<Time>,
    /// Why it failed, if it did.
    pub failure: Option<String>,
    /// How it heals by itself.
    pub healing: Healing,
    /// When it is deleted by itself; null if it stays.
    #[cfg_attr(feature = "schema", schemars(with = "Option<String>"))]
    pub expires: Option<Time>,
    /// Its id.
    pub id: String,
}

impl TryFrom<v1::Cluster> for Cluster {
    type Error = FieldError;

    /// Nodes come in natural order of their names.
    fn try_from(cluster: v1::Cluster) -> Result<Self, FieldError> {
        let mut nodes: Vec<Node> = all(cluster.nodes)?;
        nodes.sort_by(|a, b| natural::cmp(&a.name, &b.name));
        Ok(Self {
            name: cluster.name,
            realm: cluster.realm,
            phase: Phase::read("cluster.phase", cluster.phase)?,
            slurm_version: known(cluster.slurm_version),
            nodes,
            network: cluster.network.map(Into::into),
            image: cluster.image,
            created: Time::known(Timestamp(cluster.created_ms)),
            failure: known(cluster.failure),
            healing: need("cluster.healing", cluster.healing)?.try_into()?,
            expires: Time::known(Timestamp(cluster.expires_ms)),
            id: cluster.id,
        })
    }
}

impl From<Cluster> for v1::Cluster {
    fn from(cluster: Cluster) -> Self {
        Self {
            id: cluster.id,
            realm: cluster.realm,
            name: cluster.name,
            phase: cluster.phase.wire(),
            slurm_version: text(cluster.slurm_version),
            nodes: messages(cluster.nodes),
            network: cluster.network.map(Into::into),
            image: cluster.image,
            created_ms: Time::wire(cluster.created),
            failure: text(cluster.failure),
            healing: Some(cluster.healing.into()),
            expires_ms: Time::wire(cluster.expires),
        }
    }
}

/// Names of everything, for whoever completes a word.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Names {
    /// Registered hosts.
    pub hosts: Vec<String>,
    /// The realm's clusters.
    pub clusters: Vec<NamedCluster>,
}

/// Names of a cluster and its nodes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NamedCluster {
    /// Its name.
    pub name: String,
    /// Names of its nodes.
    pub nodes: Vec<String>,
}

impl From<v1::ListNamesResponse> for Names {
    fn from(answer: v1::ListNamesResponse) -> Self {
        let cluster = |c: v1::NamedCluster| NamedCluster { name: c.name, nodes: c.nodes };
        Self { hosts: answer.hosts, clusters: answer.clusters.into_iter().map(cluster).collect() }
    }
}

impl From<Names> for v1::ListNamesResponse {
    fn from(Names { hosts, clusters }: Names) -> Self {
        let cluster = |NamedCluster { name, nodes }| v1::NamedCluster { name, nodes };
        Self { hosts, clusters: clusters.into_iter().map(cluster).collect() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_survive_the_wire() {
        let node = |name: &str, host: Option<&str>| Node {
            name: name.into(),
            cluster: "dev".into(),
            realm: "lab".into(),
            role: Role::Worker,
            host: host.map(Into::into),
            address: "10.96.0.3".into(),
            mac: "02:00:0a:60:00:03".into(),
            fqdn: format!("{name}.dev.lab.shoal.internal"),
            state: NodeState::Ready,
            age_ms: 7,
            host_error: host.is_none().then(|| "refused".into()),
            failing: host.is_none().then(|| Failing {
                ends: 4,
                exit_status: Some(7),
                out_of_memory: true,
                log: vec!["no space left".into()],
                restart_in_ms: Some(0),
            }),
            id: "nod_1".into(),
        };
        let network = Network {
            cluster: "dev".into(),
            realm: "lab".into(),
            subnet: "10.96.0.0/24".into(),
            gateway: "10.96.0.1".into(),
            vni: 7,
            mtu: 1450,
            udp_port: 4799,
            hosts: vec!["host2".into(), "host10".into()],
            id: "net_1".into(),
        };
        assert_eq!(Network::from(v1::Network::from(network.clone())), network);
        let whole = Cluster {
            name: "dev".into(),
            realm: "lab".into(),
            phase: Phase::Failed,
            slurm_version: Some("22.05.8".into()),
            nodes: vec![node("worker-2", Some("host2")), node("worker-10", None)],
            network: Some(network),
            image: "shoal-node:bookworm".into(),
            created: Time::known(Timestamp(1_700_000_000_001)),
            failure: Some("slurmd is down".into()),
            healing: shoal_types::Healing::default().into(),
            expires: Time::known(Timestamp(1_700_000_100_000)),
            id: "clu_1".into(),
        };
        let bare = Cluster {
            slurm_version: None,
            nodes: vec![],
            network: None,
            created: None,
            failure: None,
            ..whole.clone()
        };
        for cluster in [whole, bare] {
            assert_eq!(Cluster::try_from(v1::Cluster::from(cluster.clone())), Ok(cluster));
        }
        let clusters = vec![NamedCluster { name: "dev".into(), nodes: vec!["worker-0".into()] }];
        let names = Names { hosts: vec!["host1".into()], clusters };
        assert_eq!(Names::from(v1::ListNamesResponse::from(names.clone())), names);
    }

    fn node(name: &str) -> v1::Node {
        v1::Node {
            name: name.into(),
            role: Role::Worker.wire(),
            state: NodeState::Ready.wire(),
            ..v1::Node::default()
        }
    }

    fn cluster() -> v1::Cluster {
        v1::Cluster {
            phase: Phase::Ready.wire(),
            healing: Some(shoal_types::Healing::default().into()),
            nodes: vec![node("worker-10"), node("worker-2")],
            network: Some(v1::Network {
                hosts: vec!["host10".into(), "host2".into()],
                ..v1::Network::default()
            }),
            ..v1::Cluster::default()
        }
    }

    #[test]
    fn lists_come_in_natural_order() {
        let cluster = Cluster::try_from(cluster()).unwrap();
        assert_eq!(
            cluster.nodes.iter().map(|n| n.name.as_str()).collect::<Vec<_>>(),
            ["worker-2", "worker-10"]
        );
        assert_eq!(cluster.network.unwrap().hosts, ["host2", "host10"]);
        assert_eq!((cluster.created, cluster.failure, cluster.slurm_version), (None, None, None));
    }

    #[test]
    fn what_is_unknown_is_refused_by_field() {
        for (field, change) in [
            ("cluster.phase", (|c| c.phase = 0) as fn(&mut v1::Cluster)),
            ("cluster.healing", |c| c.healing = None),
            ("healing.policy", |c| c.healing.get_or_insert_default().policy = 99),
            ("node.role", |c| c.nodes[1].role = 99),
            ("node.state", |c| c.nodes[0].state = 0),
        ] {
            let mut wire = cluster();
            change(&mut wire);
            assert_eq!(Cluster::try_from(wire).unwrap_err().field, field);
        }
    }
}
