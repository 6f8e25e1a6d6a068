//! Where nodes go and why: dry runs and explanations.

use std::{collections::BTreeSet, num::NonZeroU32};

use serde::Serialize;
use shoal_proto::{FieldError, Word, v1};
use shoal_types::{MilliCpu, Placing, Role, SchedulerName, Strategy};

use crate::{
    Cores, Filter, Healing,
    value::{all, known, messages, need, text},
};

/// Where a cluster would go, and why not elsewhere.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Plan {
    /// A host for every node; none if it does not fit.
    pub placements: Vec<Placement>,
    /// Hosts that cannot take some node, and why.
    pub refusals: Vec<Refusal>,
    /// Whether every node has a host.
    pub fits: bool,
    /// Why not, on one line.
    pub reason: Option<String>,
    /// Every host, before and after.
    pub hosts: Vec<PlannedHost>,
    /// Scheduler, seed and rules.
    pub rules: Rules,
    /// How it would heal by itself.
    pub healing: Healing,
}

/// A node and its host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Placement {
    /// The node.
    pub node: String,
    /// Its host.
    pub host: String,
}

impl From<v1::Placement> for Placement {
    fn from(v1::Placement { node, host }: v1::Placement) -> Self {
        Self { node, host }
    }
}

impl From<Placement> for v1::Placement {
    fn from(Placement { node, host }: Placement) -> Self {
        Self { node, host }
    }
}

/// A host that cannot take a node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Refusal {
    /// The host.
    pub host: String,
    /// The condition it fails.
    #[cfg_attr(feature = "schema", schemars(with = "String"))]
    pub filter: Filter,
    /// Why.
    pub reason: String,
}

impl TryFrom<v1::Refusal> for Refusal {
    type Error = FieldError;

    fn try_from(refusal: v1::Refusal) -> Result<Self, FieldError> {
        let filter = Filter::read("refusal.filter", refusal.filter)?;
        Ok(Self { host: refusal.host, filter, reason: refusal.reason })
    }
}

impl From<Refusal> for v1::Refusal {
    fn from(Refusal { host, filter, reason }: Refusal) -> Self {
        Self { host, filter: filter.wire(), reason }
    }
}

/// A host before and after.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct PlannedHost {
    /// Its name.
    pub name: String,
    /// What may be promised of it in all.
    pub capacity: PlanAmounts,
    /// What is promised now.
    pub reserved: PlanAmounts,
    /// What this cluster would add; `nodes` is how many of its nodes.
    pub added: PlanAmounts,
}

/// An amount of everything.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct PlanAmounts {
    /// CPUs.
    pub cpus: Cores,
    /// Memory.
    pub memory_bytes: u64,
    /// Node slots, or nodes.
    pub nodes: u32,
}

impl From<v1::Amounts> for PlanAmounts {
    fn from(a: v1::Amounts) -> Self {
        Self { cpus: Cores(MilliCpu(a.cpu_milli)), memory_bytes: a.memory_bytes, nodes: a.node_slots }
    }
}

impl From<PlanAmounts> for v1::Amounts {
    fn from(PlanAmounts { cpus, memory_bytes, nodes }: PlanAmounts) -> Self {
        Self { cpu_milli: cpus.0.0, memory_bytes, node_slots: nodes }
    }
}

impl From<PlannedHost> for v1::PlannedHost {
    fn from(PlannedHost { name, capacity, reserved, added }: PlannedHost) -> Self {
        let [capacity, reserved, added] = [capacity, reserved, added].map(|amounts| Some(amounts.into()));
        Self { name, capacity, reserved, added }
    }
}

impl TryFrom<v1::PlannedHost> for PlannedHost {
    type Error = FieldError;

    fn try_from(host: v1::PlannedHost) -> Result<Self, FieldError> {
        Ok(Self {
            name: host.name,
            capacity: need("hosts.capacity", host.capacity)?.into(),
            reserved: need("hosts.reserved", host.reserved)?.into(),
            added: need("hosts.added", host.added)?.into(),
        })
    }
}

/// Who places, by which rules.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Rules {
    /// A strategy, or the address of a program.
    #[cfg_attr(feature = "schema", schemars(with = "String"))]
    pub scheduler: SchedulerName,
    /// Where chance began; null where it had no part.
    pub seed: Option<u64>,
    /// Why the scheduler that was asked for did not place, and this one did instead; null if it did.
    pub fallback_reason: Option<String>,
    /// Expressions on the hosts' labels.
    pub constraints: Vec<String>,
    /// Roles kept apart from those of other clusters.
    #[cfg_attr(feature = "schema", schemars(with = "Vec<String>"))]
    pub apart: BTreeSet<Role>,
    /// The same as a wish.
    #[cfg_attr(feature = "schema", schemars(with = "Vec<String>"))]
    pub prefer_apart: BTreeSet<Role>,
    /// Most nodes on one host.
    pub max_per_host: Option<u32>,
    /// The label whose values get equal numbers.
    pub spread_over: Option<String>,
    /// Nodes whose host is named, as `NODES=HOST`.
    pub pins: Vec<String>,
    /// How long a scheduler of the user's may take, in milliseconds.
    #[serde(skip)]
    pub scheduler_timeout_ms: Option<u32>,
    /// The strategy that places where that scheduler cannot.
    #[serde(skip)]
    pub scheduler_fallback: Option<Strategy>,
}

impl Rules {
    /// Those of a specification, by whoever placed; `fallback_reason`: why it was not who was asked for.
    #[must_use]
    pub fn of(
        scheduler: SchedulerName,
        seed: Option<u64>,
        fallback_reason: Option<String>,
        constraints: Vec<String>,
        placing: Placing,
    ) -> Self {
        Self {
            scheduler,
            seed,
            fallback_reason,
            constraints,
            apart: placing.apart,
            prefer_apart: placing.prefer_apart,
            max_per_host: placing.max_per_host.map(NonZeroU32::get),
            spread_over: placing.spread_over.map(|label| label.to_string()),
            pins: placing.pins.iter().map(ToString::to_string).collect(),
            scheduler_timeout_ms: placing.scheduler_timeout_ms,
            scheduler_fallback: placing.scheduler_fallback,
        }
    }

    fn read(
        scheduler: &str,
        seed: Option<u64>,
        fallback: String,
        constraints: Vec<String>,
        placing: Option<v1::Placing>,
    ) -> Result<Self, FieldError> {
        let placing: Placing = need("placing", placing)?.try_into()?;
        let scheduler = scheduler.parse().map_err(|reason| FieldError::new("scheduler", reason))?;
        Ok(Self::of(scheduler, seed, known(fallback), constraints, placing))
    }
}

/// What rules say besides who placed.
fn placing(rules: &mut Rules) -> v1::Placing {
    let roles = |roles: &BTreeSet<Role>| roles.iter().map(|role| role.wire()).collect();
    v1::Placing {
        apart: roles(&rules.apart),
        prefer_apart: roles(&rules.prefer_apart),
        max_per_host: rules.max_per_host,
        spread_over: text(rules.spread_over.take()),
        pins: std::mem::take(&mut rules.pins),
        scheduler_timeout_ms: rules.scheduler_timeout_ms,
        scheduler_fallback: text(rules.scheduler_fallback.map(|strategy| strategy.to_string())),
    }
}

impl TryFrom<v1::PlanClusterResponse> for Plan {
    type Error = FieldError;

    fn try_from(plan: v1::PlanClusterResponse) -> Result<Self, FieldError> {
        Ok(Self {
            placements: plan.placements.into_iter().map(Into::into).collect(),
            refusals: all(plan.refusals)?,
            fits: plan.fits,
            reason: known(plan.reason),
            hosts: all(plan.hosts)?,
            rules: Rules::read(
                &plan.scheduler,
                plan.seed,
                plan.fallback_reason,
                plan.constraints,
                plan.placing,
            )?,
            healing: need("healing", plan.healing)?.try_into()?,
        })
    }
}

impl From<Plan> for v1::PlanClusterResponse {
    fn from(plan: Plan) -> Self {
        let mut rules = plan.rules;
        Self {
            placing: Some(placing(&mut rules)),
            healing: Some(plan.healing.into()),
            placements: messages(plan.placements),
            refusals: messages(plan.refusals),
            fits: plan.fits,
            reason: text(plan.reason),
            hosts: messages(plan.hosts),
            scheduler: rules.scheduler.to_string(),
            seed: rules.seed,
            fallback_reason: text(rules.fallback_reason),
            constraints: rules.constraints,
        }
    }
}

/// Why a node is on its host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct PlacementReason {
    /// The node.
    pub node: String,
    /// Its cluster.
    pub cluster: String,
    /// Its realm.
    pub realm: String,
    /// The host it is on.
    pub host: String,
    /// When that was decided, in milliseconds since the epoch.
    pub decided_ms: u64,
    /// Scheduler, seed and rules.
    pub rules: Rules,
    /// Why the node was placed anew; null if it is where it was first placed.
    pub moved_reason: Option<String>,
    /// How often it was placed anew.
    pub moves: u32,
    /// Hosts that could have taken it.
    pub candidates: u32,
    /// Rank of its host among them, from 1; null if a program chose.
    pub rank: Option<u32>,
    /// How many nodes were placed before it; null if a program chose.
    pub before: Option<u32>,
    /// How many nodes that decision was about.
    pub nodes: u32,
    /// The best hosts as they were then, and the chosen one.
    pub best: Vec<Candidate>,
    /// Value of the label nodes are spread over that it counts for; null without such a rule.
    pub group: Option<String>,
    /// Nodes of the cluster that value had before.
    pub group_nodes: Option<u64>,
    /// Hosts that could not take it.
    pub refusals: Vec<Refusal>,
    /// The choosing program's own words.
    pub note: Option<String>,
    /// Why this version of shoal would place it elsewhere; null if it would not.
    pub differs: Option<String>,
}

/// A host that could have taken a node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Candidate {
    /// Its name.
    pub host: String,
    /// Its rank, from 1.
    pub rank: u32,
    /// What the strategy saw in it.
    pub score: String,
    /// Nodes of other clusters on it that had better be apart.
    pub unwished: u32,
}

impl From<v1::Candidate> for Candidate {
    fn from(c: v1::Candidate) -> Self {
        Self { host: c.host, rank: c.rank, score: c.score, unwished: c.unwished }
    }
}

impl From<Candidate> for v1::Candidate {
    fn from(Candidate { host, rank, score, unwished }: Candidate) -> Self {
        Self { host, rank, score, unwished }
    }
}

impl From<PlacementReason> for v1::ExplainPlacementResponse {
    fn from(reason: PlacementReason) -> Self {
        let mut rules = reason.rules;
        Self {
            placing: Some(placing(&mut rules)),
            node: reason.node,
            cluster: reason.cluster,
            realm: reason.realm,
            host: reason.host,
            decided_ms: reason.decided_ms,
            scheduler: rules.scheduler.to_string(),
            seed: rules.seed,
            fallback_reason: text(rules.fallback_reason),
            constraints: rules.constraints,
            moved_reason: text(reason.moved_reason),
            moves: reason.moves,
            before: reason.before.unwrap_or(0),
            nodes: reason.nodes,
            candidates: reason.candidates,
            rank: reason.rank.unwrap_or(0),
            best: messages(reason.best),
            group: text(reason.group),
            group_nodes: reason.group_nodes.unwrap_or(0),
            refusals: messages(reason.refusals),
            note: text(reason.note),
            differs: text(reason.differs),
        }
    }
}

impl TryFrom<v1::ExplainPlacementResponse> for PlacementReason {
    type Error = FieldError;

    fn try_from(r: v1::ExplainPlacementResponse) -> Result<Self, FieldError> {
        let by_strategy = r.rank > 0;
        let group = known(r.group);
        Ok(Self {
            node: r.node,
            cluster: r.cluster,
            realm: r.realm,
            host: r.host,
            decided_ms: r.decided_ms,
            rules: Rules::read(&r.scheduler, r.seed, r.fallback_reason, r.constraints, r.placing)?,
            moved_reason: known(r.moved_reason),
            moves: r.moves,
            candidates: r.candidates,
            rank: by_strategy.then_some(r.rank),
            before: by_strategy.then_some(r.before),
            nodes: r.nodes,
            best: r.best.into_iter().map(Into::into).collect(),
            group_nodes: group.as_ref().map(|_| r.group_nodes),
            group,
            refusals: all(r.refusals)?,
            note: known(r.note),
            differs: known(r.differs),
        })
    }
}

#[cfg(test)]
mod tests;
