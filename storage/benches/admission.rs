//! What admission costs in the store: one transaction with a cluster, its network and 10,000 nodes (the most a network
//! holds), from `begin` to a durable commit, and what one small write costs.
//!
//! On SQLite in a temporary directory, or on the store that `SHOAL_BENCH_STORE` names (which must be an empty one).

#![expect(clippy::unwrap_used, reason = "a bench that cannot go on says where")]

use std::time::{Duration, Instant};

use criterion::{Criterion, criterion_group, criterion_main};
use rand::{SeedableRng, rngs::StdRng};
use shoal_storage::{
    Acquired, Cluster, Holder, Host, HostSettings, Lease, Network, Node, Resource, SealingKey, SecretKind,
    Store, StoreUrl,
};
use shoal_types::{
    Bytes, Capacity, ClusterId, ClusterPhase, ClusterSpec, EngineFacts, EventKind, EventLevel, Generation,
    HostId, Labels, MacAddr, MilliCpu, NetworkId, NewEvent, NodeGroup, NodeId, NodeState, Overcommit,
    Placing, Power, Profile, Resources, Revision, Role, SlurmSpec, Strategy, SubnetPlan, Timestamp, Vni,
};
use tokio::runtime::Runtime;

const NODES: u32 = 10_000;
const NOW: Timestamp = Timestamp(1_800_000_000_000);

fn ten(n: u32) -> [u8; 10] {
    let mut bytes = [0; 10];
    bytes[6..].copy_from_slice(&n.to_be_bytes());
    bytes
}

fn host() -> Host {
    let settings = HostSettings {
        endpoint: "unix:///run/docker.sock".into(),
        credential: None,
        underlay: None,
        mtu: None,
        labels: Labels::default(),
        capacity: Capacity { cpu: MilliCpu(8000), memory: Bytes::mib(16384), node_slots: 100 },
        overcommit: Overcommit::default(),
        reserve: Resources::default(),
        privileged_nodes: shoal_types::PrivilegedNodes::Allow,
        scheduling: shoal_types::Scheduling::Schedulable,
    };
    let engine = EngineFacts::sample();
    Host::registered(HostId::new(NOW.0, ten(1)), "bench".parse().unwrap(), settings, engine, NOW)
}

fn spec() -> ClusterSpec {
    ClusterSpec {
        realm: "default".parse().unwrap(),
        name: "bench".parse().unwrap(),
        image: "shoal-node".into(),
        profile: Profile::System,
        scheduler: Strategy::Spread.into(),
        placing: Placing::default(),
        constraints: vec![],
        groups: vec![
            NodeGroup::new(Role::Controller, 1, None, None),
            NodeGroup::new(Role::Worker, NODES - 1, None, None),
        ],
        slurm: SlurmSpec::default(),
        ssh_keys: vec![],
        mtu: None,
        healing: shoal_types::Healing::default(),
        ttl: None,
    }
}

struct Bench {
    store: Store,
    host: HostId,
    rng: StdRng,
    round: u32,
}

impl Bench {
    /// Admits a cluster of 10,000 nodes.
    async fn admit(&mut self) -> (Lease, ClusterId, Vec<NodeId>) {
        self.round += 1;
        let id = ClusterId::new(NOW.0, ten(self.round));
        let network = NetworkId::new(NOW.0, ten(self.round));
        let plan = SubnetPlan { subnet: "10.96.0.0/16".parse().unwrap() };
        let spec = spec();
        let settings = spec.settings();
        let nodes: Vec<_> = (0..)
            .zip(spec.numbered())
            .map(|(n, wish)| {
                let address = plan.node(n).unwrap();
                Node {
                    id: NodeId::new(NOW.0, ten(self.round * NODES + n)),
                    cluster: id,
                    network,
                    name: wish.name,
                    role: wish.group.role,
                    index: wish.index,
                    group: wish.group_number,
                    host: self.host,
                    address,
                    mac: MacAddr::of(address),
                    size: wish.group.size(&spec.slurm),
                    constraints: wish.group.constraints.clone(),
                    power: Power::On,
                    settings: settings.clone(),
                    state: NodeState::Planned,
                    since: NOW,
                    container: None,
                    generation: Generation::FIRST,
                    last_error: None,
                    restarts: None,
                }
            })
            .collect();

        let mut tx = self.store.begin().await.unwrap();
        let version = tx.placement_version().await.unwrap();
        tx.bump_placement_version(version).await.unwrap();
        let seed = tx.secrets().put(SecretKind::ClusterSeed, &[7; 32], NOW, &mut self.rng).await.unwrap();
        let cluster = Cluster {
            id,
            spec,
            healing: shoal_types::Healing::default(),
            expiry: None,
            phase: ClusterPhase::Creating,
            image_id: "sha256:0".into(),
            generation: Generation::FIRST,
            deadline: NOW,
            keep_on_failure: false,
            slurm_version: None,
            failure: None,
            seed,
            created: NOW,
            updated: NOW,
        };
        tx.clusters().insert(&cluster).await.unwrap();
        let network = Network {
            id: network,
            vni: Vni::try_from(100).unwrap(),
            subnet: plan.subnet,
            gateway: plan.gateway(),
            mtu: 1450,
            udp_port: 4799,
            revision: Revision::FIRST,
        };
        tx.networks().insert(&network).await.unwrap();
        tx.networks().attach(network.id, id).await.unwrap();
        tx.nodes().insert(&nodes).await.unwrap();
        let holder = Holder { id: "bench".into(), boot_id: "boot".into(), pid: 1, pid_start: 1 };
        let ttl = Duration::from_secs(30);
        let resource = Resource::cluster(id);
        let acquired = tx.leases().acquire(&resource, &holder, NOW, ttl, |_| true).await.unwrap();
        tx.commit().await.unwrap();
        let lease = match acquired {
            Acquired::Granted(lease) | Acquired::Held(lease) => lease,
        };
        (lease, id, nodes.into_iter().map(|n| n.id).collect())
    }

    async fn remove(&mut self, lease: &Lease, id: ClusterId, nodes: &[NodeId]) {
        let mut tx = self.store.begin().await.unwrap().guard(lease).await.unwrap();
        tx.nodes().delete(nodes).await.unwrap();
        tx.clusters().delete(id).await.unwrap();
        tx.commit().await.unwrap();
    }

    async fn small_write(&mut self) {
        let event = NewEvent {
            at: NOW,
            level: EventLevel::Info,
            kind: EventKind::Step,
            cluster: None,
            node: None,
            host: None,
            message: "bench".into(),
            progress: None,
            user: None,
        };
        let mut tx = self.store.begin().await.unwrap();
        tx.events().append(&event).await.unwrap();
        tx.commit().await.unwrap();
    }
}

fn admission(criterion: &mut Criterion) {
    let directory = tempfile::tempdir().unwrap();
    let runtime = Runtime::new().unwrap();
    let url: StoreUrl = match std::env::var("SHOAL_BENCH_STORE") {
        Ok(url) => url.parse().unwrap(),
        Err(_) => StoreUrl::file(directory.path().join("shoal.db")),
    };
    let mut rng = StdRng::seed_from_u64(1);
    let key = SealingKey::load_or_create(&directory.path().join("key"), &mut rng).unwrap();
    let mut bench = runtime.block_on(async {
        let store = Store::open(&url, key, NOW, &mut rng).await.unwrap();
        let host = host();
        let mut tx = store.begin().await.unwrap();
        tx.hosts().insert(&host).await.unwrap();
        tx.commit().await.unwrap();
        Bench { store, host: host.id, rng, round: 0 }
    });

    let mut group = criterion.benchmark_group("store");
    group.sample_size(10);
    group.bench_function("admit 10,000 nodes", |bencher| {
        bencher.iter_custom(|rounds| {
            let mut spent = Duration::ZERO;
            for _ in 0..rounds {
                let start = Instant::now();
                let (lease, id, nodes) = runtime.block_on(bench.admit());
                spent += start.elapsed();
                runtime.block_on(bench.remove(&lease, id, &nodes));
            }
            spent
        });
    });
    group.bench_function("read 10,000 nodes", |bencher| {
        let (lease, id, nodes) = runtime.block_on(bench.admit());
        bencher.iter(|| {
            let read = runtime.block_on(async {
                bench.store.read().await.unwrap().nodes().of_cluster(id).await.unwrap().len()
            });
            assert_eq!(read, NODES as usize);
        });
        runtime.block_on(bench.remove(&lease, id, &nodes));
    });
    group.bench_function("commit one event", |bencher| {
        bencher.iter(|| runtime.block_on(bench.small_write()));
    });
    group.finish();
}

criterion_group!(benches, admission);
criterion_main!(benches);
