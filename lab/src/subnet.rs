//! The address plan: one /24 of 10.77.0.0/16 for each lab on the machine.
//!
//! `hostN` has address `.N`; the machine itself, where the coordinator runs, is `.254` in the LAN.

use std::collections::BTreeSet;
use std::net::Ipv4Addr;

use ipnet::Ipv4Net;
use serde::{Deserialize, Serialize};

use crate::name::HostName;

/// Prefix length of a lab's LAN.
pub(crate) const PREFIX: u8 = 24;

/// Last octet of the machine's own address in the LAN; above every host's number.
const UPLINK: u8 = 254;

/// The LAN of one lab: the third octet of `10.77.x.0/24`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct Subnet(u8);

impl Subnet {
    /// The network in CIDR form.
    pub(crate) fn network(self) -> Ipv4Net {
        Ipv4Net::new_assert(Ipv4Addr::new(10, 77, self.0, 0), PREFIX)
    }

    /// The machine's own address.
    pub(crate) fn uplink(self) -> Ipv4Addr {
        Ipv4Addr::new(10, 77, self.0, UPLINK)
    }

    /// A host's address.
    pub(crate) fn host(self, host: HostName) -> Ipv4Addr {
        Ipv4Addr::new(10, 77, self.0, host.number())
    }

    /// The MAC address of a host's interface: locally administered, made from its IPv4 address, and unlike
    /// those that Docker makes in the same way (`02:42:...`).
    pub(crate) fn host_mac(self, host: HostName) -> String {
        let [a, b, c, d] = self.host(host).octets();
        format!("02:53:{a:02x}:{b:02x}:{c:02x}:{d:02x}")
    }

    /// The first LAN that no other lab has and that meets no route of the machine.
    ///
    /// A route wider than /16 (a default route, a VPN's 10.0.0.0/8) does not count: the LAN's own
    /// route is more specific and wins.
    pub(crate) fn first_free(taken: &BTreeSet<Subnet>, routes: &[Ipv4Net]) -> Option<Self> {
        (0..=u8::MAX).map(Subnet).find(|subnet| {
            let network = subnet.network();
            let meets = |route: &Ipv4Net| {
                route.prefix_len() >= 16 && (route.contains(&network) || network.contains(route))
            };
            !taken.contains(subnet) && !routes.iter().any(meets)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn net(text: &str) -> Ipv4Net {
        text.parse().unwrap()
    }

    #[test]
    fn addresses_follow_the_number() {
        let lan = Subnet(3);
        assert_eq!(lan.network(), net("10.77.3.0/24"));
        assert_eq!(lan.host("host7".parse().unwrap()), Ipv4Addr::new(10, 77, 3, 7));
        assert_eq!(lan.host_mac("host17".parse().unwrap()), "02:53:0a:4d:03:11");
        assert_eq!(lan.uplink(), Ipv4Addr::new(10, 77, 3, 254));
    }

    #[test]
    fn no_host_meets_the_uplink() {
        const { assert!(crate::name::HOSTS_MAX < UPLINK) };
    }

    #[test]
    fn the_first_free_one_avoids_labs_and_routes() {
        let taken = BTreeSet::from([Subnet(0)]);
        assert_eq!(Subnet::first_free(&BTreeSet::new(), &[]), Some(Subnet(0)));
        assert_eq!(Subnet::first_free(&taken, &[]), Some(Subnet(1)));
        assert_eq!(Subnet::first_free(&taken, &[net("10.77.1.5/32")]), Some(Subnet(2)));
        assert_eq!(Subnet::first_free(&taken, &[net("10.77.0.0/22")]), Some(Subnet(4)));
    }

    #[test]
    fn wide_routes_do_not_count_and_a_full_range_is_refused() {
        let wide = [net("0.0.0.0/0"), net("10.0.0.0/8")];
        assert_eq!(Subnet::first_free(&BTreeSet::new(), &wide), Some(Subnet(0)));
        assert_eq!(Subnet::first_free(&BTreeSet::new(), &[net("10.77.0.0/16")]), None);
    }
}
