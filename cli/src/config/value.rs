//! Single values of a configuration, each with the reason it was refused. YAML numbers and texts are both taken where a
//! person would write either: `memory: 536870912`, `memory: 512m`, `cpus: 0.5`, `cpus: 500m`.

use std::{fmt::Display, marker::PhantomData, num::NonZeroU32, str::FromStr};

use serde::{
    Deserialize, Deserializer,
    de::{Error, Visitor},
};
use shoal_types::{Bytes, ClusterMtu, LabelExpr, MilliCpu, SshPublicKey, chain};

/// Reads a number or text by `T`'s own rules.
struct Scalar<T>(PhantomData<T>, &'static str);

impl<T: FromStr<Err: std::error::Error>> Visitor<'_> for Scalar<T> {
    type Value = T;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.1)
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<T, E> {
        text.parse().map_err(|e| E::custom(chain(&e)))
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<T, E> {
        shown(number)
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<T, E> {
        shown(number)
    }

    fn visit_f64<E: Error>(self, number: f64) -> Result<T, E> {
        shown(number)
    }
}

fn shown<T: FromStr<Err: std::error::Error>, E: Error>(number: impl Display) -> Result<T, E> {
    number.to_string().parse().map_err(|e| E::custom(chain(&e)))
}

/// An amount of memory or disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Size(pub(super) Bytes);

impl<'de> Deserialize<'de> for Size {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Scalar(PhantomData, "a size such as 512m, 64MiB or 2g")).map(Self)
    }
}

/// A number of CPUs, whole or not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Cpus(pub(super) MilliCpu);

impl<'de> Deserialize<'de> for Cpus {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Scalar(PhantomData, "a number of CPUs such as 2, 0.5 or 500m")).map(Self)
    }
}

/// The MTU of a cluster's nodes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Mtu(pub(super) ClusterMtu);

impl<'de> Deserialize<'de> for Mtu {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Scalar(PhantomData, "a number of bytes such as 1400")).map(Self)
    }
}

/// A condition on the labels of hosts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Constraint(pub(super) LabelExpr);

impl<'de> Deserialize<'de> for Constraint {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Scalar(PhantomData, "a label expression such as rack=b")).map(Self)
    }
}

/// An SSH public key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct SshKey(pub(super) SshPublicKey);

impl<'de> Deserialize<'de> for SshKey {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer
            .deserialize_any(Scalar(PhantomData, "an SSH public key, the line of a file ending in .pub"))
            .map(Self)
    }
}

/// Anything that is read from one word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Word<T>(pub(super) T);

impl<'de, T: FromStr<Err: std::error::Error>> Deserialize<'de> for Word<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Scalar(PhantomData, "text")).map(Self)
    }
}

/// How many: from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Count(pub(super) NonZeroU32);

impl Count {
    /// One.
    pub(super) const ONE: Self = Self(NonZeroU32::MIN);
}

impl<'de> Deserialize<'de> for Count {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Whole;
        impl Visitor<'_> for Whole {
            type Value = Count;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a whole number from 1")
            }

            fn visit_u64<E: Error>(self, number: u64) -> Result<Count, E> {
                let count = u32::try_from(number).ok().and_then(NonZeroU32::new);
                count
                    .map(Count)
                    .ok_or_else(|| E::custom(format!("{number} is not a whole number from 1 to 4294967295")))
            }

            fn visit_i64<E: Error>(self, number: i64) -> Result<Count, E> {
                Err(E::custom(format!("{number} is not a whole number from 1 to 4294967295")))
            }
        }
        deserializer.deserialize_any(Whole)
    }
}
