//! Names people choose: hosts, realms, clusters, nodes. Each is one DNS label, checked once at the edge.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

/// Longest name: Slurm's accounting limits cluster names to 40 characters, and a label of the DNS to 63 (RFC 1035 2.3.4).
const MAX_LEN: usize = 40;

/// A name that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// Nothing was given.
    #[error("a {kind} name must not be empty")]
    Empty {
        /// What was to be named.
        kind: &'static str,
    },
    /// More than 40 characters.
    #[error("{kind} name `{name}` is too long: {len} characters, at most {MAX_LEN}")]
    TooLong {
        /// What was to be named.
        kind: &'static str,
        /// The first characters of the name.
        name: String,
        /// Its length in characters.
        len: usize,
    },
    /// A character outside `a-z`, `0-9`, `-`, or a dash at either end.
    #[error(
        "{kind} name `{name}` is not usable: lower-case letters, digits and inner dashes only, starting with a letter"
    )]
    Malformed {
        /// What was to be named.
        kind: &'static str,
        /// The name, with control characters escaped.
        name: String,
    },
}

fn check(kind: &'static str, text: &str) -> Result<(), NameError> {
    let shown = || text.chars().take(MAX_LEN + 8).flat_map(char::escape_default).collect::<String>();
    if text.is_empty() {
        return Err(NameError::Empty { kind });
    }
    let len = text.chars().count();
    if len > MAX_LEN {
        return Err(NameError::TooLong { kind, name: shown(), len });
    }
    let plain = text.bytes().all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'-'));
    let ends = text.starts_with(|c: char| c.is_ascii_lowercase()) && !text.ends_with('-');
    if plain && ends { Ok(()) } else { Err(NameError::Malformed { kind, name: shown() }) }
}

macro_rules! names {
    ($($(#[$doc:meta])* $name:ident, $kind:literal;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(String);

        impl $name {
            /// The name as given.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Debug::fmt(&self.0, f)
            }
        }

        impl FromStr for $name {
            type Err = NameError;

            fn from_str(text: &str) -> Result<Self, NameError> {
                check($kind, text).map(|()| Self(text.into()))
            }
        }

        impl TryFrom<String> for $name {
            type Error = NameError;

            fn try_from(text: String) -> Result<Self, NameError> {
                check($kind, &text).map(|()| Self(text))
            }
        }

        impl From<$name> for String {
            fn from(name: $name) -> String {
                name.0
            }
        }
    )*};
}

names! {
    /// A registered host, unique in the installation.
    HostName, "host";
    /// A namespace of clusters.
    RealmName, "realm";
    /// A cluster, unique in its realm.
    ClusterName, "cluster";
    /// A node, unique in its cluster; also its hostname and Slurm NodeName.
    NodeName, "node";
    /// A user of servers, unique in the installation.
    UserName, "user";
    /// A context of a server elsewhere, unique among those of a user.
    ContextName, "context";
}

impl Default for RealmName {
    /// `default`.
    fn default() -> Self {
        Self("default".into())
    }
}

impl Default for ClusterName {
    /// `default`.
    fn default() -> Self {
        Self("default".into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accepts_dns_labels() {
        for good in ["a", "dev", "worker-0", "a1-b2", &"x".repeat(MAX_LEN)] {
            assert!(good.parse::<ClusterName>().is_ok(), "{good}");
        }
    }

    #[test]
    fn refuses_everything_else() {
        let long = "x".repeat(MAX_LEN + 1);
        for bad in ["", "A", "a.b", "-a", "a-", "0a", "a_b", "ä", "../x", "a b", "a\n", &long] {
            assert!(bad.parse::<HostName>().is_err(), "{bad:?}");
        }
    }

    #[test]
    fn control_characters_are_escaped_in_the_message() {
        let error = "a\u{1b}[31m".parse::<HostName>().unwrap_err();
        assert!(!error.to_string().contains('\u{1b}'));
    }
}
