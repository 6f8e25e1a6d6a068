//! What rendering needs to know of a cluster: its names, its network and its nodes, in one order.

use std::{collections::BTreeSet, net::Ipv4Addr};

use ipnet::Ipv4Net;
use shoal_types::{
    Bytes, ClusterName, DNS_ZONE, NodeName, NodeSize, NodeSlurm, Profile, RealmName, Role, SlurmSpec,
    SshPublicKey, node_fqdn,
    nodeset::{NaturalKey, natural_key},
};

use crate::{Layout, RoleSpec};

/// TCP port of slurmctld (slurm.conf(5), SlurmctldPort).
pub const SLURMCTLD_PORT: u16 = 6817;
/// TCP port of slurmd (slurm.conf(5), SlurmdPort).
pub const SLURMD_PORT: u16 = 6818;
/// TCP port of slurmrestd: Slurm's documentation has no other.
pub const SLURMRESTD_PORT: u16 = 6820;
/// TCP port of sshd.
pub const SSH_PORT: u16 = 22;

/// A node as rendering sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeView {
    /// Hostname and Slurm NodeName.
    pub name: NodeName,
    /// What it does.
    pub role: Role,
    /// Its address, the same wherever it runs.
    pub address: Ipv4Addr,
    /// CPUs it tells Slurm it has, at least 1.
    pub cpus: u32,
    /// Memory it tells Slurm it has.
    pub memory: Bytes,
    /// What else Slurm is told of it; the sizes there count for nothing.
    pub slurm: NodeSlurm,
}

impl NodeView {
    /// A node of this role and size.
    #[must_use]
    pub fn new(name: NodeName, role: Role, address: Ipv4Addr, size: &NodeSize) -> Self {
        let slurm = NodeSlurm::default();
        Self { name, role, address, cpus: size.slurm_cpus, memory: size.slurm_memory, slurm }
    }

    /// The same, of which Slurm is told this besides.
    #[must_use]
    pub fn with_slurm(self, slurm: &NodeSlurm) -> Self {
        Self { slurm: slurm.clone(), ..self }
    }
}

/// A cluster that rendering cannot make sense of: a corrupt store, not a user's mistake.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ViewError {
    /// Not exactly one controller.
    #[error("cluster {cluster} has {count} controllers instead of one")]
    Controllers {
        /// The cluster.
        cluster: ClusterName,
        /// How many there are.
        count: usize,
    },
    /// A node's address is not one of the cluster's subnet, or is its gateway's.
    #[error("node {node} of cluster {cluster} has address {address}, which is no node's address in {subnet}")]
    Address {
        /// The cluster.
        cluster: ClusterName,
        /// The node.
        node: NodeName,
        /// Its address.
        address: Ipv4Addr,
        /// The subnet of the cluster.
        subnet: Ipv4Net,
    },
    /// Slurm takes no node without CPUs or memory.
    #[error("node {node} of cluster {cluster} has no size to tell Slurm")]
    Size {
        /// The cluster.
        cluster: ClusterName,
        /// The node.
        node: NodeName,
    },
    /// Two nodes share a name or an address.
    #[error("node {node} of cluster {cluster} shares its name or address with another")]
    Duplicate {
        /// The cluster.
        cluster: ClusterName,
        /// The later of the two.
        node: NodeName,
    },
}

/// A cluster as rendering sees it: exactly one controller, unique names and addresses inside the subnet, nodes in the order
/// controller, submitter, api, workers by number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClusterView {
    realm: RealmName,
    name: ClusterName,
    subnet: Ipv4Net,
    gateway: Ipv4Addr,
    nodes: Vec<NodeView>,
    slurm: SlurmSpec,
    ssh_keys: Vec<SshPublicKey>,
    profile: Profile,
}

impl ClusterView {
    /// Checks and sorts the nodes.
    ///
    /// # Errors
    /// [`ViewError`]: the first thing found that cannot be.
    pub fn new(
        realm: RealmName,
        name: ClusterName,
        subnet: Ipv4Net,
        gateway: Ipv4Addr,
        mut nodes: Vec<NodeView>,
        slurm: SlurmSpec,
    ) -> Result<Self, ViewError> {
        nodes.sort_by(|a, b| order(a).cmp(&order(b)));
        let count = nodes.iter().filter(|n| n.role == Role::Controller).count();
        if count != 1 {
            return Err(ViewError::Controllers { cluster: name, count });
        }
        let (mut names, mut addresses) = (BTreeSet::new(), BTreeSet::new());
        for NodeView { name: node, address, cpus, memory, .. } in &nodes {
            if *cpus == 0 || *memory == Bytes(0) {
                return Err(ViewError::Size { cluster: name, node: node.clone() });
            }
            let reserved = [subnet.network(), subnet.broadcast(), gateway];
            if !subnet.contains(address) || reserved.contains(address) {
                let (node, address) = (node.clone(), *address);
                return Err(ViewError::Address { cluster: name, node, address, subnet });
            }
            if !names.insert(node) || !addresses.insert(address) {
                return Err(ViewError::Duplicate { cluster: name, node: node.clone() });
            }
        }
        Ok(Self {
            realm,
            name,
            subnet,
            gateway,
            nodes,
            slurm,
            ssh_keys: Vec::new(),
            profile: Profile::default(),
        })
    }

    /// The same, with keys of users that open root's account on every node.
    #[must_use]
    pub fn with_ssh_keys(self, ssh_keys: Vec<SshPublicKey>) -> Self {
        Self { ssh_keys, ..self }
    }

    /// The same, of nodes of this profile.
    #[must_use]
    pub fn with_profile(self, profile: Profile) -> Self {
        Self { profile, ..self }
    }

    /// What runs as PID 1 of its nodes.
    #[must_use]
    pub fn profile(&self) -> Profile {
        self.profile
    }

    /// Keys of users that open root's account on every node, besides the cluster's own.
    #[must_use]
    pub fn ssh_keys(&self) -> &[SshPublicKey] {
        &self.ssh_keys
    }

    /// The realm it belongs to.
    #[must_use]
    pub fn realm(&self) -> &RealmName {
        &self.realm
    }

    /// Its name; also Slurm's ClusterName.
    #[must_use]
    pub fn name(&self) -> &ClusterName {
        &self.name
    }

    /// The subnet of its network.
    #[must_use]
    pub fn subnet(&self) -> Ipv4Net {
        self.subnet
    }

    /// The gateway of its network: on every host the agent, which answers DNS there.
    #[must_use]
    pub fn gateway(&self) -> Ipv4Addr {
        self.gateway
    }

    /// All nodes: controller, submitter, api, workers by number.
    #[must_use]
    pub fn nodes(&self) -> &[NodeView] {
        &self.nodes
    }

    /// The controller.
    #[must_use]
    pub fn controller(&self) -> &NodeView {
        &self.nodes[0] // `new` saw exactly one, and `Role::Controller` sorts first.
    }

    /// Whether a node's role asks for tokens.
    #[must_use]
    pub(crate) fn has_tokens(&self) -> bool {
        self.nodes.iter().any(|node| RoleSpec::of(node.role, self.profile).tokens)
    }

    /// Where its Slurm listens and keeps things.
    #[must_use]
    pub fn layout(&self) -> Layout {
        Layout::of(&self.slurm)
    }

    /// What Slurm is told besides.
    #[must_use]
    pub fn slurm(&self) -> &SlurmSpec {
        &self.slurm
    }

    /// The node with this name.
    #[must_use]
    pub fn node(&self, name: &NodeName) -> Option<&NodeView> {
        self.nodes.iter().find(|n| n.name == *name)
    }

    /// Every name a node is known by, shortest first, then its address: `worker-0`, `worker-0.dev`,
    /// `worker-0.dev.default.shoal.internal`, `10.96.4.4`.
    #[must_use]
    pub fn names_of(&self, node: &NodeView) -> [String; 4] {
        [
            node.name.to_string(),
            format!("{}.{}", node.name, self.name),
            node_fqdn(&node.name, &self.name, &self.realm),
            node.address.to_string(),
        ]
    }

    /// Where names without a zone are looked for, nearest first: the cluster's zone, then the realm's.
    #[must_use]
    pub fn search_domains(&self) -> [String; 2] {
        let realm = format!("{}.{DNS_ZONE}", self.realm);
        [format!("{}.{realm}", self.name), realm]
    }
}

fn order(node: &NodeView) -> (Role, NaturalKey<'_>) {
    (node.role, natural_key(node.name.as_str()))
}

#[cfg(test)]
pub(crate) mod tests {
    use shoal_types::NodeGroup;

    use super::*;

    /// A controller, a submitter and `workers` workers in `10.96.0.0/19`, numbered as admission does.
    pub(crate) fn view(workers: u32) -> ClusterView {
        sized(workers, SlurmSpec::default())
    }

    /// The same with an API; the workers keep their addresses.
    pub(crate) fn with_api(workers: u32) -> ClusterView {
        let view = view(workers);
        let mut nodes = view.nodes.clone();
        let address = Ipv4Addr::new(10, 96, 31, 250);
        nodes.push(NodeView { name: "api".parse().unwrap(), role: Role::Api, address, ..nodes[1].clone() });
        ClusterView::new(view.realm, view.name, view.subnet, view.gateway, nodes, view.slurm).unwrap()
    }

    pub(crate) fn sized(workers: u32, slurm: SlurmSpec) -> ClusterView {
        let names = ["controller".to_owned(), "submitter".to_owned()].into_iter();
        let nodes =
            names.chain((0..workers).map(|n| format!("worker-{n}"))).zip(2_u32..).map(|(name, host)| {
                let role = name.parse().unwrap_or(Role::Worker);
                let group = NodeGroup::new(role, 1, None, None);
                let address = Ipv4Addr::from_bits(Ipv4Addr::new(10, 96, 0, 0).to_bits() + host);
                NodeView::new(name.parse().unwrap(), role, address, &group.size(&slurm))
            });
        let (subnet, gateway) = ("10.96.0.0/19".parse().unwrap(), Ipv4Addr::new(10, 96, 0, 1));
        let mut nodes: Vec<_> = nodes.collect();
        nodes.reverse(); // the order given must not matter
        ClusterView::new(RealmName::default(), "dev".parse().unwrap(), subnet, gateway, nodes, slurm.clone())
            .unwrap()
    }

    #[test]
    fn nodes_are_in_natural_order() {
        let names: Vec<_> = view(12).nodes().iter().map(|n| n.name.to_string()).collect();
        assert_eq!(names[..3], ["controller", "submitter", "worker-0"]);
        assert_eq!(names[12..], ["worker-10", "worker-11"]);
    }

    #[test]
    fn refuses_what_cannot_be() {
        let good = view(2);
        let with = |change: &dyn Fn(&mut Vec<NodeView>)| {
            let mut nodes = good.nodes.clone();
            change(&mut nodes);
            let (realm, name, slurm) = (good.realm.clone(), good.name.clone(), good.slurm.clone());
            ClusterView::new(realm, name, good.subnet, good.gateway, nodes, slurm)
        };
        assert_eq!(with(&|_| ()), Ok(good.clone()));
        for (role, at, controllers) in [(Role::Worker, 0, 0), (Role::Controller, 2, 2)] {
            let error = with(&|nodes| nodes[at].role = role).unwrap_err();
            assert!(matches!(error, ViewError::Controllers { count, .. } if count == controllers));
        }
        for address in ["10.97.0.1", "10.96.0.0", "10.96.0.1", "10.96.31.255"] {
            let error = with(&|nodes| nodes[3].address = address.parse().unwrap()).unwrap_err();
            assert!(matches!(error, ViewError::Address { .. }), "{address}");
        }
        for change in
            [&(|nodes: &mut Vec<NodeView>| nodes[3].cpus = 0) as &dyn Fn(&mut Vec<NodeView>), &|nodes| {
                nodes[3].memory = Bytes(0)
            }]
        {
            assert!(matches!(with(change), Err(ViewError::Size { .. })));
        }
        let duplicate = |change| matches!(with(change), Err(ViewError::Duplicate { .. }));
        assert!(duplicate(&|nodes| nodes[3].address = nodes[2].address));
        assert!(duplicate(&|nodes| nodes[3].name = nodes[2].name.clone()));
    }

    #[test]
    fn names_and_search_domains() {
        let view = view(1);
        let names = view.names_of(&view.nodes()[2]);
        assert_eq!(names, ["worker-0", "worker-0.dev", "worker-0.dev.default.shoal.internal", "10.96.0.4"]);
        assert_eq!(view.search_domains(), ["dev.default.shoal.internal", "default.shoal.internal"]);
    }
}
