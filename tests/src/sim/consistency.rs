//! Consistency of store and hosts: the store's rows beside the real content of the hosts, and every disagreement.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};

use anyhow::ensure;
use shoal_docker::ContainerState;
use shoal_storage::{Cluster, Network, Node, Remnant, Reservation, ReservationOwner, Store, StoreError};
use shoal_types::{ClusterId, ClusterPhase, HostId, NetworkId};

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
    /// The network each cluster is on.
    pub attachments: BTreeMap<ClusterId, NetworkId>,
    /// What was left on hosts.
    pub remnants: Vec<Remnant>,
    /// Resources of leases that are known.
    pub leases: Vec<String>,
    /// How many secrets there are.
    pub secrets: usize,
    /// What is reserved of hosts.
    pub reserved: Vec<Reservation>,
    /// Names of hosts.
    pub hosts: BTreeMap<HostId, String>,
    /// Failures in a row of hosts that have any, by name.
    pub failures: BTreeMap<String, u32>,
}

impl Rows {
    /// Reads them.
    ///
    /// # Errors
    /// The store fails.
    pub async fn read(store: &Store) -> Result<Self, StoreError> {
        let mut read = store.read().await?;
        let hosts = read.hosts().list().await?;
        let failing = hosts.iter().filter(|h| h.health.failures > 0);
        Ok(Self {
            clusters: read.clusters().list().await?,
            nodes: read.nodes().list().await?,
            networks: read.networks().list().await?,
            attachments: read.networks().attachments().await?,
            remnants: read.remnants().list().await?,
            leases: read.leases().list().await?.into_iter().map(|l| l.resource.to_string()).collect(),
            secrets: read.secrets().count().await?,
            reserved: read.reservations().list().await?,
            failures: failing.map(|h| (h.name.to_string(), h.health.failures)).collect(),
            hosts: hosts.into_iter().map(|h| (h.id, h.name.to_string())).collect(),
        })
    }

    /// The cluster of this name.
    #[must_use]
    pub fn cluster(&self, name: &str) -> Option<&Cluster> {
        self.clusters.iter().find(|c| c.spec.name.as_str() == name)
    }

    /// Names of the hosts that a cluster's nodes are placed on, each once.
    #[must_use]
    pub fn members(&self, name: &str) -> BTreeSet<&str> {
        let id = self.cluster(name).map(|c| c.id);
        let nodes = self.nodes.iter().filter(|n| Some(n.cluster) == id);
        nodes.filter_map(|n| self.hosts.get(&n.host)).map(String::as_str).collect()
    }

    /// Whether a remnant remembers this.
    fn remembers(&self, of: &Of) -> bool {
        let host = |remnant: &Remnant| self.hosts.get(&remnant.what.host).cloned().unwrap_or_default();
        self.remnants.iter().any(|r| match of {
            Of::Cluster(at, cluster) => host(r) == *at && r.what.cluster.to_string() == *cluster,
            Of::Vni(at, vni) => host(r) == *at && r.what.vni.get() == *vni,
            Of::Nothing => false,
        })
    }
}

/// What a problem is part of, on which host.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Of {
    Cluster(String, String),
    Vni(String, u32),
    Nothing,
}

/// Something that must not be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    text: String,
    of: Of,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// Nothing, if there are no problems.
///
/// # Errors
/// There are: each is a line.
pub fn none(problems: &[Problem], when: &str) -> anyhow::Result<()> {
    let lines: Vec<_> = problems.iter().map(ToString::to_string).collect();
    ensure!(lines.is_empty(), "{when}:\n    {}", lines.join("\n    "));
    Ok(())
}

/// Goes on if store and hosts agree, and nothing is left or remembered.
///
/// # Panics
/// There are [`problems`].
#[track_caller]
pub fn nothing_wrong(world: &World, rows: &Rows) {
    let lines: Vec<_> = problems(world, rows).iter().map(ToString::to_string).collect();
    assert_eq!(lines, Vec::<String>::new());
}

/// Everything that must not be: a cluster is ready and whole, or there is nothing of it at all, not even a remnant.
#[must_use]
pub fn problems(world: &World, rows: &Rows) -> Vec<Problem> {
    let mut wrong = forgotten(world, rows);
    for remnant in &rows.remnants {
        let what = &remnant.what;
        note(
            &mut wrong,
            Of::Nothing,
            format!("remnant of {} on {}: {}", what.name, rows.hosts[&what.host], what.reason),
        );
    }
    wrong
}

/// The same, without the objects that remnants remember: they may stay until they are cleared.
#[must_use]
pub fn forgotten(world: &World, rows: &Rows) -> Vec<Problem> {
    let mut wrong = Vec::new();
    for violation in world.fleet().violations() {
        note(&mut wrong, Of::Nothing, violation.to_string());
    }
    for cluster in rows.clusters.iter().filter(|c| c.phase != ClusterPhase::Ready) {
        let why = cluster.failure.as_deref().unwrap_or("for no reason told");
        note(&mut wrong, Of::Nothing, format!("cluster {} is {}: {why}", cluster.spec.name, cluster.phase));
    }
    if rows.secrets != rows.clusters.len() {
        note(
            &mut wrong,
            Of::Nothing,
            format!("{} secrets of {} clusters", rows.secrets, rows.clusters.len()),
        );
    }
    let ids: BTreeSet<String> = rows.clusters.iter().map(|c| c.id.to_string()).collect();
    for lease in &rows.leases {
        if lease.strip_prefix("cluster/").is_some_and(|id| !ids.contains(id)) {
            note(&mut wrong, Of::Nothing, format!("a lease on {lease}, which is gone"));
        }
    }
    let known = |cluster: &shoal_types::ClusterId| ids.contains(&cluster.to_string());
    for node in rows.nodes.iter().filter(|n| !known(&n.cluster)) {
        note(&mut wrong, Of::Nothing, format!("node {} of no cluster", node.name));
    }
    let carries = |network: &&Network| rows.attachments.iter().any(|(c, n)| *n == network.id && known(c));
    for network in rows.networks.iter().filter(|n| !carries(n)) {
        note(&mut wrong, Of::Nothing, format!("network {} of no cluster", network.subnet));
    }
    let of_nodes: BTreeSet<_> = rows.nodes.iter().map(|n| (ReservationOwner::Node(n.id), n.host)).collect();
    for held in rows.reserved.iter().filter(|held| !of_nodes.contains(&(held.owner.clone(), held.host))) {
        note(&mut wrong, Of::Nothing, format!("reservation of {} on {}", held.owner, rows.hosts[&held.host]));
    }
    on_hosts(world, rows, &mut wrong);
    wrong.retain(|problem| !rows.remembers(&problem.of));
    wrong
}

fn note(wrong: &mut Vec<Problem>, of: Of, text: String) {
    wrong.push(Problem { text, of });
}

/// Compares what is on the hosts with the rows.
fn on_hosts(world: &World, rows: &Rows, wrong: &mut Vec<Problem>) {
    let placed: BTreeMap<String, (&str, &Node)> =
        rows.nodes.iter().map(|n| (n.id.to_string(), (rows.hosts[&n.host].as_str(), n))).collect();
    let mut members: BTreeMap<&str, BTreeSet<String>> = BTreeMap::new();
    for (host, node) in placed.values() {
        members.entry(host).or_default().insert(node.cluster.to_string());
    }
    let mut running: BTreeMap<String, usize> = BTreeMap::new();
    for engine in world.fleet().all() {
        let (name, truth) = (engine.name().to_owned(), engine.truth());
        let member = |cluster: &str| members.get(name.as_str()).is_some_and(|m| m.contains(cluster));
        let of = |cluster: &str| Of::Cluster(name.clone(), cluster.to_owned());
        for container in &truth.containers {
            let (labels, what, state) = (&container.spec.labels, &container.spec.name, container.state);
            if labels.get("shoal.role").is_some_and(|role| role == "probe") {
                let of = labels.get("shoal.cluster").map_or(Of::Nothing, |cluster| of(cluster));
                note(wrong, of, format!("{name}: probe container {what}"));
            }
            let (Some(node), Some(cluster)) = (labels.get("shoal.node"), labels.get("shoal.cluster")) else {
                continue;
            };
            match placed.get(node) {
                Some((host, row)) if *host == name && state == ContainerState::Running => {
                    *running.entry(node.clone()).or_default() += 1;
                    if labels.get("shoal.generation") != Some(&row.generation.to_string()) {
                        note(wrong, of(cluster), format!("{name}: {what} is of another generation"));
                    }
                }
                Some((host, _)) => {
                    note(
                        wrong,
                        of(cluster),
                        format!("{name}: {what} is {state:?}, its node is placed on {host}"),
                    );
                }
                None => note(wrong, of(cluster), format!("{name}: container {what} ({state:?}) of no node")),
            }
        }
        let networks = truth.networks.iter().map(|n| ("network", &n.name, &n.labels));
        let volumes = truth.volumes.iter().map(|v| ("volume", &v.name, &v.labels));
        for (kind, what, labels) in networks.chain(volumes) {
            if let Some(cluster) = labels.get("shoal.cluster").filter(|c| !member(c)) {
                note(wrong, of(cluster), format!("{name}: {kind} {what} of {cluster}"));
            }
        }
        world.mesh(&name, |mesh| {
            let explained = |network: &String| {
                let on = |(cluster, id): (&ClusterId, &NetworkId)| {
                    id.to_string() == *network && member(&cluster.to_string())
                };
                rows.attachments.iter().any(on)
            };
            for (network, kept) in mesh.kept.iter().filter(|(network, _)| !explained(network)) {
                note(wrong, Of::Vni(name.clone(), kept.vni), format!("{name}: agent keeps {network}"));
            }
            for (device, made) in mesh.devices.iter().filter(|(_, d)| !explained(&d.network)) {
                note(
                    wrong,
                    Of::Vni(name.clone(), made.vni),
                    format!("{name}: device {device} of {}", made.network),
                );
            }
        });
    }
    for (node, (host, row)) in &placed {
        let count = running.get(node).copied().unwrap_or_default();
        if count != 1 {
            let of = Of::Cluster((*host).to_owned(), row.cluster.to_string());
            note(wrong, of, format!("{} on {host} has {count} running containers", row.name));
        }
    }
}
