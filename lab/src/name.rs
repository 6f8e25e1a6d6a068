//! The names of labs and hosts, checked once where they enter.
//!
//! A lab's name becomes part of an interface name (`sl-<lab>`, at most 15 bytes for the kernel), of
//! namespace names and of cgroup and directory paths: so it is short and plain. A host's name is its number.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Longest lab name: the kernel's 15 bytes for an interface, less the `sl-` of the uplink.
const LAB_NAME_MAX: usize = 12;

/// Most hosts in one lab: they take the low addresses of a /24, the top ones stay free for the lab itself.
pub const HOSTS_MAX: u8 = 200;

/// The name of a lab: 1 to 12 of `a-z`, `0-9` and `-`, beginning with a letter.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct LabName(String);

/// The name of a host: `host1` to `host200`, ordered by number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct HostName(u8);

/// A name that was refused.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum NameError {
    /// Not a lab's name.
    #[error("{0:?} is no lab name: use 1 to {LAB_NAME_MAX} of a-z, 0-9 and '-', beginning with a letter")]
    Lab(String),
    /// Not a host's name.
    #[error("{0:?} is no host name: hosts are called host1 to host{HOSTS_MAX}")]
    Host(String),
}

impl LabName {
    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The LAN's interface in the root namespace.
    pub(crate) fn uplink(&self) -> String {
        format!("sl-{}", self.0)
    }

    /// What every namespace of this lab begins with. No other lab's does: a name holds no dot.
    pub(crate) fn namespace_prefix(&self) -> String {
        format!("shoal-lab.{}.", self.0)
    }

    /// The namespace that holds the LAN's bridge.
    pub(crate) fn lan_namespace(&self) -> String {
        format!("{}lan", self.namespace_prefix())
    }

    /// The network namespace of a host.
    pub(crate) fn host_namespace(&self, host: HostName) -> String {
        format!("{}{host}", self.namespace_prefix())
    }

    /// The lab's cgroup, from the root of a hierarchy, beginning with a slash.
    pub(crate) fn cgroup(&self) -> String {
        format!("{}/{}", crate::cgroup::PARENT, self.0)
    }

    /// The cgroup of a host: parent of its containers' and of the one of its engine.
    pub(crate) fn host_cgroup(&self, host: HostName) -> String {
        format!("{}/{host}", self.cgroup())
    }
}

impl HostName {
    /// The host with a number from 1 to [`HOSTS_MAX`].
    pub(crate) fn from_number(number: u8) -> Option<Self> {
        (1..=HOSTS_MAX).contains(&number).then_some(Self(number))
    }

    /// The number in the name.
    #[must_use]
    pub fn number(self) -> u8 {
        self.0
    }
}

impl FromStr for LabName {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        let plain = text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
        let letter_first = text.bytes().next().is_some_and(|b| b.is_ascii_lowercase());
        if plain && letter_first && text.len() <= LAB_NAME_MAX {
            Ok(Self(text.to_owned()))
        } else {
            Err(NameError::Lab(text.to_owned()))
        }
    }
}

impl FromStr for HostName {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        text.strip_prefix("host")
            .filter(|digits| !digits.starts_with(['0', '+']))
            .and_then(|digits| digits.parse().ok())
            .and_then(Self::from_number)
            .ok_or_else(|| NameError::Host(text.to_owned()))
    }
}

impl TryFrom<String> for LabName {
    type Error = NameError;

    fn try_from(text: String) -> Result<Self, NameError> {
        text.parse()
    }
}

impl TryFrom<String> for HostName {
    type Error = NameError;

    fn try_from(text: String) -> Result<Self, NameError> {
        text.parse()
    }
}

impl From<LabName> for String {
    fn from(name: LabName) -> Self {
        name.0
    }
}

impl From<HostName> for String {
    fn from(name: HostName) -> Self {
        name.to_string()
    }
}

impl fmt::Display for LabName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for HostName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "host{}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lab_names_are_short_and_plain() {
        for good in ["a", "lab", "dev-2", "abcdefghijkl"] {
            assert_eq!(good.parse::<LabName>().unwrap().as_str(), good);
        }
        for bad in ["", "Lab", "1lab", "-lab", "a.b", "a/b", "..", "abcdefghijklm", "läb"] {
            assert_eq!(bad.parse::<LabName>(), Err(NameError::Lab(bad.to_owned())));
        }
    }

    #[test]
    fn the_longest_lab_name_still_makes_an_interface_name() {
        let name: LabName = "abcdefghijkl".parse().unwrap();
        assert!(name.uplink().len() <= 15, "{}", name.uplink());
    }

    #[test]
    fn host_names_go_from_1_to_the_most() {
        assert_eq!("host1".parse::<HostName>().unwrap().number(), 1);
        assert_eq!("host200".parse::<HostName>().unwrap().to_string(), "host200");
        for bad in ["host", "host0", "host01", "host+1", "host201", "host999", "h1", "1", ""] {
            assert_eq!(bad.parse::<HostName>(), Err(NameError::Host(bad.to_owned())));
        }
    }

    #[test]
    fn no_lab_owns_the_namespaces_of_another() {
        let short: LabName = "dev".parse().unwrap();
        let long: LabName = "dev-2".parse().unwrap();
        let host = HostName::from_number(1).unwrap();
        assert!(short.host_namespace(host).starts_with(&short.namespace_prefix()));
        assert!(!long.host_namespace(host).starts_with(&short.namespace_prefix()));
    }
}
