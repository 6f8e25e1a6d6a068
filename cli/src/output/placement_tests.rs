//! Plans and explanations as people see them at 80 and 200 columns, and as programs do.

use shoal_proto::v1;

use super::{PlacementReasonJson, PlanJson, Width, placement_reason_text, plan_text, schema::assert_fits};

fn amounts(cpu_milli: u64, memory_mib: u64, node_slots: u32) -> Option<v1::Amounts> {
    Some(v1::Amounts { cpu_milli, memory_bytes: memory_mib << 20, node_slots })
}

fn refusal(host: &str, filter: &str, reason: &str) -> v1::Refusal {
    v1::Refusal { host: host.into(), filter: filter.into(), reason: reason.into() }
}

fn placing() -> v1::Placing {
    v1::Placing {
        apart: vec![v1::Role::Controller.into()],
        max_per_host: Some(3),
        spread_over: "rack".into(),
        pins: vec!["controller=host2".into()],
        ..v1::Placing::default()
    }
}

fn plan() -> v1::PlanClusterResponse {
    let placement = |node: &str, host: &str| v1::Placement { node: node.into(), host: host.into() };
    let host = |name: &str, reserved, added| v1::PlannedHost {
        name: name.into(),
        capacity: amounts(16_000, 16_384, 100),
        reserved,
        added,
    };
    v1::PlanClusterResponse {
        placements: vec![
            placement("controller", "host2"),
            placement("worker-0", "host10"),
            placement("worker-1", "host2"),
            placement("worker-2", "host10"),
        ],
        refusals: vec![
            refusal("host3", "spread-over", "lacks label rack, which nodes are spread over"),
            refusal("host4", "spread-over", "lacks label rack, which nodes are spread over"),
            refusal("host9", "state", "is unreachable \u{1b}[31m"),
        ],
        fits: true,
        reason: String::new(),
        hosts: vec![
            host("host10", amounts(8000, 1024, 20), amounts(100, 128, 2)),
            host("host2", amounts(0, 0, 0), amounts(4000, 8192, 2)),
            host("host3", amounts(16_000, 16_384, 100), amounts(0, 0, 0)),
        ],
        scheduler: "random".into(),
        seed: Some(42),
        fallback_reason: "the scheduler at grpc://127.0.0.1:7070 cannot be reached".into(),
        constraints: vec!["rack in (a,b)".into(), "!old".into()],
        placing: Some(placing()),
    }
}

fn refused() -> v1::PlanClusterResponse {
    v1::PlanClusterResponse {
        placements: vec![],
        fits: false,
        reason: "0/3 hosts fit: 2 lack label rack, which nodes are spread over, 1 is unreachable; controller has no host".into(),
        seed: None,
        fallback_reason: String::new(),
        scheduler: "spread".into(),
        hosts: plan().hosts.into_iter().map(|h| v1::PlannedHost { added: amounts(0, 0, 0), ..h }).collect(),
        ..plan()
    }
}

fn reason() -> v1::ExplainPlacementResponse {
    let candidate = |rank, host: &str, score: &str| v1::Candidate {
        rank,
        host: host.into(),
        score: score.into(),
        unwished: rank - 1,
    };
    v1::ExplainPlacementResponse {
        node: "worker-0".into(),
        cluster: "dev".into(),
        realm: "default".into(),
        host: "host2".into(),
        decided_ms: 1_800_000_000_000,
        scheduler: "spread".into(),
        before: 1,
        nodes: 4,
        candidates: 12,
        rank: 1,
        best: vec![
            candidate(1, "host2", "has no node of the cluster, would be 2.5 % full"),
            candidate(2, "host7", "has 1 node of the cluster, would be 5.0 % full"),
        ],
        group: "r1".into(),
        group_nodes: 3,
        refusals: plan().refusals,
        constraints: vec!["rack".into()],
        placing: Some(placing()),
        ..v1::ExplainPlacementResponse::default()
    }
}

#[test]
fn a_plan() {
    insta::assert_snapshot!("plan_80", plan_text(Width(Some(80)), &plan()));
    insta::assert_snapshot!("plan_200", plan_text(Width(Some(200)), &plan()));
    insta::assert_json_snapshot!("plan_json", PlanJson::from(plan()));
    assert_fits("plan", &PlanJson::from(plan()));
    assert_fits("plan", &PlanJson::from(refused()));
}

#[test]
fn a_plan_that_does_not_fit_shows_the_hosts_all_the_same() {
    insta::assert_snapshot!("refused_80", plan_text(Width(Some(80)), &refused()));
    insta::assert_json_snapshot!("refused_json", PlanJson::from(refused()));
}

#[test]
fn a_reason() {
    insta::assert_snapshot!("reason_80", placement_reason_text(Width(Some(80)), &reason()));
    insta::assert_snapshot!("reason_200", placement_reason_text(Width(Some(200)), &reason()));
    insta::assert_json_snapshot!("reason_json", PlacementReasonJson::from(reason()));
    assert_fits("placement-reason", &PlacementReasonJson::from(reason()));
}

#[test]
fn a_reason_of_a_moved_node_and_of_a_program() {
    let moved = v1::ExplainPlacementResponse {
        moves: 2,
        moved_reason: "host host1 has not answered for 15 s".into(),
        differs: "this version of shoal would place it on host3, from the same hosts and request".into(),
        ..reason()
    };
    insta::assert_snapshot!("reason_moved", placement_reason_text(Width(Some(80)), &moved));
    let program = v1::ExplainPlacementResponse {
        scheduler: "grpc://127.0.0.1:7070".into(),
        seed: Some(7),
        rank: 0,
        best: vec![],
        group: String::new(),
        note: "longest up \u{1b}[31m".into(),
        ..reason()
    };
    insta::assert_snapshot!("reason_program", placement_reason_text(Width(Some(80)), &program));
    assert_fits("placement-reason", &PlacementReasonJson::from(program.clone()));
    insta::assert_json_snapshot!("reason_program_json", PlacementReasonJson::from(program));
}
