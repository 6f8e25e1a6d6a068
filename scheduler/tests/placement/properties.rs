//! What must hold for every fleet and every request, whatever the numbers.

use proptest::{collection::vec, prelude::*, strategy::Strategy as _};
use shoal_scheduler::{Filter, HostView, Request};
use shoal_types::{Bytes, MilliCpu, Strategy};

use crate::{
    arbitrary::{any_fleet, any_request, any_strategy},
    fleet::{counts, host, place, workers},
    oracle::{check, check_even, takes},
    plain,
};

/// The same plan as by placing without short cuts, or a refusal after as many nodes.
fn same_as_plain(strategy: Strategy, hosts: &[HostView], request: &Request) -> Result<(), TestCaseError> {
    let placed = place(strategy, hosts, request);
    let ids = placed.map(|plan| plan.placements.iter().map(|p| p.host_id).collect()).map_err(|r| r.placed);
    prop_assert_eq!(ids, plain::plan(strategy, hosts, request), "{}", strategy);
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1024))]

    #[test]
    fn never_over_capacity_nor_on_a_filtered_host(
        strategy in any_strategy(), hosts in any_fleet(), request in any_request(3),
    ) {
        if let Ok(plan) = place(strategy, &hosts, &request) {
            check(strategy, &hosts, &request, &plan)?;
        }
    }

    #[test]
    fn nodes_of_one_kind_are_placed_exactly_if_there_is_room_for_all(
        strategy in any_strategy(), hosts in any_fleet(), request in any_request(1),
    ) {
        let Some(node) = request.nodes.first() else { return Ok(()) };
        let fits = hosts.iter().map(|h| takes(strategy, h, &request, node).min(1 << 32)).sum::<u128>();
        match place(strategy, &hosts, &request) {
            Ok(plan) => {
                prop_assert!(fits >= request.nodes.len() as u128);
                check(strategy, &hosts, &request, &plan)?;
                check_even(strategy, &hosts, &request, &plan)?;
            }
            Err(refused) => {
                prop_assert_eq!(refused.placed as u128, fits, "{}", refused);
                prop_assert_eq!(&refused.node, &request.nodes[refused.placed].name);
            }
        }
    }

    // Of many kinds, so that most classes are of a node or two; of few, so that most are of many.
    #[test]
    fn plans_are_those_of_placing_without_short_cuts(
        hosts in any_fleet(), various in any_request(30), alike in any_request(2),
    ) {
        for strategy in Strategy::ALL {
            same_as_plain(strategy, &hosts, &various)?;
            same_as_plain(strategy, &hosts, &alike)?;
        }
    }

    #[test]
    fn the_order_of_the_hosts_changes_nothing(
        strategy in any_strategy(),
        (hosts, shuffled) in any_fleet().prop_flat_map(|h| (Just(h.clone()), Just(h).prop_shuffle())),
        request in any_request(3),
    ) {
        let plan = place(strategy, &hosts, &request);
        prop_assert_eq!(&plan, &place(strategy, &hosts, &request));
        prop_assert_eq!(&plan, &place(strategy, &shuffled, &request));
    }

    #[test]
    fn every_host_that_cannot_take_a_node_is_refused_and_no_other(
        strategy in any_strategy(), hosts in any_fleet(), request in any_request(3),
    ) {
        match place(strategy, &hosts, &request) {
            Ok(plan) => {
                for host in &hosts {
                    let fails = request.nodes.iter().any(|n| takes(strategy, host, &request, n) == 0);
                    let named = plan.refusals.iter().filter(|r| r.host_id == host.id).collect::<Vec<_>>();
                    prop_assert_eq!(fails, !named.is_empty(), "{} {:?}", host.name, named);
                    let filters: Vec<Filter> = named.iter().map(|r| r.reason.filter()).collect();
                    prop_assert!(filters.is_sorted_by(|a, b| a < b), "{filters:?}");
                }
            }
            Err(refused) => {
                let mut named: Vec<_> = refused.refusals.iter().map(|r| r.host_id).collect();
                let mut all: Vec<_> = hosts.iter().map(|h| h.id).collect();
                named.sort();
                all.sort();
                prop_assert_eq!(named, all);
                prop_assert!(refused.placed < refused.nodes);
                let text = refused.to_string();
                let counted = text.split(": ").nth(1).unwrap().split("; ").next().unwrap();
                if !hosts.is_empty() {
                    // `3 lack memory (need 5 B, most 3 B free), 2 fail rack=b`: the counts before verbs add up.
                    let verbs = ["is", "are", "lack", "lacks", "fail", "fails", "has", "have", "cannot", "denies", "deny", "leaves", "leave"];
                    let words: Vec<_> = counted.split(' ').collect();
                    let sum: usize = words
                        .windows(2)
                        .filter(|w| verbs.contains(&w[1]))
                        .filter_map(|w| w[0].parse::<usize>().ok())
                        .sum();
                    prop_assert_eq!(sum, hosts.len(), "{}", text);
                }
            }
        }
    }

    #[test]
    fn spread_is_even_on_equal_hosts(hosts in 1..9_u8, slots in 1..12_u32, load in vec(0..2000_u64, 9), nodes in 0..60_u32) {
        let one = |(n, load): (u8, &u64)| {
            let mut host = host(n, &format!("h{n}"));
            host.total.node_slots = slots;
            host.reserved.memory = Bytes::mib(*load);
            host
        };
        let fleet: Vec<_> = (0..hosts).zip(&load).map(one).collect();
        if let Ok(plan) = place(Strategy::Spread, &fleet, &workers(nodes)) {
            let counts = counts(&plan);
            let each = fleet.iter().map(|h| counts.get(h.name.as_str()).copied().unwrap_or(0));
            let (least, most) = (each.clone().min().unwrap(), each.max().unwrap());
            prop_assert!(most - least <= 1, "{counts:?}");
        }
    }

    #[test]
    fn spread_follows_sizes(sizes in vec(1..6_u32, 1..6), nodes in 0..120_u32) {
        let mut sizes = sizes;
        sizes[0] = 1;
        let one = |(n, size): (u8, &u32)| {
            let mut host = host(n, &format!("h{n}"));
            host.total.cpu = MilliCpu(u64::MAX);
            host.total.memory = Bytes(u64::MAX);
            host.total.node_slots = 10 * size;
            host
        };
        let fleet: Vec<_> = (0..).zip(&sizes).map(one).collect();
        if let Ok(plan) = place(Strategy::Spread, &fleet, &workers(nodes)) {
            let counts = counts(&plan);
            let round = |(host, size): (&HostView, &u32)| {
                counts.get(host.name.as_str()).copied().unwrap_or(0) / *size as usize
            };
            let rounds = fleet.iter().zip(&sizes).map(round);
            let (least, most) = (rounds.clone().min().unwrap(), rounds.max().unwrap());
            prop_assert!(most - least <= 1, "{sizes:?} {counts:?}");
        }
    }

    #[test]
    fn round_robin_ignores_sizes_and_load(loads in vec((0..2000_u64, 1..5_u64), 1..9), nodes in 0..40_u32) {
        let one = |(n, (load, size)): (u8, &(u64, u64))| {
            let mut host = host(n, &format!("h{n}"));
            host.total.memory = Bytes::mib(8192 * size);
            host.reserved.memory = Bytes::mib(*load);
            host.cluster_nodes = n.into();
            host
        };
        let fleet: Vec<_> = (0..).zip(&loads).map(one).collect();
        let plan = place(Strategy::RoundRobin, &fleet, &workers(nodes)).unwrap();
        let counts = counts(&plan);
        let each = fleet.iter().map(|h| counts.get(h.name.as_str()).copied().unwrap_or(0));
        let (least, most) = (each.clone().min().unwrap(), each.max().unwrap());
        prop_assert!(most - least <= 1, "{counts:?}");
    }

    #[test]
    fn metadata_never_passes_over_a_better_host_with_room(hosts in any_fleet(), request in any_request(1)) {
        let mut request = request;
        // Both come before what a strategy wishes.
        request.rules.spread_over = None;
        request.rules.prefer_apart.clear();
        let Ok(plan) = place(Strategy::Metadata, &hosts, &request) else { return Ok(()) };
        let Some(node) = request.nodes.first() else { return Ok(()) };
        let failed = |h: &HostView| {
            request.constraints.iter().chain(&node.constraints).filter(|e| !e.matches(&h.labels)).count()
        };
        let on = |h: &HostView| plan.placements.iter().filter(|p| p.host_id == h.id).count() as u128;
        let worst = hosts.iter().filter(|h| on(h) > 0).map(failed).max().unwrap_or(0);
        for better in hosts.iter().filter(|h| failed(h) < worst) {
            prop_assert_eq!(on(better), takes(Strategy::Metadata, better, &request, node));
        }
    }
}
