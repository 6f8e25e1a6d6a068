//! Why a network gets no subnet or VNI.

/// Nothing is left.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoAddress {
    /// No subnet of the length is free.
    #[error("no free /{prefix} subnet is left in {pools}: {by}: {advice}", advice = advice(*clusters, *everything))]
    Subnet {
        /// Length of its prefix.
        prefix: u8,
        /// The ranges.
        pools: String,
        /// What takes them, the widest first.
        by: String,
        /// Whether clusters are among that.
        clusters: bool,
        /// Whether one of it takes every address there is.
        everything: bool,
    },
    /// The network of the cluster has fewer addresses than it has nodes.
    #[error("subnet {subnet} is full")]
    Full {
        /// The subnet.
        subnet: String,
    },
    /// All 16 million are in use.
    #[error("no free VXLAN network identifier is left")]
    Vni,
}

fn advice(clusters: bool, everything: bool) -> &'static str {
    if everything {
        "no range is free of that: remove the rule or the route, or let it except a range"
    } else if clusters {
        "delete clusters, or name further ranges with `shoal set installation --pool CIDR`"
    } else {
        "name other ranges with `shoal set installation --pool CIDR`"
    }
}
