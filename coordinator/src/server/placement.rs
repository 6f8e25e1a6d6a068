//! Plans and explanations of placements as messages.

use std::collections::BTreeMap;

use shoal_proto::{Word, v1};
use shoal_scheduler::{Candidate, Filter, HostView, Refusal};
use shoal_types::{Capacity, ClusterName, ClusterSpec, HostId, NodeName, RealmName, SchedulerName, Strategy};

use crate::{
    edit::{
        admission::DryRun,
        placing::{Explanation, PlacementDecision},
    },
    fleet::coordinator::Coordinator,
    words::fault::{ClusterFault, Fault, NoPlan, PlacementFault},
};

fn amounts(c: Capacity) -> v1::Amounts {
    v1::Amounts { cpu_milli: c.cpu.0, memory_bytes: c.memory.0, node_slots: c.node_slots }
}

fn refusal(refusal: &Refusal) -> v1::Refusal {
    v1::Refusal {
        host: refusal.host.to_string(),
        filter: filter(refusal.reason.filter()).wire(),
        reason: refusal.reason.to_string(),
    }
}

fn filter(filter: Filter) -> shoal_api::Filter {
    match filter {
        Filter::State => shoal_api::Filter::State,
        Filter::Excluded => shoal_api::Filter::Excluded,
        Filter::Architecture => shoal_api::Filter::Architecture,
        Filter::Profile => shoal_api::Filter::Profile,
        Filter::Image => shoal_api::Filter::Image,
        Filter::Pinned => shoal_api::Filter::Pinned,
        Filter::Constraint => shoal_api::Filter::Constraint,
        Filter::SpreadOver => shoal_api::Filter::SpreadOver,
        Filter::Apart => shoal_api::Filter::Apart,
        Filter::Cpu => shoal_api::Filter::Cpu,
        Filter::Memory => shoal_api::Filter::Memory,
        Filter::NodeSlots => shoal_api::Filter::NodeSlots,
        Filter::MaxPerHost => shoal_api::Filter::MaxPerHost,
    }
}

/// A seed means something only where chance decided.
fn seed(by: &SchedulerName, seed: u64) -> Option<u64> {
    match by {
        SchedulerName::Strategy(Strategy::Random) | SchedulerName::Program(_) => Some(seed),
        SchedulerName::Strategy(
            Strategy::Spread | Strategy::RoundRobin | Strategy::Metadata | Strategy::Binpack,
        ) => None,
    }
}

/// What a dry run shows, whether the cluster fits or not.
pub(super) fn planned(spec: &ClusterSpec, run: &DryRun) -> v1::PlanClusterResponse {
    let mut added: BTreeMap<HostId, Capacity> = BTreeMap::new();
    let mut response = match &run.decided {
        Ok(PlacementDecision { plan, by, fallback, notes: _ }) => {
            for (node, placement) in run.request.nodes.iter().zip(&plan.placements) {
                let sum = added.entry(placement.host_id).or_default();
                sum.cpu.0 = sum.cpu.0.saturating_add(node.reserve.cpu.0);
                sum.memory.0 = sum.memory.0.saturating_add(node.reserve.memory.0);
                sum.node_slots = sum.node_slots.saturating_add(1);
            }
            let placement = |p: &shoal_scheduler::Placement| v1::Placement {
                node: p.node.to_string(),
                host: p.host.to_string(),
            };
            v1::PlanClusterResponse {
                placements: plan.placements.iter().map(placement).collect(),
                refusals: plan.refusals.iter().map(refusal).collect(),
                fits: true,
                scheduler: by.to_string(),
                seed: seed(by, run.request.seed),
                fallback_reason: fallback.clone().unwrap_or_default(),
                ..v1::PlanClusterResponse::default()
            }
        }
        Err(why) => v1::PlanClusterResponse {
            refusals: match why {
                NoPlan::Unplaceable(unplaceable) => unplaceable.refusals.iter().map(refusal).collect(),
                NoPlan::Refused { .. } => vec![],
            },
            reason: why.to_string(),
            scheduler: spec.scheduler.to_string(),
            ..v1::PlanClusterResponse::default()
        },
    };
    let mut hosts: Vec<&HostView> = run.snapshot.hosts.iter().collect();
    hosts.sort_by(|a, b| a.name.cmp(&b.name));
    let host = |host: &HostView| v1::PlannedHost {
        name: host.name.to_string(),
        capacity: Some(amounts(host.allocatable())),
        reserved: Some(amounts(host.reserved)),
        added: Some(amounts(added.get(&host.id).copied().unwrap_or_default())),
    };
    response.hosts = hosts.into_iter().map(host).collect();
    response.constraints = spec.constraints.iter().map(ToString::to_string).collect();
    response.placing = Some((&spec.placing).into());
    response
}

/// Why a node is where it is.
pub(super) async fn explain_placement(
    coordinator: &Coordinator,
    realm: &RealmName,
    cluster: &ClusterName,
    node: &NodeName,
) -> Result<v1::ExplainPlacementResponse, Fault> {
    let mut read = coordinator.store.read().await?;
    let found = read.clusters().by_name(realm, cluster).await?;
    let found = found.ok_or_else(|| {
        Fault::Cluster(ClusterFault::Unknown { realm: realm.clone(), name: cluster.clone() })
    })?;
    let nodes = read.nodes().of_cluster(found.id).await?;
    let row = nodes.iter().find(|n| n.name == *node);
    let row = row.ok_or_else(|| {
        Fault::Cluster(ClusterFault::NoNode { cluster: cluster.clone(), node: node.clone() })
    })?;
    let host = read.hosts().get(row.host).await?;
    let decisions = read.decisions().of_cluster(found.id).await?;
    drop(read);
    let explained = Explanation::new(&found, &nodes, &decisions, node)?;
    let e = explained.ok_or_else(|| {
        Fault::Placement(PlacementFault::NoRecord { cluster: cluster.clone(), node: node.clone() })
    })?;
    let differs = host.as_ref().and_then(|host| e.differs(&host.name));
    let constraints = found.spec.constraints.iter();
    let mut response = v1::ExplainPlacementResponse {
        node: node.to_string(),
        cluster: cluster.to_string(),
        realm: realm.to_string(),
        host: host.map(|host| host.name.to_string()).unwrap_or_default(),
        decided_ms: e.decided.0,
        scheduler: e.by.to_string(),
        seed: seed(&e.by, e.seed),
        fallback_reason: e.fallback.unwrap_or_default(),
        moved_reason: e.moved.unwrap_or_default(),
        moves: u32::try_from(e.moves).unwrap_or(u32::MAX),
        nodes: u32::try_from(e.nodes).unwrap_or(u32::MAX),
        constraints: constraints.chain(&row.constraints).map(ToString::to_string).collect(),
        placing: Some((&found.spec.placing).into()),
        note: e.note.unwrap_or_default(),
        differs: differs.unwrap_or_default(),
        ..v1::ExplainPlacementResponse::default()
    };
    let Some(account) = e.account else { return Ok(response) };
    response.refusals = account.refusals.iter().map(refusal).collect();
    response.candidates = u32::try_from(account.candidates).unwrap_or(u32::MAX);
    // What our own strategy would have seen next is nothing a program went by.
    if e.by.strategy().is_some() {
        response.before = u32::try_from(account.before).unwrap_or(u32::MAX);
        response.rank = u32::try_from(account.rank).unwrap_or(u32::MAX);
        response.best = account.best.iter().map(candidate).collect();
        if let Some(group) = account.group {
            (response.group, response.group_nodes) = (group.value.to_string(), group.nodes);
        }
    }
    Ok(response)
}

fn candidate(candidate: &Candidate) -> v1::Candidate {
    v1::Candidate {
        host: candidate.host.to_string(),
        rank: u32::try_from(candidate.rank).unwrap_or(u32::MAX),
        score: candidate.score.clone(),
        unwished: candidate.unwished,
    }
}
