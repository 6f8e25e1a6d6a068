//! Identifiers: private UUIDv7 newtypes with a prefixed text form, and the counters that order writes.
//!
//! An id is made once, at admission, and never derived from a name; its text form (`clu_0190...`) is what columns, labels
//! and logs carry, so an id of one kind cannot be read as another.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// A text that is not an id of the expected kind.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum IdError {
    /// The prefix is not the one of this kind of id.
    #[error("`{text}` is not a {kind} id: it must start with `{prefix}`")]
    Prefix {
        /// What was read.
        text: String,
        /// The kind of id expected, as a word.
        kind: &'static str,
        /// The prefix of that kind, with its underscore.
        prefix: &'static str,
    },
    /// What follows the prefix is not a UUID of 32 lower-case hexadecimal digits, or the short id is malformed.
    #[error("`{text}` is not a {kind} id: malformed")]
    Malformed {
        /// What was read.
        text: String,
        /// The kind of id expected, as a word.
        kind: &'static str,
    },
}

macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident, $prefix:literal, $kind:literal;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(Uuid);

        impl $name {
            /// The prefix of the text form, with its underscore.
            pub const PREFIX: &'static str = $prefix;

            /// A new id: a UUIDv7 of `now_ms` (milliseconds since the epoch) and ten random bytes.
            #[must_use]
            pub fn new(now_ms: u64, random: [u8; 10]) -> Self {
                Self(uuid::Builder::from_unix_timestamp_millis(now_ms, &random).into_uuid())
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!($prefix, "{}"), self.0.simple())
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }

        impl FromStr for $name {
            type Err = IdError;

            fn from_str(text: &str) -> Result<Self, IdError> {
                let Some(rest) = text.strip_prefix($prefix) else {
                    return Err(IdError::Prefix { text: text.into(), kind: $kind, prefix: $prefix });
                };
                let malformed = || IdError::Malformed { text: text.into(), kind: $kind };
                if rest.len() != 32 || rest.bytes().any(|b| b.is_ascii_uppercase()) {
                    return Err(malformed());
                }
                Uuid::try_parse(rest).map(Self).map_err(|_| malformed())
            }
        }

        impl TryFrom<String> for $name {
            type Error = IdError;

            fn try_from(text: String) -> Result<Self, IdError> {
                text.parse()
            }
        }

        impl From<$name> for String {
            fn from(id: $name) -> String {
                id.to_string()
            }
        }
    )*};
}

ids! {
    /// A registered Docker host.
    HostId, "hst_", "host";
    /// A Slurm cluster.
    ClusterId, "clu_", "cluster";
    /// One Slurm node: one container, wherever it runs.
    NodeId, "nod_", "node";
    /// One layer-2 segment across hosts.
    NetworkId, "net_", "network";
    /// A sealed secret.
    SecretId, "sec_", "secret";
    /// A user of servers.
    UserId, "usr_", "user";
}

macro_rules! counters {
    ($($(#[$doc:meta])* $name:ident;)*) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub u64);

        impl $name {
            /// The first value.
            pub const FIRST: Self = Self(1);

            /// The value after this one.
            #[must_use]
            pub fn next(self) -> Self {
                Self(self.0 + 1)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    )*};
}

counters! {
    /// How often a node's intent was changed in a way that needs a new container; a container carries the one it was made for.
    Generation;
    /// How often a lease changed hands; every write of its holder names it, so a stale holder's writes are refused.
    Epoch;
    /// Version of a network's state as told to agents; an agent refuses a lower one.
    Revision;
}

/// Short id of an installation (one store and what belongs to it): six lower-case hexadecimal digits, in every label and
/// device name, so that two installations can share a host.
#[derive(Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct InstallationId(String);

impl InstallationId {
    /// The id made of three random bytes.
    #[must_use]
    pub fn new(random: [u8; 3]) -> Self {
        let [a, b, c] = random;
        Self(format!("{a:02x}{b:02x}{c:02x}"))
    }

    /// The six digits.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for InstallationId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for InstallationId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for InstallationId {
    type Err = IdError;

    fn from_str(text: &str) -> Result<Self, IdError> {
        if text.len() == 6 && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f')) {
            Ok(Self(text.into()))
        } else {
            Err(IdError::Malformed { text: text.into(), kind: "installation" })
        }
    }
}

impl TryFrom<String> for InstallationId {
    type Error = IdError;

    fn try_from(text: String) -> Result<Self, IdError> {
        text.parse()
    }
}

impl From<InstallationId> for String {
    fn from(id: InstallationId) -> String {
        id.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_form_round_trips_and_kinds_do_not_mix() {
        let id = ClusterId::new(1_700_000_000_000, [7; 10]);
        let text = id.to_string();
        assert!(text.starts_with("clu_018bcfe56800"), "{text}");
        assert_eq!(text.parse::<ClusterId>(), Ok(id));
        assert!(matches!(text.parse::<NodeId>(), Err(IdError::Prefix { .. })));
        assert!(matches!("clu_12".parse::<ClusterId>(), Err(IdError::Malformed { .. })));
    }

    #[test]
    fn ids_sort_by_time() {
        assert!(NodeId::new(1, [255; 10]) < NodeId::new(2, [0; 10]));
    }

    #[test]
    fn installation_id_is_six_hex_digits() {
        assert_eq!(InstallationId::new([0, 0xab, 9]).as_str(), "00ab09");
        for bad in ["", "00ab0", "00AB09", "00ab0g", "00ab090"] {
            assert!(bad.parse::<InstallationId>().is_err(), "{bad}");
        }
    }
}
