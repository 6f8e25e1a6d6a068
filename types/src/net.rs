//! What a network is made of: VNI, MAC addresses, the use of a subnet, and the names in it.
//!
//! ```text
//! 10.96.4.0/24   .0 network  .1 gateway  .2 ... nodes ...  .251 | .252/30 Docker's own pool | .255 broadcast
//! ```

use std::{collections::BTreeSet, fmt, net::Ipv4Addr, str::FromStr};

use ipnet::Ipv4Net;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::{ClusterName, NodeName, RealmName};

/// Zone of every name: `<node>.<cluster>.<realm>.shoal.internal` (`internal` is reserved for private use, ICANN 2024).
pub const DNS_ZONE: &str = "shoal.internal";

/// The name of a node that is unique in an installation.
#[must_use]
pub fn node_fqdn(node: &NodeName, cluster: &ClusterName, realm: &RealmName) -> String {
    format!("{node}.{cluster}.{realm}.{DNS_ZONE}")
}

/// A digest of a set of addresses, in whatever order they come: 16 hexadecimal digits of SHA-256 over them in numerical order.
#[must_use]
pub fn digest_of_addresses(addresses: impl IntoIterator<Item = Ipv4Addr>) -> String {
    let sorted: BTreeSet<Ipv4Addr> = addresses.into_iter().collect();
    let mut hash = Sha256::new();
    for address in sorted {
        hash.update(address.octets());
    }
    hash.finalize().iter().take(8).map(|byte| format!("{byte:02x}")).collect()
}

/// A number that is no VNI.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{value} is not a VXLAN network identifier: 1 to 16777215")]
pub struct VniError {
    /// What was read.
    pub value: u64,
}

/// VXLAN network identifier, 24 bits, not zero (RFC 7348 section 5).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "u64", into = "u32")]
pub struct Vni(u32);

impl Vni {
    /// The number.
    #[must_use]
    pub fn get(self) -> u32 {
        self.0
    }
}

impl TryFrom<u64> for Vni {
    type Error = VniError;

    fn try_from(value: u64) -> Result<Self, VniError> {
        match u32::try_from(value) {
            Ok(vni @ 1..=0xff_ffff) => Ok(Self(vni)),
            _ => Err(VniError { value }),
        }
    }
}

impl From<Vni> for u32 {
    fn from(vni: Vni) -> u32 {
        vni.0
    }
}

impl fmt::Display for Vni {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A text that is no MAC address.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not a MAC address: six pairs of hexadecimal digits separated by colons")]
pub struct MacError {
    /// What was read.
    pub text: String,
}

/// Ethernet address of a node.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct MacAddr(pub [u8; 6]);

impl MacAddr {
    /// `02:42:` and the four octets of the address: what engines up to 27 derive by themselves, and we set everywhere.
    #[must_use]
    pub fn of(address: Ipv4Addr) -> Self {
        let [a, b, c, d] = address.octets();
        Self([0x02, 0x42, a, b, c, d])
    }
}

impl fmt::Display for MacAddr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, e, g] = self.0;
        write!(f, "{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{g:02x}")
    }
}

impl fmt::Debug for MacAddr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for MacAddr {
    type Err = MacError;

    fn from_str(text: &str) -> Result<Self, MacError> {
        let error = || MacError { text: text.chars().take(40).flat_map(char::escape_default).collect() };
        let mut octets = [0; 6];
        let mut parts = text.split(':');
        for octet in &mut octets {
            let part = parts
                .next()
                .filter(|p| p.len() == 2 && p.bytes().all(|b| b.is_ascii_hexdigit()))
                .ok_or_else(error)?;
            *octet = u8::from_str_radix(part, 16).map_err(|_| error())?;
        }
        if parts.next().is_some() { Err(error()) } else { Ok(Self(octets)) }
    }
}

impl TryFrom<String> for MacAddr {
    type Error = MacError;

    fn try_from(text: String) -> Result<Self, MacError> {
        text.parse()
    }
}

impl From<MacAddr> for String {
    fn from(mac: MacAddr) -> String {
        mac.to_string()
    }
}

/// How a subnet is used: the gateway first, then nodes, and the last four addresses left to Docker's own IPAM, so that a
/// container that joins without an address can never get a node's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SubnetPlan {
    /// The subnet.
    pub subnet: Ipv4Net,
}

impl SubnetPlan {
    /// Addresses a subnet loses: network, gateway and Docker's last /30.
    const LOST: u32 = 6;

    /// The longest prefix whose subnet holds `nodes` nodes with as many again to grow, from /24 to /16.
    #[must_use]
    pub fn prefix_for(nodes: u32) -> u8 {
        let wanted = nodes.saturating_mul(2).saturating_add(Self::LOST);
        (16..=24).rev().find(|p| 1u32 << (32 - p) >= wanted).unwrap_or(16)
    }

    /// The gateway, the same on every host and local to each: the first address.
    #[must_use]
    pub fn gateway(&self) -> Ipv4Addr {
        self.at(1)
    }

    /// The last /30: Docker's `--ip-range`.
    #[must_use]
    pub fn docker_range(&self) -> Ipv4Net {
        Ipv4Net::new_assert(self.at(self.size() - 4), 30)
    }

    /// How many nodes fit.
    #[must_use]
    pub fn node_slots(&self) -> u32 {
        self.size() - Self::LOST
    }

    /// Address of the node with this number from 0, if it fits.
    #[must_use]
    pub fn node(&self, number: u32) -> Option<Ipv4Addr> {
        (number < self.node_slots()).then(|| self.at(2 + number))
    }

    fn size(&self) -> u32 {
        1 << (32 - u32::from(self.subnet.prefix_len().clamp(8, 28)))
    }

    fn at(&self, offset: u32) -> Ipv4Addr {
        Ipv4Addr::from_bits(self.subnet.network().to_bits() + offset)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_subnet_of_254() {
        let plan = SubnetPlan { subnet: "10.96.4.0/24".parse().unwrap() };
        assert_eq!(plan.gateway().to_string(), "10.96.4.1");
        assert_eq!(plan.docker_range().to_string(), "10.96.4.252/30");
        assert_eq!(plan.node(0).unwrap().to_string(), "10.96.4.2");
        assert_eq!(plan.node(plan.node_slots() - 1).unwrap().to_string(), "10.96.4.251");
        assert_eq!(plan.node(plan.node_slots()), None);
    }

    #[test]
    fn prefix_grows_with_the_cluster() {
        assert_eq!(SubnetPlan::prefix_for(3), 24);
        assert_eq!(SubnetPlan::prefix_for(125), 24);
        assert_eq!(SubnetPlan::prefix_for(126), 23);
        assert_eq!(SubnetPlan::prefix_for(3000), 19);
        assert_eq!(SubnetPlan::prefix_for(u32::MAX), 16);
    }

    #[test]
    fn mac_text() {
        let mac = MacAddr::of(Ipv4Addr::new(10, 96, 4, 2));
        assert_eq!(mac.to_string(), "02:42:0a:60:04:02");
        assert_eq!(mac.to_string().parse(), Ok(mac));
        for bad in ["", "02:42:0a:60:04", "02:42:0a:60:04:02:01", "2:42:0a:60:04:02", "+2:42:0a:60:04:02"] {
            assert!(bad.parse::<MacAddr>().is_err(), "{bad}");
        }
    }

    #[test]
    fn vni_is_24_bits() {
        assert!(Vni::try_from(0).is_err() && Vni::try_from(1 << 24).is_err());
        assert_eq!(Vni::try_from(77).unwrap().get(), 77);
    }
}
