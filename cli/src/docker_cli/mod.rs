//! Engines as Docker's own client knows them: its contexts, and its variables. Nothing of it is written.
//!
//! ```text
//! $DOCKER_CONFIG or ~/.docker
//!   contexts/meta/ID/meta.json               name, endpoint
//!   contexts/tls/ID/docker/{ca,cert,key}.pem  TLS material
//!   {ca,cert,key}.pem                         TLS material for DOCKER_HOST, unless DOCKER_CERT_PATH names a directory
//! ```

mod context;
mod variables;

use std::path::Path;

use shoal_api::TlsCredentials;

use crate::pem::{self, PemError};

pub(crate) use self::{
    context::{ContextError, Contexts},
    variables::{Named, named_by_variables},
};

/// The engine of this machine, where Docker's client looks for it.
const LOCAL: &str = "unix:///var/run/docker.sock";

/// Where an engine is, and what it is reached with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Place {
    /// As in `--docker`.
    pub(crate) endpoint: String,
    /// For `tcp://`.
    pub(crate) tls: Option<TlsCredentials>,
}

/// Whether an endpoint is reached with TLS material.
fn needs_tls(endpoint: &str) -> bool {
    endpoint.starts_with("tcp://")
}

impl Place {
    /// An engine at `endpoint`; TLS material, where it needs some, is in `dir`.
    ///
    /// # Errors
    /// [`PemError`]: a file is missing, or no credential.
    fn at(endpoint: String, dir: &Path) -> Result<Self, PemError> {
        let tls = match needs_tls(&endpoint) {
            true => Some(pem::read_dir(dir)?),
            false => None,
        };
        Ok(Self { endpoint, tls })
    }
}
