//! What the machine offers and what is in use there, through netlink and `/proc`.
//!
//! Interfaces are those with an IPv4 address that is not loopback: the ports of containers have none.

#![expect(clippy::wildcard_enum_match_arm, reason = "netlink attributes are an open set: only some are read")]

use std::{
    collections::{BTreeMap, BTreeSet},
    fs, io,
    net::Ipv4Addr,
    sync::atomic::{AtomicBool, Ordering},
};

use futures_util::{StreamExt, TryStreamExt};
use ipnet::Ipv4Net;
use netlink_packet_core::{NLM_F_DUMP, NLM_F_REQUEST, NetlinkMessage, NetlinkPayload};
use netlink_packet_route::{
    AddressFamily, RouteNetlinkMessage,
    address::AddressAttribute,
    neighbour_table::{NeighbourTableAttribute, NeighbourTableMessage},
    route::{RouteAddress, RouteAttribute, RouteHeader, RouteMessage, RouteType},
    rule::RuleMessage,
};
use rtnetlink::{Handle, IpVersion, RouteMessageBuilder};
use tokio::task::JoinSet;

use crate::{
    diversion::{self, Diversion},
    firewall,
    mesh::{Kind, MeshError, io_error, links},
};

const INOTIFY: &str = "/proc/sys/fs/inotify/max_user_instances";
const STATUS: &str = "/proc/self/status";
/// Name of the kernel's table of IPv4 neighbours.
const ARP_TABLE: &str = "arp_cache";

/// A fact that cannot be read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FactsError {
    /// A file of `/proc`.
    #[error("cannot read {path}")]
    File { path: &'static str, source: io::Error },
    /// No netlink socket.
    #[error("cannot open a netlink socket")]
    Socket(#[source] io::Error),
    /// A dump of the kernel's.
    #[error("cannot list {what}")]
    Dump { what: &'static str, source: io::Error },
    /// Links.
    #[error(transparent)]
    Mesh(#[from] MeshError),
}

/// Facts of this host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Facts {
    /// Address of the interface of the default route with the smallest metric.
    pub(crate) default_address: Option<Ipv4Addr>,
    pub(crate) interfaces: Vec<Interface>,
    pub(crate) inotify_instances: u32,
    /// `gc_thresh3`; the kernel tells it in every namespace, `/proc/sys` in the first only.
    pub(crate) neighbour_limit: u32,
    /// Destinations of the main table, the default route left out.
    pub(crate) routes: Vec<Ipv4Net>,
    /// What takes addresses whatever the main table says: other tables, rules, and the host's own addresses and gateways.
    pub(crate) diversions: Vec<Diversion>,
    pub(crate) vnis: Vec<u32>,
    pub(crate) resident_bytes: u64,
    /// Why the kernel cannot filter tunnel packets, if it cannot.
    pub(crate) filter_fault: Option<String>,
}

/// An interface with its IPv4 addresses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Interface {
    pub(crate) name: String,
    pub(crate) addresses: Vec<Ipv4Addr>,
    pub(crate) mtu: u32,
}

/// Reads all, on a socket of its own: the kernel carries out one dump at a time on each, and answers a second with EBUSY
/// (netlink_dump_start).
///
/// # Errors
/// [`FactsError`]: one of them cannot be read.
pub(crate) async fn facts() -> Result<Facts, FactsError> {
    let (connection, handle, _) = rtnetlink::new_connection().map_err(FactsError::Socket)?;
    // Ends with this.
    let mut reader = JoinSet::new();
    reader.spawn(connection);
    facts_over(&handle).await
}

async fn facts_over(handle: &Handle) -> Result<Facts, FactsError> {
    let links = links(handle).await?;
    let mut addresses = addresses(handle).await?;
    let Routes { default, main: routes, others, gateways } = routes(handle).await?;
    let mut diversions = diversion::diversions(rules(handle).await?, &others);
    let own = addresses.values().flatten().map(|address| (*address, "its own address"));
    let gateways = gateways.into_iter().map(|address| (address, "the gateway of a route"));
    diversions.extend(
        own.chain(gateways).map(|(address, by)| Diversion { subnet: address.into(), by: by.to_owned() }),
    );
    let names: BTreeSet<&str> = links.iter().map(|link| link.name.as_str()).collect();
    let guarded = tokio::task::spawn_blocking(firewall::guarded).await.unwrap_or_default();
    let left = guarded.into_iter().filter(|(_, device)| !names.contains(device.as_str()));
    diversions.extend(left.map(|(address, device)| Diversion {
        subnet: address.into(),
        by: format!("a rule in iptables' table raw that an engine left behind for {device}"),
    }));
    let default_address = default.and_then(|route| {
        route.source.or_else(|| addresses.get(&route.link).and_then(|a| a.first().copied()))
    });
    let vnis = links.iter().filter_map(|l| match &l.kind {
        Kind::Vxlan(v) => Some(v.vni),
        Kind::Bridge | Kind::Other(_) => None,
    });
    let vnis = vnis.collect();
    let interfaces = links.into_iter().filter_map(|link| {
        let addresses = addresses.remove(&link.index)?;
        Some(Interface { name: link.name, addresses, mtu: link.mtu })
    });
    Ok(Facts {
        interfaces: interfaces.collect(),
        inotify_instances: number(INOTIFY, &read(INOTIFY)?)?,
        neighbour_limit: neighbour_limit(handle).await?,
        resident_bytes: resident_bytes(&read(STATUS)?)?,
        filter_fault: filter_fault().await,
        default_address,
        routes,
        diversions,
        vnis,
    })
}

/// A trial that went well is not made again: to give one up, the kernel waits until no packet can be in it.
async fn filter_fault() -> Option<String> {
    static CAN: AtomicBool = AtomicBool::new(false);
    if CAN.load(Ordering::Relaxed) {
        return None;
    }
    let tried = tokio::task::spawn_blocking(firewall::fault).await;
    let fault = tried.unwrap_or_else(|ended| Some(ended.to_string()));
    CAN.store(fault.is_none(), Ordering::Relaxed);
    fault
}

/// IPv4 addresses by the index of their interface.
async fn addresses(handle: &Handle) -> Result<BTreeMap<u32, Vec<Ipv4Addr>>, FactsError> {
    let mut rows = std::pin::pin!(handle.address().get().execute());
    let mut addresses = BTreeMap::<_, Vec<_>>::new();
    while let Some(row) = rows.try_next().await.map_err(|e| dump("addresses", e))? {
        for attribute in row.attributes {
            if let AddressAttribute::Local(std::net::IpAddr::V4(address)) = attribute
                && !address.is_loopback()
            {
                addresses.entry(row.header.index).or_default().push(address);
            }
        }
    }
    Ok(addresses)
}

struct DefaultRoute {
    link: u32,
    metric: u32,
    /// The address the route itself prefers.
    source: Option<Ipv4Addr>,
}

/// IPv4 routes.
#[derive(Default)]
struct Routes {
    default: Option<DefaultRoute>,
    /// Destinations of the main table, the default route left out.
    main: Vec<Ipv4Net>,
    /// Destinations of the other tables, default routes included.
    others: BTreeMap<u32, Vec<Ipv4Net>>,
    /// Of the main table.
    gateways: BTreeSet<Ipv4Addr>,
}

async fn routes(handle: &Handle) -> Result<Routes, FactsError> {
    let request = RouteMessageBuilder::<Ipv4Addr>::new().build();
    let mut rows = std::pin::pin!(handle.route().get(request).execute());
    let mut routes = Routes::default();
    while let Some(row) = rows.try_next().await.map_err(|e| dump("routes", e))? {
        let length = row.header.destination_prefix_length;
        let to = destination(&row).and_then(|address| Ipv4Net::new(address, length).ok());
        let table = table(&row);
        if table != u32::from(RouteHeader::RT_TABLE_MAIN) {
            // `throw` says: ask the next rule.
            if row.header.kind == RouteType::Throw {
                continue;
            }
            let everywhere = || (length == 0).then(Ipv4Net::default);
            routes.others.entry(table).or_default().extend(to.or_else(everywhere));
            continue;
        }
        routes.gateways.extend(gateway(&row));
        if length == 0 {
            let route = default_route(&row);
            if routes.default.as_ref().is_none_or(|d| route.metric < d.metric) {
                routes.default = Some(route);
            }
        } else {
            routes.main.extend(to);
        }
    }
    Ok(routes)
}

/// Numbers beyond 255 are in an attribute (rtnetlink(7)).
fn table(route: &RouteMessage) -> u32 {
    let beyond = route.attributes.iter().find_map(|a| match a {
        RouteAttribute::Table(table) => Some(*table),
        _ => None,
    });
    beyond.unwrap_or_else(|| route.header.table.into())
}

fn gateway(route: &RouteMessage) -> Option<Ipv4Addr> {
    route.attributes.iter().find_map(|a| match a {
        RouteAttribute::Gateway(RouteAddress::Inet(address)) => Some(*address),
        _ => None,
    })
}

async fn rules(handle: &Handle) -> Result<Vec<RuleMessage>, FactsError> {
    let rows = handle.rule().get(IpVersion::V4).execute();
    rows.try_collect().await.map_err(|e| dump("routing rules", e))
}

fn destination(route: &RouteMessage) -> Option<Ipv4Addr> {
    route.attributes.iter().find_map(|a| match a {
        RouteAttribute::Destination(RouteAddress::Inet(address)) => Some(*address),
        _ => None,
    })
}

fn default_route(route: &RouteMessage) -> DefaultRoute {
    let mut default = DefaultRoute { link: 0, metric: 0, source: None };
    for attribute in &route.attributes {
        match attribute {
            RouteAttribute::Oif(link) => default.link = *link,
            RouteAttribute::MultiPath(hops) => {
                default.link = hops.first().map_or(0, |hop| hop.interface_index)
            }
            RouteAttribute::Priority(metric) => default.metric = *metric,
            RouteAttribute::PrefSource(RouteAddress::Inet(address)) => default.source = Some(*address),
            _ => {}
        }
    }
    default
}

async fn neighbour_limit(handle: &Handle) -> Result<u32, FactsError> {
    let mut message = NeighbourTableMessage::default();
    message.header.family = AddressFamily::Inet;
    let mut request = NetlinkMessage::from(RouteNetlinkMessage::GetNeighbourTable(message));
    request.header.flags = NLM_F_REQUEST | NLM_F_DUMP;
    let mut rows = handle.clone().request(request).map_err(|e| dump("neighbour tables", e))?;
    let mut limit = None;
    while let Some(row) = rows.next().await {
        match row.payload {
            NetlinkPayload::InnerMessage(RouteNetlinkMessage::NewNeighbourTable(table)) => {
                limit = limit.or_else(|| arp_limit(&table));
            }
            NetlinkPayload::Error(error) => {
                return Err(FactsError::Dump { what: "neighbour tables", source: error.to_io() });
            }
            _ => {}
        }
    }
    let missing = || io::Error::from(io::ErrorKind::NotFound);
    limit.ok_or_else(|| FactsError::Dump { what: "the limit of IPv4 neighbours", source: missing() })
}

fn arp_limit(table: &NeighbourTableMessage) -> Option<u32> {
    let (mut name, mut limit) = (None, None);
    for attribute in &table.attributes {
        match attribute {
            NeighbourTableAttribute::Name(n) => name = Some(n.as_str()),
            NeighbourTableAttribute::Threshold3(n) => limit = Some(*n),
            _ => {}
        }
    }
    limit.filter(|_| name == Some(ARP_TABLE))
}

fn dump(what: &'static str, error: rtnetlink::Error) -> FactsError {
    FactsError::Dump { what, source: io_error(error) }
}

fn read(path: &'static str) -> Result<String, FactsError> {
    fs::read_to_string(path).map_err(|source| FactsError::File { path, source })
}

fn number<T: std::str::FromStr>(path: &'static str, text: &str) -> Result<T, FactsError> {
    let malformed =
        || io::Error::new(io::ErrorKind::InvalidData, format!("`{}` is not a number", text.trim()));
    text.trim().parse().map_err(|_| FactsError::File { path, source: malformed() })
}

/// `VmRSS` of proc_pid_status(5), which is in KiB.
fn resident_bytes(status: &str) -> Result<u64, FactsError> {
    let line = status.lines().find_map(|l| l.strip_prefix("VmRSS:")?.trim().strip_suffix("kB"));
    number::<u64>(STATUS, line.unwrap_or_default()).map(|kib| kib.saturating_mul(1024))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn resident_memory_is_read_in_bytes() {
        assert_eq!(resident_bytes("Name:\tagent\nVmRSS:\t   9216 kB\n").unwrap(), 9216 * 1024);
        assert!(matches!(resident_bytes("Name:\tagent\n"), Err(FactsError::File { path: STATUS, .. })));
        assert!(resident_bytes(&read(STATUS).unwrap()).unwrap() > 0);
    }

    #[tokio::test]
    async fn the_kernel_tells_its_limits() {
        let facts = facts().await.unwrap();
        assert!(facts.inotify_instances > 0 && facts.neighbour_limit > 0);
        assert!(facts.interfaces.iter().all(|i| i.name != "lo" && i.mtu > 0));
    }

    /// With one socket for all, the kernel answered EBUSY.
    #[tokio::test]
    async fn many_may_ask_at_once() {
        for facts in futures_util::future::join_all((0..50).map(|_| facts())).await {
            facts.unwrap();
        }
    }
}
