//! `shoal version`.

use clap::Args;

use shoal_api::Version as Shown;

use crate::{args::Global, error::CliError, exit::Exit};

/// Arguments of `version`: none.
#[derive(Debug, Args)]
pub(crate) struct Version {}

impl Version {
    pub(super) fn run(self, global: &Global) -> Result<Exit, CliError> {
        let version = Shown {
            version: env!("CARGO_PKG_VERSION"),
            platform: format!("{}-{}", std::env::consts::ARCH, std::env::consts::OS),
        };
        global.screen().result(&version, |_| format!("shoal {} ({})", version.version, version.platform))?;
        Ok(Exit::Ok)
    }
}
