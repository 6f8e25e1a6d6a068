//! Where the subnets of clusters come from.

use std::{fmt, net::Ipv4Addr, str::FromStr};

use ipnet::Ipv4Net;
use serde::{Deserialize, Serialize};

/// Longest prefix of a range: room for the subnet of one small cluster.
const LONGEST: u8 = 24;
/// Private and shared address space (RFC 1918, RFC 6598) and that of benchmarks (RFC 2544).
const PRIVATE: [Ipv4Net; 5] = [
    Ipv4Net::new_assert(Ipv4Addr::new(10, 0, 0, 0), 8),
    Ipv4Net::new_assert(Ipv4Addr::new(172, 16, 0, 0), 12),
    Ipv4Net::new_assert(Ipv4Addr::new(192, 168, 0, 0), 16),
    Ipv4Net::new_assert(Ipv4Addr::new(100, 64, 0, 0), 10),
    Ipv4Net::new_assert(Ipv4Addr::new(198, 18, 0, 0), 15),
];

/// The ranges that subnets of clusters are taken from, in the order in which they are tried.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Pools(Vec<Ipv4Net>);

/// Ranges that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PoolError {
    /// Not one.
    #[error("at least one range is needed, such as 10.96.0.0/12")]
    None,
    /// No CIDR.
    #[error("`{0}` is no range of IPv4 addresses: write it as 10.96.0.0/12")]
    NoRange(String),
    /// The address has bits beyond the prefix.
    #[error("`{0}` begins in the middle of the range {1}: write {1}")]
    NotItsBegin(Ipv4Net, Ipv4Net),
    /// Less than a small cluster takes.
    #[error("{0} is too small: a cluster takes at least a /{LONGEST}")]
    TooSmall(Ipv4Net),
    /// Addresses that others own.
    #[error("{0} is not private: take a range within {list}", list = Pools::shown(&PRIVATE))]
    NotPrivate(Ipv4Net),
    /// Two of them share addresses.
    #[error("{0} and {1} overlap: give each range once")]
    Overlap(Ipv4Net, Ipv4Net),
}

impl Pools {
    /// Checks the ranges.
    ///
    /// # Errors
    /// [`PoolError`]: which of them cannot be used, and why.
    pub fn new(ranges: Vec<Ipv4Net>) -> Result<Self, PoolError> {
        if ranges.is_empty() {
            return Err(PoolError::None);
        }
        for (at, range) in ranges.iter().enumerate() {
            if range.trunc() != *range {
                return Err(PoolError::NotItsBegin(*range, range.trunc()));
            }
            if range.prefix_len() > LONGEST {
                return Err(PoolError::TooSmall(*range));
            }
            if !PRIVATE.iter().any(|private| private.contains(range)) {
                return Err(PoolError::NotPrivate(*range));
            }
            let twin = ranges[..at].iter().find(|other| other.contains(range) || range.contains(*other));
            if let Some(other) = twin {
                return Err(PoolError::Overlap(*other, *range));
            }
        }
        Ok(Self(ranges))
    }

    /// The ranges, in order.
    #[must_use]
    pub fn ranges(&self) -> &[Ipv4Net] {
        &self.0
    }

    fn shown(ranges: &[Ipv4Net]) -> String {
        ranges.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
    }
}

impl Default for Pools {
    /// Clear of 10.0.0.0/12 and 172.16.0.0/12, which sites and engines use most.
    fn default() -> Self {
        Self(vec![Ipv4Net::new_assert(Ipv4Addr::new(10, 96, 0, 0), 12)])
    }
}

impl fmt::Display for Pools {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&Self::shown(&self.0))
    }
}

impl FromStr for Pools {
    type Err = PoolError;

    fn from_str(text: &str) -> Result<Self, PoolError> {
        let words = text.split(',').map(str::trim).filter(|word| !word.is_empty());
        let ranges = words.map(|word| word.parse().map_err(|_| PoolError::NoRange(word.to_owned())));
        Self::new(ranges.collect::<Result<_, _>>()?)
    }
}

impl TryFrom<String> for Pools {
    type Error = PoolError;

    fn try_from(text: String) -> Result<Self, PoolError> {
        text.parse()
    }
}

impl From<Pools> for String {
    fn from(pools: Pools) -> Self {
        pools.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_private_apart_and_large_enough() {
        for (given, said) in [
            ("10.96.0.0/12", "10.96.0.0/12"),
            ("172.20.0.0/16, 100.64.0.0/16", "172.20.0.0/16, 100.64.0.0/16"),
            ("", "at least one range"),
            ("10.96.0.0", "`10.96.0.0` is no range"),
            ("fd00::/8", "no range of IPv4"),
            ("10.96.1.0/12", "write 10.96.0.0/12"),
            ("10.96.0.0/25", "too small"),
            ("8.8.0.0/16", "not private: take a range within 10.0.0.0/8"),
            ("10.0.0.0/7", "not private"),
            ("10.96.0.0/12,10.97.0.0/16", "10.96.0.0/12 and 10.97.0.0/16 overlap"),
        ] {
            let told = match given.parse::<Pools>() {
                Ok(pools) => pools.to_string(),
                Err(error) => error.to_string(),
            };
            assert!(told.contains(said), "{given}: {told}");
        }
        assert_eq!(Pools::default().to_string().parse(), Ok(Pools::default()));
    }
}
