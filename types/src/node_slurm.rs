//! What Slurm is told of one node beyond its name: size, generic resources, features, weight.

use std::{collections::BTreeSet, fmt, str::FromStr};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};

use crate::Bytes;

/// Longest name of a resource, its type or a feature.
const MAX_NAME: usize = 32;
/// Most pretend devices of one resource on a node: each is a file there.
pub const MAX_GRES: u32 = 1024;
/// Most features of a node.
const MAX_FEATURES: usize = 64;

/// What Slurm is told of each node of a group; what is not said is as for any node of the cluster.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct NodeSlurm {
    /// CPUs it tells Slurm it has.
    pub cpus: Option<u32>,
    /// Memory it tells Slurm it has.
    pub memory: Option<Bytes>,
    /// Generic resources it has.
    pub gres: Vec<Gres>,
    /// Words that jobs choose it by.
    pub features: Vec<Feature>,
    /// The less, the sooner it is taken; 1 if `None`.
    pub weight: Option<u32>,
}

/// What cannot be told of a node.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NodeSlurmError {
    /// One kind of resource twice.
    #[error("`{gres}` is there twice for one node")]
    Twice {
        /// Its name and type.
        gres: String,
    },
    /// More features than anybody reads.
    #[error("{count} features are too many for one node: at most {MAX_FEATURES}")]
    Features {
        /// How many were given.
        count: usize,
    },
}

impl NodeSlurm {
    /// Whether nothing is said.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Checks what must hold of the whole.
    pub(crate) fn check(&self) -> Result<(), NodeSlurmError> {
        let mut seen = BTreeSet::new();
        for gres in &self.gres {
            if !seen.insert((&gres.name, &gres.kind)) {
                let kind = gres.kind.as_ref().map(|kind| format!(":{kind}")).unwrap_or_default();
                return Err(NodeSlurmError::Twice { gres: format!("{}{kind}", gres.name) });
            }
        }
        match self.features.len() {
            count if count > MAX_FEATURES => Err(NodeSlurmError::Features { count }),
            _ => Ok(()),
        }
    }
}

/// A generic resource of a node: `gpu:2`, `gpu:a100:2`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Gres {
    /// Its name, which is one of Slurm's `GresTypes`.
    pub name: String,
    /// Its type, if it has one.
    pub kind: Option<String>,
    /// How many.
    pub count: u32,
}

/// A text that is no resource.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{text}` is no resource of a node: `NAME:COUNT` or `NAME:TYPE:COUNT` such as `gpu:2` or `gpu:a100:2`, with a count from 1 to {MAX_GRES}"
)]
pub struct GresError {
    /// What was given, shortened and escaped.
    text: String,
}

impl FromStr for Gres {
    type Err = GresError;

    fn from_str(text: &str) -> Result<Self, GresError> {
        let error = || GresError { text: text.chars().take(80).flat_map(char::escape_default).collect() };
        let parts: Vec<&str> = text.split(':').collect();
        let (name, kind, count) = match parts.as_slice() {
            [name] => (*name, None, 1),
            [name, count] => (*name, None, count.parse().map_err(|_| error())?),
            [name, kind, count] => (*name, Some(*kind), count.parse().map_err(|_| error())?),
            _ => return Err(error()),
        };
        let valid = is_word(name) && kind.is_none_or(is_word) && (1..=MAX_GRES).contains(&count);
        if !valid {
            return Err(error());
        }
        Ok(Self { name: name.to_owned(), kind: kind.map(str::to_owned), count })
    }
}

impl fmt::Display for Gres {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.kind {
            Some(kind) => write!(f, "{}:{kind}:{}", self.name, self.count),
            None => write!(f, "{}:{}", self.name, self.count),
        }
    }
}

/// A word that jobs choose nodes by.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Feature(String);

/// A text that is no feature.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is no feature: a word of letters, digits, `_`, `-` and `.`, at most {MAX_NAME}")]
pub struct FeatureError {
    /// What was given, shortened and escaped.
    text: String,
}

impl FromStr for Feature {
    type Err = FeatureError;

    fn from_str(text: &str) -> Result<Self, FeatureError> {
        match is_word(text) {
            true => Ok(Self(text.to_owned())),
            false => {
                Err(FeatureError { text: text.chars().take(80).flat_map(char::escape_default).collect() })
            }
        }
    }
}

impl fmt::Display for Feature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// What stands between Slurm's separators: it begins with a letter, which a count does not.
fn is_word(text: &str) -> bool {
    text.len() <= MAX_NAME
        && text.starts_with(|c: char| c.is_ascii_alphabetic())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.'))
}

macro_rules! as_text {
    ($($type:ty),*) => {$(
        impl Serialize for $type {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $type {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
            }
        }
    )*};
}

as_text!(Gres, Feature);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn resources_are_read_as_slurm_writes_them() {
        for (text, shown) in [("gpu", "gpu:1"), ("gpu:2", "gpu:2"), ("gpu:a100:2", "gpu:a100:2")] {
            assert_eq!(text.parse::<Gres>().unwrap().to_string(), shown);
        }
        for text in
            ["", "2", "gpu:", "gpu:a100", "gpu:0", "gpu:1025", "gpu:a:b:2", "gpu:2:3", "g p:1", "gpu:(x):1"]
        {
            let error = text.parse::<Gres>().unwrap_err().to_string();
            assert!(error.contains("`gpu:a100:2`"), "{error}");
        }
        assert_eq!("big".parse::<Feature>().unwrap().to_string(), "big");
        assert!("a,b".parse::<Feature>().is_err() && "".parse::<Feature>().is_err());
    }

    #[test]
    fn one_kind_is_named_once() {
        let of = |gres: &[&str]| NodeSlurm {
            gres: gres.iter().map(|text| text.parse().unwrap()).collect(),
            ..NodeSlurm::default()
        };
        assert_eq!(of(&["gpu:a100:2", "gpu:h100:1", "fpga:1"]).check(), Ok(()));
        let error = of(&["gpu:a100:2", "gpu:a100:1"]).check().unwrap_err();
        assert_eq!(error.to_string(), "`gpu:a100` is there twice for one node");
    }
}
