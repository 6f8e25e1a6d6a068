//! Plans of hand-made hosts, and the property that carrying one out leaves nothing to do.

use std::net::Ipv4Addr;

use proptest::prelude::*;

use super::*;
use crate::{
    mesh::snapshot::{FdbRow, NeighbourRow},
    network::tests::network,
};

const BRIDGE: u32 = 5;
const DEVICE: u32 = 6;

fn bridge() -> Link {
    Link {
        index: BRIDGE,
        name: network().bridge.to_string(),
        up: true,
        mtu: 1450,
        controller: None,
        kind: Kind::Bridge,
        port: None,
        learned: Some(LEARNED),
        policed: false,
    }
}

fn device() -> Link {
    let network = network();
    let vxlan = Vxlan {
        vni: network.vni.get(),
        local: Some(network.local),
        floods: false,
        udp_port: network.udp_port.get(),
        learning: false,
    };
    Link {
        index: DEVICE,
        name: network.device.to_string(),
        up: true,
        mtu: network.mtu,
        controller: Some(BRIDGE),
        kind: Kind::Vxlan(vxlan),
        port: Some(PortFlags::OURS),
        learned: None,
        policed: true,
    }
}

fn host(links: Vec<Link>) -> Snapshot {
    Snapshot { links, addresses: [network().local].into(), ..Snapshot::default() }
}

/// The host after the plan was carried out.
fn carried_out(plan: &Plan, seen: &Snapshot) -> Snapshot {
    let mut after = Snapshot { links: vec![bridge(), device()], ..seen.clone() };
    if !matches!(plan.device, Device::Keep(..)) {
        after.fdb.retain(|r| r.link != DEVICE);
    }
    for entry in &plan.forget {
        match *entry {
            Entry::Neighbour(a, _) => after.neighbours.retain(|r| (r.link, r.address) != (BRIDGE, a)),
            Entry::Port(m) => {
                after.fdb.retain(|r| (r.link, r.mac) != (DEVICE, m) || matches!(r.table, FdbTable::Tunnel(_)))
            }
            Entry::Tunnel(m, to) => {
                let row = FdbRow { link: DEVICE, mac: m, table: FdbTable::Tunnel(to) };
                after.fdb.retain(|r| *r != row);
            }
        }
    }
    for entry in &plan.install {
        match *entry {
            Entry::Neighbour(address, mac) => {
                after.neighbours.retain(|r| (r.link, r.address) != (BRIDGE, address));
                after.neighbours.push(NeighbourRow { link: BRIDGE, address, mac });
            }
            Entry::Port(mac) => {
                after.fdb.push(FdbRow { link: DEVICE, mac, table: FdbTable::Port { ours: true } });
            }
            Entry::Tunnel(mac, to) => {
                after.fdb.push(FdbRow { link: DEVICE, mac, table: FdbTable::Tunnel(to) });
            }
        }
    }
    after
}

fn right() -> Snapshot {
    let seen = host(vec![bridge()]);
    carried_out(&plan(&network(), &seen).unwrap(), &seen)
}

#[test]
fn a_new_network_gets_a_device_and_three_entries_per_remote_node() {
    let plan = plan(&network(), &host(vec![bridge()])).unwrap();
    assert_eq!((plan.bridge, &plan.device, plan.forget.len()), (BRIDGE, &Device::Create, 0));
    let (mac, address) = (network().members[1].mac, network().members[1].address);
    let of_worker_0 =
        [Entry::Neighbour(address, mac), Entry::Port(mac), Entry::Tunnel(mac, Ipv4Addr::new(10, 77, 0, 2))];
    assert!(of_worker_0.iter().all(|e| plan.install.contains(e)));
    assert_eq!(plan.install.len(), 6);
}

#[test]
fn what_is_right_is_left_alone() {
    assert!(plan(&network(), &right()).unwrap().is_empty());
}

#[test]
fn a_bridge_with_a_default_vlan_shows_ports_twice() {
    let mut seen = right();
    let twins: Vec<_> =
        seen.fdb.iter().filter(|r| matches!(r.table, FdbTable::Port { .. })).copied().collect();
    seen.fdb.extend(twins.into_iter().map(|r| FdbRow { table: FdbTable::Port { ours: false }, ..r }));
    assert!(plan(&network(), &seen).unwrap().is_empty());
}

#[test]
fn a_node_that_moves_here_loses_its_entries_and_one_that_moves_on_is_replaced() {
    let mut network = network();
    network.members[1].place = Place::Local("worker-0".into());
    network.members[3].place = Place::Remote(Ipv4Addr::new(10, 77, 0, 9));
    let plan = plan(&network, &right()).unwrap();
    let (here, on) = (&network.members[1], &network.members[3]);
    let old = |m: MacAddr, host: u8| Entry::Tunnel(m, Ipv4Addr::new(10, 77, 0, host));
    assert_eq!(
        plan.forget,
        [Entry::Neighbour(here.address, here.mac), Entry::Port(here.mac), old(here.mac, 2), old(on.mac, 3),]
    );
    assert_eq!(plan.install, [old(on.mac, 9)]);
}

#[test]
fn what_differs_on_the_device_is_set_and_what_cannot_be_is_replaced() {
    let with = |change: fn(&mut Link)| {
        let mut seen = right();
        change(&mut seen.links[1]);
        plan(&network(), &seen).unwrap().device
    };
    let keep = |settings: &[Setting]| Device::Keep(DEVICE, settings.to_vec());
    assert_eq!(with(|d| d.mtu = 1500), keep(&[Setting::Mtu]));
    assert_eq!(with(|d| d.up = false), keep(&[Setting::Up]));
    assert_eq!(with(|d| d.controller = None), keep(&[Setting::Bridge, Setting::PortFlags]));
    assert_eq!(
        with(|d| d.port = Some(PortFlags { neigh_suppress: true, learning: true })),
        keep(&[Setting::PortFlags])
    );
    let vxlan = |change: fn(&mut Vxlan)| {
        let mut seen = right();
        match &mut seen.links[1].kind {
            Kind::Vxlan(v) => change(v),
            Kind::Bridge | Kind::Other(_) => unreachable!(),
        }
        plan(&network(), &seen).unwrap()
    };
    let changes: [fn(&mut Vxlan); 5] = [
        |v| v.vni = 11,
        |v| v.local = None,
        |v| v.udp_port = 4789,
        |v| v.learning = true,
        |v| v.floods = true,
    ];
    for change in changes {
        let plan = vxlan(change);
        assert_eq!((plan.device, plan.install.len()), (Device::Replace(DEVICE), 4), "neighbours stay");
    }
}

#[test]
fn what_others_have_is_named_and_not_touched() {
    let error = |change: &dyn Fn(&mut Snapshot)| {
        let mut seen = right();
        change(&mut seen);
        plan(&network(), &seen).unwrap_err().to_string()
    };
    assert_eq!(error(&|s| s.links.clear()), "bridge sb3fa9c100000a does not exist");
    assert_eq!(
        error(&|s| s.links[0].kind = Kind::Other("dummy".into())),
        "sb3fa9c100000a is not a bridge but of kind dummy"
    );
    assert_eq!(
        error(&|s| s.links[1].kind = Kind::Other("veth".into())),
        "sv3fa9c100000a is not a VXLAN device but of kind veth"
    );
    assert_eq!(
        error(&|s| s.links[1].name = "flannel.10".into()),
        "VNI 10 on UDP port 4799 is in use by device flannel.10"
    );
    assert_eq!(error(&|s| s.addresses.clear()), "underlay address 10.77.0.1 is not on this host");
}

prop_compose! {
    /// An address as likely of a member as of nobody.
    fn low()(n in 2..9u8) -> u8 { n }
}

fn fdb_row() -> impl Strategy<Value = FdbRow> {
    let table = prop_oneof![
        (1..5u8).prop_map(|host| FdbTable::Tunnel(Ipv4Addr::new(10, 77, 0, host))),
        any::<bool>().prop_map(|ours| FdbTable::Port { ours }),
    ];
    (low(), prop_oneof![Just(DEVICE), Just(9)], table).prop_map(|(n, link, table)| FdbRow {
        link,
        mac: MacAddr::of(Ipv4Addr::new(10, 96, 4, n)),
        table,
    })
}

fn neighbour() -> impl Strategy<Value = NeighbourRow> {
    let ip = |n| Ipv4Addr::new(10, 96, 4, n);
    (low(), low(), prop_oneof![Just(BRIDGE), Just(9)]).prop_map(move |(a, m, link)| NeighbourRow {
        link,
        address: ip(a),
        mac: MacAddr::of(ip(m)),
    })
}

proptest! {
    #[test]
    fn carrying_out_a_plan_leaves_nothing_to_do(
        fdb in prop::collection::vec(fdb_row(), 0..30),
        neighbours in prop::collection::vec(neighbour(), 0..20),
        has_device: bool,
    ) {
        let mut seen = host(if has_device { vec![bridge(), device()] } else { vec![bridge()] });
        seen.fdb = fdb.into_iter().filter(|r| has_device || r.link != DEVICE).collect();
        for row in neighbours {
            // The kernel has one row per address and device.
            if !seen.neighbours.iter().any(|r| (r.link, r.address) == (row.link, row.address)) {
                seen.neighbours.push(row);
            }
        }
        let after = carried_out(&plan(&network(), &seen).unwrap(), &seen);
        prop_assert!(plan(&network(), &after).unwrap().is_empty());
        let others = |s: &Snapshot| (s.fdb.iter().filter(|r| r.link == 9).copied().collect::<Vec<_>>(), s.neighbours.iter().filter(|r| r.link == 9).copied().collect::<Vec<_>>());
        prop_assert_eq!(others(&after), others(&seen), "rows of other devices are not touched");
    }
}

#[test]
fn a_bridge_that_learns_without_end_or_is_asked_for_by_ipsec_is_told() {
    let bounded = |learned| {
        let seen = host(vec![Link { learned, ..bridge() }, device()]);
        plan(&network(), &seen).unwrap().settings
    };
    let learned = vec![BridgeSetting::Learned];
    assert_eq!([Some(0), Some(LEARNED), None].map(bounded), [learned, vec![], vec![]]);
    let seen = host(vec![Link { policed: true, ..bridge() }, device()]);
    assert_eq!(plan(&network(), &seen).unwrap().settings, [BridgeSetting::Unpoliced]);
}
