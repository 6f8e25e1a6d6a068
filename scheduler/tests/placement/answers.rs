//! Plans somebody else made: taken exactly if they may be, and refused with what is wrong.

use proptest::{collection::vec, prelude::*, sample::Index};
use shoal_scheduler::{HostView, Placement, Plan, Request, Snapshot, Wrong, check, explain};
use shoal_types::{Bytes, Strategy};

use crate::{
    arbitrary::{any_fleet, any_request, any_strategy},
    fleet::{hosts, labelled, node, order, place, request, workers},
    oracle,
};

fn answer(hosts: &[HostView], request: &Request, pairs: &[(&str, &str)]) -> Result<Plan, Wrong> {
    check(&Snapshot { hosts: hosts.to_vec() }, request, pairs.iter().copied())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1024))]

    #[test]
    fn our_own_plans_are_taken(strategy in any_strategy(), hosts in any_fleet(), request in any_request(1)) {
        if strategy == Strategy::Metadata {
            return Ok(());
        }
        let Ok(plan) = place(strategy, &hosts, &request) else { return Ok(()) };
        let pairs: Vec<_> = plan.placements.iter().map(|p| (p.node.as_str(), p.host.as_str())).collect();
        prop_assert_eq!(answer(&hosts, &request, &pairs), Ok(plan));
    }

    #[test]
    fn any_answer_is_taken_exactly_if_it_breaks_nothing(
        hosts in any_fleet(), request in any_request(2), picks in vec(any::<Index>(), 30),
    ) {
        let mut request = request;
        request.rules.spread_over = None;
        if hosts.is_empty() {
            return Ok(());
        }
        let on = |(node, pick): (&shoal_scheduler::NodeRequest, &Index)| {
            let host = pick.get(&hosts);
            Placement { node: node.name.clone(), host: host.name.clone(), host_id: host.id }
        };
        let placements: Vec<_> = request.nodes.iter().zip(&picks).map(on).collect();
        let pairs: Vec<_> = placements.iter().map(|p| (p.node.as_str(), p.host.as_str())).collect();
        let taken = answer(&hosts, &request, &pairs);
        let plan = Plan { placements, refusals: vec![] };
        let may = oracle::check(Strategy::Spread, &hosts, &request, &plan).is_ok();
        prop_assert_eq!(taken.is_ok(), may, "{:?}", taken);
    }

    #[test]
    fn the_explanation_of_every_node_is_of_its_host(
        strategy in any_strategy(), hosts in any_fleet(), request in any_request(3),
    ) {
        let Ok(plan) = place(strategy, &hosts, &request) else { return Ok(()) };
        let snapshot = Snapshot { hosts };
        for placement in &plan.placements {
            let account = explain(strategy, &snapshot, &request, &placement.node).unwrap();
            prop_assert_eq!(&account.host, &placement.host);
            prop_assert_eq!(account.candidates + account.refusals.len(), snapshot.hosts.len());
            prop_assert!(account.best.iter().any(|c| c.host == account.host && c.rank == account.rank));
            prop_assert!(strategy == Strategy::Random || account.rank == 1);
        }
    }
}

#[test]
fn what_is_wrong_is_named() {
    let mut fleet = hosts(["a", "b"]);
    fleet[1].total.memory = Bytes::mib(100);
    let asked = workers(2);
    let wrong = |pairs: &[(&str, &str)]| answer(&fleet, &asked, pairs).unwrap_err().to_string();
    assert_eq!(wrong(&[("worker-0", "a")]), "the answer places 1 of 2 nodes: worker-1 has no host");
    assert_eq!(wrong(&[("worker-0", "a"), ("worker-0", "b")]), "the answer places worker-0 twice");
    assert_eq!(
        wrong(&[("worker-7\u{1b}", "a")]),
        "the answer places worker-7\\u{1b}, which is no node of the request"
    );
    assert_eq!(
        wrong(&[("worker-0", "a"), ("worker-1", "c\u{1b}")]),
        "the answer places worker-1 on c\\u{1b}, which is no host of the request"
    );
    assert_eq!(
        wrong(&[("worker-0", "b"), ("worker-1", "b")]),
        "the answer places worker-1 on b, which lacks memory: needs 64 MiB, 36 MiB free"
    );
}

#[test]
fn an_uneven_answer_is_refused_unless_there_is_no_room() {
    let mut fleet: Vec<_> = hosts(["a", "b"]).into_iter().collect();
    fleet = fleet.into_iter().zip(["rack=r1", "rack=r2"]).map(|(h, l)| labelled(h, &[l])).collect();
    let mut asked = workers(2);
    asked.rules.spread_over = Some("rack".parse().unwrap());
    let both = [("worker-0", "a"), ("worker-1", "a")];
    assert_eq!(
        answer(&fleet, &asked, &both).unwrap_err().to_string(),
        "the answer spreads nodes unevenly over rack: 2 on r1, 0 on r2, which has room"
    );
    fleet[1].total.node_slots = 0;
    assert_eq!(order(&answer(&fleet, &asked, &both).unwrap()), ["a", "a"]);
}

#[test]
fn the_explanation_says_what_was_seen() {
    let mut fleet = hosts(["a", "b", "c"]);
    fleet[2].total.node_slots = 0;
    let asked = request(vec![node("w-0", Bytes::mib(64)), node("w-1", Bytes::mib(64))]);
    let node = asked.nodes[1].name.clone();
    let account = explain(Strategy::Spread, &Snapshot { hosts: fleet }, &asked, &node).unwrap();
    assert_eq!((account.host.as_str(), account.rank, account.candidates, account.before), ("b", 1, 2, 1));
    let best: Vec<_> = account.best.iter().map(|c| format!("{} {} {}", c.rank, c.host, c.score)).collect();
    assert_eq!(
        best,
        [
            "1 b has no node of the cluster, would be 2.5 % full",
            "2 a has 1 node of the cluster, would be 5.0 % full"
        ]
    );
    assert_eq!(account.refusals[0].reason.to_string(), "has no node slot free of 0");
}
