//! Plans and reasons: what survives the wire, and what is refused.

use super::*;

fn plan() -> v1::PlanClusterResponse {
    v1::PlanClusterResponse {
        refusals: vec![v1::Refusal { filter: Filter::Cpu.wire(), ..v1::Refusal::default() }],
        hosts: vec![v1::PlannedHost {
            capacity: Some(v1::Amounts::default()),
            reserved: Some(v1::Amounts::default()),
            added: Some(v1::Amounts { node_slots: 2, ..v1::Amounts::default() }),
            ..v1::PlannedHost::default()
        }],
        scheduler: "spread".into(),
        placing: Some(v1::Placing { apart: vec![Role::Worker.wire()], ..v1::Placing::default() }),
        healing: Some(shoal_types::Healing::default().into()),
        ..v1::PlanClusterResponse::default()
    }
}

fn rules() -> Rules {
    let placing = Placing {
        apart: [Role::Controller].into(),
        prefer_apart: [Role::Worker].into(),
        max_per_host: NonZeroU32::new(3),
        spread_over: Some("rack".parse().unwrap()),
        pins: vec!["worker-[0-1]=host1".parse().unwrap()],
        scheduler_timeout_ms: Some(100),
        scheduler_fallback: Some(Strategy::Binpack),
    };
    let scheduler = "grpc://127.0.0.1:7070".parse().unwrap();
    Rules::of(scheduler, Some(7), Some("it is silent".into()), vec!["rack=a".into()], placing)
}

fn bare() -> Rules {
    Rules::of(Strategy::Spread.into(), None, None, vec![], Placing::default())
}

fn refusals() -> Vec<Refusal> {
    vec![Refusal { host: "host3".into(), filter: Filter::Cpu, reason: "lacks CPU".into() }]
}

#[test]
fn plans_survive_the_wire() {
    let amounts = |milli, nodes| PlanAmounts { cpus: Cores(MilliCpu(milli)), memory_bytes: 1 << 30, nodes };
    let host = PlannedHost {
        name: "host1".into(),
        capacity: amounts(8000, 120),
        reserved: amounts(50, 1),
        added: amounts(0, 2),
    };
    let fits = Plan {
        placements: vec![Placement { node: "worker-0".into(), host: "host1".into() }],
        refusals: refusals(),
        fits: true,
        reason: None,
        hosts: vec![host],
        rules: rules(),
        healing: shoal_types::Healing::default().into(),
    };
    let does_not = Plan {
        placements: vec![],
        refusals: vec![],
        fits: false,
        reason: Some("0/1 hosts fit".into()),
        hosts: vec![],
        rules: bare(),
        healing: shoal_types::Healing::default().into(),
    };
    for plan in [fits, does_not] {
        assert_eq!(Plan::try_from(v1::PlanClusterResponse::from(plan.clone())), Ok(plan));
    }
}

#[test]
fn reasons_survive_the_wire() {
    let ranked = PlacementReason {
        node: "worker-0".into(),
        cluster: "dev".into(),
        realm: "lab".into(),
        host: "host1".into(),
        decided_ms: 5,
        rules: bare(),
        moved_reason: Some("host2 was lost".into()),
        moves: 1,
        candidates: 3,
        rank: Some(1),
        before: Some(0),
        nodes: 4,
        best: vec![Candidate { host: "host1".into(), rank: 1, score: "0.5".into(), unwished: 2 }],
        group: Some("a".into()),
        group_nodes: Some(0),
        refusals: refusals(),
        note: None,
        differs: Some("it has no record".into()),
    };
    let chosen = PlacementReason {
        rules: rules(),
        moved_reason: None,
        rank: None,
        before: None,
        best: vec![],
        group: None,
        group_nodes: None,
        note: Some("it is near".into()),
        differs: None,
        ..ranked.clone()
    };
    for reason in [ranked, chosen] {
        let wire = v1::ExplainPlacementResponse::from(reason.clone());
        assert_eq!(PlacementReason::try_from(wire), Ok(reason));
    }
}

#[test]
fn what_is_unknown_is_refused_by_field() {
    let read = Plan::try_from(plan()).unwrap();
    assert_eq!((read.hosts[0].added.nodes, read.reason), (2, None));
    assert_eq!(read.rules.apart, [Role::Worker].into());
    for (field, change) in [
        ("refusal.filter", (|p| p.refusals[0].filter = 99) as fn(&mut v1::PlanClusterResponse)),
        ("hosts.added", |p| p.hosts[0].added = None),
        ("scheduler", |p| p.scheduler = "best".into()),
        ("placing", |p| p.placing = None),
        ("healing", |p| p.healing = None),
        ("spec.placing.apart", |p| p.placing.get_or_insert_default().apart = vec![0]),
    ] {
        let mut wire = plan();
        change(&mut wire);
        assert_eq!(Plan::try_from(wire).unwrap_err().field, field);
    }
}

#[test]
fn a_program_ranks_nothing() {
    let wire = v1::ExplainPlacementResponse {
        scheduler: "grpc://127.0.0.1:7070".into(),
        placing: Some(v1::Placing::default()),
        ..v1::ExplainPlacementResponse::default()
    };
    let reason = PlacementReason::try_from(wire).unwrap();
    assert_eq!((reason.rank, reason.before, reason.group_nodes), (None, None, None));
    let missing = PlacementReason::try_from(v1::ExplainPlacementResponse::default()).unwrap_err();
    assert_eq!(missing.field, "placing");
}
