//! Where nodes go and why: dry runs and explanations.

use std::{collections::BTreeSet, num::NonZeroU32};

use serde::Serialize;
use shoal_proto::{FieldError, Word, v1};
use shoal_types::{MilliCpu, Placing, Role, SchedulerName};

use crate::{
    Cores, Filter,
    value::{all, known, need},
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
}

impl Rules {
    fn read(
        scheduler: &str,
        seed: Option<u64>,
        fallback: String,
        constraints: Vec<String>,
        placing: Option<v1::Placing>,
    ) -> Result<Self, FieldError> {
        let placing: Placing = need("placing", placing)?.try_into()?;
        Ok(Self {
            scheduler: scheduler.parse().map_err(|reason| FieldError::new("scheduler", reason))?,
            seed,
            fallback_reason: known(fallback),
            constraints,
            apart: placing.apart,
            prefer_apart: placing.prefer_apart,
            max_per_host: placing.max_per_host.map(NonZeroU32::get),
            spread_over: placing.spread_over.map(|label| label.to_string()),
            pins: placing.pins.iter().map(ToString::to_string).collect(),
        })
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
        })
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
mod tests {
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
            ..v1::PlanClusterResponse::default()
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
}
