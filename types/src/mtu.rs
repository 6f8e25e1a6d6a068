//! MTUs: of the nodes' interfaces, and of the path between hosts that carries their packets in tunnels.
//!
//! ```text
//! node: IP packets up to ClusterMtu --VXLAN_OVERHEAD more--> path between hosts: IP packets up to HostMtu
//! ```

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

/// Bytes a tunnel takes of each packet between hosts: IPv4, UDP and VXLAN headers, and the Ethernet header of the node's frame
/// (RFC 7348 section 5).
pub const VXLAN_OVERHEAD: u16 = 50;
/// Every IPv4 host may count on packets of this size (RFC 791 section 3.1); agents take no less.
const LEAST: u16 = 576;

/// A number of bytes that is no MTU here.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not {what}: {least} to {most} bytes")]
pub struct MtuError {
    /// What was read, shortened and escaped.
    text: String,
    /// What it was to be.
    what: &'static str,
    /// The smallest there is.
    least: u16,
    /// The largest there is.
    most: u16,
}

macro_rules! mtu {
    ($(#[$doc:meta])* $name:ident, $least:expr, $most:expr, $what:literal) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "u64", into = "u16")]
        pub struct $name(u16);

        impl $name {
            /// The smallest there is.
            pub const LEAST: Self = Self($least);
            /// The largest there is.
            pub const MOST: Self = Self($most);

            /// The number of bytes.
            #[must_use]
            pub fn get(self) -> u16 {
                self.0
            }

            fn error(text: &str) -> MtuError {
                let text = text.chars().take(40).flat_map(char::escape_default).collect();
                MtuError { text, what: $what, least: $least, most: $most }
            }
        }

        impl TryFrom<u64> for $name {
            type Error = MtuError;

            fn try_from(bytes: u64) -> Result<Self, MtuError> {
                match u16::try_from(bytes) {
                    Ok(bytes) if ($least..=$most).contains(&bytes) => Ok(Self(bytes)),
                    Ok(_) | Err(_) => Err(Self::error(&bytes.to_string())),
                }
            }
        }

        impl FromStr for $name {
            type Err = MtuError;

            fn from_str(text: &str) -> Result<Self, MtuError> {
                let digits = text.bytes().all(|b| b.is_ascii_digit()).then_some(text);
                let bytes = digits.and_then(|digits| digits.parse::<u64>().ok()).and_then(|n| n.try_into().ok());
                bytes.ok_or_else(|| Self::error(text))
            }
        }

        impl From<$name> for u16 {
            fn from(mtu: $name) -> u16 {
                mtu.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

mtu!(
    /// The largest IP packet that a node sends, in bytes: what its interface's MTU is.
    ClusterMtu,
    LEAST,
    u16::MAX - VXLAN_OVERHEAD,
    "an MTU for nodes"
);
mtu!(
    /// The largest IP packet that the path from a host to other hosts carries, in bytes.
    HostMtu,
    LEAST + VXLAN_OVERHEAD,
    u16::MAX,
    "an MTU between hosts"
);

/// Whose word counts on the MTU of a host's path to other hosts: `auto`, or a number of bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MtuSetting {
    /// The interface's, as the agent reads it.
    Auto,
    /// The operator's.
    Bytes(HostMtu),
}

/// A text that is neither `auto` nor an MTU.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}, or `auto`")]
pub struct MtuSettingError(MtuError);

impl MtuSetting {
    /// What the operator says, if anything.
    #[must_use]
    pub fn bytes(self) -> Option<HostMtu> {
        match self {
            Self::Auto => None,
            Self::Bytes(mtu) => Some(mtu),
        }
    }
}

impl FromStr for MtuSetting {
    type Err = MtuSettingError;

    fn from_str(text: &str) -> Result<Self, MtuSettingError> {
        match text {
            "auto" => Ok(Self::Auto),
            number => number.parse().map(Self::Bytes).map_err(MtuSettingError),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_mtu_has_bounds() {
        for (text, bytes) in [("576", 576), ("1450", 1450), ("0008950", 8950), ("65485", 65_485)] {
            assert_eq!(text.parse::<ClusterMtu>().unwrap().get(), bytes, "{text}");
        }
        for bad in
            ["", "0", "575", "65486", "-1", "+1450", "1450 ", "1e3", "1450.0", "99999999999999999999", "auto"]
        {
            let error = bad.parse::<ClusterMtu>().unwrap_err().to_string();
            assert_eq!(error, format!("`{bad}` is not an MTU for nodes: 576 to 65485 bytes"));
        }
        assert_eq!("626".parse(), Ok(HostMtu::LEAST));
        assert_eq!(HostMtu::try_from(65_535), Ok(HostMtu::MOST));
        assert!(HostMtu::try_from(625).is_err() && HostMtu::try_from(65_536).is_err());
        assert!(!"\u{1b}".parse::<HostMtu>().unwrap_err().to_string().contains('\u{1b}'));
    }

    #[test]
    fn every_path_that_is_an_mtu_carries_nodes() {
        for (path, nodes) in [(HostMtu::LEAST, ClusterMtu::LEAST), (HostMtu::MOST, ClusterMtu::MOST)] {
            assert_eq!(path.get() - VXLAN_OVERHEAD, nodes.get());
        }
    }

    #[test]
    fn a_setting_is_a_number_or_auto() {
        assert_eq!("auto".parse(), Ok(MtuSetting::Auto));
        assert_eq!("1400".parse::<MtuSetting>().unwrap().bytes().map(HostMtu::get), Some(1400));
        let refused = "Auto".parse::<MtuSetting>().unwrap_err().to_string();
        assert_eq!(refused, "`Auto` is not an MTU between hosts: 626 to 65535 bytes, or `auto`");
    }

    #[test]
    fn it_is_kept_as_a_number() {
        let mtu = ClusterMtu::try_from(1400).unwrap();
        assert_eq!(serde_json::to_string(&mtu).unwrap(), "1400");
        assert_eq!(serde_json::from_str::<ClusterMtu>("1400").unwrap(), mtu);
        assert!(serde_json::from_str::<ClusterMtu>("70000").is_err());
    }
}
