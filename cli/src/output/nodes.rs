//! Clusters, their nodes and networks for people; lists come sorted.

use std::collections::{BTreeMap, BTreeSet};

use shoal_api::{Cluster, Network, Node, without_host};
use shoal_types::{Role, natural, nodeset};

use super::{Detail, Width, hosts::age, paint::Looks, table};
use crate::escape;

/// All clusters, one a row.
pub(crate) fn clusters_table(width: Width, detail: Detail, clusters: &[Cluster]) -> String {
    let usual = |cluster: &Cluster| {
        let workers = cluster.nodes.iter().filter(|n| n.role == Role::Worker).count();
        [
            cluster.name.clone(),
            cluster.phase.to_string(),
            cluster.nodes.len().to_string(),
            workers.to_string(),
            cluster.nodes.iter().map(|n| &n.host).collect::<BTreeSet<_>>().len().to_string(),
            cluster.slurm_version.clone().unwrap_or_default(),
            cluster.network.as_ref().map(|n| n.subnet.clone()).unwrap_or_default(),
        ]
    };
    let none = "no clusters; create one: shoal create cluster";
    let table = match detail {
        Detail::Usual => {
            let header = ["NAME", "PHASE", "NODES", "WORKERS", "HOSTS", "SLURM", "SUBNET"];
            table(width, header, 5, clusters.iter().map(usual), none)
        }
        Detail::Wide => {
            let header = [
                "NAME", "PHASE", "NODES", "WORKERS", "HOSTS", "SLURM", "SUBNET", "IMAGE", "REALM", "CREATED",
                "ID", "FAILURE",
            ];
            let rows = clusters.iter().map(|cluster| {
                let [name, phase, nodes, workers, hosts, slurm, subnet] = usual(cluster);
                let Cluster { image, realm, id, failure, .. } = cluster.clone();
                let created = cluster.created.map(|at| at.to_string()).unwrap_or_default();
                let failure = failure.unwrap_or_default();
                [name, phase, nodes, workers, hosts, slurm, subnet, image, realm, created, id, failure]
            });
            table(width, header, 5, rows, none)
        }
    };
    table + &unheard(clusters.iter().flat_map(|cluster| &cluster.nodes))
}

/// The hosts that could not be asked, and since when their nodes are not known: a line each.
fn unheard<'a>(nodes: impl Iterator<Item = &'a Node>) -> String {
    let mut hosts: BTreeMap<&str, (&Node, usize)> = BTreeMap::new();
    for node in nodes.filter(|node| node.host_error.is_some()) {
        hosts.entry(node.host.as_deref().unwrap_or_default()).or_insert((node, 0)).1 += 1;
    }
    let line = |(host, (node, count)): (&str, (&Node, usize))| {
        let error = node.host_error.as_deref().unwrap_or_default();
        let error = escape::line(without_host(host, error));
        format!("\n{host}: {error}; {count} nodes as last heard {} ago", age(node.age_ms))
    };
    hosts.into_iter().map(line).collect()
}

/// How many and which nodes each host has: `host1  3  controller,worker-[2,5]`.
pub(crate) fn per_host<'a>(width: Width, placed: impl IntoIterator<Item = (&'a str, &'a str)>) -> String {
    let mut hosts: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for (host, node) in placed {
        hosts.entry(host).or_default().push(node);
    }
    let mut hosts: Vec<_> = hosts.into_iter().collect();
    hosts.sort_by(|a, b| natural::cmp(a.0, b.0));
    let rows = hosts
        .into_iter()
        .map(|(host, nodes)| [host.to_owned(), nodes.len().to_string(), nodeset::compress(nodes)]);
    table(width, ["HOST", "NODES", "WHICH"], 3, rows, "no nodes")
}

/// All nodes, one a row.
pub(crate) fn nodes_table(width: Width, detail: Detail, nodes: &[Node]) -> String {
    let usual = |n: &Node| {
        [
            n.name.clone(),
            n.cluster.clone(),
            n.role.to_string(),
            n.state.to_string(),
            n.host.clone().unwrap_or_default(),
            n.address.clone(),
            n.fqdn.clone(),
        ]
    };
    let none = "no nodes";
    let table = match detail {
        Detail::Usual => {
            let header = ["NAME", "CLUSTER", "ROLE", "STATE", "HOST", "ADDRESS", "FQDN"];
            table(width, header, 6, nodes.iter().map(usual), none)
        }
        Detail::Wide => {
            let header =
                ["NAME", "CLUSTER", "ROLE", "STATE", "HOST", "ADDRESS", "AGE", "MAC", "ID", "REALM", "FQDN"];
            let rows = nodes.iter().map(|n| {
                let [name, cluster, role, state, host, address, fqdn] = usual(n);
                let (mac, id, realm) = (n.mac.clone(), n.id.clone(), n.realm.clone());
                [name, cluster, role, state, host, address, age(n.age_ms), mac, id, realm, fqdn]
            });
            table(width, header, 6, rows, none)
        }
    };
    table + &failing(nodes) + &unheard(nodes.iter())
}

/// The nodes that end again and again, a line each.
fn failing(nodes: &[Node]) -> String {
    let line = |node: &Node| {
        Some(format!("\n{}", escape::line(&format!("{}: {}", node.name, node.failing.as_ref()?))))
    };
    nodes.iter().filter_map(line).collect()
}

/// One cluster with everything known of it.
pub(crate) fn cluster_text(width: Width, detail: Detail, cluster: &Cluster) -> String {
    let mut lines = Vec::new();
    lines.extend(cluster.failure.iter().map(|why| format!("failure: {why}")));
    lines.extend(cluster.slurm_version.iter().map(|version| format!("slurm:   {version}")));
    lines.push(format!("image:   {}", cluster.image));
    lines.push(format!("realm:   {}", cluster.realm));
    lines.extend(cluster.healing.chosen().map(|healing| format!("healing: {healing}")));
    lines.extend(cluster.expires.map(|at| format!("expires: {at}")));
    lines.extend(cluster.network.iter().map(|network| format!("network: {network}")));
    let phase = cluster.phase.painted();
    let text: String = lines.iter().map(|line| format!("\n{}", escape::line(line))).collect();
    format!(
        "{}: {phase}{text}\n\n{}",
        escape::line(&cluster.name),
        nodes_table(width, detail, &cluster.nodes)
    )
}

/// All networks, one a row.
pub(crate) fn networks_table(width: Width, detail: Detail, networks: &[Network]) -> String {
    let usual = |n: &Network| {
        [
            n.cluster.clone(),
            n.subnet.clone(),
            n.gateway.clone(),
            n.vni.to_string(),
            n.mtu.to_string(),
            n.udp_port.to_string(),
            n.hosts.join(" "),
        ]
    };
    match detail {
        Detail::Usual => {
            let header = ["CLUSTER", "SUBNET", "GATEWAY", "VNI", "MTU", "UDP", "HOSTS"];
            table(width, header, 7, networks.iter().map(usual), "no networks")
        }
        Detail::Wide => {
            let header = ["CLUSTER", "SUBNET", "GATEWAY", "VNI", "MTU", "UDP", "HOSTS", "REALM", "ID"];
            let rows = networks.iter().map(|n| {
                let [cluster, subnet, gateway, vni, mtu, udp, hosts] = usual(n);
                [cluster, subnet, gateway, vni, mtu, udp, hosts, n.realm.clone(), n.id.clone()]
            });
            table(width, header, 7, rows, "no networks")
        }
    }
}
