//! What holds for a whole installation.

use serde::Serialize;
use shoal_proto::v1;

/// An installation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Installation {
    /// Six hexadecimal digits, in the labels of everything on hosts.
    pub id: String,
    /// Ranges that subnets of clusters are taken from, CIDR, in the order in which they are tried.
    pub pools: Vec<String>,
}

impl From<v1::InstallationSettings> for Installation {
    fn from(said: v1::InstallationSettings) -> Self {
        Self { id: said.id, pools: said.pools }
    }
}

impl From<Installation> for v1::InstallationSettings {
    fn from(told: Installation) -> Self {
        Self { id: told.id, pools: told.pools }
    }
}

/// A program that serves a store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Server {
    /// Its version.
    pub version: String,
    /// The installation that the store is of.
    pub installation: String,
    /// Where the store is, without a password.
    pub store: String,
    /// Its process.
    pub pid: u32,
    /// Where it listens for users elsewhere, HOST:PORT.
    pub addresses: Vec<String>,
}

impl From<v1::GetServerResponse> for Server {
    fn from(said: v1::GetServerResponse) -> Self {
        let v1::GetServerResponse { version, installation, store, pid, addresses } = said;
        Self { version, installation, store, pid, addresses }
    }
}

impl From<Server> for v1::GetServerResponse {
    fn from(told: Server) -> Self {
        let Server { version, installation, store, pid, addresses } = told;
        Self { version, installation, store, pid, addresses }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn survives_the_wire() {
        let told = Installation { id: "0a1b2c".into(), pools: vec!["10.96.0.0/12".into()] };
        let said = v1::InstallationSettings::from(told.clone());
        assert_eq!(Installation::from(said), told);
        let told = Server {
            version: "0.1.0".into(),
            installation: "0a1b2c".into(),
            store: "/s/x.db".into(),
            pid: 7,
            addresses: vec!["h:1".into()],
        };
        assert_eq!(Server::from(v1::GetServerResponse::from(told.clone())), told);
    }
}
