//! Placing: what the scheduler is told of hosts and nodes, who is asked, and what is kept of it.
//!
//! ```text
//! store: usage, crowds, who wants to be apart --+
//! hosts as surveyed, image --------------------+--> Snapshot, Request --decide--> PlacementDecision (or why not)
//! specification: groups, rules, seed ----------+        |                            |
//!                                                  a strategy, or            record.rs: kept, explained later (answer.rs)
//!                                                  a program (program.rs)
//! ```

pub(crate) mod answer;
mod decide;
mod program;
mod record;

use std::collections::{BTreeMap, BTreeSet};

use shoal_scheduler::{HostView, NodeRequest, Request, Snapshot};
use shoal_slurm::needs;
use shoal_storage::{Host, Mode, Node, Session, StoreError, Usage};
use shoal_types::{
    Capacity, CgroupWay, ClusterId, ClusterSpec, HostId, HostName, PrivilegedNodes, Profile, Resources, Role,
    nodeset,
};

use crate::{
    edit::network::room,
    observe::{capacity::total, image::ImageOfCluster, survey::HostObservation},
    words::fault::{Fault, PlacementFault},
};

pub(crate) use self::{
    decide::{PlacementDecision, decide},
    record::{Explanation, Record},
};

/// What nodes already take of the hosts.
#[derive(Debug, Default)]
pub(crate) struct CapacityInUse {
    usage: BTreeMap<HostId, Usage>,
    /// Host -> nodes of other clusters, by role.
    others: BTreeMap<HostId, BTreeMap<Role, u32>>,
    /// Host -> roles that other clusters want to themselves there.
    claimed: BTreeMap<HostId, BTreeSet<Role>>,
    /// Host -> nodes of the cluster itself that stay.
    own: BTreeMap<HostId, u32>,
}

impl CapacityInUse {
    /// Reads it for a cluster, which has an id if it is there already; `leaving` are hosts whose nodes of it are placed anew.
    pub(crate) async fn read<M: Mode>(
        read: &mut Session<M>,
        spec: &ClusterSpec,
        cluster: Option<ClusterId>,
        leaving: &BTreeSet<HostId>,
    ) -> Result<Self, StoreError> {
        let mut taken = Self { usage: read.hosts().usage().await?, ..Self::default() };
        let apart: BTreeMap<_, _> = read.clusters().apart().await?.into_iter().collect();
        let rules = &spec.placing;
        if rules.apart.is_empty() && rules.prefer_apart.is_empty() && apart.is_empty() && cluster.is_none() {
            return Ok(taken);
        }
        for crowd in read.nodes().crowds().await? {
            if Some(crowd.cluster) == cluster {
                if !leaving.contains(&crowd.host) {
                    *taken.own.entry(crowd.host).or_default() += crowd.nodes;
                }
                continue;
            }
            *taken.others.entry(crowd.host).or_default().entry(crowd.role).or_default() += crowd.nodes;
            if apart.get(&crowd.cluster).is_some_and(|roles| roles.contains(&crowd.role)) {
                taken.claimed.entry(crowd.host).or_default().insert(crowd.role);
            }
        }
        Ok(taken)
    }
}

impl CapacityInUse {
    /// What nodes reserve, and nothing else.
    pub(crate) fn of(usage: BTreeMap<HostId, Usage>) -> Self {
        Self { usage, ..Self::default() }
    }

    /// What nodes that are to move reserve goes with them. Rules on the nodes of other clusters are asked anew when they move.
    pub(crate) fn shift(&mut self, from: HostId, to: HostId, reserve: Resources) {
        let used = self.usage.entry(from).or_default();
        used.reserved.cpu.0 = used.reserved.cpu.0.saturating_sub(reserve.cpu.0);
        used.reserved.memory.0 = used.reserved.memory.0.saturating_sub(reserve.memory.0);
        used.nodes = used.nodes.saturating_sub(1);
        let used = self.usage.entry(to).or_default();
        used.reserved.cpu.0 = used.reserved.cpu.0.saturating_add(reserve.cpu.0);
        used.reserved.memory.0 = used.reserved.memory.0.saturating_add(reserve.memory.0);
        used.nodes = used.nodes.saturating_add(1);
    }
}

/// The hosts as the scheduler sees them.
pub(crate) fn snapshot(seen: &[HostObservation], taken: &CapacityInUse, image: &ImageOfCluster) -> Snapshot {
    let view = |HostObservation { host, .. }: &HostObservation| {
        let used = taken.usage.get(&host.id);
        HostView {
            id: host.id,
            name: host.name.clone(),
            state: host.health.state,
            scheduling: host.settings.scheduling,
            privilege_denied: host.makes_nodes_root()
                && host.settings.privileged_nodes == PrivilegedNodes::Deny,
            labels: host.settings.labels.clone(),
            total: total(host),
            overcommit: host.settings.overcommit,
            keep_back: host.settings.reserve,
            reserved: used.map_or(Capacity::default(), |u| Capacity {
                cpu: u.reserved.cpu,
                memory: u.reserved.memory,
                node_slots: u.nodes,
            }),
            cluster_nodes: taken.own.get(&host.id).copied().unwrap_or(0),
            others: taken.others.get(&host.id).cloned().unwrap_or_default(),
            claimed: taken.claimed.get(&host.id).cloned().unwrap_or_default(),
            architecture: host.engine.architecture.clone(),
            profiles: vec![Profile::System],
            mtu: room(host),
            image: image.on(host.id),
        }
    };
    Snapshot { hosts: seen.iter().map(view).collect() }
}

/// What a cluster's owner is told if nodes on some of its hosts are root there: on which hosts, and how far it reaches.
pub(crate) fn root_warning<'h>(members: impl IntoIterator<Item = &'h Host>) -> Option<String> {
    let names: Vec<&str> =
        members.into_iter().filter(|host| host.makes_nodes_root()).map(|host| host.name.as_str()).collect();
    let hosts = nodeset::compress(names.iter().copied());
    if names.is_empty() { None } else { CgroupWay::SysAdmin.reach(&hosts) }
}

/// Hosts on which nodes cannot do what a line for Slurm needs, each with line and reason.
pub(crate) fn unable(spec: &ClusterSpec, seen: &[HostObservation]) -> BTreeMap<HostId, String> {
    let mut unable = BTreeMap::new();
    for need in needs(&spec.slurm) {
        for host in seen.iter().map(|seen| &seen.host) {
            if let Some(why) = need.ability.missing(&host.engine) {
                unable.entry(host.id).or_insert_with(|| format!("{need}: {why}"));
            }
        }
    }
    unable
}

/// Whether some host can do what each line for Slurm needs.
///
/// # Errors
/// [`PlacementFault::Unable`]: none can.
pub(crate) fn check_needs(spec: &ClusterSpec, seen: &[HostObservation]) -> Result<(), Fault> {
    'needs: for need in needs(&spec.slurm) {
        let mut reasons: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        for host in seen.iter().map(|seen| &seen.host) {
            match need.ability.missing(&host.engine) {
                Some(why) => reasons.entry(why).or_default().push(host.name.as_str()),
                None => continue 'needs,
            }
        }
        if !reasons.is_empty() {
            let each = reasons.into_iter().map(|(why, hosts)| format!("{}: {why}", nodeset::compress(hosts)));
            let hosts = each.collect::<Vec<_>>().join("; ");
            return Err(PlacementFault::Unable { line: need.to_string(), hosts }.into());
        }
    }
    Ok(())
}

/// The nodes of a specification, as they are to be placed when the cluster is admitted.
pub(crate) fn wished(spec: &ClusterSpec) -> impl Iterator<Item = NodeRequest> {
    spec.nodes().map(|(name, group)| NodeRequest {
        name,
        role: group.role,
        reserve: group.reserve,
        constraints: group.constraints.clone(),
        pin: None,
    })
}

/// A node that is there, as it is to be placed anew.
pub(crate) fn of_row(node: &Node) -> NodeRequest {
    NodeRequest {
        name: node.name.clone(),
        role: node.role,
        reserve: node.size.reserve,
        constraints: node.constraints.clone(),
        pin: None,
    }
}

/// What is asked for `nodes` of a cluster, each on its pin if it has one.
pub(crate) fn request(
    spec: &ClusterSpec,
    nodes: impl Iterator<Item = NodeRequest>,
    architecture: &str,
    exclude: BTreeMap<HostId, String>,
    seed: u64,
) -> Request {
    let pins = spec.placing.pinned();
    let pinned = |node: NodeRequest| {
        let pin = pins.get(&node.name).map(|host| (*host).clone());
        NodeRequest { pin, ..node }
    };
    Request {
        nodes: nodes.map(pinned).collect(),
        constraints: spec.constraints.clone(),
        image: spec.image.clone(),
        architecture: Some(architecture.to_owned()).filter(|known| !known.is_empty()),
        profile: spec.profile,
        mtu: spec.mtu,
        exclude,
        rules: (&spec.placing).into(),
        seed,
    }
}

/// Every host a node is pinned to is registered.
pub(crate) fn check_pins(spec: &ClusterSpec, seen: &[HostObservation]) -> Result<(), Fault> {
    let known: BTreeSet<&HostName> = seen.iter().map(|s| &s.host.name).collect();
    let unknown: BTreeSet<_> =
        spec.placing.pins.iter().map(|pin| &pin.host).filter(|host| !known.contains(host)).collect();
    match unknown.is_empty() {
        true => Ok(()),
        false => {
            let hosts = unknown.into_iter().map(HostName::as_str).collect::<Vec<_>>().join(", ");
            Err(Fault::Placement(PlacementFault::PinnedNowhere { hosts }))
        }
    }
}
