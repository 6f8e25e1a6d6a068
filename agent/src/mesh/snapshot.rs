//! What the kernel has: links, the forwarding entries of VXLAN devices, permanent neighbours, own addresses.
//!
//! One snapshot serves every network of a pass. Dumps are read as a stream and only what a plan looks at is kept: a host may
//! have tens of thousands of rows.

use std::{collections::BTreeSet, net::Ipv4Addr};

use futures_util::TryStreamExt;
use netlink_packet_route::address::AddressAttribute;
use rtnetlink::Handle;
use shoal_types::MacAddr;

use super::{
    error::{MeshError, kernel},
    fdb, link, neigh,
};

/// The host as a plan sees it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Snapshot {
    pub(crate) links: Vec<Link>,
    /// Rows of the VXLAN devices that were asked for.
    pub(crate) fdb: Vec<FdbRow>,
    /// Permanent IPv4 neighbours of the bridges that were asked for.
    pub(crate) neighbours: Vec<NeighbourRow>,
    /// IPv4 addresses of this host.
    pub(crate) addresses: BTreeSet<Ipv4Addr>,
}

/// A network device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Link {
    pub(crate) index: u32,
    pub(crate) name: String,
    pub(crate) up: bool,
    pub(crate) mtu: u32,
    /// Index of the bridge it is a port of.
    pub(crate) controller: Option<u32>,
    pub(crate) kind: Kind,
    /// Its flags as a bridge port.
    pub(crate) port: Option<PortFlags>,
    /// Of a bridge: most addresses that it learns, 0 for any number. `None`: the kernel has no such bound (before 6.7).
    pub(crate) learned: Option<u32>,
    /// Whether IPsec's policies are asked about packets that leave by it, or came in by it (`disable_xfrm`, `disable_policy` of
    /// the kernel's ip-sysctl.rst).
    pub(crate) policed: bool,
}

/// What a device is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Kind {
    Bridge,
    Vxlan(Vxlan),
    /// The kernel's word for it; `physical` if it has none.
    Other(String),
}

/// What cannot be changed on a VXLAN device that exists.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Vxlan {
    pub(crate) vni: u32,
    pub(crate) local: Option<Ipv4Addr>,
    /// Remote or group all unknown frames go to; ours have none.
    pub(crate) floods: bool,
    pub(crate) udp_port: u16,
    pub(crate) learning: bool,
}

/// Flags of a bridge port.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct PortFlags {
    pub(crate) neigh_suppress: bool,
    pub(crate) learning: bool,
}

impl PortFlags {
    /// What our ports have.
    pub(crate) const OURS: Self = Self { neigh_suppress: true, learning: false };
}

/// A forwarding entry of a VXLAN device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct FdbRow {
    /// Index of the device.
    pub(crate) link: u32,
    pub(crate) mac: MacAddr,
    pub(crate) table: FdbTable,
}

/// Which of the two tables a row is in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum FdbTable {
    /// The device's own: to this host.
    Tunnel(Ipv4Addr),
    /// The bridge's: behind this port. A bridge with a default VLAN shows an entry twice, without and with it.
    Port {
        /// Static and sticky, without a VLAN.
        ours: bool,
    },
}

/// A permanent neighbour.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct NeighbourRow {
    /// Index of the device it is on.
    pub(crate) link: u32,
    pub(crate) address: Ipv4Addr,
    pub(crate) mac: MacAddr,
}

impl Snapshot {
    /// Dumps the kernel's tables: links first, so that of the others only the rows of links of these names are asked for.
    ///
    /// # Errors
    /// [`MeshError::Kernel`]: a dump failed.
    pub(crate) async fn take(handle: &Handle, names: &BTreeSet<String>) -> Result<Self, MeshError> {
        let links = links(handle).await?;
        let of = |wanted: fn(&Kind) -> bool| -> BTreeSet<u32> {
            let named = links.iter().filter(|l| names.contains(&l.name));
            named.filter(|l| wanted(&l.kind)).map(|l| l.index).collect()
        };
        let devices = of(|kind| matches!(kind, Kind::Vxlan(_)));
        let bridges = of(|kind| matches!(kind, Kind::Bridge));
        Ok(Self {
            fdb: fdb::dump(handle, &devices).await?,
            neighbours: neigh::dump(handle, &bridges).await?,
            addresses: addresses(handle).await?,
            links,
        })
    }

    /// The link of this name.
    pub(crate) fn link(&self, name: &str) -> Option<&Link> {
        self.links.iter().find(|l| l.name == name)
    }
}

/// Every link of this host.
///
/// # Errors
/// [`MeshError::Kernel`]: the dump failed.
pub(crate) async fn links(handle: &Handle) -> Result<Vec<Link>, MeshError> {
    link::dump(handle).await
}

async fn addresses(handle: &Handle) -> Result<BTreeSet<Ipv4Addr>, MeshError> {
    let mut rows = std::pin::pin!(handle.address().get().execute());
    let mut addresses = BTreeSet::new();
    while let Some(row) = rows.try_next().await.map_err(|e| kernel("list addresses", e))? {
        for attribute in row.attributes {
            if let AddressAttribute::Local(std::net::IpAddr::V4(address)) = attribute {
                addresses.insert(address);
            }
        }
    }
    Ok(addresses)
}
