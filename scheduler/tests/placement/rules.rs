//! The rules on hosts together, and the strategies that pack and draw, by example and by property.

use std::{collections::BTreeMap, num::NonZeroU32};

use proptest::{collection::vec, prelude::*};
use shoal_scheduler::{HostView, Request};
use shoal_types::{Bytes, Role, Strategy};

use crate::{
    arbitrary::any_strategy,
    fleet::{counts, host, hosts, labelled, order, place, workers},
};

fn cluster(workers_: u32) -> Request {
    let mut asked = workers(workers_);
    asked.nodes[0].name = "controller".parse().unwrap();
    asked.nodes[0].role = Role::Controller;
    asked
}

#[test]
fn a_controller_keeps_apart_from_others_and_workers_do_not() {
    let mut fleet = hosts(["a", "b", "c"]);
    for taken in &mut fleet[..2] {
        taken.others = BTreeMap::from([(Role::Controller, 1), (Role::Worker, 3)]);
    }
    let mut asked = cluster(4);
    asked.rules.apart.insert(Role::Controller);
    for strategy in Strategy::ALL {
        let plan = place(strategy, &fleet, &asked).unwrap();
        assert_eq!(order(&plan)[0], "c", "{strategy}");
    }
    assert!(counts(&place(Strategy::Spread, &fleet, &asked).unwrap()).len() == 3);
    fleet[2].others.insert(Role::Controller, 1);
    assert_eq!(
        place(Strategy::Spread, &fleet, &asked).unwrap_err().to_string(),
        "0/3 hosts fit: 3 have a controller of another cluster, and they are to be apart; controller has no host"
    );
}

#[test]
fn a_wish_to_be_apart_gives_way() {
    let mut fleet = hosts(["a", "b", "c"]);
    (fleet[0].others, fleet[1].others) =
        (BTreeMap::from([(Role::Controller, 2)]), BTreeMap::from([(Role::Controller, 1)]));
    let mut asked = cluster(1);
    asked.rules.prefer_apart.insert(Role::Controller);
    for strategy in Strategy::ALL {
        assert_eq!(order(&place(strategy, &fleet, &asked).unwrap()), ["c"], "{strategy}");
        assert_eq!(order(&place(strategy, &fleet[..2], &asked).unwrap()), ["b"], "{strategy}");
    }
}

#[test]
fn no_host_has_more_of_a_cluster_than_it_may() {
    let mut fleet = hosts(["a", "b"]);
    fleet[0].cluster_nodes = 1;
    let mut asked = workers(3);
    asked.rules.max_per_host = NonZeroU32::new(2);
    for strategy in Strategy::ALL {
        let plan = place(strategy, &fleet, &asked).unwrap();
        assert_eq!(counts(&plan), BTreeMap::from([("a", 1), ("b", 2)]), "{strategy}");
    }
    asked.nodes.extend(workers(4).nodes.pop());
    assert_eq!(
        place(Strategy::Spread, &fleet, &asked).unwrap_err().to_string(),
        "0/2 hosts fit: 2 have 2 of the cluster's nodes, the most one host may have; \
         worker-3 has no host after 3 of 4 nodes were placed"
    );
}

#[test]
fn values_of_a_label_get_equal_numbers_whatever_hosts_they_have() {
    let mut fleet: Vec<HostView> = (0..5)
        .map(|n| labelled(host(n, &format!("h{n}")), &[if n == 0 { "rack=a" } else { "rack=b" }]))
        .collect();
    fleet.push(host(9, "bare"));
    let mut asked = workers(8);
    asked.rules.spread_over = Some("rack".parse().unwrap());
    for strategy in Strategy::ALL {
        let plan = place(strategy, &fleet, &asked).unwrap();
        assert_eq!(counts(&plan)["h0"], 4, "{strategy}");
        let refused: Vec<_> = plan.refusals.iter().map(|r| format!("{} {}", r.host, r.reason)).collect();
        assert_eq!(refused, ["bare lacks label rack, which nodes are spread over"], "{strategy}");
    }
}

#[test]
fn a_pinned_node_is_where_it_is_pinned_or_nothing_is() {
    let mut fleet = hosts(["a", "b", "c"]);
    let mut asked = cluster(6);
    asked.nodes[0].pin = Some("b".parse().unwrap());
    for node in &mut asked.nodes[4..] {
        node.pin = Some("c".parse().unwrap());
    }
    for strategy in Strategy::ALL {
        let plan = place(strategy, &fleet, &asked).unwrap();
        assert_eq!((order(&plan)[0], &order(&plan)[4..]), ("b", &["c", "c"][..]), "{strategy}");
    }
    fleet[1].total.memory = Bytes::mib(1);
    assert_eq!(
        place(Strategy::Spread, &fleet, &asked).unwrap_err().to_string(),
        "0/3 hosts fit: 2 are not b, where it is pinned, 1 lacks memory (need 64 MiB, most 1 MiB free); \
         controller has no host"
    );
}

#[test]
fn binpack_tops_up_what_is_in_use_and_then_opens_the_largest() {
    let mut fleet = hosts(["a", "b", "c", "d"]);
    for (host, (slots, used)) in fleet.iter_mut().zip([(4, 1), (4, 2), (2, 0), (5, 0)]) {
        (host.total.node_slots, host.reserved.node_slots) = (slots, used);
    }
    let plan = place(Strategy::Binpack, &fleet, &workers(12)).unwrap();
    assert_eq!(order(&plan), ["b", "b", "a", "a", "a", "d", "d", "d", "d", "d", "c", "c"]);
}

#[test]
fn random_follows_its_seed() {
    let fleet: Vec<_> = (0..20).map(|n| host(n, &format!("h{n}"))).collect();
    let mut asked = workers(40);
    let first = place(Strategy::Random, &fleet, &asked).unwrap();
    assert_eq!(first, place(Strategy::Random, &fleet, &asked).unwrap());
    // Kept in stores: another version must draw the same.
    assert_eq!(order(&first)[..6], ["h3", "h6", "h16", "h4", "h5", "h1"]);
    asked.seed += 1;
    assert_ne!(order(&first), order(&place(Strategy::Random, &fleet, &asked).unwrap()));
}

#[test]
fn two_choices_keep_loads_close() {
    let fleet: Vec<_> = (0..50).map(|n| host(n, &format!("h{n}"))).collect();
    for seed in 0..20 {
        let mut asked = workers(500);
        asked.seed = seed;
        let plan = place(Strategy::Random, &fleet, &asked).unwrap();
        let counts = counts(&plan);
        // 10 each in the mean; of one draw instead of two, some host would have 17 or more in nearly every round.
        assert!(counts.values().all(|n| (6..=14).contains(n)), "{seed}: {counts:?}");
    }
}

proptest! {
    #[test]
    fn binpack_opens_no_host_too_many(slots in vec(1..9_u32, 1..8), nodes in 0..40_u32) {
        let one = |(n, slots): (u8, &u32)| {
            let mut host = host(n, &format!("h{n}"));
            host.total.node_slots = *slots;
            host
        };
        let fleet: Vec<_> = (0..).zip(&slots).map(one).collect();
        let Ok(plan) = place(Strategy::Binpack, &fleet, &workers(nodes)) else { return Ok(()) };
        let mut sizes = slots.clone();
        sizes.sort_unstable_by(|a, b| b.cmp(a));
        let mut left = nodes;
        let fewest = sizes.iter().take_while(|size| {
            let needed = left > 0;
            left = left.saturating_sub(**size);
            needed
        });
        prop_assert_eq!(counts(&plan).len(), fewest.count());
    }

    #[test]
    fn racks_differ_by_one_node_at_most_where_there_is_room(
        strategy in any_strategy(), racks in vec(0..4_u8, 1..12), nodes in 0..30_u32,
    ) {
        let labelled = |(n, rack): (u8, &u8)| labelled(host(n, &format!("h{n}")), &[&format!("rack=r{rack}")]);
        let fleet: Vec<_> = (0..).zip(&racks).map(labelled).collect();
        let mut asked = workers(nodes);
        asked.rules.spread_over = Some("rack".parse().unwrap());
        let plan = place(strategy, &fleet, &asked).unwrap();
        let of = |p: &shoal_scheduler::Placement| racks[fleet.iter().position(|h| h.id == p.host_id).unwrap()];
        let mut counts: BTreeMap<u8, usize> = racks.iter().map(|rack| (*rack, 0)).collect();
        for placement in &plan.placements {
            *counts.get_mut(&of(placement)).unwrap() += 1;
        }
        let (least, most) = (counts.values().min().unwrap(), counts.values().max().unwrap());
        prop_assert!(most - least <= 1, "{counts:?}");
    }
}
