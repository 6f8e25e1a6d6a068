//! Which nodes had better be elsewhere: by example, and what must hold of every fleet.

use std::collections::BTreeMap;

use proptest::{prelude::*, strategy::Strategy as Generator};
use shoal_scheduler::{HostView, Move, Request, Snapshot, rebalance};
use shoal_types::{Bytes, HostId, Scheduling, Strategy};

use crate::{
    arbitrary::{any_fleet, any_request, any_strategy},
    fleet::{host_id, hosts, labelled, place, workers},
    oracle::takes,
};

/// Hosts with the nodes of a request on them, and the host of each node.
#[derive(Debug, Clone)]
struct Stand {
    hosts: Vec<HostView>,
    request: Request,
    at: Vec<HostId>,
}

impl Stand {
    /// So many workers on each host, in the hosts' order.
    fn of(hosts: Vec<HostView>, counts: &[u32]) -> Self {
        let mut stand = Self { hosts, request: workers(counts.iter().sum()), at: vec![] };
        for (host, count) in stand.hosts.clone().iter().zip(counts) {
            for _ in 0..*count {
                stand.put(stand.at.len(), host.id);
                stand.at.push(host.id);
            }
        }
        stand
    }

    fn put(&mut self, node: usize, to: HostId) {
        let reserve = self.request.nodes[node].reserve;
        let host = self.hosts.iter_mut().find(|host| host.id == to).unwrap();
        host.reserved.cpu.0 = host.reserved.cpu.0.saturating_add(reserve.cpu.0);
        host.reserved.memory.0 = host.reserved.memory.0.saturating_add(reserve.memory.0);
        host.reserved.node_slots = host.reserved.node_slots.saturating_add(1);
        host.cluster_nodes = host.cluster_nodes.saturating_add(1);
    }

    fn take(&mut self, node: usize) {
        let reserve = self.request.nodes[node].reserve;
        let at = self.at[node];
        let host = self.hosts.iter_mut().find(|host| host.id == at).unwrap();
        host.reserved.cpu.0 -= reserve.cpu.0;
        host.reserved.memory.0 -= reserve.memory.0;
        host.reserved.node_slots -= 1;
        host.cluster_nodes -= 1;
    }

    fn plan(&self, strategy: Strategy, most: usize) -> Vec<Move> {
        rebalance(strategy, &Snapshot { hosts: self.hosts.clone() }, &self.request, &self.at, most)
    }

    fn done(&self, moves: &[Move]) -> Self {
        let mut after = self.clone();
        for moved in moves {
            let node = after.request.nodes.iter().position(|node| node.name == moved.node).unwrap();
            assert_eq!(after.at[node], moved.from);
            after.take(node);
            after.put(node, moved.to);
            after.at[node] = moved.to;
        }
        after
    }

    /// Nodes of the cluster on each host, in the hosts' order.
    fn counts(&self) -> Vec<u32> {
        self.hosts.iter().map(|host| host.cluster_nodes).collect()
    }

    fn loads(&self) -> Vec<u64> {
        let mut loads: Vec<u64> = self.hosts.iter().map(HostView::load).collect();
        loads.sort_unstable_by(|a, b| b.cmp(a));
        loads
    }
}

fn after(strategy: Strategy, stand: &Stand) -> Vec<u32> {
    let moves = stand.plan(strategy, usize::MAX);
    let after = stand.done(&moves);
    assert_eq!(after.plan(strategy, usize::MAX), [], "once more changes nothing");
    after.counts()
}

#[test]
fn a_host_that_came_back_is_filled() {
    for strategy in [Strategy::Spread, Strategy::Metadata, Strategy::RoundRobin, Strategy::Random] {
        let stand = Stand::of(hosts(["a", "b", "c"]), &[5, 4, 0]);
        assert_eq!(after(strategy, &stand), [3, 3, 3], "{strategy}");
        // One node more or less is no reason.
        let stand = Stand::of(hosts(["a", "b", "c"]), &[3, 2, 2]);
        assert_eq!(stand.plan(strategy, usize::MAX), [], "{strategy}");
    }
}

#[test]
fn of_many_nodes_a_few_more_are_no_reason() {
    let even = Stand::of(hosts(["a", "b"]), &[21, 19]);
    assert_eq!(even.plan(Strategy::Spread, usize::MAX), [], "less than one of twenty");
    let uneven = Stand::of(hosts(["a", "b"]), &[22, 18]);
    assert_eq!(after(Strategy::Spread, &uneven), [21, 19]);
}

#[test]
fn larger_hosts_take_more() {
    let mut fleet = hosts(["a", "b"]);
    fleet[0].total.cpu.0 *= 3;
    fleet[0].total.memory.0 *= 3;
    fleet[0].total.node_slots *= 3;
    assert_eq!(after(Strategy::Spread, &Stand::of(fleet.clone(), &[2, 10])), [9, 3]);
    assert_eq!(after(Strategy::Random, &Stand::of(fleet.clone(), &[2, 10])), [9, 3]);
    assert_eq!(after(Strategy::RoundRobin, &Stand::of(fleet, &[2, 10])), [6, 6]);
}

#[test]
fn hosts_that_are_cordoned_or_silent_keep_what_they_have_and_get_nothing() {
    let mut fleet = hosts(["a", "b", "c"]);
    fleet[0].scheduling = Scheduling::Cordoned;
    fleet[2].state = shoal_types::HostState::Unreachable;
    let stand = Stand::of(fleet, &[6, 1, 6]);
    assert_eq!(stand.plan(Strategy::Spread, usize::MAX), []);
    assert_eq!(stand.plan(Strategy::Binpack, usize::MAX), []);
}

#[test]
fn rules_come_before_load() {
    // Values of a label are evened out first.
    let fleet: Vec<HostView> = hosts(["a", "b", "c"])
        .into_iter()
        .zip(["rack=x", "rack=x", "rack=y"])
        .map(|(host, label)| labelled(host, &[label]))
        .collect();
    let mut stand = Stand::of(fleet, &[3, 3, 0]);
    stand.request.rules.spread_over = Some("rack".parse().unwrap());
    assert_eq!(after(Strategy::Spread, &stand).last(), Some(&3));
    // A pin holds, and so does the most that a host may have.
    let mut stand = Stand::of(hosts(["a", "b"]), &[4, 0]);
    stand.request.nodes.iter_mut().for_each(|node| node.pin = Some("a".parse().unwrap()));
    assert_eq!(stand.plan(Strategy::Spread, usize::MAX), []);
    let mut stand = Stand::of(hosts(["a", "b"]), &[6, 0]);
    stand.request.rules.max_per_host = std::num::NonZeroU32::new(1);
    assert_eq!(stand.done(&stand.plan(Strategy::Spread, usize::MAX)).counts(), [5, 1]);
    // A wish that can be granted now.
    let mut fleet = hosts(["a", "b"]);
    fleet[1] = labelled(fleet[1].clone(), &["disk=ssd"]);
    let mut stand = Stand::of(fleet, &[2, 2]);
    stand.request.constraints = vec!["disk=ssd".parse().unwrap()];
    assert_eq!(after(Strategy::Metadata, &stand), [0, 4]);
}

#[test]
fn packing_frees_hosts_or_does_nothing() {
    let mut fleet = hosts(["a", "b", "c"]);
    fleet.iter_mut().for_each(|host| host.total.node_slots = 10);
    assert_eq!(after(Strategy::Binpack, &Stand::of(fleet.clone(), &[7, 2, 1])), [10, 0, 0]);
    // One of the two cannot be left: no node is moved for nothing.
    assert_eq!(Stand::of(fleet.clone(), &[8, 7, 0]).plan(Strategy::Binpack, usize::MAX), []);
    // Nodes of others stay there, and the cluster's hosts would not be fewer.
    let mut stand = Stand::of(fleet.clone(), &[0, 0, 2]);
    stand.hosts[0].reserved.node_slots = 5;
    stand.hosts[2].reserved.node_slots += 1;
    assert_eq!(stand.plan(Strategy::Binpack, usize::MAX), []);
    // All or none, by the limit too.
    let stand = Stand::of(fleet, &[7, 2, 0]);
    assert_eq!(stand.plan(Strategy::Binpack, 1), []);
    assert_eq!(stand.plan(Strategy::Binpack, 2).len(), 2);
}

#[test]
fn the_limit_holds_and_the_best_come_first() {
    let stand = Stand::of(hosts(["a", "b", "c"]), &[9, 4, 0]);
    let moves = stand.plan(Strategy::Spread, 2);
    assert_eq!(moves.len(), 2);
    assert_eq!(stand.done(&moves).counts(), [7, 4, 2]);
    assert_eq!(stand.plan(Strategy::Spread, 0), []);
}

#[test]
fn small_nodes_in_large_hosts_count_all_the_same() {
    let mut fleet = hosts(["a", "b", "c"]);
    fleet.iter_mut().for_each(|host| host.total.memory = Bytes::mib(1 << 20));
    assert_eq!(after(Strategy::Spread, &Stand::of(fleet, &[3, 3, 0])), [2, 2, 2]);
}

/// Nodes that an earlier placing put there, by whatever strategy.
fn any_stand(kinds: usize) -> impl Generator<Value = Option<Stand>> {
    (any_fleet(), any_request(kinds), any_strategy()).prop_map(|(hosts, request, by)| {
        let plan = place(by, &hosts, &request).ok()?;
        let mut stand = Stand { hosts, request, at: vec![] };
        for (node, placement) in plan.placements.iter().enumerate() {
            stand.put(node, placement.host_id);
            stand.at.push(placement.host_id);
        }
        // What saturates cannot be taken back.
        let absurd = |host: &HostView| {
            [host.reserved.cpu.0, host.reserved.memory.0].contains(&u64::MAX) || host.cluster_nodes > 1 << 20
        };
        (!stand.hosts.iter().any(absurd)).then_some(stand)
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn no_move_breaks_what_held(stand in any_stand(3), strategy in any_strategy(), most in 0..40_usize) {
        let Some(stand) = stand else { return Ok(()) };
        let moves = stand.plan(strategy, most);
        prop_assert_eq!(&moves, &stand.plan(strategy, most), "the same each time");
        prop_assert!(moves.len() <= most);
        let mut now = stand.clone();
        let mut times: BTreeMap<_, u32> = BTreeMap::new();
        for moved in &moves {
            *times.entry(moved.node.clone()).or_default() += 1;
            prop_assert_ne!(moved.from, moved.to);
            let node = stand.request.nodes.iter().position(|node| node.name == moved.node).unwrap();
            let mut gone = now.clone();
            gone.take(node);
            let to = gone.hosts.iter().find(|host| host.id == moved.to).unwrap();
            prop_assert!(takes(strategy, to, &stand.request, &stand.request.nodes[node]) > 0, "{:?}", moved);
            now = now.done(std::slice::from_ref(moved));
        }
        prop_assert!(times.values().all(|times| *times == 1), "{times:?}");
    }

    #[test]
    fn nothing_is_worse_afterwards(stand in any_stand(3)) {
        let Some(stand) = stand else { return Ok(()) };
        let mut plain = stand.clone();
        plain.request.rules = shoal_scheduler::Rules::default();
        let even = plain.done(&plain.plan(Strategy::Random, usize::MAX));
        prop_assert!(even.loads() <= plain.loads(), "{:?} {:?}", even.loads(), plain.loads());
        let used = |stand: &Stand| stand.hosts.iter().filter(|host| host.reserved.node_slots > 0).count();
        let packed = stand.done(&stand.plan(Strategy::Binpack, usize::MAX));
        prop_assert!(used(&packed) <= used(&stand));
    }

    #[test]
    fn nodes_of_one_kind_settle_at_once(stand in any_stand(1), by in any_strategy()) {
        let Some(stand) = stand else { return Ok(()) };
        if by == Strategy::Binpack {
            return Ok(());
        }
        let after = stand.done(&stand.plan(by, usize::MAX));
        prop_assert_eq!(after.plan(by, usize::MAX), []);
    }

    #[test]
    fn the_order_of_the_hosts_says_nothing(stand in any_stand(3), by in any_strategy()) {
        let Some(stand) = stand else { return Ok(()) };
        let mut turned = stand.clone();
        turned.hosts.reverse();
        prop_assert_eq!(stand.plan(by, usize::MAX), turned.plan(by, usize::MAX));
    }
}

#[test]
fn a_node_of_a_host_that_is_not_known_stays() {
    let mut stand = Stand::of(hosts(["a", "b"]), &[4, 0]);
    stand.at.iter_mut().for_each(|at| *at = host_id(99));
    assert_eq!(stand.plan(Strategy::Spread, usize::MAX), []);
}
