//! Why a node is on its host, for people and for programs.

use jiff::{Timestamp, tz::TimeZone};
use shoal_api::PlacementReason;

use super::{
    Width,
    plan::{refusals_text, rules_text},
    table,
};
use crate::escape;

/// The sentence, the rules, the best hosts, and those that could not.
pub(crate) fn placement_reason_text(width: Width, reason: &PlacementReason) -> String {
    let r = reason;
    let mut lines = vec![format!("{}.{} is on {}", r.node, r.cluster, r.host)];
    let at = i64::try_from(r.decided_ms).ok().and_then(|ms| Timestamp::from_millisecond(ms).ok());
    let at = at.map(|at| at.to_zoned(TimeZone::UTC).strftime("%Y-%m-%d %H:%M:%S UTC").to_string());
    let at = at.unwrap_or_default();
    lines.push(match r.moves {
        0 => format!("placed when the cluster was admitted, {at}"),
        n => format!(
            "placed anew {at} ({n} times in all): {}",
            escape::line(r.moved_reason.as_deref().unwrap_or_default())
        ),
    });
    let scheduler = escape::line(&r.rules.scheduler.to_string());
    if let Some(why) = &r.rules.fallback_reason {
        let (why, who) = (escape::line(why), &scheduler);
        lines.push(format!("warning: {why}: {who} placed instead"));
    }
    lines.push(match (r.rank, r.candidates) {
        (None, n) => format!("chosen by the program at {scheduler}; {n} hosts could take it"),
        (Some(rank), n) => format!(
            "number {rank} of {n} hosts that could take it, after {} of {} nodes were placed",
            r.before.unwrap_or_default(),
            r.nodes
        ),
    });
    lines.extend(r.note.iter().map(|note| format!("it said: {}", escape::line(note))));
    lines.extend(r.group.iter().map(|group| {
        let nodes = r.group_nodes.unwrap_or_default();
        format!("{} had {nodes} nodes of the cluster", escape::line(group))
    }));
    lines.extend(r.differs.iter().map(|why| format!("note: {}", escape::line(why))));
    let rules = rules_text(&r.rules);
    let rows = r.best.iter().map(|c| {
        let others = if c.unwished == 0 { String::new() } else { format!("; {} others' nodes", c.unwished) };
        [c.rank.to_string(), c.host.clone(), format!("{}{others}", c.score)]
    });
    let best = table(width, ["RANK", "HOST", "AS IT WAS THEN"], 3, rows, "");
    let parts = [lines.join("\n"), rules, best, refusals_text(width, &r.refusals)];
    parts.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join("\n\n")
}
