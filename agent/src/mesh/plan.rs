//! The difference between intent and kernel as a list of actions: pure.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::Ipv4Addr,
};

use shoal_types::MacAddr;

use super::{
    error::MeshError,
    snapshot::{FdbTable, Kind, Link, PortFlags, Snapshot, Vxlan},
};
use crate::network::{Network, Place};

/// Most addresses that a bridge learns: more than it has ports, and few enough that a node which sends with any number of them
/// costs the host nothing.
pub(super) const LEARNED: u32 = 2048;

/// What makes the kernel's part of one network right. Applied from top to bottom; empty if nothing is to be done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Plan {
    /// Index of the bridge.
    pub(super) bridge: u32,
    /// What the bridge is not told yet.
    pub(super) settings: Vec<BridgeSetting>,
    pub(super) device: Device,
    /// Entries that must not be; on the device as it is now.
    pub(super) forget: Vec<Entry>,
    /// Entries that are missing or different; replaced, so in one step.
    pub(super) install: Vec<Entry>,
}

/// A setting of the bridge, which Docker makes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum BridgeSetting {
    /// It learns at most [`LEARNED`] addresses.
    Learned,
    /// IPsec's policies are not asked.
    Unpoliced,
}

/// What to do about the device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Device {
    /// There is none.
    Create,
    /// The one with this index differs in what cannot be changed.
    Replace(u32),
    /// The one with this index stays, with these settings changed.
    Keep(u32, Vec<Setting>),
}

/// A setting of a device that exists, in the order they are made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Setting {
    Mtu,
    Bridge,
    PortFlags,
    Up,
}

/// An entry, without the index of its device.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Entry {
    Neighbour(Ipv4Addr, MacAddr),
    Port(MacAddr),
    Tunnel(MacAddr, Ipv4Addr),
}

impl Plan {
    /// True if the kernel is as it should be.
    pub(crate) fn is_empty(&self) -> bool {
        let device = match &self.device {
            Device::Create | Device::Replace(_) => false,
            Device::Keep(_, settings) => settings.is_empty(),
        };
        device && self.settings.is_empty() && self.forget.is_empty() && self.install.is_empty()
    }
}

/// Compares `network` with `seen`.
///
/// # Errors
/// [`MeshError::BridgeMissing`], [`NotABridge`](MeshError::NotABridge), [`DeviceTaken`](MeshError::DeviceTaken),
/// [`VniTaken`](MeshError::VniTaken), [`UnderlayMissing`](MeshError::UnderlayMissing): it cannot be done here, and nothing
/// was touched.
pub(crate) fn plan(network: &Network, seen: &Snapshot) -> Result<Plan, MeshError> {
    let (bridge, settings) = find_bridge(network, seen)?;
    if !seen.addresses.contains(&network.local) {
        return Err(MeshError::UnderlayMissing { address: network.local });
    }
    let device = plan_device(network, seen, bridge)?;
    let wanted = wanted(network);
    let found = found(network, seen, bridge, &device);
    let forget = found.iter().filter(|(e, _)| !wanted.contains(e)).map(|(e, _)| *e);
    let install = wanted.iter().filter(|e| found.get(e) != Some(&true)).copied();
    Ok(Plan { bridge, settings, forget: forget.collect(), install: install.collect(), device })
}

/// Its index, and what it is to be told.
fn find_bridge(network: &Network, seen: &Snapshot) -> Result<(u32, Vec<BridgeSetting>), MeshError> {
    let bridge = network.bridge.clone();
    match seen.link(bridge.as_str()) {
        None => Err(MeshError::BridgeMissing { bridge }),
        Some(Link { index, learned, policed, kind: Kind::Bridge, .. }) => {
            let checks = [
                (BridgeSetting::Learned, learned.is_none_or(|learned| learned == LEARNED)),
                (BridgeSetting::Unpoliced, !policed),
            ];
            Ok((*index, checks.into_iter().filter(|(_, right)| !right).map(|(setting, _)| setting).collect()))
        }
        Some(Link { kind: Kind::Vxlan(_), .. }) => {
            Err(MeshError::NotABridge { bridge, kind: "vxlan".into() })
        }
        Some(Link { kind: Kind::Other(kind), .. }) => {
            Err(MeshError::NotABridge { bridge, kind: kind.clone() })
        }
    }
}

fn plan_device(network: &Network, seen: &Snapshot, bridge: u32) -> Result<Device, MeshError> {
    let taken = |kind: &str| MeshError::DeviceTaken { device: network.device.clone(), kind: kind.into() };
    let wanted = Vxlan {
        vni: network.vni.get(),
        local: Some(network.local),
        floods: false,
        udp_port: network.udp_port.get(),
        learning: false,
    };
    let holder = seen.links.iter().find(|link| match &link.kind {
        Kind::Vxlan(v) => {
            v.vni == wanted.vni && v.udp_port == wanted.udp_port && link.name != network.device.as_str()
        }
        Kind::Bridge | Kind::Other(_) => false,
    });
    if let Some(holder) = holder {
        let (vni, udp_port) = (network.vni, wanted.udp_port);
        return Err(MeshError::VniTaken { vni, udp_port, holder: holder.name.clone() });
    }
    let Some(link) = seen.link(network.device.as_str()) else { return Ok(Device::Create) };
    match &link.kind {
        Kind::Vxlan(vxlan) if *vxlan == wanted => {
            Ok(Device::Keep(link.index, settings(network, link, bridge)))
        }
        Kind::Vxlan(_) => Ok(Device::Replace(link.index)),
        Kind::Bridge => Err(taken("bridge")),
        Kind::Other(kind) => Err(taken(kind)),
    }
}

fn settings(network: &Network, link: &Link, bridge: u32) -> Vec<Setting> {
    let attached = link.controller == Some(bridge);
    let checks = [
        (Setting::Mtu, link.mtu == network.mtu),
        (Setting::Bridge, attached),
        (Setting::PortFlags, attached && link.port == Some(PortFlags::OURS)),
        (Setting::Up, link.up),
    ];
    checks.into_iter().filter(|(_, right)| !right).map(|(setting, _)| setting).collect()
}

/// Three entries for each node of another host.
fn wanted(network: &Network) -> BTreeSet<Entry> {
    let mut entries = BTreeSet::new();
    for member in &network.members {
        match member.place {
            Place::Local(_) => {}
            Place::Remote(host) => entries.extend([
                Entry::Tunnel(member.mac, host),
                Entry::Port(member.mac),
                Entry::Neighbour(member.address, member.mac),
            ]),
        }
    }
    entries
}

/// What is on the device and on the bridge; true where it is exactly as ours are.
///
/// A bridge with a default VLAN shows a port entry twice, so the row that is ours decides.
fn found(network: &Network, seen: &Snapshot, bridge: u32, device: &Device) -> BTreeMap<Entry, bool> {
    let mut entries = BTreeMap::new();
    let neighbours =
        seen.neighbours.iter().filter(|r| r.link == bridge && network.subnet.contains(&r.address));
    entries.extend(neighbours.map(|r| (Entry::Neighbour(r.address, r.mac), true)));
    let index = match device {
        Device::Keep(index, _) => *index,
        // Its forwarding entries go with it.
        Device::Create | Device::Replace(_) => return entries,
    };
    for row in seen.fdb.iter().filter(|r| r.link == index) {
        let (entry, right) = match row.table {
            FdbTable::Tunnel(host) => (Entry::Tunnel(row.mac, host), true),
            FdbTable::Port { ours } => (Entry::Port(row.mac), ours),
        };
        *entries.entry(entry).or_default() |= right;
    }
    entries
}

#[cfg(test)]
mod tests;
