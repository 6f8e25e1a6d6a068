//! Texts with a form: device names, a cluster's domain, service names.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};
use shoal_types::{ClusterName, DNS_ZONE, InstallationId, RealmName};

/// Name of a network device: at most 15 characters (`IFNAMSIZ`, netdevice(7)), and none that would need quoting.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub(crate) struct LinkName(String);

impl LinkName {
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether it is a name of this installation's.
    pub(crate) fn carries(&self, installation: &InstallationId) -> bool {
        carries(&self.0, installation)
    }
}

/// Whether a device's name is of this installation: two letters for what it is, the installation, a VNI (`sv3fa9c100000a`).
/// At that place only: the digits of another installation and VNI may happen to spell this one.
pub(crate) fn carries(device: &str, installation: &InstallationId) -> bool {
    device.get(2..).is_some_and(|rest| rest.starts_with(installation.as_str()))
}

impl fmt::Display for LinkName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for LinkName {
    type Err = TextError;

    fn from_str(text: &str) -> Result<Self, TextError> {
        let plain = text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'));
        let usable = plain && (1..=15).contains(&text.len()) && text != "." && text != "..";
        if usable { Ok(Self(text.into())) } else { Err(TextError::new("a device name", text)) }
    }
}

/// `<cluster>.<realm>.shoal.internal`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub(crate) struct Domain {
    pub(crate) cluster: ClusterName,
    pub(crate) realm: RealmName,
}

impl fmt::Display for Domain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{DNS_ZONE}", self.cluster, self.realm)
    }
}

impl FromStr for Domain {
    type Err = TextError;

    fn from_str(text: &str) -> Result<Self, TextError> {
        let error = || TextError::new("a cluster's domain", text);
        let names = text.strip_suffix(DNS_ZONE).and_then(|t| t.strip_suffix('.')).ok_or_else(error)?;
        let (cluster, realm) = names.split_once('.').ok_or_else(error)?;
        Ok(Self {
            cluster: cluster.parse().map_err(|_| error())?,
            realm: realm.parse().map_err(|_| error())?,
        })
    }
}

/// `_<service>._<protocol>` (RFC 2782).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub(crate) struct ServiceName(String);

impl ServiceName {
    /// The two labels.
    pub(crate) fn labels(&self) -> [&str; 2] {
        let (service, protocol) = self.0.split_once('.').unwrap_or((&self.0, ""));
        [service, protocol]
    }
}

impl fmt::Display for ServiceName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for ServiceName {
    type Err = TextError;

    fn from_str(text: &str) -> Result<Self, TextError> {
        let label = |l: &str| {
            l.strip_prefix('_').is_some_and(|l| {
                (1..=40).contains(&l.len())
                    && l.bytes().all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'-'))
            })
        };
        match text.split_once('.') {
            Some((service, protocol)) if label(service) && label(protocol) => Ok(Self(text.into())),
            Some(_) | None => Err(TextError::new("a service name", text)),
        }
    }
}

macro_rules! text_forms {
    ($($name:ident)*) => {$(
        impl TryFrom<String> for $name {
            type Error = TextError;

            fn try_from(text: String) -> Result<Self, TextError> {
                text.parse()
            }
        }

        impl From<$name> for String {
            fn from(value: $name) -> String {
                value.to_string()
            }
        }
    )*};
}

text_forms! { LinkName Domain ServiceName }

/// A text that does not parse.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not {kind}")]
pub(crate) struct TextError {
    kind: &'static str,
    /// The first characters, control characters escaped.
    text: String,
}

impl TextError {
    fn new(kind: &'static str, text: &str) -> Self {
        Self { kind, text: text.chars().take(80).flat_map(char::escape_default).collect() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_carries_the_installation_in_its_place_alone() {
        let ours = InstallationId::new([0x3f, 0xa9, 0xc1]);
        assert!(carries("sv3fa9c100000a", &ours) && carries("sb3fa9c1ffffff", &ours));
        // Installation 0003fa with VNI 9c1abc, and others' devices.
        for other in ["sv0003fa9c1abc", "sv0000003fa9c1", "3fa9c1", "sv", "", "flannel.3fa9c1"] {
            assert!(!carries(other, &ours), "{other}");
        }
    }
}
