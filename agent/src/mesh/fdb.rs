//! Forwarding entries: the VXLAN device's own (`self`) and the bridge's for it as a port (`master`).

#![expect(clippy::wildcard_enum_match_arm, reason = "netlink attributes are an open set: only some are read")]

use std::{collections::BTreeSet, net::Ipv4Addr};

use futures_util::TryStreamExt;
use netlink_packet_route::{
    AddressFamily,
    neighbour::{
        NeighbourAddress, NeighbourAttribute, NeighbourFlags, NeighbourHeader, NeighbourMessage,
        NeighbourState,
    },
};
use rtnetlink::Handle;
use shoal_types::MacAddr;

use super::{
    error::{Done, MeshError, deletion, kernel},
    snapshot::{FdbRow, FdbTable},
};

/// `NUD_NOARP | NUD_REACHABLE`: the VXLAN driver refuses `NUD_NOARP` alone, and the enumeration has no name for both.
const TUNNEL_STATE: NeighbourState = NeighbourState::Other(0x42);

/// Every row of these devices, but the ports' own addresses. The kernel is asked for each by itself: what nodes make their
/// bridges learn is any number. One before 4.20 tells all rows all the same.
pub(super) async fn dump(handle: &Handle, devices: &BTreeSet<u32>) -> Result<Vec<FdbRow>, MeshError> {
    let mut table = Vec::new();
    for &device in devices {
        let mut request = handle.neighbours().get();
        request.message_mut().header.family = AddressFamily::Bridge;
        request.message_mut().attributes.push(NeighbourAttribute::IfIndex(device));
        let mut rows = std::pin::pin!(request.execute());
        while let Some(row) = rows.try_next().await.map_err(|e| kernel("list forwarding entries", e))? {
            if row.header.ifindex == device {
                table.extend(read(&row));
            }
        }
    }
    Ok(table)
}

/// The addresses that a device has learned, or was told.
///
/// # Errors
/// [`MeshError::Kernel`]: the dump failed.
pub(crate) async fn learned(handle: &Handle, device: u32) -> Result<Vec<MacAddr>, MeshError> {
    Ok(dump(handle, &[device].into()).await?.into_iter().map(|row| row.mac).collect())
}

fn read(message: &NeighbourMessage) -> Option<FdbRow> {
    let NeighbourHeader { ifindex, state, flags, .. } = message.header;
    let (mut mac, mut to, mut vlan) = (None, None, false);
    for attribute in &message.attributes {
        match attribute {
            NeighbourAttribute::LinkLayerAddress(bytes) => {
                mac = <[u8; 6]>::try_from(&bytes[..]).ok().map(MacAddr)
            }
            NeighbourAttribute::Destination(address) => to = ipv4(address),
            NeighbourAttribute::Vlan(_) => vlan = true,
            _ => {}
        }
    }
    let table = if flags.contains(NeighbourFlags::Own) {
        FdbTable::Tunnel(to?)
    } else if state == NeighbourState::Permanent {
        // The port's own address.
        return None;
    } else {
        let fixed = state == NeighbourState::Noarp && flags.contains(NeighbourFlags::Sticky);
        FdbTable::Port { ours: fixed && !vlan }
    };
    Some(FdbRow { link: ifindex, mac: mac?, table })
}

/// IPv4 addresses of bridge rows have no family, and come as bytes.
fn ipv4(address: &NeighbourAddress) -> Option<Ipv4Addr> {
    match address {
        NeighbourAddress::Inet(address) => Some(*address),
        NeighbourAddress::Other(bytes) => <[u8; 4]>::try_from(&bytes[..]).ok().map(Ipv4Addr::from),
        _ => None,
    }
}

/// `bridge fdb replace MAC dev DEVICE dst HOST self`. Replaced, never appended: a second destination would duplicate frames.
pub(super) async fn add_tunnel(
    handle: &Handle,
    device: u32,
    mac: MacAddr,
    to: Ipv4Addr,
) -> Result<(), MeshError> {
    handle
        .neighbours()
        .add_bridge(device, &mac.0)
        .state(TUNNEL_STATE)
        .flags(NeighbourFlags::Own)
        .destination(to.into())
        .replace()
        .execute()
        .await
        .map_err(|e| kernel(format!("send frames of {mac} to {to}"), e))
}

/// `bridge fdb replace MAC dev DEVICE master static sticky`. `NUD_PERMANENT` would mean "an address of this bridge".
pub(super) async fn add_port(handle: &Handle, device: u32, mac: MacAddr) -> Result<(), MeshError> {
    handle
        .neighbours()
        .add_bridge(device, &mac.0)
        .state(NeighbourState::Noarp)
        .flags(NeighbourFlags::Controller | NeighbourFlags::Sticky)
        .replace()
        .execute()
        .await
        .map_err(|e| kernel(format!("put {mac} behind the device"), e))
}

/// `bridge fdb del MAC dev DEVICE dst HOST self`: this destination only.
pub(super) async fn delete_tunnel(
    handle: &Handle,
    device: u32,
    mac: MacAddr,
    to: Ipv4Addr,
) -> Result<Done, MeshError> {
    let mut message = row(device, mac, NeighbourFlags::Own);
    message.attributes.push(NeighbourAttribute::Destination(NeighbourAddress::Inet(to)));
    let answer = handle.neighbours().del(message).execute().await;
    deletion(|| format!("stop sending frames of {mac} to {to}"), answer)
}

/// `bridge fdb del MAC dev DEVICE master`, of every VLAN.
pub(super) async fn delete_port(handle: &Handle, device: u32, mac: MacAddr) -> Result<Done, MeshError> {
    let answer = handle.neighbours().del(row(device, mac, NeighbourFlags::Controller)).execute().await;
    deletion(|| format!("take {mac} from behind the device"), answer)
}

fn row(device: u32, mac: MacAddr, flags: NeighbourFlags) -> NeighbourMessage {
    let mut message = NeighbourMessage::default();
    message.header.family = AddressFamily::Bridge;
    message.header.ifindex = device;
    message.header.flags = flags;
    message.attributes.push(NeighbourAttribute::LinkLayerAddress(mac.0.to_vec()));
    message
}
