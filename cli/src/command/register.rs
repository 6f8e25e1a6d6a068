//! `shoal register`: one Docker host more.

use clap::Args;
use shoal_types::HostName;

use super::host_options::HostOptions;
use crate::{
    args::Global,
    connect::Session,
    error::CliError,
    exit::Exit,
    interrupt::Interrupt,
    output::{host_line, root_warning},
    parse::word,
};

/// Arguments of `register`.
#[derive(Debug, Args)]
pub(crate) struct Register {
    /// Name for the host
    #[arg(value_parser = word::<HostName>)]
    name: HostName,
    /// Endpoint of its engine: unix:///path or tcp://address:2376
    #[arg(long, value_name = "ENDPOINT")]
    docker: String,
    #[command(flatten)]
    options: HostOptions,
}

impl Register {
    pub(super) async fn run(self, global: &Global, interrupt: &Interrupt) -> Result<Exit, CliError> {
        if let Some(change) = self.options.labels.iter().find(|change| change.value.is_none()) {
            return Err(CliError::usage(format!("label `{}` has no value", change.key), None));
        }
        let settings = self.options.settings()?;
        let host = Session::within(global, interrupt, async |client| {
            Ok(client.register_host(&self.name, self.docker.clone(), settings).await?)
        })
        .await?;
        let line = host_line("registered", &host);
        global.screen().named(&host, [self.name.to_string()], |_, _| line)?;
        if let Some(warning) = root_warning(&host) {
            eprintln!("{warning}");
        }
        Ok(Exit::Ok)
    }
}
