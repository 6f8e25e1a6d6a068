//! Links: reading all of them, making, setting and deleting ours.

#![expect(clippy::wildcard_enum_match_arm, reason = "netlink attributes are an open set: only some are read")]

use futures_util::TryStreamExt;
use netlink_packet_route::link::{
    AfSpecInet, AfSpecUnspec, InetDevConf, InfoBridge, InfoBridgePort, InfoData, InfoKind, InfoPortData,
    InfoVxlan, LinkAttribute, LinkFlags, LinkInfo, LinkMessage,
};
use rtnetlink::{Handle, LinkBridge, LinkBridgePort, LinkMessageBuilder, LinkUnspec, LinkVxlan};

use super::{
    error::{Done, MeshError, deletion, kernel},
    snapshot::{Kind, Link, PortFlags, Vxlan},
};
use crate::network::Network;

/// Every link of this host.
pub(super) async fn dump(handle: &Handle) -> Result<Vec<Link>, MeshError> {
    let mut rows = std::pin::pin!(handle.link().get().execute());
    let mut links = Vec::new();
    while let Some(row) = rows.try_next().await.map_err(|e| kernel("list links", e))? {
        links.push(read(row));
    }
    Ok(links)
}

fn read(message: LinkMessage) -> Link {
    let mut link = Link {
        index: message.header.index,
        name: String::new(),
        up: message.header.flags.contains(LinkFlags::Up),
        mtu: 0,
        controller: None,
        kind: Kind::Other("physical".into()),
        port: None,
        learned: None,
        policed: true,
    };
    for attribute in message.attributes {
        match attribute {
            LinkAttribute::IfName(name) => link.name = name,
            LinkAttribute::Mtu(mtu) => link.mtu = mtu,
            LinkAttribute::Controller(index) => link.controller = Some(index),
            LinkAttribute::LinkInfo(infos) => read_info(&mut link, infos),
            LinkAttribute::AfSpecUnspec(families) => link.policed = is_policed(&families),
            _ => {}
        }
    }
    link
}

fn read_info(link: &mut Link, infos: Vec<LinkInfo>) {
    for info in infos {
        match info {
            LinkInfo::Kind(InfoKind::Bridge) => link.kind = Kind::Bridge,
            // Its data follow, and say more.
            LinkInfo::Kind(InfoKind::Vxlan) => link.kind = Kind::Vxlan(read_vxlan(&[])),
            LinkInfo::Kind(kind) => link.kind = Kind::Other(kind.to_string()),
            LinkInfo::Data(InfoData::Bridge(data)) => link.learned = read_learned(&data),
            LinkInfo::Data(InfoData::Vxlan(data)) => link.kind = Kind::Vxlan(read_vxlan(&data)),
            LinkInfo::PortData(InfoPortData::BridgePort(data)) => link.port = Some(read_port(&data)),
            _ => {}
        }
    }
}

fn is_policed(families: &[AfSpecUnspec]) -> bool {
    let mut inet = families.iter().filter_map(|family| match family {
        AfSpecUnspec::Inet(items) => Some(items),
        _ => None,
    });
    let conf = inet.find_map(|items| {
        items.iter().find_map(|item| match item {
            AfSpecInet::DevConf(conf) => Some(conf),
            _ => None,
        })
    });
    conf.is_none_or(|conf| conf.noxfrm == 0 || conf.nopolicy == 0)
}

fn read_learned(data: &[InfoBridge]) -> Option<u32> {
    data.iter().find_map(|item| match item {
        InfoBridge::FdbMaxLearned(most) => Some(*most),
        _ => None,
    })
}

fn read_vxlan(data: &[InfoVxlan]) -> Vxlan {
    let mut vxlan = Vxlan { vni: 0, local: None, floods: false, udp_port: 0, learning: false };
    for item in data {
        match item {
            InfoVxlan::Id(vni) => vxlan.vni = *vni,
            InfoVxlan::Local(address) => vxlan.local = Some(*address),
            InfoVxlan::Group(_) | InfoVxlan::Group6(_) => vxlan.floods = true,
            InfoVxlan::Port(port) => vxlan.udp_port = *port,
            InfoVxlan::Learning(on) => vxlan.learning = *on,
            _ => {}
        }
    }
    vxlan
}

fn read_port(data: &[InfoBridgePort]) -> PortFlags {
    let mut flags = PortFlags { neigh_suppress: false, learning: false };
    for item in data {
        match item {
            InfoBridgePort::NeighSupress(on) => flags.neigh_suppress = *on,
            InfoBridgePort::Learning(on) => flags.learning = *on,
            _ => {}
        }
    }
    flags
}

/// Makes the device, as a port of the bridge, down, and tells its index.
///
/// Local address, VNI, port and MTU go into the message that makes it: no frame can pass a half-made device.
pub(super) async fn create(handle: &Handle, network: &Network, bridge: u32) -> Result<u32, MeshError> {
    let name = network.device.as_str();
    let message = LinkVxlan::new(name, network.vni.get())
        .local(network.local)
        .port(network.udp_port.get())
        .learning(false)
        .mtu(network.mtu)
        .controller(bridge)
        .build();
    let action = || format!("create VXLAN device {name} with VNI {}", network.vni);
    handle.link().add(message).execute().await.map_err(|e| kernel(action(), e))?;
    let mut rows = std::pin::pin!(handle.link().get().match_name(name).execute());
    let row = rows.try_next().await.map_err(|e| kernel(action(), e))?;
    row.map(|r| r.header.index).ok_or_else(|| kernel(action(), rtnetlink::Error::RequestFailed))
}

pub(super) async fn set_mtu(handle: &Handle, index: u32, mtu: u32) -> Result<(), MeshError> {
    let message = LinkUnspec::new_with_index(index).mtu(mtu).build();
    handle.link().change(message).execute().await.map_err(|e| kernel(format!("set MTU {mtu}"), e))
}

pub(super) async fn set_controller(handle: &Handle, index: u32, bridge: u32) -> Result<(), MeshError> {
    let message = LinkUnspec::new_with_index(index).controller(bridge).build();
    handle.link().change(message).execute().await.map_err(|e| kernel("attach the device to its bridge", e))
}

/// `ip link set BRIDGE type bridge fdb_max_learned MOST`.
pub(super) async fn set_learned(handle: &Handle, bridge: u32, most: u32) -> Result<(), MeshError> {
    let message = LinkMessageBuilder::<LinkBridge>::new_with_info_kind(InfoKind::Bridge)
        .index(bridge)
        .set_info_data(InfoData::Bridge(vec![InfoBridge::FdbMaxLearned(most)]))
        .build();
    let action = || format!("bound what the bridge learns to {most} addresses");
    handle.link().change(message).execute().await.map_err(|e| kernel(action(), e))
}

/// `sysctl net.ipv4.conf.BRIDGE.disable_xfrm=1 net.ipv4.conf.BRIDGE.disable_policy=1`: a tunnel to a site whose range holds the
/// cluster's would take what the host sends to its nodes, and refuse what they send.
pub(super) async fn set_unpoliced(handle: &Handle, bridge: u32) -> Result<(), MeshError> {
    let mut conf = InetDevConf::default();
    (conf.noxfrm, conf.nopolicy) = (1, 1);
    let families = vec![AfSpecUnspec::Inet(vec![AfSpecInet::DevConfRequest(conf)])];
    let message = LinkUnspec::new_with_index(bridge)
        .append_extra_attribute(LinkAttribute::AfSpecUnspec(families))
        .build();
    handle.link().change(message).execute().await.map_err(|e| kernel("keep the bridge out of IPsec", e))
}

/// `neigh_suppress on learning off`.
pub(super) async fn set_port_flags(handle: &Handle, index: u32) -> Result<(), MeshError> {
    let PortFlags { neigh_suppress, learning } = PortFlags::OURS;
    let message = LinkBridgePort::new(index).neigh_suppress(neigh_suppress).learning(learning).build();
    handle.link().set_port(message).execute().await.map_err(|e| kernel("set the flags of the bridge port", e))
}

/// Opens the UDP port too: fails with `EADDRINUSE` if a process has it.
pub(super) async fn set_up(handle: &Handle, index: u32) -> Result<(), MeshError> {
    let message = LinkUnspec::new_with_index(index).up().build();
    handle.link().change(message).execute().await.map_err(|e| kernel("set the device up", e))
}

/// Its forwarding entries go with it.
pub(super) async fn delete(handle: &Handle, index: u32) -> Result<Done, MeshError> {
    deletion(|| format!("delete device {index}"), handle.link().del(index).execute().await)
}
