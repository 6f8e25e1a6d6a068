//! Whether a host's machine can carry a cluster's network, and the network that its members can carry.

use std::{collections::BTreeMap, net::Ipv4Addr};

use ipnet::Ipv4Net;
use shoal_storage::{Host, Network, Rng};
use shoal_types::{NetworkId, Revision, SubnetPlan, Vni};

use crate::{
    edit::addressing::{InUse, choose_subnet, choose_vni, overlaps},
    observe::survey::underlay,
    words::fault::{Fault, HostFault},
};

/// Bytes VXLAN takes of each packet: outer Ethernet, IPv4, UDP and VXLAN headers (RFC 7348 section 5).
const VXLAN_OVERHEAD: u32 = 50;
/// The kernel's own port for VXLAN is 4789 (IANA) and 8472 (Linux); ours meets neither.
pub(crate) const UDP_PORT: u16 = 4799;

/// A host as a member of a network: where the others send its tunnel packets, how many bytes of each are the cluster's, and
/// what cannot be used there.
struct Carrier {
    underlay: Option<Ipv4Addr>,
    room: u32,
    in_use: InUse,
}

impl Carrier {
    fn of(host: &Host) -> Self {
        let facts = host.facts.as_ref();
        let routes = facts.iter().flat_map(|f| &f.routes);
        Self {
            underlay: underlay(host),
            room: facts.map_or(0, |f| f.underlay_mtu).saturating_sub(VXLAN_OVERHEAD),
            in_use: InUse {
                // A default route covers everything and says nothing.
                subnets: host
                    .engine
                    .subnets
                    .iter()
                    .chain(routes)
                    .filter(|s| s.prefix_len() > 0)
                    .copied()
                    .collect(),
                vnis: facts.iter().flat_map(|f| &f.vnis).copied().collect(),
            },
        }
    }
}

/// A network for a new cluster of `nodes` on these hosts, apart from all that they use and from `others`.
pub(crate) fn network_for(
    id: NetworkId,
    rng: &mut Rng,
    nodes: u32,
    members: &[&Host],
    others: &[(Vni, Ipv4Net)],
) -> Result<Network, Fault> {
    let mut in_use = InUse {
        vnis: others.iter().map(|(vni, _)| *vni).collect(),
        subnets: others.iter().map(|(_, subnet)| *subnet).collect(),
    };
    let mut room = u32::MAX;
    let mut underlays: BTreeMap<Ipv4Addr, &Host> = BTreeMap::new();
    for &host in members {
        let carrier = Carrier::of(host);
        let Some(address) = carrier.underlay.filter(|_| carrier.room > 0) else {
            return Err(HostFault::NoUnderlay { host: host.name.clone() }.into());
        };
        if let Some(other) = underlays.insert(address, host) {
            let hosts = format!("{} and {}", other.name, host.name);
            return Err(HostFault::SameUnderlay { hosts, address }.into());
        }
        room = room.min(carrier.room);
        in_use.subnets.extend(carrier.in_use.subnets);
        in_use.vnis.extend(carrier.in_use.vnis);
    }
    let subnet = choose_subnet(SubnetPlan::prefix_for(nodes), &in_use)?;
    Ok(Network {
        id,
        vni: choose_vni(rng, &in_use)?,
        subnet,
        gateway: SubnetPlan { subnet }.gateway(),
        mtu: u16::try_from(room).unwrap_or(u16::MAX),
        udp_port: UDP_PORT,
        revision: Revision::FIRST,
    })
}

/// Why a host that is not yet a member cannot carry this network.
pub(crate) fn misfit(host: &Host, network: &Network) -> Option<String> {
    let Carrier { underlay, room, in_use } = Carrier::of(host);
    if let Some(taken) = in_use.subnets.iter().find(|other| overlaps(other, &network.subnet)) {
        return Some(format!("{taken} there overlaps the cluster's {}", network.subnet));
    }
    if in_use.vnis.contains(&network.vni) {
        return Some(format!("VNI {} is in use there", network.vni));
    }
    if underlay.is_none() {
        return Some("it has no usable underlay address".into());
    }
    (room < u32::from(network.mtu))
        .then(|| format!("its MTU leaves {room} bytes of the cluster's {}", network.mtu))
}
