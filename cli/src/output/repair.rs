//! What a repair found and did, for people.

use shoal_api::{MendKind, Repair, RepairedCluster};

use super::{Width, table};
use crate::escape;

/// A paragraph a cluster: what was mended, and how it is now.
pub(crate) fn repair_text(width: Width, repair: &Repair) -> String {
    if repair.clusters.is_empty() {
        return "no ready clusters".to_owned();
    }
    let each = repair.clusters.iter().map(|cluster| cluster_text(width, cluster, repair.dry_run));
    each.collect::<Vec<_>>().join("\n")
}

fn cluster_text(width: Width, cluster: &RepairedCluster, dry_run: bool) -> String {
    let name = escape::line(&cluster.name);
    // With an error, what was found may have been done or not.
    let planned = dry_run || cluster.error.is_some();
    let mut lines = Vec::new();
    if !cluster.mends.is_empty() {
        lines.push(match planned {
            true => format!("{name} is to be mended:"),
            false => format!("{name} was mended:"),
        });
        let rows = cluster.mends.iter().map(|mend| {
            [
                mend.host.clone(),
                mend.node.clone().unwrap_or_else(|| "-".into()),
                what(mend.kind, planned).to_owned(),
                mend.reason.clone(),
            ]
        });
        lines.push(table(width, ["HOST", "NODE", "MEND", "WHY"], 4, rows, ""));
    }
    for node in &cluster.drained {
        lines.push(escape::line(&format!("{node} stays drained")));
    }
    // What is to be mended is no news.
    let is_told = |trouble: &&String| {
        let of = trouble.split_once(':').map(|(of, _)| of);
        dry_run && cluster.mends.iter().any(|mend| mend.node.as_deref() == of)
    };
    let troubles = cluster.troubles.iter().filter(|trouble| !is_told(trouble));
    lines.extend(troubles.map(|trouble| escape::line(trouble)));
    lines.extend(cluster.error.iter().map(|error| escape::line(error)));
    let well = cluster.is_well() && (!dry_run || cluster.mends.is_empty());
    lines.push(match (well, cluster.mends.is_empty()) {
        (true, true) => format!("{name} is well: nothing is to be mended"),
        (true, false) => format!("{name} is well"),
        (false, _) => format!("{name} is not well"),
    });
    lines.join("\n")
}

fn what(kind: MendKind, planned: bool) -> &'static str {
    match (kind, planned) {
        (MendKind::Agent, false) => "agent brought",
        (MendKind::Network, false) => "network made",
        (MendKind::Mesh, false) => "network told anew",
        (MendKind::Create, false) => "created",
        (MendKind::Start, false) => "started",
        (MendKind::Recreate, false) => "made anew",
        (MendKind::Remove, false) => "removed",
        (MendKind::Agent, true) => "bring the agent",
        (MendKind::Network, true) => "make the network",
        (MendKind::Mesh, true) => "tell the network anew",
        (MendKind::Create, true) => "create",
        (MendKind::Start, true) => "start",
        (MendKind::Recreate, true) => "make anew",
        (MendKind::Remove, true) => "remove",
    }
}

#[cfg(test)]
mod tests {
    use shoal_api::Mend;

    use super::*;

    fn cluster() -> RepairedCluster {
        let mend = |kind, node: Option<&str>, reason: &str| Mend {
            kind,
            host: "beta".into(),
            node: node.map(Into::into),
            reason: reason.into(),
        };
        RepairedCluster {
            name: "dev".into(),
            mends: vec![
                mend(MendKind::Mesh, None, "its agent keeps no part of the network"),
                mend(MendKind::Start, Some("worker-1"), "its container exited, exit status 137"),
            ],
            drained: vec!["worker-3".into()],
            ..RepairedCluster::default()
        }
    }

    fn text(dry_run: bool, clusters: Vec<RepairedCluster>) -> String {
        repair_text(Width(None), &Repair { dry_run, clusters })
    }

    #[test]
    fn what_was_done_and_how_it_is_now() {
        let left = RepairedCluster {
            name: "ci".into(),
            troubles: vec!["worker-0: munge is down".into()],
            error: Some("cluster ci is not mended: alpha did not answer".into()),
            ..RepairedCluster::default()
        };
        let well = RepairedCluster { name: "old".into(), ..RepairedCluster::default() };
        insta::assert_snapshot!(text(false, vec![cluster(), left, well]));
    }

    #[test]
    fn what_would_be_done() {
        let down =
            RepairedCluster { troubles: vec!["worker-1: its container is exited".into()], ..cluster() };
        insta::assert_snapshot!(text(true, vec![down]));
        assert_eq!(text(true, vec![]), "no ready clusters");
    }
}
