//! What a drain moved, for people.

use shoal_api::{Drain, DrainedCluster};
use shoal_types::{Scheduling, nodeset};

use super::{Width, table};
use crate::escape;

/// Where the nodes went, then what stays and why, then how the host is.
pub(crate) fn drain_text(width: Width, drain: &Drain) -> String {
    let host = escape::line(&drain.host);
    let mut lines = Vec::new();
    let rows: Vec<_> = drain
        .clusters
        .iter()
        .flat_map(|cluster| {
            let row = |to: String, nodes: Vec<&str>| {
                [named(cluster), nodeset::compress(nodes.iter().copied()), nodes.len().to_string(), to]
            };
            let mut to: Vec<&str> = cluster.moved.iter().map(|moved| moved.to.as_str()).collect();
            to.sort_by(|a, b| shoal_types::natural::cmp(a, b));
            to.dedup();
            to.into_iter().map(move |to| {
                let nodes = cluster.moved.iter().filter(|moved| moved.to == to);
                row(to.to_owned(), nodes.map(|moved| moved.node.as_str()).collect())
            })
        })
        .collect();
    if !rows.is_empty() {
        lines.push(match drain.dry_run {
            true => format!("{host} would be left by:"),
            false => format!("{host} was left by:"),
        });
        lines.push(table(width, ["CLUSTER", "NODES", "COUNT", "TO"], 4, rows, ""));
    }
    for cluster in &drain.clusters {
        if let Some(error) = &cluster.error {
            lines.push(format!("{}: {}", escape::line(&named(cluster)), escape::line(error)));
        }
    }
    let left: usize = drain.clusters.iter().map(|cluster| cluster.left.len()).sum();
    lines.push(match (drain.dry_run, drain.scheduling, left) {
        (true, _, 0) => format!("{host} has no nodes"),
        (true, ..) => format!("nothing was done: {host} has {}", nodes(left)),
        (false, Scheduling::Drained, _) => {
            format!("{host} is drained: no node is there, and none is placed there")
        }
        (false, word, left) => {
            format!("{host} is {word} and still has {}; `shoal drain {host}` goes on", nodes(left))
        }
    });
    lines.join("\n")
}

fn nodes(count: usize) -> String {
    format!("{count} {}", if count == 1 { "node" } else { "nodes" })
}

fn named(cluster: &DrainedCluster) -> String {
    match cluster.realm.as_str() {
        "default" => cluster.name.clone(),
        realm => format!("{realm}/{}", cluster.name),
    }
}

#[cfg(test)]
mod tests {
    use shoal_api::MovedNode;

    use super::*;

    fn cluster() -> DrainedCluster {
        let moved = |node: &str, to: &str| MovedNode { node: node.into(), to: to.into() };
        DrainedCluster {
            realm: "default".into(),
            name: "dev".into(),
            moved: vec![moved("controller", "gamma"), moved("worker-0", "beta"), moved("worker-1", "beta")],
            ..DrainedCluster::default()
        }
    }

    fn text(dry_run: bool, scheduling: Scheduling, clusters: Vec<DrainedCluster>) -> String {
        drain_text(Width(None), &Drain { host: "alpha".into(), scheduling, dry_run, clusters })
    }

    #[test]
    fn where_the_nodes_went_and_what_stays() {
        let stays = DrainedCluster {
            realm: "ci".into(),
            name: "nightly".into(),
            left: vec!["worker-3".into()],
            error: Some("cluster nightly: worker-3 stay there: their jobs did not end within 60 s".into()),
            ..DrainedCluster::default()
        };
        insta::assert_snapshot!(text(false, Scheduling::Draining, vec![cluster(), stays]));
    }

    #[test]
    fn a_host_that_nobody_would_miss() {
        insta::assert_snapshot!(text(false, Scheduling::Drained, vec![cluster()]));
        let planned = DrainedCluster { left: vec!["worker-0".into()], ..cluster() };
        insta::assert_snapshot!(text(true, Scheduling::Schedulable, vec![planned]));
        assert_eq!(text(true, Scheduling::Schedulable, vec![]), "alpha has no nodes");
    }
}
