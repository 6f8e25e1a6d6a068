//! The scheduler of a cluster: a built-in strategy, or a program of the user's on this machine.
//!
//! ```text
//! spread | round-robin | metadata | binpack | random        grpc://127.0.0.1:7070 | grpc+unix:///run/place.sock
//! ```

use std::{
    fmt,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    path::PathBuf,
    str::FromStr,
};

use serde::{Deserialize, Serialize};

/// How hosts are chosen among those that fit.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Strategy {
    /// Keep hosts evenly filled, and a cluster's nodes apart.
    #[default]
    Spread,
    /// One host after the other, in order of their names.
    RoundRobin,
    /// Order hosts by how many of the constraints' labels they carry; constraints choose, they do not filter.
    Metadata,
    /// Fill as few hosts as possible: those in use first, the fullest of them before the others.
    Binpack,
    /// Of two hosts drawn by chance, the emptier one.
    Random,
}

impl Strategy {
    /// Every strategy.
    pub const ALL: [Self; 5] = [Self::Spread, Self::RoundRobin, Self::Metadata, Self::Binpack, Self::Random];

    /// The word, as given on the command line.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Spread => "spread",
            Self::RoundRobin => "round-robin",
            Self::Metadata => "metadata",
            Self::Binpack => "binpack",
            Self::Random => "random",
        }
    }
}

impl fmt::Display for Strategy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// A text that names no scheduler.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SchedulerError {
    /// Neither a strategy nor an address.
    #[error(
        "`{text}` is not a scheduler: spread, round-robin, metadata, binpack, random, grpc://ADDRESS:PORT or grpc+unix:///PATH"
    )]
    Word {
        /// What was read, shortened and escaped.
        text: String,
    },
    /// Not a strategy.
    #[error("`{text}` is not a strategy: spread, round-robin, metadata, binpack or random")]
    Strategy {
        /// What was read, shortened and escaped.
        text: String,
    },
    /// An address that cannot be read.
    #[error("`{text}` is not a scheduler's address: grpc://ADDRESS:PORT or grpc+unix:///PATH")]
    Address {
        /// What was read, shortened and escaped.
        text: String,
    },
    /// Another machine, without protection.
    #[error(
        "`{text}` is not on this machine, and what is said to it would be neither private nor known to come from it: \
         bring it here with a tunnel (ssh -L 7070:localhost:7070) and name grpc://127.0.0.1:7070"
    )]
    Remote {
        /// What was read, shortened and escaped.
        text: String,
    },
}

fn shown(text: &str) -> String {
    text.chars().take(120).flat_map(char::escape_default).collect()
}

impl FromStr for Strategy {
    type Err = SchedulerError;

    fn from_str(text: &str) -> Result<Self, SchedulerError> {
        let found = Self::ALL.into_iter().find(|s| s.as_str() == text);
        found.ok_or_else(|| SchedulerError::Strategy { text: shown(text) })
    }
}

/// Where a scheduler of the user's listens: on this machine, because what is said is not encrypted.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum SchedulerAddress {
    /// A TCP port of a loopback address.
    Loopback(SocketAddr),
    /// A Unix socket, by its absolute path.
    Unix(PathBuf),
}

impl fmt::Display for SchedulerAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Loopback(address) => write!(f, "grpc://{address}"),
            Self::Unix(path) => write!(f, "grpc+unix://{}", path.display()),
        }
    }
}

impl FromStr for SchedulerAddress {
    type Err = SchedulerError;

    fn from_str(text: &str) -> Result<Self, SchedulerError> {
        let unreadable = || SchedulerError::Address { text: shown(text) };
        if let Some(path) = text.strip_prefix("grpc+unix://") {
            let plain = path.starts_with('/') && path.len() > 1 && path.len() <= 107;
            return match plain && !path.chars().any(char::is_control) {
                true => Ok(Self::Unix(path.into())),
                false => Err(unreadable()),
            };
        }
        if text.starts_with("grpcs://") {
            return Err(SchedulerError::Remote { text: shown(text) });
        }
        let place = text.strip_prefix("grpc://").ok_or_else(unreadable)?;
        let (host, port) = place.rsplit_once(':').ok_or_else(unreadable)?;
        let port: u16 = port.parse().ok().filter(|port| *port > 0).ok_or_else(unreadable)?;
        let bare = host.strip_prefix('[').and_then(|h| h.strip_suffix(']')).unwrap_or(host);
        let address: IpAddr = match bare {
            "localhost" => Ipv4Addr::LOCALHOST.into(),
            "" => return Err(unreadable()),
            // A name is looked up by whoever answers first: only this machine's own is sure to be this machine.
            other => other.parse().map_err(|_| SchedulerError::Remote { text: shown(text) })?,
        };
        match address.is_loopback() {
            true => Ok(Self::Loopback(SocketAddr::new(address, port))),
            false => Err(SchedulerError::Remote { text: shown(text) }),
        }
    }
}

/// Who chooses hosts.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum SchedulerName {
    /// A strategy that is built in.
    Strategy(Strategy),
    /// A program that listens there.
    Program(SchedulerAddress),
}

impl SchedulerName {
    /// The strategy, if it is one.
    #[must_use]
    pub fn strategy(&self) -> Option<Strategy> {
        match self {
            Self::Strategy(strategy) => Some(*strategy),
            Self::Program(_) => None,
        }
    }
}

impl Default for SchedulerName {
    fn default() -> Self {
        Self::Strategy(Strategy::default())
    }
}

impl From<Strategy> for SchedulerName {
    fn from(strategy: Strategy) -> Self {
        Self::Strategy(strategy)
    }
}

impl fmt::Display for SchedulerName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Strategy(strategy) => f.pad(strategy.as_str()),
            Self::Program(address) => address.fmt(f),
        }
    }
}

impl FromStr for SchedulerName {
    type Err = SchedulerError;

    fn from_str(text: &str) -> Result<Self, SchedulerError> {
        if text.contains("://") {
            return text.parse().map(Self::Program);
        }
        let strategy = text.parse().map(Self::Strategy);
        strategy.map_err(|_: SchedulerError| SchedulerError::Word { text: shown(text) })
    }
}

impl TryFrom<String> for SchedulerName {
    type Error = SchedulerError;

    fn try_from(text: String) -> Result<Self, SchedulerError> {
        text.parse()
    }
}

impl From<SchedulerName> for String {
    fn from(name: SchedulerName) -> Self {
        name.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_as_they_are_shown() {
        for text in
            ["spread", "binpack", "random", "grpc://127.0.0.1:7070", "grpc://[::1]:1", "grpc+unix:///run/a b"]
        {
            assert_eq!(text.parse::<SchedulerName>().unwrap().to_string(), text);
        }
        assert_eq!(
            "grpc://localhost:70".parse::<SchedulerName>().unwrap().to_string(),
            "grpc://127.0.0.1:70"
        );
        assert_eq!(
            serde_json::from_str::<SchedulerName>("\"round-robin\"").unwrap(),
            Strategy::RoundRobin.into(),
            "as rows of former versions have it"
        );
    }

    #[test]
    fn another_machine_is_refused_and_why() {
        for text in ["grpc://10.0.0.1:70", "grpc://place.example:70", "grpcs://place.example:70"] {
            let refused = text.parse::<SchedulerName>().unwrap_err();
            assert!(matches!(refused, SchedulerError::Remote { .. }), "{refused}");
        }
        for text in ["best", "", "http://127.0.0.1:70", "grpc://", "grpc://127.0.0.1", "grpc://127.0.0.1:0"] {
            assert!(text.parse::<SchedulerName>().is_err(), "{text}");
        }
        for text in ["grpc+unix://relative", "grpc+unix:///", "grpc+unix:///a\u{1b}", "grpc://:70"] {
            assert!(matches!(text.parse::<SchedulerName>(), Err(SchedulerError::Address { .. })), "{text}");
        }
    }
}
