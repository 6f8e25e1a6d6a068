//! Why a node is on its host, for people and for programs.

use jiff::{Timestamp, tz::TimeZone};
use serde::Serialize;
use shoal_proto::v1;

use super::{
    Width,
    plan::{refusals_text, rules_text},
    plan_json::{RefusalJson, RulesJson},
    table,
};
use crate::escape;

/// The sentence, the rules, the best hosts, and those that could not.
pub(crate) fn placement_reason_text(width: Width, reason: &v1::ExplainPlacementResponse) -> String {
    let r = reason;
    let mut lines = vec![format!("{}.{} is on {}", r.node, r.cluster, r.host)];
    let at = i64::try_from(r.decided_ms).ok().and_then(|ms| Timestamp::from_millisecond(ms).ok());
    let at = at.map(|at| at.to_zoned(TimeZone::UTC).strftime("%Y-%m-%d %H:%M:%S UTC").to_string());
    let at = at.unwrap_or_default();
    lines.push(match r.moves {
        0 => format!("placed when the cluster was admitted, {at}"),
        n => format!("placed anew {at} ({n} times in all): {}", escape::line(&r.moved_reason)),
    });
    if !r.fallback_reason.is_empty() {
        let (why, who) = (escape::line(&r.fallback_reason), escape::line(&r.scheduler));
        lines.push(format!("warning: {why}: {who} placed instead"));
    }
    lines.push(match (r.rank, r.candidates) {
        (0, n) => format!("chosen by the program at {}; {n} hosts could take it", escape::line(&r.scheduler)),
        (rank, n) => format!(
            "number {rank} of {n} hosts that could take it, after {} of {} nodes were placed",
            r.before, r.nodes
        ),
    });
    if !r.note.is_empty() {
        lines.push(format!("it said: {}", escape::line(&r.note)));
    }
    if !r.group.is_empty() {
        lines.push(format!("{} had {} nodes of the cluster", escape::line(&r.group), r.group_nodes));
    }
    if !r.differs.is_empty() {
        lines.push(format!("note: {}", escape::line(&r.differs)));
    }
    let rules = rules_text(&r.scheduler, r.seed, &r.constraints, r.placing.as_ref());
    let rows = r.best.iter().map(|c| {
        let others = if c.unwished == 0 { String::new() } else { format!("; {} others' nodes", c.unwished) };
        [c.rank.to_string(), c.host.clone(), format!("{}{others}", c.score)]
    });
    let best = table(width, ["RANK", "HOST", "AS IT WAS THEN"], 3, rows, "");
    let parts = [lines.join("\n"), rules, best, refusals_text(width, &r.refusals)];
    parts.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join("\n\n")
}

/// Why a node is on its host.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct PlacementReasonJson {
    /// The node.
    node: String,
    /// Its cluster.
    cluster: String,
    /// Its realm.
    realm: String,
    /// The host it is on.
    host: String,
    /// When that was decided, in milliseconds since the epoch.
    decided_ms: u64,
    /// Scheduler, seed and rules.
    rules: RulesJson,
    /// Why the node was placed anew; null if it is where it was first placed.
    moved_reason: Option<String>,
    /// How often it was placed anew.
    moves: u32,
    /// Hosts that could have taken it.
    candidates: u32,
    /// Rank of its host among them, from 1; null if a program chose.
    rank: Option<u32>,
    /// How many nodes were placed before it; null if a program chose.
    before: Option<u32>,
    /// How many nodes that decision was about.
    nodes: u32,
    /// The best hosts as they were then, and the chosen one.
    best: Vec<CandidateJson>,
    /// Value of the label nodes are spread over that it counts for; null without such a rule.
    group: Option<String>,
    /// Nodes of the cluster that value had before.
    group_nodes: Option<u64>,
    /// Hosts that could not take it.
    refusals: Vec<RefusalJson>,
    /// The choosing program's own words.
    note: Option<String>,
    /// Why this version of shoal would place it elsewhere; null if it would not.
    differs: Option<String>,
}

#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
struct CandidateJson {
    /// Its name.
    host: String,
    /// Its rank, from 1.
    rank: u32,
    /// What the strategy saw in it.
    score: String,
    /// Nodes of other clusters on it that had better be apart.
    unwished: u32,
}

impl From<v1::ExplainPlacementResponse> for PlacementReasonJson {
    fn from(r: v1::ExplainPlacementResponse) -> Self {
        let known = |text: String| (!text.is_empty()).then_some(text);
        let by_strategy = r.rank > 0;
        let group = known(r.group);
        let candidate = |c: v1::Candidate| CandidateJson {
            host: c.host,
            rank: c.rank,
            score: c.score,
            unwished: c.unwished,
        };
        Self {
            node: r.node,
            cluster: r.cluster,
            realm: r.realm,
            host: r.host,
            decided_ms: r.decided_ms,
            rules: RulesJson::new(r.scheduler, r.seed, r.fallback_reason, r.constraints, r.placing),
            moved_reason: known(r.moved_reason),
            moves: r.moves,
            candidates: r.candidates,
            rank: by_strategy.then_some(r.rank),
            before: by_strategy.then_some(r.before),
            nodes: r.nodes,
            best: r.best.into_iter().map(candidate).collect(),
            group_nodes: group.as_ref().map(|_| r.group_nodes),
            group,
            refusals: r.refusals.into_iter().map(RefusalJson::from).collect(),
            note: known(r.note),
            differs: known(r.differs),
        }
    }
}
