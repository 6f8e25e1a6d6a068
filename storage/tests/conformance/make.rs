//! Domain values for tests: small, valid, told apart by a number.

use std::{net::Ipv4Addr, time::Duration};

use rand::rngs::StdRng;
use shoal_storage::{
    Acquired, Cluster, Holder, Host, HostSettings, Lease, Network, Node, Resource, SecretKind, Transaction,
};
use shoal_types::{
    Bytes, Capacity, ClusterId, ClusterPhase, ClusterSpec, EngineFacts, Generation, HostId, Labels, MacAddr,
    MilliCpu, NetworkId, NodeGroup, NodeId, NodeState, Overcommit, Placing, Power, PrivilegedNodes, Profile,
    Resources, Revision, Role, SecretId, SlurmSpec, Strategy, SubnetPlan, Vni,
};

use crate::bed::START;

pub(crate) const TTL: Duration = Duration::from_secs(30);

fn ten(n: u32) -> [u8; 10] {
    let [a, b, c, d] = n.to_be_bytes();
    [0, 0, 0, 0, 0, 0, a, b, c, d]
}

pub(crate) fn engine(n: u32) -> EngineFacts {
    EngineFacts {
        id: format!("ENGINE-{n}"),
        hostname: format!("machine{n}"),
        subnets: vec!["172.17.0.0/16".parse().unwrap()],
        ..EngineFacts::sample()
    }
}

pub(crate) fn settings(n: u32) -> HostSettings {
    HostSettings {
        endpoint: format!("tcp://10.77.0.{n}:2376"),
        credential: None,
        underlay: Some(Ipv4Addr::from_bits(0x0a4d_0000 + n)),
        mtu: None,
        labels: Labels::from_pairs(["rack=b", "gpu=yes"]).unwrap(),
        capacity: Capacity { cpu: MilliCpu(8000), memory: Bytes::mib(16384), node_slots: 100 },
        overcommit: Overcommit::default(),
        reserve: Resources { cpu: MilliCpu(500), memory: Bytes::mib(512) },
        privileged_nodes: PrivilegedNodes::Allow,
        scheduling: shoal_types::Scheduling::Schedulable,
    }
}

pub(crate) fn host(n: u32) -> Host {
    let name = format!("host{n}").parse().unwrap();
    Host::registered(HostId::new(START.0, ten(n)), name, settings(n), engine(n), START)
}

pub(crate) fn spec(name: &str, workers: u32) -> ClusterSpec {
    ClusterSpec {
        realm: "default".parse().unwrap(),
        name: name.parse().unwrap(),
        image: "shoal-node:bookworm".into(),
        profile: Profile::System,
        scheduler: Strategy::Spread.into(),
        placing: Placing::default(),
        constraints: vec!["rack=b".parse().unwrap()],
        groups: vec![
            NodeGroup::new(Role::Controller, 1, None, None),
            NodeGroup::new(Role::Worker, workers, None, None),
        ],
        slurm: SlurmSpec::default(),
        ssh_keys: vec![],
        mtu: None,
        healing: shoal_types::Healing::default(),
        ttl: None,
    }
}

pub(crate) fn cluster(n: u32, seed: SecretId) -> Cluster {
    Cluster {
        id: ClusterId::new(START.0, ten(n)),
        spec: spec(&format!("c{n}"), 2),
        healing: shoal_types::Healing::default(),
        expiry: None,
        phase: ClusterPhase::Creating,
        image_id: "sha256:00".into(),
        generation: Generation::FIRST,
        deadline: START.after(Duration::from_secs(300)),
        keep_on_failure: true,
        slurm_version: None,
        failure: None,
        seed,
        created: START,
        updated: START,
    }
}

pub(crate) fn network(n: u32) -> Network {
    let subnet = format!("10.96.{n}.0/24").parse().unwrap();
    Network {
        id: NetworkId::new(START.0, ten(n)),
        vni: Vni::try_from(u64::from(n) + 100).unwrap(),
        subnet,
        gateway: SubnetPlan { subnet }.gateway(),
        mtu: 1450,
        udp_port: 4799,
        revision: Revision::FIRST,
    }
}

/// The nodes of `cluster`, all on `host`.
pub(crate) fn nodes(cluster: &Cluster, network: &Network, host: HostId) -> Vec<Node> {
    let plan = SubnetPlan { subnet: network.subnet };
    let node = |(number, node): (u32, shoal_types::SpecNode<'_>)| {
        let address = plan.node(number).unwrap();
        Node {
            id: NodeId::new(START.0, ten(network.vni.get() * 100_000 + number + 1)),
            cluster: cluster.id,
            network: network.id,
            name: node.name,
            role: node.group.role,
            index: node.index,
            group: node.group_number,
            host,
            address,
            mac: MacAddr::of(address),
            size: node.group.size(&cluster.spec.slurm),
            constraints: node.group.constraints.clone(),
            power: Power::On,
            settings: cluster.spec.settings(),
            state: NodeState::Planned,
            since: START,
            container: None,
            generation: Generation::FIRST,
            last_error: None,
            restarts: None,
        }
    };
    (0..).zip(cluster.spec.numbered()).map(node).collect()
}

pub(crate) fn holder(id: &str) -> Holder {
    Holder { id: id.into(), boot_id: format!("boot of {id}"), pid: 7, pid_start: 70 }
}

/// What was admitted.
pub(crate) struct Admitted {
    pub(crate) host: Host,
    pub(crate) cluster: Cluster,
    pub(crate) network: Network,
    pub(crate) nodes: Vec<Node>,
    pub(crate) lease: Lease,
}

/// Admits cluster `n` on a host `n` of its own, and takes its lease.
pub(crate) async fn admit(tx: &mut Transaction, n: u32, rng: &mut StdRng) -> Admitted {
    let host = host(n);
    tx.hosts().insert(&host).await.unwrap();
    let seed = tx.secrets().put(SecretKind::ClusterSeed, b"seed", START, rng).await.unwrap();
    let cluster = cluster(n, seed);
    tx.clusters().insert(&cluster).await.unwrap();
    let network = network(n);
    tx.networks().insert(&network).await.unwrap();
    tx.networks().attach(network.id, cluster.id).await.unwrap();
    let nodes = nodes(&cluster, &network, host.id);
    tx.nodes().insert(&nodes).await.unwrap();
    let resource = Resource::cluster(cluster.id);
    let lease = match tx.leases().acquire(&resource, &holder("me"), START, TTL, |_| true).await.unwrap() {
        Acquired::Granted(lease) => lease,
        Acquired::Held(by) => panic!("held: {by:?}"),
    };
    Admitted { host, cluster, network, nodes, lease }
}
