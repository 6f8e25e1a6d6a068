//! From the store's rows to what the renderer and the agents take.

use std::{collections::BTreeMap, net::Ipv4Addr};

use shoal_slurm::{ClusterView, Layout, NodeView, Readiness, RoleSpec, ViewError};
use shoal_storage::{Cluster, Network, NewRemnant, Node};
use shoal_types::{ClusterSpec, DNS_ZONE, HostId, Role, Timestamp};

use crate::words::{
    agent::{Member, NetworkState, Place, Service},
    fault::{ClusterFault, Fault},
    naming::Naming,
};

/// A cluster with everything the store says of it.
#[derive(Debug, Clone)]
pub(crate) struct Intent {
    pub(crate) cluster: Cluster,
    pub(crate) network: Network,
    /// In order of role and index.
    pub(crate) nodes: Vec<Node>,
}

impl Intent {
    pub(crate) fn new(cluster: Cluster, network: Network, nodes: Vec<Node>) -> Self {
        Self { cluster, network, nodes }
    }

    /// What the role of a node is.
    pub(crate) fn role(&self, node: &Node) -> &'static RoleSpec {
        RoleSpec::of(node.role, self.cluster.spec.profile)
    }

    /// Whether Slurm gives a node jobs.
    pub(crate) fn runs_jobs(&self, node: &Node) -> bool {
        self.role(node).readiness == Readiness::Idle
    }

    /// Where its Slurm listens and keeps things.
    pub(crate) fn layout(&self) -> Layout {
        Layout::of(&self.cluster.spec.slurm)
    }

    /// The nodes of one host.
    pub(crate) fn on(&self, host: HostId) -> impl Iterator<Item = &Node> {
        self.nodes.iter().filter(move |n| n.host == host)
    }

    /// The cluster as rendering sees it.
    pub(crate) fn view(&self) -> Result<ClusterView, Fault> {
        let spec = &self.cluster.spec;
        let view = |node: &Node| {
            let view = NodeView::new(node.name.clone(), node.role, node.address, &node.size);
            let group = spec.groups.get(node.group as usize).filter(|group| group.role == node.role);
            group.map_or(view.clone(), |group| view.with_slurm(&group.slurm))
        };
        let view = ClusterView::new(
            spec.realm.clone(),
            spec.name.clone(),
            self.network.subnet,
            self.network.gateway,
            self.nodes.iter().map(view).collect(),
            spec.slurm.clone(),
        );
        let view = view.map(|view| view.with_ssh_keys(spec.ssh_keys.clone()).with_profile(spec.profile));
        view.map_err(|source: ViewError| {
            Fault::Cluster(ClusterFault::View { cluster: spec.name.clone(), source })
        })
    }

    /// The controller.
    pub(crate) fn controller(&self) -> Option<&Node> {
        self.nodes.iter().find(|n| n.role == Role::Controller)
    }

    /// What may be left of it on a host, from now on.
    pub(crate) fn remnant(&self, host: HostId, reason: String, since: Timestamp) -> NewRemnant {
        let spec = &self.cluster.spec;
        NewRemnant {
            host,
            cluster: self.cluster.id,
            realm: spec.realm.clone(),
            name: spec.name.clone(),
            node: None,
            vni: self.network.vni,
            subnet: self.network.subnet,
            reason,
            since,
        }
    }

    /// The part of the network that `host` has, as its agent is told.
    pub(crate) fn network_state(
        &self,
        naming: &Naming,
        host: HostId,
        underlays: &BTreeMap<HostId, Ipv4Addr>,
    ) -> NetworkState {
        let (spec, network) = (&self.cluster.spec, &self.network);
        let member = |node: &Node| Member {
            name: node.name.clone(),
            address: node.address,
            mac: node.mac,
            place: match node.host == host {
                true => Place::Here { container: naming.container(&node.name, &spec.name, &spec.realm) },
                false => Place::There { underlay: underlays.get(&node.host).copied() },
            },
        };
        let layout = self.layout();
        let services = self.nodes.iter().flat_map(|node| {
            self.role(node).ports.iter().filter_map(|port| {
                let name = port.service?.to_owned();
                Some(Service { name, target: node.name.clone(), port: layout.port(port.number) })
            })
        });
        NetworkState {
            installation: naming.installation().clone(),
            network: network.id,
            revision: network.revision,
            vni: network.vni,
            bridge: naming.bridge(network.vni),
            device: naming.device(network.vni),
            local: underlays.get(&host).copied(),
            udp_port: network.udp_port,
            mtu: network.mtu,
            subnet: network.subnet,
            gateway: network.gateway,
            members: self.nodes.iter().map(member).collect(),
            domain: format!("{}.{}.{DNS_ZONE}", spec.name, spec.realm),
            services: services.collect(),
        }
    }
}

/// The directory of what nodes of a role keep, if they keep anything: it is on a volume.
pub(crate) fn state_directory(spec: &ClusterSpec, role: Role) -> Option<String> {
    let state = RoleSpec::of(role, spec.profile).state?;
    Some(Layout::of(&spec.slurm).directory(state).to_owned())
}

#[cfg(test)]
pub(crate) mod tests {
    use shoal_slurm::slurm_conf;
    use shoal_types::{
        Bytes, ClusterId, ClusterPhase, ClusterSpec, Generation, Healing, InstallationId, MacAddr, MilliCpu,
        NetworkId, NodeGroup, NodeId, NodeState, Placing, Power, Profile, Revision, SecretId, SlurmSpec,
        Strategy, SubnetPlan, Timestamp, Vni,
    };

    use super::*;

    /// A cluster of two workers as it was asked for, which has a controller and the workers of these numbers.
    pub(crate) fn intent(workers: &[u32]) -> Intent {
        let spec = ClusterSpec {
            realm: shoal_types::RealmName::default(),
            name: "dev".parse().unwrap(),
            image: "shoal-node:bookworm".into(),
            profile: Profile::System,
            scheduler: Strategy::Spread.into(),
            placing: Placing::default(),
            constraints: vec![],
            groups: vec![
                NodeGroup::new(Role::Controller, 1, None, None),
                NodeGroup::new(Role::Worker, 2, None, None),
            ],
            slurm: SlurmSpec::default(),
            ssh_keys: vec![],
            mtu: None,
            healing: Healing::default(),
            ttl: None,
        };
        let subnet = SubnetPlan { subnet: "10.96.4.0/24".parse().unwrap() };
        let network = Network {
            id: NetworkId::new(1, [1; 10]),
            vni: Vni::try_from(7).unwrap(),
            subnet: subnet.subnet,
            gateway: subnet.gateway(),
            mtu: 1450,
            udp_port: 4799,
            revision: Revision::FIRST,
        };
        let cluster = Cluster {
            id: ClusterId::new(1, [2; 10]),
            healing: Healing::default(),
            expiry: None,
            phase: ClusterPhase::Ready,
            image_id: "sha256:00".into(),
            generation: Generation::FIRST,
            deadline: Timestamp(9),
            keep_on_failure: false,
            slurm_version: None,
            failure: None,
            seed: SecretId::new(1, [4; 10]),
            created: Timestamp(1),
            updated: Timestamp(1),
            spec,
        };
        let node = |role: Role, index: u32, number: u32| {
            let address = subnet.node(number).unwrap();
            let group = NodeGroup::new(role, 1, None, None);
            Node {
                id: NodeId::new(1, [u8::try_from(number).unwrap() + 1; 10]),
                cluster: cluster.id,
                network: network.id,
                name: role.node_name(index).parse().unwrap(),
                role,
                index,
                group: 0,
                host: HostId::new(1, [3; 10]),
                address,
                mac: MacAddr::of(address),
                size: group.size(&cluster.spec.slurm),
                constraints: vec![],
                power: Power::On,
                settings: cluster.spec.settings(),
                state: NodeState::Ready,
                since: Timestamp(1),
                container: None,
                generation: Generation::FIRST,
                last_error: None,
                restarts: None,
            }
        };
        let workers = workers.iter().map(|n| node(Role::Worker, *n, n + 1));
        let nodes = [node(Role::Controller, 0, 0)].into_iter().chain(workers).collect();
        Intent::new(cluster, network, nodes)
    }

    fn node_lines(intent: &Intent) -> Vec<String> {
        let conf = slurm_conf(&intent.view().unwrap());
        conf.lines().filter(|line| line.starts_with("NodeName=")).map(str::to_owned).collect()
    }

    #[test]
    fn numbers_may_be_missing_and_go_beyond_those_asked_for() {
        assert_eq!(
            node_lines(&intent(&[0, 2, 5])),
            ["NodeName=worker-[0,2,5] NodeAddr=10.96.4.[3,5,8] CPUs=1 RealMemory=512 State=UNKNOWN"]
        );
    }

    #[test]
    fn a_size_is_that_of_the_row() {
        let mut intent = intent(&[0, 2, 5]);
        intent.nodes[2].size.slurm_cpus = 8;
        intent.nodes[3].size.slurm_memory = Bytes::mib(1024);
        intent.cluster.spec.groups[1].cpu_limit = Some(MilliCpu(64_000));
        intent.cluster.spec.groups[1].memory_limit = Bytes::mib(1);
        intent.cluster.spec.slurm.cpus = Some(64);
        assert_eq!(
            node_lines(&intent),
            [
                "NodeName=worker-0 NodeAddr=10.96.4.3 CPUs=1 RealMemory=512 State=UNKNOWN",
                "NodeName=worker-2 NodeAddr=10.96.4.5 CPUs=8 RealMemory=512 State=UNKNOWN",
                "NodeName=worker-5 NodeAddr=10.96.4.8 CPUs=1 RealMemory=1024 State=UNKNOWN",
            ]
        );
    }

    #[test]
    fn a_name_no_specification_gives_is_rendered_like_any_other() {
        let mut intent = intent(&[0]);
        intent.nodes[1].name = "gpu-node".parse().unwrap();
        assert_eq!(
            node_lines(&intent),
            ["NodeName=gpu-node NodeAddr=10.96.4.3 CPUs=1 RealMemory=512 State=UNKNOWN"]
        );
    }

    #[test]
    fn a_row_that_cannot_be_rendered_is_an_error() {
        let broken = |change: &dyn Fn(&mut Node)| {
            let mut intent = intent(&[0, 2]);
            change(&mut intent.nodes[2]);
            match intent.view() {
                Err(Fault::Cluster(ClusterFault::View { source, .. })) => source,
                other => panic!("{other:?}"),
            }
        };
        let size = broken(&|node| node.size.slurm_cpus = 0);
        assert!(matches!(&size, ViewError::Size { node, .. } if node.as_str() == "worker-2"), "{size}");
        let elsewhere = broken(&|node| node.address = Ipv4Addr::LOCALHOST);
        assert!(matches!(elsewhere, ViewError::Address { .. }), "{elsewhere}");
        let twin = broken(&|node| node.name = "worker-0".parse().unwrap());
        assert!(matches!(twin, ViewError::Duplicate { .. }), "{twin}");
    }

    #[test]
    fn agents_are_told_where_slurmctld_is() {
        let naming = Naming::new(InstallationId::new([1, 2, 3]));
        let intent = intent(&[0, 2]);
        let state = intent.network_state(&naming, intent.nodes[0].host, &BTreeMap::new());
        let services: Vec<_> =
            state.services.iter().map(|s| format!("{} {} {}", s.name, s.target, s.port)).collect();
        assert_eq!(services, ["_slurmctld._tcp controller 6817"]);
        let mut moved = intent;
        moved.cluster.spec.slurm.main.insert("main".into(), "SlurmctldPort=7000".into());
        let state = moved.network_state(&naming, moved.nodes[0].host, &BTreeMap::new());
        assert_eq!(state.services[0].port, 7000);
    }
}
