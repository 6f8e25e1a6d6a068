//! Chooses a network's VNI and subnet against everything known to be in use. Pure.

use std::collections::BTreeSet;

use ipnet::Ipv4Net;
use shoal_storage::Rng;
use shoal_types::Vni;

use crate::words::{
    entropy::draw,
    fault::{NoAddress, POOL},
};

/// What cannot be used.
#[derive(Debug, Clone, Default)]
pub(crate) struct InUse {
    /// Subnets of our networks, of the member hosts' engines and of their routes.
    pub(crate) subnets: Vec<Ipv4Net>,
    /// VNIs of our networks and of the member hosts' devices.
    pub(crate) vnis: BTreeSet<Vni>,
}

/// The first subnet of this length in the pool that overlaps nothing in use.
pub(crate) fn choose_subnet(prefix: u8, in_use: &InUse) -> Result<Ipv4Net, NoAddress> {
    // A default route covers everything and says nothing.
    let taken: Vec<_> = in_use.subnets.iter().filter(|s| s.prefix_len() > 0 && overlaps(s, &POOL)).collect();
    let mut candidates = POOL.subnets(prefix).map_err(|_| NoAddress::Subnet { prefix })?;
    candidates.find(|c| !taken.iter().any(|t| overlaps(c, t))).ok_or(NoAddress::Subnet { prefix })
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

    fn nets(texts: &[&str]) -> Vec<Ipv4Net> {
        texts.iter().map(|t| t.parse().unwrap()).collect()
    }

    #[test]
    fn takes_the_first_free_subnet() {
        let in_use =
            InUse { subnets: nets(&["0.0.0.0/0", "10.96.0.0/23", "192.168.0.0/16"]), ..InUse::default() };
        assert_eq!(choose_subnet(24, &in_use), Ok("10.96.2.0/24".parse().unwrap()));
        assert_eq!(choose_subnet(20, &in_use), Ok("10.96.16.0/20".parse().unwrap()));
    }

    #[test]
    fn compares_numbers_not_text() {
        let in_use = InUse { subnets: nets(&["10.96.0.0/21", "10.96.8.0/23"]), ..InUse::default() };
        assert_eq!(choose_subnet(24, &in_use), Ok("10.96.10.0/24".parse().unwrap()));
    }

    #[test]
    fn a_route_over_the_whole_pool_leaves_nothing() {
        let in_use = InUse { subnets: nets(&["10.0.0.0/8"]), ..InUse::default() };
        assert_eq!(choose_subnet(24, &in_use), Err(NoAddress::Subnet { prefix: 24 }));
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
