//! All or nothing, and what is placed first so that it fits.

use shoal_types::{Bytes, Strategy};

use crate::fleet::{host, hosts, labelled, node, order, place, request, workers};

#[test]
fn a_request_that_does_not_fit_whole_is_refused() {
    let mut hosts = hosts(["a", "b"]);
    hosts[0].total.node_slots = 2;
    hosts[1].total.node_slots = 3;
    assert!(place(Strategy::Spread, &hosts, &workers(5)).is_ok());
    let refused = place(Strategy::Spread, &hosts, &workers(6)).unwrap_err();
    assert_eq!((refused.node.as_str(), refused.placed, refused.nodes), ("worker-5", 5, 6));
}

#[test]
fn a_large_node_is_placed_before_small_ones_take_its_room() {
    let mut hosts = hosts(["a", "b"]);
    hosts[1].total.memory = Bytes::mib(1024);
    for strategy in Strategy::ALL {
        let asked = request(vec![node("small", Bytes::mib(1024)), node("large", Bytes::mib(4096))]);
        assert_eq!(order(&place(strategy, &hosts, &asked).unwrap()), ["b", "a"], "{strategy}");
    }
}

#[test]
fn of_nodes_with_as_many_hosts_the_larger_is_placed_first() {
    let asked = request(vec![
        node("small-0", Bytes::mib(1024)),
        node("small-1", Bytes::mib(1024)),
        node("large", Bytes::mib(4096)),
    ]);
    let plan = place(Strategy::Spread, &hosts(["a", "b"]), &asked).unwrap();
    assert_eq!(order(&plan), ["b", "b", "a"]);
}

#[test]
fn a_node_with_few_hosts_is_placed_before_the_others_take_them() {
    let hosts = [labelled(host(1, "a"), &["gpu=yes"]), host(2, "b")];
    let mut asked = request(vec![node("any", Bytes::mib(4096)), node("picky", Bytes::mib(2048))]);
    asked.nodes[1].constraints = vec!["gpu=yes".parse().unwrap()];
    assert_eq!(order(&place(Strategy::Spread, &hosts, &asked).unwrap()), ["b", "a"]);
}

#[test]
fn nothing_to_place_is_a_plan() {
    assert_eq!(place(Strategy::Spread, &[], &workers(0)).unwrap().placements, []);
}
