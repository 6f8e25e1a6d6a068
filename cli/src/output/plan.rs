//! A dry run for people: where the nodes would go, and why not elsewhere.

use shoal_proto::v1::PlanClusterResponse;

use super::{Width, per_host, table};

/// Nodes per host, then every refusal.
pub(crate) fn plan_text(width: Width, plan: &PlanClusterResponse) -> String {
    let placed = plan.placements.iter().map(|p| (p.host.as_str(), p.node.as_str()));
    let refusals = plan.refusals.iter().map(|r| [r.host.clone(), r.filter.clone(), r.reason.clone()]);
    let refused = table(width, ["HOST", "FILTER", "REASON"], 3, refusals, "");
    let parts = match plan.fits {
        true => ["it fits; nothing was created".to_owned(), per_host(width, placed), refused],
        false => ["it does not fit".to_owned(), String::new(), refused],
    };
    parts.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join("\n\n")
}
