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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn survives_the_wire() {
        let told = Installation { id: "0a1b2c".into(), pools: vec!["10.96.0.0/12".into()] };
        let said = v1::InstallationSettings::from(told.clone());
        assert_eq!(Installation::from(said), told);
    }
}
