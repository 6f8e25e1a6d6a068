//! Plans and explanations as people see them at 80 and 200 columns, and as programs do.

use shoal_api::{
    Candidate, Cores, Filter, Placement, PlacementReason, Plan, PlanAmounts, PlannedHost, Refusal, Rules,
};
use shoal_types::{MilliCpu, Role};

use super::{Width, placement_reason_text, plan_text, schema::assert_fits};

fn amounts(cpu_milli: u64, memory_mib: u64, nodes: u32) -> PlanAmounts {
    PlanAmounts { cpus: Cores(MilliCpu(cpu_milli)), memory_bytes: memory_mib << 20, nodes }
}

fn refusal(host: &str, filter: Filter, reason: &str) -> Refusal {
    Refusal { host: host.into(), filter, reason: reason.into() }
}

fn rules(scheduler: &str) -> Rules {
    Rules {
        scheduler: scheduler.parse().unwrap(),
        seed: None,
        fallback_reason: None,
        constraints: vec![],
        apart: [Role::Controller].into(),
        prefer_apart: [].into(),
        max_per_host: Some(3),
        spread_over: Some("rack".into()),
        pins: vec!["controller=host2".into()],
        scheduler_timeout_ms: None,
        scheduler_fallback: None,
    }
}

fn plan() -> Plan {
    let placement = |node: &str, host: &str| Placement { node: node.into(), host: host.into() };
    let host = |name: &str, reserved, added| PlannedHost {
        name: name.into(),
        capacity: amounts(16_000, 16_384, 100),
        reserved,
        added,
    };
    Plan {
        placements: vec![
            placement("controller", "host2"),
            placement("worker-0", "host10"),
            placement("worker-1", "host2"),
            placement("worker-2", "host10"),
        ],
        refusals: vec![
            refusal("host3", Filter::SpreadOver, "lacks label rack, which nodes are spread over"),
            refusal("host4", Filter::SpreadOver, "lacks label rack, which nodes are spread over"),
            refusal("host9", Filter::State, "is unreachable \u{1b}[31m"),
        ],
        fits: true,
        reason: None,
        hosts: vec![
            host("host10", amounts(8000, 1024, 20), amounts(100, 128, 2)),
            host("host2", amounts(0, 0, 0), amounts(4000, 8192, 2)),
            host("host3", amounts(16_000, 16_384, 100), amounts(0, 0, 0)),
        ],
        rules: Rules {
            seed: Some(42),
            fallback_reason: Some("the scheduler at grpc://127.0.0.1:7070 cannot be reached".into()),
            constraints: vec!["rack in (a,b)".into(), "!old".into()],
            ..rules("random")
        },
        healing: shoal_types::Healing::default().into(),
    }
}

fn refused() -> Plan {
    Plan {
        placements: vec![],
        fits: false,
        reason: Some("0/3 hosts fit: 2 lack label rack, which nodes are spread over, 1 is unreachable; controller has no host".into()),
        rules: Rules { seed: None, fallback_reason: None, ..Rules { scheduler: "spread".parse().unwrap(), ..plan().rules } },
        hosts: plan().hosts.into_iter().map(|h| PlannedHost { added: amounts(0, 0, 0), ..h }).collect(),
        ..plan()
    }
}

fn reason() -> PlacementReason {
    let candidate = |rank, host: &str, score: &str| Candidate {
        rank,
        host: host.into(),
        score: score.into(),
        unwished: rank - 1,
    };
    PlacementReason {
        node: "worker-0".into(),
        cluster: "dev".into(),
        realm: "default".into(),
        host: "host2".into(),
        decided_ms: 1_800_000_000_000,
        rules: Rules { constraints: vec!["rack".into()], ..rules("spread") },
        moved_reason: None,
        moves: 0,
        before: Some(1),
        nodes: 4,
        candidates: 12,
        rank: Some(1),
        best: vec![
            candidate(1, "host2", "has no node of the cluster, would be 2.5 % full"),
            candidate(2, "host7", "has 1 node of the cluster, would be 5.0 % full"),
        ],
        group: Some("r1".into()),
        group_nodes: Some(3),
        refusals: plan().refusals,
        note: None,
        differs: None,
    }
}

#[test]
fn a_plan() {
    insta::assert_snapshot!("plan_80", plan_text(Width(Some(80)), &plan()));
    insta::assert_snapshot!("plan_200", plan_text(Width(Some(200)), &plan()));
    insta::assert_json_snapshot!("plan_json", plan());
    assert_fits("plan", &plan());
    assert_fits("plan", &refused());
}

#[test]
fn a_plan_that_does_not_fit_shows_the_hosts_all_the_same() {
    insta::assert_snapshot!("refused_80", plan_text(Width(Some(80)), &refused()));
    insta::assert_json_snapshot!("refused_json", refused());
}

#[test]
fn a_reason() {
    insta::assert_snapshot!("reason_80", placement_reason_text(Width(Some(80)), &reason()));
    insta::assert_snapshot!("reason_200", placement_reason_text(Width(Some(200)), &reason()));
    insta::assert_json_snapshot!("reason_json", reason());
    assert_fits("placement-reason", &reason());
}

#[test]
fn a_reason_of_a_moved_node_and_of_a_program() {
    let moved = PlacementReason {
        moves: 2,
        moved_reason: Some("host host1 has not answered for 15 s".into()),
        differs: Some(
            "this version of shoal would place it on host3, from the same hosts and request".into(),
        ),
        ..reason()
    };
    insta::assert_snapshot!("reason_moved", placement_reason_text(Width(Some(80)), &moved));
    let program = PlacementReason {
        rules: Rules { scheduler: "grpc://127.0.0.1:7070".parse().unwrap(), seed: Some(7), ..reason().rules },
        rank: None,
        before: None,
        best: vec![],
        group: None,
        group_nodes: None,
        note: Some("longest up \u{1b}[31m".into()),
        ..reason()
    };
    insta::assert_snapshot!("reason_program", placement_reason_text(Width(Some(80)), &program));
    assert_fits("placement-reason", &program);
    insta::assert_json_snapshot!("reason_program_json", program);
}
