//! How long placing takes, per strategy and shape (hosts x nodes). Targets on one core: 1,000 x 10,000 in under 100 ms, and
//! 1,000 x 1,000 nodes of which no two ask for the same in under 20 ms.

use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use shoal_scheduler::{HostView, ImageState, NodeRequest, Request, Rules, Scheduler as _, Snapshot};
use shoal_types::{
    Bytes, Capacity, HostId, HostState, Labels, MilliCpu, Overcommit, Profile, Resources, Role, Strategy,
};

/// Hosts of three sizes in eight racks, partly filled.
fn snapshot(hosts: u32) -> Snapshot {
    let host = |n: u32| {
        let size = 1 << (n % 3);
        let rack = format!("rack=r{}", n % 8);
        let mut id = [0; 10];
        id[6..].copy_from_slice(&n.to_be_bytes());
        HostView {
            id: HostId::new(1, id),
            name: format!("host-{n}").parse().expect("a host name"),
            state: HostState::Ready,
            scheduling: shoal_types::Scheduling::Schedulable,
            privilege_denied: false,
            labels: Labels::from_pairs([rack.as_str()]).expect("labels"),
            total: Capacity {
                cpu: MilliCpu(16_000 * size),
                memory: Bytes::mib(32_768 * size),
                node_slots: 500,
            },
            overcommit: Overcommit::default(),
            keep_back: Resources { cpu: MilliCpu(500), memory: Bytes::mib(1024) },
            reserved: Capacity {
                cpu: MilliCpu(u64::from(n % 50) * 50),
                memory: Bytes::mib(u64::from(n % 50) * 64),
                node_slots: n % 50,
            },
            cluster_nodes: 0,
            others: Default::default(),
            claimed: Default::default(),
            architecture: "x86_64".into(),
            profiles: vec![Profile::System],
            mtu: 1450,
            image: ImageState::Present,
        }
    };
    Snapshot { hosts: (0..hosts).map(host).collect() }
}

/// A controller, a submitter and workers of two sizes; two expressions, which leave seven racks of eight.
fn request(nodes: u32) -> Request {
    let node = |n: u32| {
        let (name, size) = match n {
            0 => ("controller".to_owned(), 4),
            1 => ("submitter".to_owned(), 1),
            n => (format!("worker-{}", n - 2), if n % 10 == 0 { 4 } else { 1 }),
        };
        NodeRequest {
            name: name.parse().expect("a node name"),
            reserve: Resources { cpu: MilliCpu(50 * size), memory: Bytes::mib(64 * size) },
            constraints: vec![],
            role: Role::Worker,
            pin: None,
        }
    };
    Request {
        nodes: (0..nodes).map(node).collect(),
        constraints: ["rack", "rack!=r3"].map(|e| e.parse().expect("an expression")).into(),
        image: "shoal-node:bookworm".into(),
        architecture: Some("x86_64".into()),
        profile: Profile::System,
        mtu: None,
        exclude: Default::default(),
        rules: Rules::default(),
        seed: 7,
    }
}

fn place(c: &mut Criterion) {
    let mut group = c.benchmark_group("place");
    for (hosts, nodes) in [(100, 1_000), (1_000, 10_000), (5_000, 50_000), (12_500, 100_000)] {
        // The large shapes take a while each; ten samples tell enough.
        group.sample_size(if hosts > 1_000 { 10 } else { 100 });
        let (snapshot, request) = (snapshot(hosts), request(nodes));
        for strategy in Strategy::ALL {
            let id = BenchmarkId::new(strategy.as_str(), format!("{hosts}x{nodes}"));
            group.bench_function(id, |b| {
                b.iter(|| strategy.place(&snapshot, &request).expect("the request fits"));
            });
        }
    }
    let (fleet, mut ruled) = (snapshot(12_500), request(100_000));
    ruled.rules = Rules {
        spread_over: Some("rack".parse().expect("a label")),
        max_per_host: std::num::NonZeroU32::new(20),
        ..Rules::default()
    };
    group.bench_function("spread/12500x100000-over-racks", |b| {
        b.iter(|| Strategy::Spread.place(&fleet, &ruled).expect("the request fits"));
    });
    // The worst case: no two nodes ask for the same, so every host is filtered and scored for each.
    let (snapshot, mut request) = (snapshot(1_000), request(1_000));
    for (n, node) in (0..).zip(&mut request.nodes) {
        node.reserve.memory.0 += n;
    }
    group.sample_size(20);
    for strategy in Strategy::ALL {
        let id = BenchmarkId::new(strategy.as_str(), "1000x1000-all-different");
        group.bench_function(id, |b| {
            b.iter(|| strategy.place(&snapshot, &request).expect("the request fits"));
        });
    }
    group.finish();
}

criterion_group!(benches, place);
criterion_main!(benches);
