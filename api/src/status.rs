//! How a cluster is.

use std::collections::BTreeMap;

use serde::Serialize;
use shoal_proto::{FieldError, Word, v1};
use shoal_types::{Role, Timestamp, natural};

use crate::{
    ContainerState, Failing, Healing, Network, NetworkPart, Phase, ServiceState, SystemdState, Time,
    value::{all, known, messages, need, text},
};

/// How a cluster is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Status {
    /// Its name.
    pub name: String,
    /// Its realm.
    pub realm: String,
    /// creating, ready, failed, deleting, interrupted
    #[cfg_attr(feature = "schema", schemars(with = "String"))]
    pub phase: Phase,
    /// Whether it is ready and nothing is wrong with any node, host or Slurm.
    pub well: bool,
    /// Why it failed; null if it did not.
    pub failure: Option<String>,
    /// Its nodes, in natural order of their names.
    pub nodes: Vec<NodeStatus>,
    /// The hosts that have nodes of it, in natural order of their names.
    pub hosts: Vec<HostStatus>,
    /// Its network.
    pub network: Option<Network>,
    /// The image its nodes run.
    pub image: ClusterImage,
    /// Its Slurm.
    pub slurm: Slurm,
    /// How it heals by itself.
    pub healing: Healing,
    /// When it is deleted by itself; null if it stays.
    #[cfg_attr(feature = "schema", schemars(with = "Option<String>"))]
    pub expires: Option<Time>,
    /// What is known of copies of the controller's state off its host; null if nothing is.
    pub state_copy: Option<StateCopy>,
    /// How long the answer took, in milliseconds.
    pub elapsed_ms: u64,
    /// When it was admitted.
    #[serde(skip)]
    pub created: Option<Time>,
    /// Its id.
    #[serde(skip)]
    pub id: String,
}

/// A copy of what the controller keeps, off its host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct StateCopy {
    /// How long ago the state was last seen to be what the copy holds, in milliseconds; null if there is no copy.
    pub age_ms: Option<u64>,
    /// What the state takes as an archive; 0 if there is no copy.
    pub state_bytes: u64,
    /// What the copy takes in the store; 0 if there is none.
    pub copy_bytes: u64,
    /// Why there is no copy of what the state is now.
    pub trouble: Option<String>,
}

/// How a node is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct NodeStatus {
    /// Its name in the cluster.
    pub name: String,
    /// controller, submitter, worker
    #[cfg_attr(feature = "schema", schemars(with = "String"))]
    pub role: Role,
    /// The host it is placed on.
    pub host: Option<String>,
    /// Its IPv4 address on the cluster's network.
    pub address: String,
    /// running, paused, restarting, created, exited, dead, removing, absent, unknown
    #[cfg_attr(feature = "schema", schemars(with = "String"))]
    pub container: ContainerState,
    /// running, degraded, starting, stopped, unknown
    #[cfg_attr(feature = "schema", schemars(with = "String"))]
    pub systemd: SystemdState,
    /// up, down, unknown
    #[cfg_attr(feature = "schema", schemars(with = "String"))]
    pub munge: ServiceState,
    /// up, down, unknown
    #[cfg_attr(feature = "schema", schemars(with = "String"))]
    pub sshd: ServiceState,
    /// slurmctld or slurmd: up, down, unknown; null for a submitter
    #[cfg_attr(feature = "schema", schemars(with = "Option<String>"))]
    pub daemon: Option<ServiceState>,
    /// As Slurm says it, with its flags, such as `idle` or `down*`; null for a node that is none of Slurm's
    pub slurm: Option<String>,
    /// Why it is down or drained, as Slurm knows it.
    pub slurm_reason: Option<String>,
    /// How old what is told of the container is, in milliseconds.
    pub age_ms: u64,
    /// What is not as it should be.
    pub troubles: Vec<String>,
    /// How it ends again and again, if it does.
    pub failing: Option<Failing>,
}

/// How a host of the cluster is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct HostStatus {
    /// Its name.
    pub name: String,
    /// Nodes of the cluster there.
    pub nodes: u32,
    /// Version of its engine.
    pub engine_version: Option<String>,
    /// Null if its agent does not answer.
    pub agent_version: Option<String>,
    /// Its part of the network: ok, trouble, absent, unknown
    #[cfg_attr(feature = "schema", schemars(with = "String"))]
    pub network: NetworkPart,
    /// What is wrong with that part.
    pub network_trouble: Option<String>,
    /// Why its engine could not be asked.
    pub error: Option<String>,
    /// Why its agent could not be asked.
    pub agent_error: Option<String>,
    /// How long ago its engine was heard, in milliseconds.
    pub age_ms: u64,
}

/// The image of a cluster.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ClusterImage {
    /// As it was asked for.
    pub reference: String,
    /// Of its content.
    pub digest: String,
}

/// Slurm of a cluster.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Slurm {
    /// Its version.
    pub version: Option<String>,
    /// Why it was not heard.
    pub error: Option<String>,
    /// State -> number of workers in it.
    pub workers: BTreeMap<String, usize>,
}

impl Status {
    /// With what follows from its parts: how many workers are in each state of Slurm, and whether all is well.
    #[must_use]
    pub fn summed_up(mut self) -> Self {
        self.slurm.workers.clear();
        for state in self.nodes.iter().filter_map(|node| node.slurm.clone()) {
            *self.slurm.workers.entry(state).or_default() += 1;
        }
        self.well = self.is_well();
        self
    }

    /// Whether it is ready and nothing is wrong.
    #[must_use]
    pub fn is_well(&self) -> bool {
        let host =
            |h: &HostStatus| h.error.is_none() && h.agent_error.is_none() && h.network == NetworkPart::Ok;
        self.phase == Phase::Ready
            && self.slurm.error.is_none()
            && self.nodes.iter().all(|n| n.troubles.is_empty())
            && self.hosts.iter().all(host)
    }
}

impl TryFrom<v1::GetStatusResponse> for Status {
    type Error = FieldError;

    fn try_from(answer: v1::GetStatusResponse) -> Result<Self, FieldError> {
        let cluster = need("cluster", answer.cluster)?;
        let mut nodes: Vec<NodeStatus> = all(answer.nodes)?;
        nodes.sort_by(|a, b| natural::cmp(&a.name, &b.name));
        let mut hosts: Vec<HostStatus> = all(answer.hosts)?;
        hosts.sort_by(|a, b| natural::cmp(&a.name, &b.name));
        let slurm = Slurm {
            version: known(cluster.slurm_version),
            error: known(answer.slurm_error),
            workers: BTreeMap::new(),
        };
        let status = Self {
            name: cluster.name,
            realm: cluster.realm,
            phase: Phase::read("cluster.phase", cluster.phase)?,
            well: false,
            failure: known(cluster.failure),
            nodes,
            hosts,
            network: cluster.network.map(Into::into),
            image: ClusterImage { reference: cluster.image, digest: answer.image_id },
            slurm,
            healing: need("cluster.healing", cluster.healing)?.try_into()?,
            expires: Time::known(Timestamp(cluster.expires_ms)),
            state_copy: answer.state_copy.map(Into::into),
            elapsed_ms: answer.elapsed_ms,
            created: Time::known(Timestamp(cluster.created_ms)),
            id: cluster.id,
        };
        Ok(status.summed_up())
    }
}

impl From<Status> for v1::GetStatusResponse {
    fn from(status: Status) -> Self {
        let cluster = v1::Cluster {
            id: status.id,
            realm: status.realm,
            name: status.name,
            phase: status.phase.wire(),
            slurm_version: text(status.slurm.version),
            nodes: vec![],
            network: status.network.map(Into::into),
            image: status.image.reference,
            created_ms: Time::wire(status.created),
            failure: text(status.failure),
            healing: Some(status.healing.into()),
            expires_ms: Time::wire(status.expires),
        };
        Self {
            cluster: Some(cluster),
            nodes: messages(status.nodes),
            hosts: messages(status.hosts),
            image_id: status.image.digest,
            slurm_error: text(status.slurm.error),
            elapsed_ms: status.elapsed_ms,
            state_copy: status.state_copy.map(Into::into),
        }
    }
}

impl From<v1::StateCopy> for StateCopy {
    fn from(copy: v1::StateCopy) -> Self {
        let v1::StateCopy { age_ms, state_bytes, copy_bytes, trouble } = copy;
        Self { age_ms, state_bytes, copy_bytes, trouble: known(trouble) }
    }
}

impl From<StateCopy> for v1::StateCopy {
    fn from(copy: StateCopy) -> Self {
        let StateCopy { age_ms, state_bytes, copy_bytes, trouble } = copy;
        Self { age_ms, state_bytes, copy_bytes, trouble: text(trouble) }
    }
}

impl From<NodeStatus> for v1::NodeStatus {
    fn from(node: NodeStatus) -> Self {
        Self {
            name: node.name,
            role: node.role.wire(),
            host: text(node.host),
            address: node.address,
            container: node.container.wire(),
            systemd: node.systemd.wire(),
            munge: node.munge.wire(),
            sshd: node.sshd.wire(),
            daemon: node.daemon.map(Word::wire),
            slurm: text(node.slurm),
            slurm_reason: text(node.slurm_reason),
            age_ms: node.age_ms,
            troubles: node.troubles,
            failing: node.failing.map(Into::into),
        }
    }
}

impl From<HostStatus> for v1::HostStatus {
    fn from(host: HostStatus) -> Self {
        Self {
            name: host.name,
            nodes: host.nodes,
            engine_version: text(host.engine_version),
            agent_version: text(host.agent_version),
            network: host.network.wire(),
            network_trouble: text(host.network_trouble),
            error: text(host.error),
            agent_error: text(host.agent_error),
            age_ms: host.age_ms,
        }
    }
}

impl TryFrom<v1::NodeStatus> for NodeStatus {
    type Error = FieldError;

    fn try_from(node: v1::NodeStatus) -> Result<Self, FieldError> {
        let daemon = node.daemon.map(|daemon| ServiceState::read("node.daemon", daemon));
        Ok(Self {
            name: node.name,
            role: Role::read("node.role", node.role)?,
            host: known(node.host),
            address: node.address,
            container: ContainerState::read("node.container", node.container)?,
            systemd: SystemdState::read("node.systemd", node.systemd)?,
            munge: ServiceState::read("node.munge", node.munge)?,
            sshd: ServiceState::read("node.sshd", node.sshd)?,
            daemon: daemon.transpose()?,
            slurm: known(node.slurm),
            slurm_reason: known(node.slurm_reason),
            age_ms: node.age_ms,
            troubles: node.troubles,
            failing: node.failing.map(Into::into),
        })
    }
}

impl TryFrom<v1::HostStatus> for HostStatus {
    type Error = FieldError;

    fn try_from(host: v1::HostStatus) -> Result<Self, FieldError> {
        Ok(Self {
            name: host.name,
            nodes: host.nodes,
            engine_version: known(host.engine_version),
            agent_version: known(host.agent_version),
            network: NetworkPart::read("host.network", host.network)?,
            network_trouble: known(host.network_trouble),
            error: known(host.error),
            agent_error: known(host.agent_error),
            age_ms: host.age_ms,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(name: &str, slurm: &str) -> v1::NodeStatus {
        v1::NodeStatus {
            name: name.into(),
            role: Role::Worker.wire(),
            container: ContainerState::Running.wire(),
            systemd: SystemdState::Running.wire(),
            munge: ServiceState::Up.wire(),
            sshd: ServiceState::Up.wire(),
            slurm: slurm.into(),
            ..v1::NodeStatus::default()
        }
    }

    fn answer() -> v1::GetStatusResponse {
        v1::GetStatusResponse {
            cluster: Some(v1::Cluster {
                phase: Phase::Ready.wire(),
                healing: Some(shoal_types::Healing::default().into()),
                ..v1::Cluster::default()
            }),
            nodes: vec![node("worker-10", "idle"), node("worker-2", "idle"), node("controller", "")],
            hosts: vec![v1::HostStatus { network: NetworkPart::Ok.wire(), ..v1::HostStatus::default() }],
            ..v1::GetStatusResponse::default()
        }
    }

    #[test]
    fn answers_survive_the_wire() {
        let node = |name: &str, daemon, slurm: Option<&str>| NodeStatus {
            name: name.into(),
            role: Role::Worker,
            host: slurm.map(|_| "host1".into()),
            address: "10.96.0.3".into(),
            container: ContainerState::Running,
            systemd: SystemdState::Degraded,
            munge: ServiceState::Up,
            sshd: ServiceState::Down,
            daemon,
            slurm: slurm.map(Into::into),
            slurm_reason: slurm.map(|_| "Not responding".into()),
            age_ms: 5,
            troubles: vec!["sshd is down".into()],
            failing: slurm.map(|_| Failing {
                ends: 4,
                exit_status: None,
                out_of_memory: false,
                log: vec![],
                restart_in_ms: None,
            }),
        };
        let host = |name: &str, heard: bool| HostStatus {
            name: name.into(),
            nodes: 2,
            engine_version: heard.then(|| "28.5.2".into()),
            agent_version: heard.then(|| "0.1.0".into()),
            network: NetworkPart::Trouble,
            network_trouble: heard.then(|| "no device".into()),
            error: (!heard).then(|| "refused".into()),
            agent_error: (!heard).then(|| "silent".into()),
            age_ms: 9,
        };
        let whole = Status {
            name: "dev".into(),
            realm: "lab".into(),
            phase: Phase::Failed,
            well: false,
            failure: Some("slurmd is down".into()),
            nodes: vec![
                node("worker-2", Some(ServiceState::Up), Some("down*")),
                node("worker-10", None, None),
            ],
            hosts: vec![host("host2", true), host("host10", false)],
            network: None,
            image: ClusterImage { reference: "n:1".into(), digest: "sha256:1".into() },
            slurm: Slurm { version: Some("22.05.8".into()), error: Some("x".into()), workers: [].into() },
            healing: shoal_types::Healing::default().into(),
            expires: Time::known(Timestamp(1_700_000_100_000)),
            state_copy: Some(StateCopy {
                age_ms: Some(12_000),
                state_bytes: 184_320,
                copy_bytes: 9_000,
                trouble: Some("it is larger".into()),
            }),
            elapsed_ms: 12,
            created: Time::known(Timestamp(1_700_000_000_001)),
            id: "clu_1".into(),
        }
        .summed_up();
        assert_eq!(whole.slurm.workers, [("down*".to_owned(), 1)].into());
        let bare = Status {
            phase: Phase::Ready,
            failure: None,
            nodes: vec![],
            hosts: vec![],
            slurm: Slurm { version: None, error: None, workers: [].into() },
            state_copy: None,
            created: None,
            ..whole.clone()
        }
        .summed_up();
        assert!(bare.well && !whole.well);
        for status in [whole, bare] {
            assert_eq!(Status::try_from(v1::GetStatusResponse::from(status.clone())), Ok(status));
        }
    }

    #[test]
    fn workers_are_counted_by_state_and_nodes_come_in_order() {
        let status = Status::try_from(answer()).unwrap();
        assert!(status.well);
        assert_eq!(status.slurm.workers, [("idle".to_owned(), 2)].into());
        let names: Vec<_> = status.nodes.iter().map(|n| n.name.as_str()).collect();
        assert_eq!(names, ["controller", "worker-2", "worker-10"]);
    }

    #[test]
    fn what_is_unknown_is_refused_by_field() {
        for (field, change) in [
            ("cluster", (|a| a.cluster = None) as fn(&mut v1::GetStatusResponse)),
            ("cluster.phase", |a| a.cluster.get_or_insert_default().phase = 0),
            ("cluster.healing", |a| a.cluster.get_or_insert_default().healing = None),
            ("node.role", |a| a.nodes[0].role = 99),
            ("node.container", |a| a.nodes[0].container = 0),
            ("node.systemd", |a| a.nodes[0].systemd = 99),
            ("node.munge", |a| a.nodes[0].munge = 0),
            ("node.sshd", |a| a.nodes[0].sshd = 99),
            ("node.daemon", |a| a.nodes[0].daemon = Some(0)),
            ("host.network", |a| a.hosts[0].network = 99),
        ] {
            let mut wire = answer();
            change(&mut wire);
            assert_eq!(Status::try_from(wire).unwrap_err().field, field);
        }
    }
}
