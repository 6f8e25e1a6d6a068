//! Permanent neighbours of bridges: what lets a bridge answer ARP for nodes of other hosts.

#![expect(clippy::wildcard_enum_match_arm, reason = "netlink attributes are an open set: only some are read")]

use std::{collections::BTreeSet, net::Ipv4Addr};

use futures_util::TryStreamExt;
use netlink_packet_route::{
    AddressFamily,
    neighbour::{NeighbourAddress, NeighbourAttribute, NeighbourMessage, NeighbourState},
};
use rtnetlink::Handle;
use shoal_types::MacAddr;

use super::{
    error::{Done, MeshError, deletion, kernel},
    snapshot::NeighbourRow,
};

/// The permanent IPv4 neighbours of these bridges. The kernel is asked for each by itself.
pub(super) async fn dump(handle: &Handle, bridges: &BTreeSet<u32>) -> Result<Vec<NeighbourRow>, MeshError> {
    let mut table = Vec::new();
    for &bridge in bridges {
        let mut request = handle.neighbours().get().set_address_family(AddressFamily::Inet);
        request.message_mut().attributes.push(NeighbourAttribute::IfIndex(bridge));
        let mut rows = std::pin::pin!(request.execute());
        while let Some(row) = rows.try_next().await.map_err(|e| kernel("list neighbours", e))? {
            if row.header.ifindex == bridge && row.header.state == NeighbourState::Permanent {
                table.extend(read(&row));
            }
        }
    }
    Ok(table)
}

fn read(message: &NeighbourMessage) -> Option<NeighbourRow> {
    let (mut mac, mut address) = (None, None);
    for attribute in &message.attributes {
        match attribute {
            NeighbourAttribute::LinkLayerAddress(bytes) => {
                mac = <[u8; 6]>::try_from(&bytes[..]).ok().map(MacAddr)
            }
            NeighbourAttribute::Destination(NeighbourAddress::Inet(a)) => address = Some(*a),
            _ => {}
        }
    }
    Some(NeighbourRow { link: message.header.ifindex, address: address?, mac: mac? })
}

/// `ip neigh replace ADDRESS lladdr MAC dev BRIDGE nud permanent`. Permanent ones do not count towards `gc_thresh3`.
pub(super) async fn add(
    handle: &Handle,
    bridge: u32,
    address: Ipv4Addr,
    mac: MacAddr,
) -> Result<(), MeshError> {
    handle
        .neighbours()
        .add(bridge, address.into())
        .link_layer_address(&mac.0)
        .replace()
        .execute()
        .await
        .map_err(|e| kernel(format!("make {address} a neighbour"), e))
}

pub(super) async fn delete(handle: &Handle, bridge: u32, address: Ipv4Addr) -> Result<Done, MeshError> {
    let mut message = NeighbourMessage::default();
    message.header.family = AddressFamily::Inet;
    message.header.ifindex = bridge;
    message.attributes.push(NeighbourAttribute::Destination(NeighbourAddress::Inet(address)));
    deletion(|| format!("forget neighbour {address}"), handle.neighbours().del(message).execute().await)
}
