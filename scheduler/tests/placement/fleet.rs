//! Hosts and requests for tests: all alike unless told otherwise, and how many nodes a plan put where.

use std::collections::{BTreeMap, BTreeSet};

use shoal_scheduler::{
    HostView, ImageState, NodeRequest, Plan, Request, Rules, Scheduler as _, Snapshot, Unplaceable,
};
use shoal_types::{
    Bytes, Capacity, HostId, HostState, Labels, MilliCpu, Overcommit, Profile, Resources, Role, Strategy,
};

/// The id of the host with this number; ids are in order of the numbers.
pub(crate) fn host_id(number: u8) -> HostId {
    HostId::new(u64::from(number), [0; 10])
}

/// An empty host with 4 CPUs, 4 GiB and 100 node slots, without overcommit.
pub(crate) fn host(number: u8, name: &str) -> HostView {
    HostView {
        id: host_id(number),
        name: name.parse().unwrap(),
        state: HostState::Ready,
        scheduling: shoal_types::Scheduling::Schedulable,
        privilege_denied: false,
        labels: Labels::default(),
        total: Capacity { cpu: MilliCpu(4000), memory: Bytes::mib(4096), node_slots: 100 },
        overcommit: Overcommit { cpu_milli: 1000, memory_milli: 1000 },
        keep_back: Resources::default(),
        reserved: Capacity::default(),
        cluster_nodes: 0,
        others: BTreeMap::new(),
        claimed: BTreeSet::new(),
        architecture: "x86_64".into(),
        profiles: vec![Profile::System],
        mtu: 1450,
        image: ImageState::Present,
    }
}

/// Such hosts, one per name, with ids in the order given.
pub(crate) fn hosts<const N: usize>(names: [&str; N]) -> Vec<HostView> {
    (1..).zip(names).map(|(number, name)| host(number, name)).collect()
}

pub(crate) fn labelled(mut host: HostView, labels: &[&str]) -> HostView {
    host.labels = Labels::from_pairs(labels.iter().copied()).unwrap();
    host
}

/// A node of 100 thousandths of a CPU and this much memory.
pub(crate) fn node(name: &str, memory: Bytes) -> NodeRequest {
    NodeRequest {
        name: name.parse().unwrap(),
        role: Role::Worker,
        reserve: Resources { cpu: MilliCpu(100), memory },
        constraints: vec![],
        pin: None,
    }
}

/// `count` workers of 64 MiB.
pub(crate) fn workers(count: u32) -> Request {
    request((0..count).map(|n| node(&format!("worker-{n}"), Bytes::mib(64))).collect())
}

pub(crate) fn request(nodes: Vec<NodeRequest>) -> Request {
    Request {
        nodes,
        constraints: vec![],
        image: "shoal-node:bookworm".into(),
        architecture: Some("x86_64".into()),
        profile: Profile::System,
        mtu: None,
        exclude: BTreeMap::new(),
        rules: Rules::default(),
        seed: 7,
    }
}

pub(crate) fn place(strategy: Strategy, hosts: &[HostView], request: &Request) -> Result<Plan, Unplaceable> {
    strategy.place(&Snapshot { hosts: hosts.to_vec() }, request)
}

/// The host of each node, in the order of the request.
pub(crate) fn order(plan: &Plan) -> Vec<&str> {
    plan.placements.iter().map(|p| p.host.as_str()).collect()
}

/// Host name -> nodes, hosts without any left out.
pub(crate) fn counts(plan: &Plan) -> BTreeMap<&str, usize> {
    let mut counts = BTreeMap::new();
    for name in order(plan) {
        *counts.entry(name).or_default() += 1;
    }
    counts
}
