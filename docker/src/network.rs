//! Bridge networks: what to create and what is there.

use std::{collections::BTreeMap, net::Ipv4Addr};

use ipnet::Ipv4Net;
use shoal_types::Timestamp;

/// A bridge network to create; every value is ours, nothing is left to the engine's choice.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NetworkSpec {
    /// Its name. Not unique on 20.10.
    pub name: String,
    /// Labels it is found by.
    pub labels: BTreeMap<String, String>,
    /// Subnet, the same on every member host.
    pub subnet: Ipv4Net,
    /// The bridge's own address in it.
    pub gateway: Ipv4Addr,
    /// The part of the subnet the engine's own IPAM may draw from.
    pub ip_range: Ipv4Net,
    /// MTU of the containers' interfaces and the bridge, in bytes.
    pub mtu: u32,
    /// Name of the bridge device, at most 15 characters (IFNAMSIZ - 1, netdevice(7)).
    pub bridge: String,
}

/// A network an engine has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NetworkInfo {
    /// Its id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
    /// Its driver, such as `bridge`.
    pub driver: String,
    /// Its IPv4 subnets.
    pub subnets: Vec<Ipv4Net>,
    /// Its gateway, if it has one.
    pub gateway: Option<Ipv4Addr>,
    /// Its MTU, if one was set.
    pub mtu: Option<u32>,
    /// Name of its bridge device, if it is a bridge network.
    pub bridge: Option<String>,
    /// When it was created, by the engine's clock.
    pub created: Option<Timestamp>,
}
