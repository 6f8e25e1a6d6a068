//! Chooses a network's VNI and subnet against everything known to be in use. Pure.

use std::collections::BTreeSet;

use ipnet::Ipv4Net;
use shoal_storage::{Host, Rng};
use shoal_types::{Pools, Vni};

use crate::words::{entropy::draw, fault::NoAddress};

/// Shortest prefix that a route into private address space has: what is wider is a default in disguise, such as the halves
/// 0.0.0.0/1 and 128.0.0.0/1 of a VPN, and says nothing of any address.
const SITE: u8 = 8;
/// Shortest prefix of a route that says of every address in it that it is somewhere. A wider one says so of some: the route of a
/// cluster's bridge is longer and wins, and its own addresses are out of reach of that host.
const NARROW: u8 = 16;
/// Obstacles that an error names.
const NAMED: usize = 4;

/// Addresses that something has, and what: `host1's route to it`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Obstacle {
    pub(crate) subnet: Ipv4Net,
    pub(crate) by: String,
}

/// What cannot be used, or only if nothing else is left.
#[derive(Debug, Clone, Default)]
pub(crate) struct InUse {
    /// Subnets of our networks.
    pub(crate) clusters: Vec<Ipv4Net>,
    /// Addresses that member hosts cannot give to a cluster.
    pub(crate) taken: Vec<Obstacle>,
    /// Wide routes of member hosts.
    pub(crate) wide: Vec<Obstacle>,
    /// VNIs of our networks and of the member hosts' devices.
    pub(crate) vnis: BTreeSet<Vni>,
}

impl InUse {
    /// Takes up what a host has.
    pub(crate) fn add(&mut self, host: &Host) {
        let of = |what: String| format!("{what} on {}", host.name);
        for subnet in &host.engine.subnets {
            self.taken.push(Obstacle { subnet: *subnet, by: of(format!("Docker network {subnet}")) });
        }
        let Some(facts) = &host.facts else { return };
        self.vnis.extend(&facts.vnis);
        for route in &facts.routes {
            let obstacle = Obstacle { subnet: *route, by: of(format!("route {route}")) };
            match route.prefix_len() {
                0..SITE => {}
                SITE..NARROW => self.wide.push(obstacle),
                NARROW.. => self.taken.push(obstacle),
            }
        }
        for diversion in &facts.diversions {
            let by = of(format!("{} by {}", diversion.subnet, diversion.by));
            self.taken.push(Obstacle { subnet: diversion.subnet, by });
        }
    }

    /// What of a host meets this subnet.
    pub(crate) fn meets(&self, subnet: &Ipv4Net) -> Option<&Obstacle> {
        self.taken.iter().find(|taken| overlaps(&taken.subnet, subnet))
    }
}

/// The first subnet of this length in the pools that overlaps nothing in use; if there is none, the first that only wide routes
/// cover, and one of these.
pub(crate) fn choose_subnet(
    prefix: u8,
    pools: &Pools,
    in_use: &InUse,
) -> Result<(Ipv4Net, Option<Obstacle>), NoAddress> {
    let meets = |net: &Ipv4Net| pools.ranges().iter().any(|pool| overlaps(net, pool));
    let clusters: Vec<_> = in_use.clusters.iter().filter(|net| meets(net)).collect();
    let taken: Vec<_> = in_use.taken.iter().filter(|taken| meets(&taken.subnet)).collect();
    let candidates = || pools.ranges().iter().filter_map(|pool| pool.subnets(prefix).ok()).flatten();
    let is_free = |net: &Ipv4Net| {
        let taken = taken.iter().map(|taken| &taken.subnet).chain(clusters.iter().copied());
        taken.into_iter().all(|taken| !overlaps(net, taken))
    };
    let over = |net: &Ipv4Net| in_use.wide.iter().find(|wide| overlaps(net, &wide.subnet));
    if let Some(free) = candidates().find(|net| over(net).is_none() && is_free(net)) {
        return Ok((free, None));
    }
    if let Some(covered) = candidates().find(is_free) {
        return Ok((covered, over(&covered).cloned()));
    }
    let mut obstacles: Vec<_> =
        taken.iter().map(|taken| (taken.subnet.prefix_len(), taken.by.clone())).collect();
    obstacles.sort();
    obstacles.dedup();
    let more = obstacles.len().saturating_sub(NAMED);
    let mut by: Vec<_> = obstacles.into_iter().take(NAMED).map(|(_, by)| by).collect();
    if more > 0 {
        by.push(format!("{more} more of hosts"));
    }
    match clusters.len() {
        0 => {}
        1 => by.push("1 cluster".into()),
        many => by.push(format!("{many} clusters")),
    }
    if by.is_empty() {
        by.push("they are smaller".into());
    }
    Err(NoAddress::Subnet {
        prefix,
        pools: pools.to_string(),
        by: by.join(", "),
        clusters: !clusters.is_empty(),
        everything: taken.iter().any(|taken| taken.subnet.prefix_len() < SITE),
    })
}

/// A VNI nobody uses: one that is drawn, or the next free one behind it. Who knows one network's knows no other's, and two
/// installations on one host rarely meet.
pub(crate) fn choose_vni(rng: &mut Rng, in_use: &InUse) -> Result<Vni, NoAddress> {
    let [high, middle, low] = draw(rng);
    let start = u64::from(u32::from_be_bytes([0, high, middle, low]));
    let candidates = (start..=0xff_ffff).chain(1..start).filter_map(|v| Vni::try_from(v).ok());
    candidates.into_iter().find(|v| !in_use.vnis.contains(v)).ok_or(NoAddress::Vni)
}

/// Whether two subnets share an address.
pub(crate) fn overlaps(a: &Ipv4Net, b: &Ipv4Net) -> bool {
    a.contains(&b.network()) || b.contains(&a.network())
}

#[cfg(test)]
mod tests {
    use rand::{SeedableRng, rngs::StdRng};

    use super::*;

    fn in_use(clusters: &[&str], taken: &[&str], wide: &[&str]) -> InUse {
        let nets = |texts: &[&str]| texts.iter().map(|t| t.parse().unwrap()).collect::<Vec<Ipv4Net>>();
        let of = |texts| {
            let nets = nets(texts).into_iter();
            nets.map(|subnet| Obstacle { subnet, by: format!("route {subnet} on host1") }).collect()
        };
        InUse { clusters: nets(clusters), taken: of(taken), wide: of(wide), ..InUse::default() }
    }

    fn chosen(prefix: u8, pools: &str, in_use: &InUse) -> String {
        match choose_subnet(prefix, &pools.parse().unwrap(), in_use) {
            Ok((subnet, None)) => subnet.to_string(),
            Ok((subnet, Some(within))) => format!("{subnet} within {}", within.by),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn takes_the_first_free_subnet_of_the_first_range() {
        let pools = "10.96.0.0/12,172.20.0.0/16";
        for (prefix, clusters, taken, expected) in [
            (24, &["10.96.0.0/24"][..], &["192.168.0.0/16"][..], "10.96.1.0/24"),
            (24, &[], &["10.96.0.0/23"], "10.96.2.0/24"),
            (20, &[], &["10.96.0.0/23"], "10.96.16.0/20"),
            // Numbers are compared, not texts.
            (24, &[], &["10.96.0.0/21", "10.96.8.0/23"], "10.96.10.0/24"),
            (24, &[], &["10.96.0.0/12"], "172.20.0.0/24"),
            (
                16,
                &["172.20.7.0/24"],
                &["10.96.0.0/12"],
                "no free /16 subnet is left in 10.96.0.0/12, 172.20.0.0/16: route 10.96.0.0/12 on host1, 1 cluster: delete clusters, or name further ranges with `shoal set installation --pool CIDR`",
            ),
            (
                24,
                &[],
                &["10.0.0.0/8", "172.16.0.0/12"],
                "no free /24 subnet is left in 10.96.0.0/12, 172.20.0.0/16: route 10.0.0.0/8 on host1, route 172.16.0.0/12 on host1: name other ranges with `shoal set installation --pool CIDR`",
            ),
            (
                24,
                &[],
                &["0.0.0.0/0"],
                "no free /24 subnet is left in 10.96.0.0/12, 172.20.0.0/16: route 0.0.0.0/0 on host1: no range is free of that: remove the rule or the route, or let it except a range",
            ),
        ] {
            assert_eq!(chosen(prefix, pools, &in_use(clusters, taken, &[])), expected);
        }
        assert!(
            chosen(20, "10.96.0.0/22", &InUse::default()).contains("10.96.0.0/22: they are smaller: name")
        );
    }

    #[test]
    fn a_wide_route_is_worse_than_a_free_range_and_better_than_nothing() {
        let wide = in_use(&[], &[], &["10.0.0.0/8"]);
        assert_eq!(chosen(24, "10.96.0.0/12", &wide), "10.96.0.0/24 within route 10.0.0.0/8 on host1");
        assert_eq!(chosen(24, "10.96.0.0/12,172.20.0.0/16", &wide), "172.20.0.0/24");
        let within = in_use(&["10.96.0.0/24"], &["10.96.1.7/32"], &["10.0.0.0/8"]);
        assert_eq!(chosen(24, "10.96.0.0/12", &within), "10.96.2.0/24 within route 10.0.0.0/8 on host1");
    }

    #[test]
    fn vnis_are_drawn_and_one_that_is_taken_is_not_given() {
        let seeded = || StdRng::seed_from_u64(7);
        let mut in_use = InUse::default();
        let mut rng = seeded();
        let drawn: Vec<_> = (0..100).map(|_| choose_vni(&mut rng, &in_use).unwrap()).collect();
        let neighbours = drawn.windows(2).filter(|pair| pair[0].get().abs_diff(pair[1].get()) < 1000);
        assert!(neighbours.count() < 3, "they are near each other: {drawn:?}");
        in_use.vnis.insert(drawn[0]);
        let other = choose_vni(&mut seeded(), &in_use).unwrap();
        assert_eq!(other.get(), drawn[0].get() + 1);
        in_use.vnis = (1..=0xff_ffff).filter_map(|v| Vni::try_from(v).ok()).collect();
        assert_eq!(choose_vni(&mut rng, &in_use), Err(NoAddress::Vni));
    }
}
