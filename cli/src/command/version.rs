//! `shoal version`.

use clap::Args;

use shoal_api::Version as Shown;

use crate::{
    args::Global,
    error::CliError,
    exit::Exit,
    server_context::{Choice, choose},
};

/// Arguments of `version`: none.
#[derive(Debug, Args)]
pub(crate) struct Version {}

impl Version {
    pub(super) fn run(self, global: &Global) -> Result<Exit, CliError> {
        let (server_context, used) = match choose(global).map_err(CliError::Choice)? {
            Choice::Here => (None, String::new()),
            Choice::Elsewhere { name, because } => (
                Some(name.to_string()),
                format!("\ncommands are for the server of context {name}: {because}"),
            ),
        };
        let version = Shown {
            version: env!("CARGO_PKG_VERSION"),
            platform: format!("{}-{}", std::env::consts::ARCH, std::env::consts::OS),
            server_context,
        };
        let text = format!("shoal {} ({}){used}", version.version, version.platform);
        global.screen().result(&version, |_| text)?;
        Ok(Exit::Ok)
    }
}
