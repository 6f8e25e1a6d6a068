//! A dry run for programs.

use serde::Serialize;
use shoal_proto::v1;
use shoal_types::MilliCpu;

use super::{cores::Cores, plan::roles};

/// Where a cluster would go, and why not elsewhere.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct PlanJson {
    /// A host for every node; none if it does not fit.
    placements: Vec<PlacementJson>,
    /// Hosts that cannot take some node, and why.
    refusals: Vec<RefusalJson>,
    /// Whether every node has a host.
    fits: bool,
    /// Why not, on one line.
    reason: Option<String>,
    /// Every host, before and after.
    hosts: Vec<PlannedHostJson>,
    /// Scheduler, seed and rules.
    rules: RulesJson,
}

#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
struct PlacementJson {
    /// The node.
    node: String,
    /// Its host.
    host: String,
}

/// A host that cannot take a node.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(super) struct RefusalJson {
    /// The host.
    host: String,
    /// The condition it fails.
    filter: String,
    /// Why.
    reason: String,
}

impl From<v1::Refusal> for RefusalJson {
    fn from(r: v1::Refusal) -> Self {
        Self { host: r.host, filter: r.filter, reason: r.reason }
    }
}

#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
struct PlannedHostJson {
    /// Its name.
    name: String,
    /// What may be promised of it in all.
    capacity: AmountsJson,
    /// What is promised now.
    reserved: AmountsJson,
    /// What this cluster would add; `nodes` is how many of its nodes.
    added: AmountsJson,
}

#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
struct AmountsJson {
    /// CPUs.
    cpus: Cores,
    /// Memory.
    memory_bytes: u64,
    /// Node slots, or nodes.
    nodes: u32,
}

impl From<Option<v1::Amounts>> for AmountsJson {
    fn from(amounts: Option<v1::Amounts>) -> Self {
        let a = amounts.unwrap_or_default();
        Self { cpus: Cores(MilliCpu(a.cpu_milli)), memory_bytes: a.memory_bytes, nodes: a.node_slots }
    }
}

/// Who places, by which rules.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(super) struct RulesJson {
    /// A strategy, or the address of a program.
    scheduler: String,
    /// Where chance began; null where it had no part.
    seed: Option<u64>,
    /// Why the scheduler that was asked for did not place, and this one did instead; null if it did.
    fallback_reason: Option<String>,
    /// Expressions on the hosts' labels.
    constraints: Vec<String>,
    /// Roles kept apart from those of other clusters.
    apart: Vec<String>,
    /// The same as a wish.
    prefer_apart: Vec<String>,
    /// Most nodes on one host.
    max_per_host: Option<u32>,
    /// The label whose values get equal numbers.
    spread_over: Option<String>,
    /// Nodes whose host is named, as `NODES=HOST`.
    pins: Vec<String>,
}

impl RulesJson {
    pub(super) fn new(
        scheduler: String,
        seed: Option<u64>,
        fallback: String,
        constraints: Vec<String>,
        placing: Option<v1::Placing>,
    ) -> Self {
        let placing = placing.unwrap_or_default();
        Self {
            scheduler,
            seed,
            fallback_reason: (!fallback.is_empty()).then_some(fallback),
            constraints,
            apart: roles(&placing.apart),
            prefer_apart: roles(&placing.prefer_apart),
            max_per_host: placing.max_per_host,
            spread_over: (!placing.spread_over.is_empty()).then_some(placing.spread_over),
            pins: placing.pins,
        }
    }
}

impl From<v1::PlanClusterResponse> for PlanJson {
    fn from(plan: v1::PlanClusterResponse) -> Self {
        let placement = |p: v1::Placement| PlacementJson { node: p.node, host: p.host };
        let host = |h: v1::PlannedHost| PlannedHostJson {
            name: h.name,
            capacity: h.capacity.into(),
            reserved: h.reserved.into(),
            added: h.added.into(),
        };
        Self {
            placements: plan.placements.into_iter().map(placement).collect(),
            refusals: plan.refusals.into_iter().map(RefusalJson::from).collect(),
            fits: plan.fits,
            reason: (!plan.reason.is_empty()).then_some(plan.reason),
            hosts: plan.hosts.into_iter().map(host).collect(),
            rules: RulesJson::new(
                plan.scheduler,
                plan.seed,
                plan.fallback_reason,
                plan.constraints,
                plan.placing,
            ),
        }
    }
}
