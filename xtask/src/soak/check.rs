//! What must hold after every step: the store against what should be, the hosts against the store. Pure.
//!
//! ```text
//! model --clusters, phases--> store --rows explain everything--> containers, networks, volumes, devices, entries
//! ```

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Debug,
    net::Ipv4Addr,
};

use shoal_types::{ClusterPhase, Timestamp};

use super::{
    look::{Container, HostSeen, Thing},
    model::{Model, Should},
    rows::{ClusterRow, NodeRow, Rows},
};

/// All that was looked at.
#[derive(Debug, Clone, Default)]
pub(super) struct Seen {
    /// The store.
    pub(super) rows: Rows,
    /// Hosts that are as they should be.
    pub(super) hosts: BTreeMap<String, HostSeen>,
    /// Where tunnels to each host lead, also to one that is away.
    pub(super) addresses: BTreeMap<String, Ipv4Addr>,
    /// `shoal` processes of this state directory.
    pub(super) processes: Vec<String>,
    /// What was left on a host that is back, and is remembered since before this, should have been removed by now; `None`
    /// if nobody could.
    pub(super) cleared: Option<Timestamp>,
    /// What `shoal get hosts` says: nodes and memory reserved; `None` if it was not asked.
    pub(super) told: Option<BTreeMap<String, (u64, u64)>>,
}

/// Everything that does not hold, each as one line.
pub(super) fn violations(seen: &Seen, model: &Model, away: Option<&str>) -> Vec<String> {
    let mut check = Check { seen, model, away, found: Vec::new() };
    check.clusters();
    check.leases();
    check.reservations();
    check.addresses();
    for (name, host) in &seen.hosts {
        check.containers(name, host);
        check.things(name, "network", &host.networks);
        check.things(name, "volume", &host.volumes);
        check.mesh(name, host);
        if host.sessions > 0 {
            check.add(format!("{name}: {} sessions with the agent are open", host.sessions));
        }
    }
    check.found.extend(seen.processes.iter().map(|process| format!("a shoal process is left: {process}")));
    check.found
}

struct Check<'a> {
    seen: &'a Seen,
    model: &'a Model,
    away: Option<&'a str>,
    found: Vec<String>,
}

impl<'a> Check<'a> {
    fn add(&mut self, what: String) {
        self.found.push(what);
    }

    /// The clusters of the store are those that should be there, in the phases they should be in.
    fn clusters(&mut self) {
        let rows: &'a Rows = &self.seen.rows;
        for (id, row) in &rows.clusters {
            let name = &row.name;
            let waits = self.away.is_some_and(|away| rows.is_member(away, name));
            match (self.model.clusters.get(name).map(|cluster| cluster.should), row.phase) {
                (Some(Should::Ready), ClusterPhase::Ready) | (Some(Should::Failed), ClusterPhase::Failed) => {
                }
                (Some(Should::Open), ClusterPhase::Creating | ClusterPhase::Deleting) if waits => {}
                (Some(should), phase) => {
                    self.add(format!("store: {name} is {phase}, and should be {should:?}"))
                }
                (None, phase) => self.add(format!("store: {name} ({id}) is {phase}, and should be gone")),
            }
        }
        for (name, cluster) in &self.model.clusters {
            if rows.cluster(name).is_none() {
                self.add(format!("store: {name} is gone, and should be {:?}", cluster.should));
            }
        }
        for left in &rows.remnants {
            if self.seen.cleared.is_some_and(|before| left.since < before) && self.away != Some(&left.host) {
                let (host, reason) = (&left.host, &left.reason);
                self.add(format!("store: something is still remembered as left on {host}: {reason}"));
            }
        }
    }

    /// No lease on what is gone, and none that a living process holds, since none should live. One that a dead process
    /// holds on a cluster is taken over at once.
    fn leases(&mut self) {
        let rows: &'a Rows = &self.seen.rows;
        for lease in &rows.leases {
            let cluster = lease.resource.strip_prefix("cluster/");
            if cluster.is_some_and(|id| !rows.clusters.contains_key(id)) {
                self.add(format!("store: a lease runs on {}, which is gone", lease.resource));
            }
            if lease.lives {
                self.add(format!("store: process {} lives and holds {}", lease.pid, lease.resource));
            }
        }
    }

    /// What hosts are said to have reserved is the sum over the rows.
    fn reservations(&mut self) {
        let Some(told) = &self.seen.told else { return };
        for (host, &(nodes, memory)) in told {
            let rows = self.seen.rows.nodes.iter().filter(|node| node.host == *host);
            let sum = rows.fold((0, 0), |(n, bytes), node| (n + 1, bytes + node.memory_bytes));
            if sum != (nodes, memory) {
                let said = format!("{nodes} nodes with {memory} bytes");
                self.add(format!("{host}: get hosts says {said}, the rows are {} with {}", sum.0, sum.1));
            }
        }
    }

    /// No two running containers of a network share an address or a MAC, over all hosts.
    fn addresses(&mut self) {
        let mut holders: BTreeMap<(String, String), Vec<String>> = BTreeMap::new();
        for (host, seen) in &self.seen.hosts {
            for container in seen.containers.iter().filter(|c| c.running && !c.is_agent()) {
                let cluster = container.label("shoal.cluster");
                for (address, mac) in &container.addresses {
                    for what in [address.to_string(), mac.clone()] {
                        let holder = format!("{} on {host}", container.name);
                        holders.entry((cluster.to_owned(), what)).or_default().push(holder);
                    }
                }
            }
        }
        for ((_, what), holders) in holders.into_iter().filter(|(_, holders)| holders.len() > 1) {
            self.add(format!("{what} is held by {}", holders.join(" and by ")));
        }
    }

    /// Every container is a row's or the agent; every row of a ready cluster has its container, running.
    fn containers(&mut self, host: &str, seen: &HostSeen) {
        let rows: &'a Rows = &self.seen.rows;
        let agents: Vec<&Container> = seen.containers.iter().filter(|c| c.is_agent()).collect();
        let nodes = || rows.nodes.iter().filter(|node| node.host == host);
        if agents.len() > 1
            || agents.iter().any(|agent| !agent.running)
            || (agents.is_empty() && nodes().next().is_some())
        {
            let agents: Vec<String> = agents.iter().map(|a| format!("{} ({})", a.name, a.state)).collect();
            self.add(format!("{host}: its agents are {agents:?}"));
        }
        for container in seen.containers.iter().filter(|c| !c.is_agent()) {
            let row = nodes().find(|node| {
                node.id == container.label("shoal.node")
                    && node.generation == container.label("shoal.generation")
                    && node.cluster == container.label("shoal.cluster")
            });
            if row.is_none() && !rows.remembers(host, container.label("shoal.cluster")) {
                let (name, state) = (&container.name, &container.state);
                self.add(format!("{host}: container {name} ({state}) is explained by no row"));
            }
        }
        for node in nodes() {
            let Some(cluster) = rows.clusters.get(&node.cluster) else { continue };
            let Some(expected) = self.model.clusters.get(&cluster.name) else { continue };
            if cluster.phase != ClusterPhase::Ready || expected.wounded {
                continue;
            }
            let its = |c: &&Container| {
                c.label("shoal.node") == node.id && c.label("shoal.generation") == node.generation
            };
            let wrong = match seen.containers.iter().filter(its).collect::<Vec<_>>()[..] {
                [one] if one.running && one.addresses == [(node.address, node.mac.clone())] => continue,
                [one] if one.running => format!("has {:?}, not {} {}", one.addresses, node.address, node.mac),
                [one] => format!("is {}", one.state),
                [] => "has no container".to_owned(),
                [..] => "has more than one container".to_owned(),
            };
            self.add(format!("{host}: {} of {}, which is ready, {wrong}", node.name, cluster.name));
        }
    }

    /// Networks and volumes belong to clusters that have nodes on this host; a ready one has its network, once.
    fn things(&mut self, host: &str, kind: &str, things: &[Thing]) {
        let of_agent = |thing: &Thing| thing.labels.get("shoal.role").is_some_and(|role| role == "agent");
        let mut count: BTreeMap<&str, usize> = BTreeMap::new();
        for thing in things.iter().filter(|thing| !of_agent(thing)) {
            let cluster = thing.labels.get("shoal.cluster").map_or("", String::as_str);
            match self.seen.rows.explains(host, cluster) {
                true => *count.entry(cluster).or_default() += 1,
                false => self.add(format!("{host}: {kind} {} is explained by no row", thing.name)),
            }
        }
        if kind != "network" {
            return;
        }
        for (id, cluster) in self.members(host) {
            let have = count.get(id.as_str()).copied().unwrap_or_default();
            if have > 1 || (have == 0 && cluster.phase == ClusterPhase::Ready) {
                self.add(format!("{host}: {} has {have} networks", cluster.name));
            }
        }
    }

    /// Bridges, devices and entries are those of the clusters with nodes here, each entry for a node elsewhere.
    fn mesh(&mut self, host: &str, seen: &HostSeen) {
        let rows: &'a Rows = &self.seen.rows;
        let name = |prefix: &str, vni: u32| format!("{prefix}{}{vni:06x}", rows.installation);
        let left = rows.remnants.iter().filter(|left| left.host == host);
        let mut explained: BTreeSet<String> =
            left.flat_map(|left| [name("sb", left.vni), name("sv", left.vni)]).collect();
        for (id, cluster) in self.members(host) {
            let Some(vni) = cluster.vni else { continue };
            let (bridge, device) = (name("sb", vni), name("sv", vni));
            let ready = cluster.phase == ClusterPhase::Ready;
            if ready && !seen.devices.contains_key(&bridge) {
                self.add(format!("{host}: {} has no bridge {bridge}", cluster.name));
            }
            let port_of = seen.devices.get(&device).cloned().flatten();
            if ready && port_of.as_deref() != Some(bridge.as_str()) {
                let there = if seen.devices.contains_key(&device) {
                    "is no port of its bridge"
                } else {
                    "is missing"
                };
                self.add(format!("{host}: device {device} of {} {there}", cluster.name));
            }
            let others: Vec<&NodeRow> = rows.nodes_of(id).filter(|node| node.host != host).collect();
            let tunnels = others.iter().filter_map(|node| {
                Some((device.clone(), node.mac.clone(), *self.seen.addresses.get(&node.host)?))
            });
            let sticky = others.iter().map(|node| (device.clone(), node.mac.clone()));
            let neighbours = others.iter().map(|node| (bridge.clone(), node.address, node.mac.clone()));
            let what = |entries: &str| format!("{host}: {entries} of {}", cluster.name);
            self.same(&what("tunnel entries"), tunnels, seen.tunnels.iter().filter(|e| e.0 == device), ready);
            self.same(&what("bridge entries"), sticky, seen.sticky.iter().filter(|e| e.0 == device), ready);
            self.same(
                &what("neighbours"),
                neighbours,
                seen.neighbours.iter().filter(|e| e.0 == bridge),
                ready,
            );
            explained.extend([bridge, device]);
        }
        for device in seen.devices.keys().filter(|device| !explained.contains(*device)) {
            self.add(format!("{host}: device {device} is explained by no row"));
        }
    }

    /// Compares entries; those that are missing count only if all must be there.
    fn same<'e, T: Ord + Debug + 'e>(
        &mut self,
        what: &str,
        wanted: impl Iterator<Item = T>,
        found: impl Iterator<Item = &'e T>,
        all: bool,
    ) {
        let (wanted, found): (BTreeSet<T>, BTreeSet<&T>) = (wanted.collect(), found.collect());
        let missing: Vec<&T> = wanted.iter().filter(|entry| all && !found.contains(entry)).collect();
        let extra: Vec<&&T> = found.iter().filter(|entry| !wanted.contains(**entry)).collect();
        if !missing.is_empty() || !extra.is_empty() {
            self.add(format!("{what}: missing {missing:?}, too many {extra:?}"));
        }
    }

    /// The clusters that have nodes on a host.
    fn members(&self, host: &str) -> Vec<(&'a String, &'a ClusterRow)> {
        let rows: &'a Rows = &self.seen.rows;
        let member = |id: &str| rows.nodes_of(id).any(|node| node.host == host);
        rows.clusters.iter().filter(|(id, _)| member(id)).collect()
    }
}

#[cfg(test)]
mod tests;
