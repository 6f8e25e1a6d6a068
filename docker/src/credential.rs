//! What an engine is reached with, of the kind that its endpoint takes.

use crate::{Endpoint, SshMaterial, TlsMaterial};

/// A secret that opens an engine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Credential {
    /// For `tcp://`: there is no way without.
    Tls(TlsMaterial),
    /// For `ssh://`: instead of the user's own configuration.
    Ssh(SshMaterial),
}

impl Credential {
    /// Whether it is for such an endpoint.
    #[must_use]
    pub fn fits(&self, endpoint: &Endpoint) -> bool {
        match self {
            Self::Tls(_) => matches!(endpoint, Endpoint::Tcp { .. }),
            Self::Ssh(_) => matches!(endpoint, Endpoint::Ssh(_)),
        }
    }

    /// The TLS material, if it is some.
    #[must_use]
    pub fn tls(&self) -> Option<&TlsMaterial> {
        match self {
            Self::Tls(material) => Some(material),
            Self::Ssh(_) => None,
        }
    }
}
