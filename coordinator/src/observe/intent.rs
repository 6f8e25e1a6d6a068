//! From the store's rows to what the renderer and the agents take.

use std::collections::BTreeMap;

use shoal_proto::v1;
use shoal_slurm::{ClusterView, NodeView, SLURMCTLD_PORT, ViewError};
use shoal_storage::{Cluster, Network, Node};
use shoal_types::{DNS_ZONE, HostId, NodeGroup, NodeName, Role};

use crate::words::{fault::Fault, naming::Naming};

/// A cluster with everything the store says of it.
#[derive(Debug, Clone)]
pub(crate) struct Intent {
    pub(crate) cluster: Cluster,
    pub(crate) network: Network,
    /// In the order they are numbered.
    pub(crate) nodes: Vec<Node>,
    /// Which group of the specification each node is of.
    groups: BTreeMap<NodeName, usize>,
}

impl Intent {
    pub(crate) fn new(cluster: Cluster, network: Network, nodes: Vec<Node>) -> Self {
        let spec = &cluster.spec;
        let at =
            |group: &NodeGroup| spec.groups.iter().position(|g| std::ptr::eq(g, group)).unwrap_or_default();
        let groups = spec.nodes().map(|(name, group)| (name, at(group))).collect();
        Self { cluster, network, nodes, groups }
    }

    /// The group a node is of: its sizes.
    pub(crate) fn group(&self, node: &Node) -> Option<&NodeGroup> {
        self.cluster.spec.groups.get(*self.groups.get(&node.name)?)
    }

    /// The nodes of one host.
    pub(crate) fn on(&self, host: HostId) -> impl Iterator<Item = &Node> {
        self.nodes.iter().filter(move |n| n.host == host)
    }

    /// The cluster as rendering sees it.
    pub(crate) fn view(&self) -> Result<ClusterView, Fault> {
        let spec = &self.cluster.spec;
        let view = |node: &Node| {
            Some(NodeView::new(node.name.clone(), node.address, self.group(node)?, &spec.slurm))
        };
        let view = ClusterView::new(
            spec.realm.clone(),
            spec.name.clone(),
            self.network.subnet,
            self.network.gateway,
            self.nodes.iter().filter_map(view).collect(),
            spec.slurm.clone(),
        );
        let view = view.map(|view| view.with_ssh_keys(spec.ssh_keys.clone()));
        view.map_err(|source: ViewError| Fault::View { cluster: spec.name.clone(), source })
    }

    /// The controller.
    pub(crate) fn controller(&self) -> Option<&Node> {
        self.nodes.iter().find(|n| n.role == Role::Controller)
    }

    /// The part of the network that `host` has, as its agent is told.
    pub(crate) fn network_state(
        &self,
        naming: &Naming,
        host: HostId,
        underlays: &BTreeMap<HostId, std::net::Ipv4Addr>,
    ) -> v1::NetworkState {
        let (spec, network) = (&self.cluster.spec, &self.network);
        let address = |id: HostId| underlays.get(&id).map(ToString::to_string).unwrap_or_default();
        let member = |node: &Node| v1::Member {
            name: node.name.to_string(),
            address: node.address.to_string(),
            mac: node.mac.to_string(),
            remote: if node.host == host { String::new() } else { address(node.host) },
            container: match node.host == host {
                true => naming.container(&node.name, &spec.name, &spec.realm),
                false => String::new(),
            },
        };
        let controller = self.controller().map(|c| v1::Service {
            name: "_slurmctld._tcp".into(),
            target: c.name.to_string(),
            port: SLURMCTLD_PORT.into(),
        });
        v1::NetworkState {
            installation: naming.installation().to_string(),
            network: network.id.to_string(),
            revision: network.revision.0,
            vni: network.vni.get(),
            bridge: naming.bridge(network.vni),
            device: naming.device(network.vni),
            local: address(host),
            udp_port: network.udp_port.into(),
            mtu: network.mtu.into(),
            subnet: network.subnet.to_string(),
            gateway: network.gateway.to_string(),
            members: self.nodes.iter().map(member).collect(),
            domain: format!("{}.{}.{DNS_ZONE}", spec.name, spec.realm),
            services: controller.into_iter().collect(),
        }
    }
}
