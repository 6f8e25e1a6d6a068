//! What each strategy does, by example.

use std::collections::BTreeMap;

use shoal_types::{Bytes, Capacity, MilliCpu, Strategy};

use crate::fleet::{counts, host, hosts, labelled, node, order, place, request, workers};

#[test]
fn spread_gives_equal_hosts_equal_numbers() {
    let plan = place(Strategy::Spread, &hosts(["a", "b", "c"]), &workers(8)).unwrap();
    assert_eq!(order(&plan), ["a", "b", "c", "a", "b", "c", "a", "b"]);
    assert_eq!(plan.refusals, []);
}

#[test]
fn spread_begins_with_the_emptiest_host() {
    let mut hosts = hosts(["a", "b", "c"]);
    hosts[0].reserved.memory = Bytes::mib(2048);
    hosts[1].reserved.cpu = MilliCpu(1000);
    let plan = place(Strategy::Spread, &hosts, &workers(4)).unwrap();
    assert_eq!(order(&plan), ["c", "b", "a", "c"]);
}

#[test]
fn spread_counts_the_nodes_a_cluster_already_has() {
    let mut hosts = hosts(["a", "b", "c"]);
    (hosts[0].cluster_nodes, hosts[1].cluster_nodes) = (2, 1);
    let plan = place(Strategy::Spread, &hosts, &workers(3)).unwrap();
    assert_eq!(order(&plan), ["c", "b", "c"]);
}

#[test]
fn spread_follows_sizes_once_every_host_has_a_node() {
    let mut hosts = hosts(["a", "b", "c"]);
    for small in &mut hosts[1..] {
        small.total = Capacity { cpu: MilliCpu(1000), memory: Bytes::mib(1024), node_slots: 25 };
    }
    let spread = |nodes| place(Strategy::Spread, &hosts, &workers(nodes)).unwrap();
    assert_eq!(counts(&spread(3)), BTreeMap::from([("a", 1), ("b", 1), ("c", 1)]));
    assert_eq!(counts(&spread(6)), BTreeMap::from([("a", 4), ("b", 1), ("c", 1)]));
    assert_eq!(order(&spread(12)), ["a", "b", "c", "a", "a", "a", "b", "c", "a", "a", "a", "a"]);
}

#[test]
fn spread_takes_nearly_equal_hosts_as_equal() {
    let mut hosts = hosts(["a", "b"]);
    hosts[1].total.memory = Bytes::mib(4096 + 300);
    let plan = place(Strategy::Spread, &hosts, &workers(40)).unwrap();
    assert_eq!(counts(&plan), BTreeMap::from([("a", 20), ("b", 20)]));
}

#[test]
fn spread_measures_size_by_what_is_scarcest_and_rounds() {
    let mut hosts = hosts(["a", "b"]);
    hosts[0].total.cpu = MilliCpu(40_000);
    hosts[1].total = Capacity { memory: Bytes::mib(2200), ..hosts[0].total };
    let plan = place(Strategy::Spread, &hosts, &workers(6)).unwrap();
    assert_eq!(
        counts(&plan),
        BTreeMap::from([("a", 4), ("b", 2)]),
        "64 to 34 such nodes is about two to one"
    );
}

#[test]
fn spread_goes_on_elsewhere_when_a_host_is_full() {
    let mut hosts = hosts(["a", "b"]);
    hosts[0].reserved.node_slots = 99;
    let plan = place(Strategy::Spread, &hosts, &workers(5)).unwrap();
    assert_eq!(counts(&plan), BTreeMap::from([("a", 1), ("b", 4)]));
    assert_eq!(plan.refusals, [], "the plan filled it, the snapshot did not");
}

#[test]
fn round_robin_goes_by_name_and_ignores_load() {
    let mut hosts = hosts(["c", "a", "b"]);
    hosts[1].reserved.memory = Bytes::mib(3000);
    let plan = place(Strategy::RoundRobin, &hosts, &workers(5)).unwrap();
    assert_eq!(order(&plan), ["a", "b", "c", "a", "b"]);
}

#[test]
fn round_robin_continues_where_the_last_request_ended() {
    let mut hosts = hosts(["a", "b", "c"]);
    (hosts[0].reserved.node_slots, hosts[1].reserved.node_slots) = (1, 1);
    let plan = place(Strategy::RoundRobin, &hosts, &workers(2)).unwrap();
    assert_eq!(order(&plan), ["c", "a"]);
}

#[test]
fn round_robin_passes_over_a_host_without_room() {
    let mut hosts = hosts(["a", "b", "c"]);
    hosts[1].total.node_slots = 1;
    let plan = place(Strategy::RoundRobin, &hosts, &workers(6)).unwrap();
    assert_eq!(order(&plan), ["a", "b", "c", "a", "c", "a"]);
}

#[test]
fn metadata_fills_the_hosts_that_satisfy_most() {
    let hosts = [
        host(1, "a"),
        labelled(host(2, "b"), &["rack=r1"]),
        labelled(host(3, "c"), &["rack=r1", "disk=ssd"]),
        labelled(host(4, "d"), &["rack=r1", "disk=ssd"]),
    ];
    let mut asked = workers(4);
    asked.constraints = ["rack=r1", "disk=ssd"].map(|e| e.parse().unwrap()).into();
    let plan = place(Strategy::Metadata, &hosts, &asked).unwrap();
    assert_eq!(order(&plan), ["c", "d", "c", "d"]);
    assert_eq!(plan.refusals, [], "an expression is a wish here");

    let large = |n: u32| {
        let mut node = node(&format!("worker-{n}"), Bytes::mib(4096));
        node.constraints = asked.constraints.clone();
        node
    };
    let plan = place(Strategy::Metadata, &hosts, &request((0..4).map(large).collect())).unwrap();
    assert_eq!(order(&plan), ["c", "d", "b", "a"]);
}

#[test]
fn constraints_of_one_node_leave_the_others_free() {
    let hosts = [host(1, "a"), labelled(host(2, "b"), &["gpu=yes"])];
    let mut asked = workers(3);
    asked.nodes[2].constraints = vec!["gpu".parse().unwrap()];
    let plan = place(Strategy::Spread, &hosts, &asked).unwrap();
    assert_eq!(order(&plan)[2], "b");
    assert_eq!(counts(&plan).len(), 2);
}

#[test]
fn overcommit_multiplies_and_the_reserve_is_kept_back() {
    let mut one = host(1, "a");
    one.overcommit.memory_milli = 1500;
    one.keep_back.memory = Bytes::mib(1024);
    assert_eq!(one.allocatable().memory, Bytes::mib(4096 + 2048 - 1024));
    assert!(place(Strategy::Spread, &[one.clone()], &request(vec![node("w", Bytes::mib(5120))])).is_ok());
    assert!(
        place(Strategy::Spread, &[one], &request(vec![node("w", Bytes(5120 * 1024 * 1024 + 1))])).is_err()
    );
}
