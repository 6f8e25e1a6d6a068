//! Whether a host's machine can carry a cluster's network, and the network that its members can carry.

use std::{collections::BTreeMap, net::Ipv4Addr};

use ipnet::Ipv4Net;
use shoal_storage::{Host, Network, Rng};
use shoal_types::{ClusterMtu, NetworkId, Pools, Revision, SubnetPlan, VXLAN_OVERHEAD, Vni};

use crate::{
    edit::addressing::{InUse, Obstacle, choose_subnet, choose_vni},
    observe::survey::{underlay, underlay_mtu},
    words::fault::{Fault, HostFault},
};

/// The kernel's own port for VXLAN is 4789 (IANA) and 8472 (Linux); ours meets neither.
pub(crate) const UDP_PORT: u16 = 4799;

/// The largest MTU that nodes on a host can have, in bytes: what its path to other hosts leaves; 0 if that is not known.
pub(crate) fn room(host: &Host) -> u32 {
    underlay_mtu(host).unwrap_or(0).saturating_sub(VXLAN_OVERHEAD.into())
}

/// What a new network is chosen against.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Surroundings<'a> {
    pub(crate) pools: &'a Pools,
    pub(crate) members: &'a [&'a Host],
    /// MTU of its nodes, if one is asked for.
    pub(crate) mtu: Option<ClusterMtu>,
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
    let mut underlays: BTreeMap<Ipv4Addr, &Host> = BTreeMap::new();
    for &host in around.members {
        let Some(address) = underlay(host).filter(|_| room(host) > 0) else {
            return Err(HostFault::NoUnderlay { host: host.name.clone() }.into());
        };
        if let Some(other) = underlays.insert(address, host) {
            let hosts = format!("{} and {}", other.name, host.name);
            return Err(HostFault::SameUnderlay { hosts, address }.into());
        }
        in_use.add(host);
        // A host that is reached by a route would be looked for among the nodes.
        let by = format!("the underlay address of {}", host.name);
        in_use.taken.push(Obstacle { subnet: address.into(), by });
    }
    let mtu = mtu(around.mtu, around.members)?;
    let (subnet, within) = choose_subnet(SubnetPlan::prefix_for(nodes), around.pools, &in_use)?;
    let network = Network {
        id,
        vni: choose_vni(rng, &in_use)?,
        subnet,
        gateway: SubnetPlan { subnet }.gateway(),
        mtu: mtu.get(),
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

/// The MTU of a network of these hosts: the one that is asked for, else the most that all of them leave.
fn mtu(asked: Option<ClusterMtu>, members: &[&Host]) -> Result<ClusterMtu, HostFault> {
    let Some(tightest) = members.iter().min_by_key(|host| room(host)) else {
        return Ok(asked.unwrap_or(ClusterMtu::MOST));
    };
    let room = room(tightest);
    let need = asked.unwrap_or(ClusterMtu::LEAST);
    let most = ClusterMtu::try_from(u64::from(room).min(ClusterMtu::MOST.get().into()));
    match most {
        Ok(most) if need <= most => Ok(asked.unwrap_or(most)),
        Ok(_) | Err(_) => Err(HostFault::Mtu { host: tightest.name.clone(), room, need }),
    }
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

#[cfg(test)]
mod tests {
    use rand::{SeedableRng, rngs::StdRng};
    use shoal_storage::HostSettings;
    use shoal_types::{
        Capacity, EngineFacts, HostFacts, HostId, Labels, Overcommit, PrivilegedNodes, Resources, Timestamp,
    };

    use super::*;

    /// A host whose interface has the first MTU, and whose operator says the second.
    fn host(number: u8, measured: u32, set: Option<u64>) -> Host {
        let settings = HostSettings {
            endpoint: "unix:///x".into(),
            credential: None,
            underlay: Some(Ipv4Addr::new(10, 77, 0, number)),
            mtu: set.map(|mtu| mtu.try_into().unwrap()),
            labels: Labels::default(),
            capacity: Capacity::default(),
            overcommit: Overcommit::default(),
            reserve: Resources::default(),
            privileged_nodes: PrivilegedNodes::Allow,
            scheduling: shoal_types::Scheduling::Schedulable,
        };
        let name = format!("host{number}").parse().unwrap();
        let id = HostId::new(1, [number; 10]);
        let mut host = Host::registered(id, name, settings, EngineFacts::sample(), Timestamp(1));
        host.facts = Some(HostFacts { underlay_mtu: measured, ..HostFacts::default() });
        host
    }

    fn network(hosts: &[Host], asked: Option<u64>) -> Result<Network, String> {
        let members: Vec<_> = hosts.iter().collect();
        let around = Surroundings {
            pools: &Pools::default(),
            members: &members,
            mtu: asked.map(|mtu| mtu.try_into().unwrap()),
            others: &[],
        };
        let id = NetworkId::new(1, [1; 10]);
        let made = network_for(id, &mut StdRng::seed_from_u64(7), 3, around);
        made.map(|(network, _)| network).map_err(|fault| fault.to_string())
    }

    #[test]
    fn the_mtu_is_the_one_asked_for_or_the_most_that_all_members_leave() {
        let mtu = |hosts: &[Host], asked| network(hosts, asked).map(|network| network.mtu);
        let mixed = [host(1, 9000, None), host(2, 1500, None), host(3, 9000, Some(1400))];
        assert_eq!(mtu(&mixed, None), Ok(1350));
        assert_eq!(mtu(&mixed[..2], None), Ok(1450));
        assert_eq!(mtu(&mixed[..1], None), Ok(8950));
        assert_eq!(mtu(&mixed, Some(1350)), Ok(1350));
        assert_eq!(mtu(&mixed, Some(576)), Ok(576));
        let refused = |hosts: &[Host], asked| mtu(hosts, asked).unwrap_err();
        assert_eq!(
            refused(&mixed, Some(1351)),
            "host host3 leaves nodes an MTU of 1350, less than the 1351 that the cluster takes"
        );
        assert!(refused(&mixed[..2], Some(8950)).starts_with("host host2 leaves nodes an MTU of 1450,"));
        // What is set counts where the interface has more or less; that there is an interface is not set.
        assert_eq!(mtu(&[host(1, 1500, Some(9000))], Some(8950)), Ok(8950));
        assert!(refused(&[host(1, 0, Some(1500))], None).contains("no usable underlay address"));
        assert_eq!(mtu(&[host(1, 65_536, None)], None), Ok(65_485));
        assert_eq!(
            refused(&[host(1, 600, None)], None),
            "host host1 leaves nodes an MTU of 550, less than the 576 that the cluster takes"
        );
    }

    #[test]
    fn a_host_whose_path_carries_less_than_the_network_does_not_fit_it() {
        let network = network(&[host(1, 1500, None)], None).unwrap();
        assert_eq!(misfit(&host(2, 1500, None), &network), None);
        assert_eq!(misfit(&host(2, 1400, Some(1500)), &network), None);
        let too_small = Some("its MTU leaves 1350 bytes of the cluster's 1450".to_owned());
        assert_eq!(misfit(&host(2, 1500, Some(1400)), &network), too_small);
        assert_eq!(misfit(&host(2, 1400, None), &network), too_small);
    }
}
