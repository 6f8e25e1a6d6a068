//! Takes the kernel's part of a network away: neighbours and entries, then the device.
//!
//! Docker would leave the device behind when it removes the bridge, and the device would block its VNI. The neighbours live
//! on the bridge and outlast the device, so they go by themselves. Also removes a device that no state remembers: its name
//! carries the installation, and that is enough to know it is ours.

use rtnetlink::Handle;
use shoal_types::InstallationId;

use super::{
    apply::forget_all,
    error::{Done, MeshError},
    link,
    plan::Entry,
    snapshot::{FdbTable, Kind, Snapshot},
};
use crate::network::{LinkName, Network};

/// Removes what is there; true if something was.
///
/// `kept` is what the agent remembers of the network, if it does: with it exactly the subnet's neighbours go, without it
/// all permanent ones of the bridge, which is the installation's.
///
/// # Errors
/// [`MeshError::Foreign`]: a name does not carry the installation. [`MeshError::DeviceTaken`]: the device is not VXLAN.
/// [`MeshError::Kernel`]: a deletion was refused.
pub(crate) async fn remove(
    handle: &Handle,
    installation: &InstallationId,
    device: &LinkName,
    bridge: &LinkName,
    kept: Option<&Network>,
) -> Result<bool, MeshError> {
    if !device.carries(installation) {
        return Err(MeshError::Foreign { device: device.clone(), installation: installation.to_string() });
    }
    let names = [device, bridge].map(ToString::to_string).into();
    let seen = Snapshot::take(handle, &names).await?;
    let index = match seen.link(device.as_str()) {
        None => None,
        Some(link) => match &link.kind {
            Kind::Vxlan(_) => Some(link.index),
            Kind::Bridge => return Err(taken(device, "bridge")),
            Kind::Other(kind) => return Err(taken(device, kind)),
        },
    };
    let bridge_ours = kept.is_some() || bridge.carries(installation);
    let bridge = seen.link(bridge.as_str()).filter(|_| bridge_ours).map(|l| l.index);
    let entries = entries(&seen, index, bridge, kept);
    let mut something = !entries.is_empty();
    // An index of zero is no device; entries of one that is missing do not occur.
    forget_all(handle, bridge.unwrap_or_default(), index.unwrap_or_default(), entries).await?;
    if let Some(index) = index {
        something |= link::delete(handle, index).await? == Done::Now;
    }
    Ok(something)
}

fn entries(seen: &Snapshot, device: Option<u32>, bridge: Option<u32>, kept: Option<&Network>) -> Vec<Entry> {
    let neighbours = seen
        .neighbours
        .iter()
        .filter(|r| Some(r.link) == bridge && kept.is_none_or(|k| k.subnet.contains(&r.address)))
        .map(|r| Entry::Neighbour(r.address, r.mac));
    let forwarding = seen.fdb.iter().filter(|r| Some(r.link) == device).map(|r| match r.table {
        FdbTable::Tunnel(host) => Entry::Tunnel(r.mac, host),
        FdbTable::Port { .. } => Entry::Port(r.mac),
    });
    let mut entries: Vec<_> = neighbours.chain(forwarding).collect();
    entries.sort_unstable();
    entries.dedup();
    entries
}

fn taken(device: &LinkName, kind: &str) -> MeshError {
    MeshError::DeviceTaken { device: device.clone(), kind: kind.into() }
}
