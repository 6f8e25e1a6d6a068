//! `shoal register`: one Docker host more, or one for each context of Docker's client that is named.

use std::env;

use clap::Args;
use clap_complete::ArgValueCandidates;
use shoal_api::{Client, Host, HostSettings};
use shoal_types::{HostName, chain};

use super::host_options::HostOptions;
use crate::{
    args::Global,
    complete,
    connect::Session,
    docker_cli::{Contexts, Place},
    error::CliError,
    exit::Exit,
    interrupt::Interrupt,
    output::{host_line, root_warning},
    parse::word,
    report,
};

/// Arguments of `register`.
#[derive(Debug, Args)]
pub(crate) struct Register {
    /// Name for the host
    #[arg(value_parser = word::<HostName>, required_unless_present = "from_context", conflicts_with = "from_context")]
    name: Option<HostName>,
    #[command(flatten)]
    engine: EngineArgs,
    #[command(flatten)]
    options: HostOptions,
}

/// Where the engine is: said in one way.
#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
struct EngineArgs {
    /// Endpoint of its engine: unix:///path, tcp://address:2376 or ssh://user@host
    #[arg(long, value_name = "ENDPOINT")]
    docker: Option<String>,
    /// Take endpoint and TLS files from this context of Docker's client
    #[arg(
        long,
        value_name = "CONTEXT",
        conflicts_with_all = TLS_FILES,
        add = ArgValueCandidates::new(complete::contexts)
    )]
    context: Option<String>,
    /// Register the engine of each of these contexts of Docker's client, under the context's name
    #[arg(
        long,
        value_name = "CONTEXT",
        num_args = 1..,
        conflicts_with_all = TLS_FILES,
        add = ArgValueCandidates::new(complete::contexts)
    )]
    from_context: Vec<String>,
}

/// A context has its own.
const TLS_FILES: [&str; 4] = ["tls_dir", "tls_ca", "tls_cert", "tls_key"];

impl Register {
    pub(super) async fn run(self, global: &Global, interrupt: &Interrupt) -> Result<Exit, CliError> {
        if let Some(change) = self.options.labels.iter().find(|change| change.value.is_none()) {
            return Err(CliError::usage(format!("label `{}` has no value", change.key), None));
        }
        let wanted = self.wanted()?;
        if let Some(flag) = self.options.of_one_host().filter(|_| wanted.len() > 1) {
            return Err(CliError::usage(
                format!("{flag} is for one host"),
                format!("set it for each afterwards: `shoal set host NAME {flag} ...`"),
            ));
        }
        let endpoint = wanted.first().map(|(_, place)| place.endpoint.as_str());
        let settings = self.options.settings(endpoint)?;
        let total = wanted.len();
        let (hosts, failed) =
            Session::within(global, interrupt, async |client| Ok(register(client, wanted, &settings).await))
                .await?;
        let names: Vec<String> = hosts.iter().map(|host| host.name.clone()).collect();
        let lines = hosts.iter().map(|host| host_line("registered", host)).collect::<Vec<_>>().join("\n");
        match (hosts.as_slice(), total) {
            ([], _) => {}
            // A program that names one host is told of one.
            ([host], 1) => global.screen().named(host, names, |_, _| lines)?,
            (hosts, _) => global.screen().named(&hosts, names, |_, _| lines)?,
        }
        for warning in hosts.iter().filter_map(root_warning) {
            eprintln!("{warning}");
        }
        failed.map_or(Ok(Exit::Ok), Err)
    }

    /// What is to be registered: everything is read before anything is done.
    fn wanted(&self) -> Result<Vec<(HostName, Place)>, CliError> {
        let EngineArgs { docker, context, from_context } = &self.engine;
        let contexts = || Contexts::locate(|key| env::var_os(key));
        let place = match (docker, context) {
            (Some(endpoint), _) => Some(Place { endpoint: endpoint.clone(), tls: None }),
            (None, Some(context)) => Some(contexts()?.place(context)?),
            (None, None) => None,
        };
        if let (Some(name), Some(place)) = (&self.name, place) {
            return Ok(vec![(name.clone(), place)]);
        }
        let contexts = contexts()?;
        let named = |context: &String| {
            let name = context.parse().map_err(|error| {
                let instead = format!("name the host yourself: `shoal register NAME --context {context}`");
                CliError::usage(format!("the Docker context `{context}`: {}", chain(&error)), instead)
            })?;
            Ok::<_, CliError>((name, contexts.place(context)?))
        };
        let mut wanted: Vec<(HostName, Place)> = Vec::new();
        for context in from_context {
            let (name, place) = named(context)?;
            if wanted.iter().all(|(other, _)| *other != name) {
                wanted.push((name, place));
            }
        }
        Ok(wanted)
    }
}

/// Registers one host after the other; those that were, and of what failed the last error, the others told before.
async fn register(
    client: &Client,
    wanted: Vec<(HostName, Place)>,
    settings: &HostSettings,
) -> (Vec<Host>, Option<CliError>) {
    let (mut hosts, mut failed) = (Vec::new(), None);
    for (name, place) in wanted {
        let settings = HostSettings { tls: place.tls.or_else(|| settings.tls.clone()), ..settings.clone() };
        match client.register_host(&name, place.endpoint, settings).await {
            Ok(host) => hosts.push(host),
            Err(error) => {
                if let Some(earlier) = failed.replace(error.into()) {
                    report::error(&earlier, None);
                }
            }
        }
    }
    (hosts, failed)
}
