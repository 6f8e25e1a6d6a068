//! What a rebalance moved, and what hosts carry before and after, for people.

use std::collections::BTreeMap;

use shoal_api::{Rebalance, RebalancedCluster, RebalancedHost};
use shoal_types::{natural, nodeset};

use super::{Width, bar, table};
use crate::escape;

/// Columns of a bar.
const BAR: usize = 12;

/// The plan of one that is about to be done; nothing if nothing is to do.
pub(crate) fn rebalance_plan_text(plan: &Rebalance) -> Option<String> {
    let any = plan.clusters.iter().any(|cluster| !cluster.moves.is_empty());
    any.then(|| [hosts_text(Width(None), &plan.hosts), moves_text(Width(None), &plan.clusters)].join("\n\n"))
}

/// Hosts before and after, what moved, what stays and why, then how it ended.
pub(crate) fn rebalance_text(width: Width, rebalance: &Rebalance) -> String {
    let clusters = &rebalance.clusters;
    let moves: usize = clusters.iter().map(|cluster| cluster.moves.len()).sum();
    let mut parts = Vec::new();
    if moves > 0 {
        parts.push(hosts_text(width, &rebalance.hosts));
        parts.push(moves_text(width, clusters));
    }
    let mut lines = Vec::new();
    for cluster in clusters {
        let mut why: BTreeMap<(&str, &str), Vec<&str>> = BTreeMap::new();
        for node in &cluster.stay {
            why.entry((&node.host, &node.why)).or_default().push(&node.node);
        }
        for ((host, why), nodes) in why {
            let line = format!("{}: {} stays on {host}: {why}", named(cluster), nodeset::compress(nodes));
            lines.push(escape::line(&line));
        }
        if let Some(error) = &cluster.error {
            lines.push(escape::line(&format!("{}: {error}", named(cluster))));
        }
    }
    let stay = clusters.iter().any(|cluster| !cluster.stay.is_empty() || cluster.error.is_some());
    lines.push(match (moves, rebalance.dry_run) {
        (0, _) if stay => "nothing was moved".into(),
        (0, _) => "nothing to do: no move would gain enough".into(),
        (moves, true) => format!("nothing was done: {} would be moved", count(moves)),
        (moves, false) => format!("{} moved", count(moves)),
    });
    parts.push(lines.join("\n"));
    parts.join("\n\n")
}

/// What each host carries of its scarcest resource: the fullest of them all is a full bar.
fn hosts_text(width: Width, hosts: &[RebalancedHost]) -> String {
    let mut hosts: Vec<&RebalancedHost> = hosts.iter().collect();
    hosts.sort_by(|a, b| natural::cmp(&a.name, &b.name));
    let loads = hosts.iter().flat_map(|host| [host.load_before_millionths, host.load_after_millionths]);
    let fullest = loads.max().unwrap_or_default();
    let full = |load: u64| format!("{} {:>5}", bar(load, fullest, BAR), percent(load));
    let rows = hosts.iter().map(|host| {
        let nodes = format!("{}>{}", host.nodes_before, host.nodes_after);
        [host.name.clone(), nodes, full(host.load_before_millionths), full(host.load_after_millionths)]
    });
    table(width, ["HOST", "NODES", "LOAD BEFORE", "AFTER"], 3, rows, "")
}

fn moves_text(width: Width, clusters: &[RebalancedCluster]) -> String {
    let mut rows = Vec::new();
    for cluster in clusters {
        let mut ways: BTreeMap<(&str, &str), Vec<&str>> = BTreeMap::new();
        for moved in &cluster.moves {
            ways.entry((&moved.from, &moved.to)).or_default().push(&moved.node);
        }
        let mut ways: Vec<_> = ways.into_iter().collect();
        ways.sort_by(|(a, _), (b, _)| natural::cmp(a.0, b.0).then(natural::cmp(a.1, b.1)));
        rows.extend(ways.into_iter().map(|((from, to), nodes)| {
            let number = nodes.len().to_string();
            [named(cluster), nodeset::compress(nodes), number, from.to_owned(), to.to_owned()]
        }));
    }
    table(width, ["CLUSTER", "NODES", "COUNT", "FROM", "TO"], 4, rows, "")
}

/// Millionths as `12.3%`.
fn percent(millionths: u64) -> String {
    format!("{}.{}%", millionths / 10_000, millionths % 10_000 / 1_000)
}

fn count(nodes: usize) -> String {
    format!("{nodes} {}", if nodes == 1 { "node" } else { "nodes" })
}

fn named(cluster: &RebalancedCluster) -> String {
    match cluster.realm.as_str() {
        "default" => cluster.name.clone(),
        realm => format!("{realm}/{}", cluster.name),
    }
}

#[cfg(test)]
mod tests {
    use shoal_api::{NodeMove, StayingNode};

    use super::*;

    fn host(name: &str, nodes: (u32, u32), load: (u64, u64)) -> RebalancedHost {
        RebalancedHost {
            name: name.into(),
            nodes_before: nodes.0,
            nodes_after: nodes.1,
            load_before_millionths: load.0,
            load_after_millionths: load.1,
        }
    }

    fn rebalance(dry_run: bool) -> Rebalance {
        let moved =
            |node: &str, from: &str| NodeMove { node: node.into(), from: from.into(), to: "gamma".into() };
        let dev = RebalancedCluster {
            realm: "default".into(),
            name: "dev".into(),
            moves: vec![moved("worker-1", "alpha"), moved("worker-0", "beta"), moved("worker-3", "alpha")],
            ..RebalancedCluster::default()
        };
        let hosts = vec![
            host("alpha", (5, 3), (62_500, 37_500)),
            host("beta", (4, 3), (50_000, 37_500)),
            host("gamma", (0, 3), (0, 37_500)),
        ];
        Rebalance { dry_run, hosts, clusters: vec![dev] }
    }

    #[test]
    fn what_moved_and_what_hosts_carry() {
        let mut done = rebalance(false);
        done.clusters.push(RebalancedCluster {
            realm: "ci".into(),
            name: "nightly".into(),
            stay: vec![StayingNode {
                node: "worker-3".into(),
                host: "alpha".into(),
                why: "it is not idle".into(),
            }],
            error: Some("the lease was lost".into()),
            ..RebalancedCluster::default()
        });
        insta::assert_snapshot!(rebalance_text(Width(None), &done));
    }

    #[test]
    fn a_plan_and_nothing_to_do() {
        insta::assert_snapshot!(rebalance_text(Width(None), &rebalance(true)));
        insta::assert_snapshot!(rebalance_plan_text(&rebalance(true)).unwrap());
        let nothing = Rebalance::default();
        assert_eq!(rebalance_plan_text(&nothing), None);
        assert_eq!(rebalance_text(Width(None), &nothing), "nothing to do: no move would gain enough");
    }
}
