//! What a person reads when a host, or every host, is refused.

use std::num::NonZeroU32;

use shoal_scheduler::{Filter, HostView, ImageState, Reason, Request};
use shoal_types::{Bytes, HostState, LabelExpr, MilliCpu, Role, Scheduling, Strategy};

use crate::fleet::{host, host_id, hosts, labelled, node, order, place, request, workers};

/// The refusals of a request with one host made unfit, as `filter: reason`.
fn refused(spoil: impl Fn(&mut HostView, &mut Request)) -> Vec<String> {
    let mut hosts = hosts(["good", "bad"]);
    let mut asked = workers(2);
    spoil(&mut hosts[1], &mut asked);
    let plan = place(Strategy::Spread, &hosts, &asked).unwrap();
    assert_eq!(order(&plan), ["good", "good"]);
    assert!(plan.refusals.iter().all(|r| r.host.as_str() == "bad" && r.host_id == host_id(2)));
    plan.refusals.iter().map(|r| format!("{}: {}", r.reason.filter(), r.reason)).collect()
}

#[test]
fn every_filter_says_why() {
    assert_eq!(refused(|h, _| h.state = HostState::Unreachable), ["state: is unreachable"]);
    assert_eq!(refused(|h, _| h.state = HostState::EngineDown), ["state: has an engine that is down"]);
    for (word, says) in [
        (Scheduling::Cordoned, "scheduling: is cordoned"),
        (Scheduling::Draining, "scheduling: is being drained"),
        (Scheduling::Drained, "scheduling: is drained"),
    ] {
        assert_eq!(refused(|h, _| h.scheduling = word), [says]);
    }
    assert_eq!(
        refused(|h, _| h.privilege_denied = true),
        ["privilege: denies privileged nodes (root in a node is root there)"]
    );
    assert_eq!(
        refused(|h, r| drop(r.exclude.insert(h.id, "cordoned".into()))),
        ["excluded: is excluded (cordoned)"]
    );
    assert_eq!(
        refused(|h, _| h.architecture = "aarch64".into()),
        ["architecture: is aarch64, the image is for x86_64"]
    );
    assert_eq!(refused(|h, _| h.profiles.clear()), ["profile: cannot run profile system"]);
    assert_eq!(
        refused(|h, r| {
            h.mtu = 1350;
            r.mtu = Some(1400.try_into().unwrap());
        }),
        ["mtu: leaves nodes an MTU of 1350, not 1400"]
    );
    assert_eq!(refused(|h, _| h.image = ImageState::Absent), ["image: lacks image shoal-node:bookworm"]);
    assert_eq!(
        refused(|h, _| h.image = ImageState::Different { digest: "sha256:0f".into() }),
        ["image: has another image as shoal-node:bookworm: sha256:0f"]
    );
    assert_eq!(refused(|h, _| h.reserved.cpu = MilliCpu(3950)), ["cpu: lacks CPU: needs 0.1, 0.05 free"]);
    assert_eq!(
        refused(|h, _| h.reserved.memory = Bytes::mib(4090)),
        ["memory: lacks memory: needs 64 MiB, 6 MiB free"]
    );
    assert_eq!(refused(|h, _| h.reserved.node_slots = 100), ["node-slots: has no node slot free of 100"]);
    assert_eq!(
        refused(|_, r| r.nodes.iter_mut().for_each(|node| node.pin = Some("good".parse().unwrap()))),
        ["pinned: is not good, where it is pinned"]
    );
    let apart = "apart: has a worker of another cluster, and they are to be apart";
    assert_eq!(refused(|h, _| h.claimed = [Role::Worker].into()), [apart]);
    assert_eq!(
        refused(|h, r| {
            h.others.insert(Role::Worker, 1);
            r.rules.apart.insert(Role::Worker);
        }),
        [apart]
    );
    assert_eq!(
        refused(|h, r| {
            h.cluster_nodes = 2;
            r.rules.max_per_host = NonZeroU32::new(2);
        }),
        ["max-per-host: has 2 of the cluster's nodes, the most one host may have"]
    );
}

#[test]
fn a_failed_expression_is_named() {
    let hosts = [labelled(host(1, "a"), &["rack=r1"]), labelled(host(2, "b"), &["rack=r2"])];
    let mut asked = workers(1);
    asked.constraints = vec!["rack in (r1,r3)".parse().unwrap()];
    let plan = place(Strategy::RoundRobin, &hosts, &asked).unwrap();
    assert_eq!(order(&plan), ["a"]);
    assert_eq!(plan.refusals[0].reason.to_string(), "fails rack in (r1,r3)");
}

#[test]
fn the_first_filter_that_fails_is_the_reason() {
    let reasons = refused(|h, r| {
        h.state = HostState::Unreachable;
        h.image = ImageState::Absent;
        h.total.node_slots = 0;
        r.exclude.insert(h.id, "cordoned".into());
    });
    assert_eq!(reasons, ["state: is unreachable"]);
}

#[test]
fn nodes_of_different_needs_leave_one_refusal_per_host_and_filter() {
    let hosts = [host(1, "a"), labelled(host(2, "b"), &["gpu=yes"])];
    let mut asked = request(vec![
        node("worker-0", Bytes::mib(64)),
        node("worker-1", Bytes::mib(64)),
        node("worker-2", Bytes::mib(64)),
    ]);
    asked.nodes[0].constraints = vec!["gpu".parse().unwrap()];
    asked.nodes[1].constraints = vec!["gpu=yes".parse().unwrap()];
    asked.nodes[2].constraints = vec!["!gpu".parse().unwrap()];
    let plan = place(Strategy::Spread, &hosts, &asked).unwrap();
    let shown: Vec<_> = plan.refusals.iter().map(|r| format!("{} {}", r.host, r.reason)).collect();
    assert_eq!(shown, ["a fails gpu", "b fails !gpu"]);
}

#[test]
fn twelve_hosts_in_one_line() {
    let constraint: LabelExpr = "rack=b".parse().unwrap();
    let fleet: Vec<_> = (0..12)
        .map(|n| {
            let rack = if n % 5 < 2 { "rack=a" } else { "rack=b" };
            let mut host = labelled(host(n, &format!("h{n}")), &[rack]);
            host.total.memory = Bytes::mib(if n == 3 { 300 } else { 200 });
            host
        })
        .collect();
    let mut asked = request(vec![node("controller", Bytes::mib(512))]);
    asked.constraints = vec![constraint];
    assert_eq!(
        place(Strategy::Spread, &fleet, &asked).unwrap_err().to_string(),
        "0/12 hosts fit: 6 fail rack=b, 6 lack memory (need 512 MiB, most 300 MiB free); \
         controller has no host"
    );
    assert_eq!(
        place(Strategy::Spread, &fleet[..11], &asked).unwrap_err().to_string(),
        "0/11 hosts fit: 6 lack memory (need 512 MiB, most 300 MiB free), 5 fail rack=b; \
         controller has no host"
    );
}

#[test]
fn one_host_is_spoken_of_in_the_singular() {
    let mut fleet = hosts(["a", "b", "c", "d", "e", "f"]);
    fleet[0].state = HostState::Unreachable;
    fleet[1].state = HostState::EngineDown;
    fleet[2].image = ImageState::Absent;
    fleet[3].image = ImageState::Different { digest: "sha256:0f".into() };
    fleet[4].total.cpu = MilliCpu(50);
    fleet[5].total.node_slots = 2;
    let refused = place(Strategy::Spread, &fleet, &workers(3)).unwrap_err();
    assert_eq!(
        refused.to_string(),
        "0/6 hosts fit: 1 is unreachable, 1 has an engine that is down, 1 lacks image shoal-node:bookworm, \
         1 has another image as shoal-node:bookworm, 1 lacks CPU (need 0.1, most 0.05 free), \
         1 has no node slot free; worker-2 has no host after 2 of 3 nodes were placed"
    );
    let filters: Vec<_> = refused.refusals.iter().map(|r| r.reason.filter()).collect();
    assert!(filters.is_sorted(), "{filters:?}");
}

#[test]
fn several_hosts_are_spoken_of_together() {
    let mut fleet: Vec<_> = (0..11).map(|n| host(n, &format!("h{n}"))).collect();
    let mut asked = workers(1);
    for (n, host) in (0_u64..).zip(&mut fleet) {
        match n {
            0 | 1 => drop(asked.exclude.insert(host.id, "cordoned".into())),
            2 => drop(asked.exclude.insert(host.id, "a create failed there".into())),
            3 | 4 => host.image = ImageState::Different { digest: format!("sha256:0{n}") },
            5..8 => host.total.cpu = MilliCpu(100 - 10 * n),
            _ => host.total.node_slots = 0,
        }
    }
    assert_eq!(
        place(Strategy::Spread, &fleet, &asked).unwrap_err().to_string(),
        "0/11 hosts fit: 3 lack CPU (need 0.1, most 0.05 free), 3 have no node slot free, \
         2 are excluded (cordoned), 2 have another image as shoal-node:bookworm, \
         1 is excluded (a create failed there); worker-0 has no host"
    );
}

#[test]
fn a_cluster_with_an_mtu_goes_to_the_hosts_that_carry_it() {
    let mut fleet = hosts(["a", "b", "c", "d"]);
    for (host, mtu) in fleet.iter_mut().zip([1450, 8950, 0, 9000]) {
        host.mtu = mtu;
    }
    let asking = |mtu: u64| Request { mtu: Some(mtu.try_into().unwrap()), ..workers(3) };
    for strategy in Strategy::ALL {
        let plan = place(strategy, &fleet, &asking(8950)).unwrap();
        assert!(order(&plan).iter().all(|host| ["b", "d"].contains(host)), "{strategy}: {plan:?}");
        assert!(place(strategy, &fleet, &workers(3)).unwrap().refusals.is_empty());
    }
    assert_eq!(
        place(Strategy::Spread, &fleet, &asking(9001)).unwrap_err().to_string(),
        "0/4 hosts fit: 4 leave nodes too small an MTU (need 9001, most 9000); worker-0 has no host"
    );
    assert_eq!(
        place(Strategy::Spread, &fleet[2..3], &asking(1450)).unwrap_err().to_string(),
        "0/1 hosts fit: 1 leaves nodes too small an MTU (need 1450, most 0); worker-0 has no host"
    );
}

#[test]
fn without_hosts_there_is_nothing_to_count() {
    assert_eq!(
        place(Strategy::Spread, &[], &workers(1)).unwrap_err().to_string(),
        "0/0 hosts fit: none is registered; worker-0 has no host"
    );
}

#[test]
fn control_characters_of_an_engine_do_not_reach_the_terminal() {
    let mut odd = host(1, "a");
    odd.architecture = "\u{1b}[31m".into();
    let refused = place(Strategy::Spread, &[odd], &workers(1)).unwrap_err();
    assert!(!refused.to_string().contains('\u{1b}'));
    assert!(!refused.refusals[0].reason.to_string().contains('\u{1b}'));
}

#[test]
fn filters_have_different_words() {
    let words: Vec<_> = Filter::ALL.iter().map(|f| f.as_str()).collect();
    assert_eq!(
        words,
        [
            "state",
            "scheduling",
            "privilege",
            "excluded",
            "architecture",
            "profile",
            "mtu",
            "image",
            "pinned",
            "constraint",
            "spread-over",
            "apart",
            "cpu",
            "memory",
            "node-slots",
            "max-per-host"
        ]
    );
    assert_eq!(Reason::EngineDown.filter(), Filter::State);
}
