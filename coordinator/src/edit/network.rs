//! Whether a host's machine can carry a cluster's network, and the network that its members can carry.

use std::{collections::BTreeMap, net::Ipv4Addr};

use ipnet::Ipv4Net;
use shoal_storage::{Host, Network, Rng};
use shoal_types::{NetworkId, Pools, Revision, SubnetPlan, Vni};

use crate::{
    edit::addressing::{InUse, Obstacle, choose_subnet, choose_vni},
    observe::survey::underlay,
    words::fault::{Fault, HostFault},
};

/// Bytes VXLAN takes of each packet: outer Ethernet, IPv4, UDP and VXLAN headers (RFC 7348 section 5).
const VXLAN_OVERHEAD: u32 = 50;
/// The kernel's own port for VXLAN is 4789 (IANA) and 8472 (Linux); ours meets neither.
pub(crate) const UDP_PORT: u16 = 4799;

/// How many bytes of each packet a host's underlay leaves for the cluster's.
fn room(host: &Host) -> u32 {
    host.facts.as_ref().map_or(0, |facts| facts.underlay_mtu).saturating_sub(VXLAN_OVERHEAD)
}

/// What a new network is chosen against.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Surroundings<'a> {
    pub(crate) pools: &'a Pools,
    pub(crate) members: &'a [&'a Host],
    /// Of all networks.
    pub(crate) others: &'a [(Vni, Ipv4Net)],
}

/// A network for a new cluster of `nodes` on these hosts, apart from all that they use and from others, and what a user is to be
/// warned of.
pub(crate) fn network_for(
    id: NetworkId,
    rng: &mut Rng,
    nodes: u32,
    around: Surroundings<'_>,
) -> Result<(Network, Option<String>), Fault> {
    let mut in_use = InUse {
        clusters: around.others.iter().map(|(_, subnet)| *subnet).collect(),
        vnis: around.others.iter().map(|(vni, _)| *vni).collect(),
        ..InUse::default()
    };
    let mut mtu = u32::MAX;
    let mut underlays: BTreeMap<Ipv4Addr, &Host> = BTreeMap::new();
    for &host in around.members {
        let Some(address) = underlay(host).filter(|_| room(host) > 0) else {
            return Err(HostFault::NoUnderlay { host: host.name.clone() }.into());
        };
        if let Some(other) = underlays.insert(address, host) {
            let hosts = format!("{} and {}", other.name, host.name);
            return Err(HostFault::SameUnderlay { hosts, address }.into());
        }
        mtu = mtu.min(room(host));
        in_use.add(host);
        // A host that is reached by a route would be looked for among the nodes.
        let by = format!("the underlay address of {}", host.name);
        in_use.taken.push(Obstacle { subnet: address.into(), by });
    }
    let (subnet, within) = choose_subnet(SubnetPlan::prefix_for(nodes), around.pools, &in_use)?;
    let network = Network {
        id,
        vni: choose_vni(rng, &in_use)?,
        subnet,
        gateway: SubnetPlan { subnet }.gateway(),
        mtu: u16::try_from(mtu).unwrap_or(u16::MAX),
        udp_port: UDP_PORT,
        revision: Revision::FIRST,
    };
    let warning = within.map(|wide| {
        format!(
            "{subnet} is within {}: its addresses mean the cluster's nodes there; `shoal set installation --pool CIDR` names another range",
            wide.by
        )
    });
    Ok((network, warning))
}

/// Why a host that is not yet a member cannot carry this network.
pub(crate) fn misfit(host: &Host, network: &Network) -> Option<String> {
    let mut in_use = InUse::default();
    in_use.add(host);
    if let Some(taken) = in_use.meets(&network.subnet) {
        return Some(format!("{} overlaps the cluster's {}", taken.by, network.subnet));
    }
    if in_use.vnis.contains(&network.vni) {
        return Some(format!("VNI {} is in use there", network.vni));
    }
    if underlay(host).is_none() {
        return Some("it has no usable underlay address".into());
    }
    let room = room(host);
    (room < u32::from(network.mtu))
        .then(|| format!("its MTU leaves {room} bytes of the cluster's {}", network.mtu))
}
