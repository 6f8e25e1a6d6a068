//! One host's part of a network, as a coordinator told it: the message once it is checked.
//!
//! Everything the agent does follows from this type. It is made at the edge from [`v1::NetworkState`], kept on disk as
//! JSON so that it outlives the agent, and never changed: a new revision is a new value.

mod message;
mod text;

use std::{net::Ipv4Addr, num::NonZeroU16};

use ipnet::Ipv4Net;
use serde::{Deserialize, Serialize};
use shoal_types::{InstallationId, MacAddr, NetworkId, NodeName, Revision, Vni, digest_of_addresses};

pub(crate) use message::{parse, port};
pub(crate) use text::{Domain, LinkName, ServiceName, carries};

/// A host's part of a network.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Network {
    pub(crate) installation: InstallationId,
    pub(crate) id: NetworkId,
    pub(crate) revision: Revision,
    pub(crate) vni: Vni,
    /// Docker's bridge.
    pub(crate) bridge: LinkName,
    /// The VXLAN device, a port of the bridge.
    pub(crate) device: LinkName,
    /// Underlay address of this host.
    pub(crate) local: Ipv4Addr,
    pub(crate) udp_port: NonZeroU16,
    /// MTU of nodes.
    pub(crate) mtu: u32,
    pub(crate) subnet: Ipv4Net,
    pub(crate) gateway: Ipv4Addr,
    /// Every node of the network; names, addresses and MACs are unique.
    pub(crate) members: Vec<Member>,
    pub(crate) domain: Domain,
    pub(crate) services: Vec<Service>,
}

/// A node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Member {
    pub(crate) name: NodeName,
    pub(crate) address: Ipv4Addr,
    pub(crate) mac: MacAddr,
    pub(crate) place: Place,
}

/// Where a node is, seen from this host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Place {
    /// On this host, in the container of this name.
    Local(String),
    /// On the host with this underlay address.
    Remote(Ipv4Addr),
}

/// An SRV record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Service {
    pub(crate) name: ServiceName,
    pub(crate) target: NodeName,
    pub(crate) port: NonZeroU16,
}

impl Network {
    /// The nodes of this host.
    pub(crate) fn local_addresses(&self) -> impl Iterator<Item = Ipv4Addr> {
        self.members.iter().filter(|m| matches!(m.place, Place::Local(_))).map(|m| m.address)
    }

    /// The digest of the underlay addresses of its hosts, this one's too.
    pub(crate) fn underlays(&self) -> String {
        let remote = self.members.iter().filter_map(|member| match member.place {
            Place::Local(_) => None,
            Place::Remote(host) => Some(host),
        });
        digest_of_addresses(remote.chain([self.local]))
    }
}

#[cfg(test)]
pub(crate) mod tests;
