//! What is left where: the store's rows beside what really is on the hosts, and everything in which the two disagree.

use std::collections::{BTreeMap, BTreeSet};

use shoal_docker::ContainerState;
use shoal_storage::{Cluster, Network, Node, Remnant, Store, StoreError};
use shoal_types::{ClusterPhase, HostId};

use super::world::World;

/// Everything the store says that may be left over.
#[derive(Debug)]
pub struct Rows {
    /// Clusters.
    pub clusters: Vec<Cluster>,
    /// Their nodes.
    pub nodes: Vec<Node>,
    /// Their networks.
    pub networks: Vec<Network>,
    /// What was left on hosts.
    pub remnants: Vec<Remnant>,
    /// Resources of leases that are known.
    pub leases: Vec<String>,
    /// How many secrets there are.
    pub secrets: usize,
    /// Hosts that have reservations.
    pub reserved: Vec<HostId>,
    /// Names of hosts.
    pub hosts: BTreeMap<HostId, String>,
}

impl Rows {
    /// Reads them.
    ///
    /// # Errors
    /// The store fails.
    pub async fn read(store: &Store) -> Result<Self, StoreError> {
        let mut read = store.read().await?;
        let clusters = read.clusters().list().await?;
        let mut nodes = Vec::new();
        let mut networks = Vec::new();
        for cluster in &clusters {
            nodes.extend(read.nodes().of_cluster(cluster.id).await?);
            networks.extend(read.networks().of_cluster(cluster.id).await?);
        }
        Ok(Self {
            nodes,
            networks,
            remnants: read.remnants().list().await?,
            leases: read.leases().list().await?.into_iter().map(|l| l.resource.to_string()).collect(),
            secrets: read.secrets().count().await?,
            reserved: read.hosts().usage().await?.into_keys().collect(),
            hosts: read.hosts().list().await?.into_iter().map(|h| (h.id, h.name.to_string())).collect(),
            clusters,
        })
    }
}

/// Everything that must not be, one line each: a cluster is ready and whole, or there is nothing of it at all.
#[must_use]
pub fn problems(world: &World, rows: &Rows) -> Vec<String> {
    let mut wrong: Vec<String> = world.fleet().violations().iter().map(ToString::to_string).collect();
    for cluster in &rows.clusters {
        if cluster.phase != ClusterPhase::Ready {
            wrong.push(format!("cluster {} is {:?}", cluster.spec.name, cluster.phase));
        }
    }
    if rows.secrets != rows.clusters.len() {
        wrong.push(format!("{} secrets of {} clusters", rows.secrets, rows.clusters.len()));
    }
    let ids: BTreeSet<String> = rows.clusters.iter().map(|c| c.id.to_string()).collect();
    for lease in &rows.leases {
        if lease.strip_prefix("cluster/").is_some_and(|id| !ids.contains(id)) {
            wrong.push(format!("a lease on {lease}, which is gone"));
        }
    }
    let used: BTreeSet<HostId> = rows.nodes.iter().map(|n| n.host).collect();
    for host in rows.reserved.iter().filter(|host| !used.contains(host)) {
        wrong.push(format!("reservations on {}", rows.hosts[host]));
    }
    for remnant in &rows.remnants {
        let what = &remnant.what;
        wrong.push(format!("remnant of {} on {}: {}", what.name, rows.hosts[&what.host], what.reason));
    }
    hosts(world, rows, &ids, &mut wrong);
    wrong
}

/// Compares what is on the hosts with the rows.
fn hosts(world: &World, rows: &Rows, ids: &BTreeSet<String>, wrong: &mut Vec<String>) {
    let host_of: BTreeMap<String, (&str, &Node)> =
        rows.nodes.iter().map(|n| (n.id.to_string(), (rows.hosts[&n.host].as_str(), n))).collect();
    let mut running: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for engine in world.fleet().all() {
        let (name, truth) = (engine.name().to_owned(), engine.truth());
        let member = |cluster: &str| {
            rows.nodes.iter().any(|n| n.cluster.to_string() == cluster && rows.hosts[&n.host] == name)
        };
        for container in &truth.containers {
            let labels = &container.spec.labels;
            if labels.get("shoal.role").is_some_and(|role| role == "probe") {
                wrong.push(format!("{name}: probe container {}", container.spec.name));
            }
            let Some(node) = labels.get("shoal.node") else { continue };
            let state = container.state;
            match host_of.get(node) {
                Some((host, row)) if *host == name && state == ContainerState::Running => {
                    running.entry(node.clone()).or_default().push(container.spec.name.clone());
                    if labels.get("shoal.generation") != Some(&row.generation.to_string()) {
                        wrong.push(format!("{name}: {} is of another generation", container.spec.name));
                    }
                }
                Some((host, _)) => wrong.push(format!(
                    "{name}: {} is {state:?}, its node is placed on {host}",
                    container.spec.name
                )),
                None => wrong.push(format!("{name}: container {} ({state:?}) of no node", container.spec.name)),
            }
        }
        let labelled = |labels: &BTreeMap<String, String>| labels.get("shoal.cluster").cloned();
        for network in &truth.networks {
            if let Some(cluster) = labelled(&network.labels).filter(|c| !ids.contains(c) || !member(c)) {
                wrong.push(format!("{name}: network {} of {cluster}", network.name));
            }
        }
        for volume in &truth.volumes {
            if let Some(cluster) = labelled(&volume.labels).filter(|c| !ids.contains(c) || !member(c)) {
                wrong.push(format!("{name}: volume {} of {cluster}", volume.name));
            }
        }
        world.mesh(&name, |mesh| {
            let explained = |network: &String| {
                rows.networks.iter().any(|n| n.id.to_string() == *network && member(&n.cluster.to_string()))
            };
            for network in mesh.kept.keys().filter(|network| !explained(network)) {
                wrong.push(format!("{name}: agent keeps {network}"));
            }
            for (device, made) in mesh.devices.iter().filter(|(_, d)| !explained(&d.network)) {
                wrong.push(format!("{name}: device {device} of {}", made.network));
            }
        });
    }
    for (node, (host, row)) in &host_of {
        let count = running.get(node).map_or(0, Vec::len);
        if count != 1 {
            wrong.push(format!("{} on {host} has {count} running containers", row.name));
        }
    }
}
