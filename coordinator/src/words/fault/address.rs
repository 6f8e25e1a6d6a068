//! Why a network gets no subnet or VNI.

use ipnet::Ipv4Net;

/// Where cluster subnets come from. Kept clear of 10.0.0.0/12 and 172.16.0.0/12, which sites and engines use most.
pub(crate) const POOL: Ipv4Net = Ipv4Net::new_assert(std::net::Ipv4Addr::new(10, 96, 0, 0), 12);

/// Nothing is left.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoAddress {
    /// No subnet of the length is free.
    #[error("no free /{prefix} subnet is left in {POOL}: delete clusters, or free the range on the hosts")]
    Subnet {
        /// Length of its prefix.
        prefix: u8,
    },
    /// All 16 million are in use.
    #[error("no free VXLAN network identifier is left")]
    Vni,
}
