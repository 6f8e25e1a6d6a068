//! Plans and explanations of placements, as people are told them.

use std::collections::BTreeMap;

use shoal_api::{
    Candidate, Cores, Filter as Shown, Placement, PlacementReason, Plan, PlanAmounts, PlannedHost, Refusal,
    Rules,
};
use shoal_scheduler::{Filter, HostView, Refusal as Refused};
use shoal_types::{Capacity, ClusterName, ClusterSpec, HostId, NodeName, RealmName, SchedulerName, Strategy};

use crate::{
    edit::{
        admission::DryRun,
        placing::{Explanation, PlacementDecision},
    },
    fleet::coordinator::Coordinator,
    words::fault::{ClusterFault, Fault, NoPlan, PlacementFault},
};

fn amounts(c: Capacity) -> PlanAmounts {
    PlanAmounts { cpus: Cores(c.cpu), memory_bytes: c.memory.0, nodes: c.node_slots }
}

fn refusal(refusal: &Refused) -> Refusal {
    Refusal {
        host: refusal.host.to_string(),
        filter: filter(refusal.reason.filter()),
        reason: refusal.reason.to_string(),
    }
}

fn filter(filter: Filter) -> Shown {
    match filter {
        Filter::State => Shown::State,
        Filter::Scheduling => Shown::Scheduling,
        Filter::Privilege => Shown::Privilege,
        Filter::Excluded => Shown::Excluded,
        Filter::Architecture => Shown::Architecture,
        Filter::Profile => Shown::Profile,
        Filter::Mtu => Shown::Mtu,
        Filter::Image => Shown::Image,
        Filter::Pinned => Shown::Pinned,
        Filter::Constraint => Shown::Constraint,
        Filter::SpreadOver => Shown::SpreadOver,
        Filter::Apart => Shown::Apart,
        Filter::Cpu => Shown::Cpu,
        Filter::Memory => Shown::Memory,
        Filter::NodeSlots => Shown::NodeSlots,
        Filter::MaxPerHost => Shown::MaxPerHost,
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
pub(crate) fn planned(spec: &ClusterSpec, run: &DryRun) -> Plan {
    let constraints = || spec.constraints.iter().map(ToString::to_string).collect();
    let rules = |by: &SchedulerName, seed, fallback| {
        Rules::of(by.clone(), seed, fallback, constraints(), spec.placing.clone())
    };
    let mut added: BTreeMap<HostId, Capacity> = BTreeMap::new();
    let mut answer = match &run.decided {
        Ok(PlacementDecision { plan, by, fallback, notes: _ }) => {
            for (node, placement) in run.request.nodes.iter().zip(&plan.placements) {
                let sum = added.entry(placement.host_id).or_default();
                sum.cpu.0 = sum.cpu.0.saturating_add(node.reserve.cpu.0);
                sum.memory.0 = sum.memory.0.saturating_add(node.reserve.memory.0);
                sum.node_slots = sum.node_slots.saturating_add(1);
            }
            let placement = |p: &shoal_scheduler::Placement| Placement {
                node: p.node.to_string(),
                host: p.host.to_string(),
            };
            Plan {
                placements: plan.placements.iter().map(placement).collect(),
                refusals: plan.refusals.iter().map(refusal).collect(),
                fits: true,
                reason: None,
                hosts: vec![],
                rules: rules(by, seed(by, run.request.seed), fallback.clone()),
                healing: spec.healing.into(),
            }
        }
        Err(why) => Plan {
            placements: vec![],
            refusals: match why {
                NoPlan::Unplaceable(unplaceable) => unplaceable.refusals.iter().map(refusal).collect(),
                NoPlan::Refused { .. } => vec![],
            },
            fits: false,
            reason: Some(why.to_string()),
            hosts: vec![],
            rules: rules(&spec.scheduler, None, None),
            healing: spec.healing.into(),
        },
    };
    let mut hosts: Vec<&HostView> = run.snapshot.hosts.iter().collect();
    hosts.sort_by(|a, b| a.name.cmp(&b.name));
    let host = |host: &HostView| PlannedHost {
        name: host.name.to_string(),
        capacity: amounts(host.allocatable()),
        reserved: amounts(host.reserved),
        added: amounts(added.get(&host.id).copied().unwrap_or_default()),
    };
    answer.hosts = hosts.into_iter().map(host).collect();
    answer
}

/// Why a node is where it is.
pub(crate) async fn explain_placement(
    coordinator: &Coordinator,
    realm: &RealmName,
    cluster: &ClusterName,
    node: &NodeName,
) -> Result<PlacementReason, Fault> {
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
    let constraints = found.spec.constraints.iter().chain(&row.constraints).map(ToString::to_string);
    // What our own strategy would have seen next is nothing a program went by.
    let by_strategy = e.by.strategy().is_some();
    let account = e.account.as_ref();
    let ranked = account.filter(|_| by_strategy);
    let group = ranked.and_then(|account| account.group.as_ref());
    Ok(PlacementReason {
        node: node.to_string(),
        cluster: cluster.to_string(),
        realm: realm.to_string(),
        host: host.map(|host| host.name.to_string()).unwrap_or_default(),
        decided_ms: e.decided.0,
        moved_reason: e.moved,
        moves: count(e.moves),
        candidates: account.map_or(0, |account| count(account.candidates)),
        rank: ranked.map(|account| count(account.rank)),
        before: ranked.map(|account| count(account.before)),
        nodes: count(e.nodes),
        best: ranked.map(|account| account.best.iter().map(candidate).collect()).unwrap_or_default(),
        group: group.map(|group| group.value.to_string()),
        group_nodes: group.map(|group| group.nodes),
        refusals: account.map(|a| a.refusals.iter().map(refusal).collect()).unwrap_or_default(),
        note: e.note,
        differs,
        rules: Rules::of(
            e.by.clone(),
            seed(&e.by, e.seed),
            e.fallback,
            constraints.collect(),
            found.spec.placing.clone(),
        ),
    })
}

fn candidate(candidate: &shoal_scheduler::Candidate) -> Candidate {
    Candidate {
        host: candidate.host.to_string(),
        rank: count(candidate.rank),
        score: candidate.score.clone(),
        unwished: candidate.unwished,
    }
}

fn count(n: usize) -> u32 {
    u32::try_from(n).unwrap_or(u32::MAX)
}
