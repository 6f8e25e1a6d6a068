//! `shoal set host`: a new certificate, endpoint, labels or capacity. `shoal set registry` is in `registry.rs`.

use std::env;

use clap::{Args, Subcommand};
use clap_complete::ArgValueCandidates;
use shoal_types::HostName;

use super::{host_options::HostOptions, installation::SetInstallation, registry::SetRegistry};
use crate::{
    args::Global, complete, connect::Session, docker_cli::Contexts, error::CliError, exit::Exit,
    interrupt::Interrupt, output::host_line, parse::word,
};

/// Arguments of `set`.
#[derive(Debug, Args)]
pub(crate) struct Set {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Change a host; values without a flag stay
    Host(Box<SetHost>),
    /// Set or forget the credentials for a registry of images
    ///
    /// The store seals the password. Only engines that pull from this registry get it.
    Registry(SetRegistry),
    /// Change what holds for the whole installation: where subnets of clusters come from
    ///
    /// Clusters that are there keep their subnets.
    Installation(SetInstallation),
}

#[derive(Debug, Args)]
struct SetHost {
    /// The host
    #[arg(value_parser = word::<HostName>, add = ArgValueCandidates::new(complete::hosts))]
    name: HostName,
    /// New endpoint of its engine: unix:///path, tcp://address:2376 or ssh://user@host
    #[arg(long, value_name = "ENDPOINT")]
    docker: Option<String>,
    /// Take endpoint and TLS files from this context of Docker's client instead
    #[arg(
        long,
        value_name = "CONTEXT",
        conflicts_with_all = ["docker", "tls_dir", "tls_ca", "tls_cert", "tls_key"],
        add = ArgValueCandidates::new(complete::contexts)
    )]
    context: Option<String>,
    #[command(flatten)]
    options: HostOptions,
}

impl Set {
    pub(super) async fn run(self, global: &Global, interrupt: &Interrupt) -> Result<Exit, CliError> {
        let set = match self.what {
            What::Host(set) => *set,
            What::Registry(set) => return set.run(global, interrupt).await,
            What::Installation(set) => return set.run(global, interrupt).await,
        };
        let mut endpoint = set.docker;
        let mut settings = set.options.settings(endpoint.as_deref())?;
        if let Some(context) = &set.context {
            let place = Contexts::locate(|key| env::var_os(key))?.place(context)?;
            (endpoint, settings.tls) = (Some(place.endpoint), place.tls);
        }
        let host = Session::within(global, interrupt, async |client| {
            Ok(client.update_host(&set.name, endpoint, settings).await?)
        })
        .await?;
        let line = host_line("changed", &host);
        global.screen().named(&host, [set.name.to_string()], |_, _| line)?;
        Ok(Exit::Ok)
    }
}
