//! `shoal set host`: a new certificate, endpoint, labels or capacity. The other subcommands are in `set_cluster.rs`, `registry.rs` and
//! `installation.rs`.

use std::{env, ffi::OsString};

use clap::{Args, Subcommand};
use clap_complete::ArgValueCandidates;
use shoal_api::HostSettings;
use shoal_types::HostName;

use super::{
    host_options::HostOptions, installation::SetInstallation, registry::SetRegistry, set_cluster::SetCluster,
};
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
    /// Change how a cluster heals by itself; values without a flag stay
    ///
    /// Upkeep goes by it from its next look on. Everything else of a cluster stays as it was created.
    Cluster(SetCluster),
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

impl SetHost {
    /// The endpoint, if it changes, and the settings for it; `env` is the environment as a function.
    fn wanted(
        &self,
        env: impl Fn(&str) -> Option<OsString>,
    ) -> Result<(Option<String>, HostSettings), CliError> {
        let Some(context) = &self.context else {
            return Ok((self.docker.clone(), self.options.settings(self.docker.as_deref())?));
        };
        let place = Contexts::locate(env)?.place(context)?;
        let settings = self.options.settings(Some(&place.endpoint))?;
        Ok((Some(place.endpoint), HostSettings { tls: place.tls, ..settings }))
    }
}

impl Set {
    pub(super) async fn run(self, global: &Global, interrupt: &Interrupt) -> Result<Exit, CliError> {
        let set = match self.what {
            What::Host(set) => *set,
            What::Cluster(set) => return set.run(global, interrupt).await,
            What::Registry(set) => return set.run(global, interrupt).await,
            What::Installation(set) => return set.run(global, interrupt).await,
        };
        let (endpoint, settings) = set.wanted(|key| env::var_os(key))?;
        let host = Session::within(global, interrupt, async |client| {
            Ok(client.update_host(&set.name, endpoint, settings).await?)
        })
        .await?;
        let line = host_line("changed", &host);
        global.screen().named(&host, [set.name.to_string()], |_, _| line)?;
        Ok(Exit::Ok)
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use clap::{Args as _, FromArgMatches as _};

    use super::*;

    #[test]
    fn an_ssh_key_is_for_the_endpoint_of_the_context() {
        let dir = tempfile::tempdir().unwrap();
        let meta = dir.path().join("contexts/meta/aa");
        fs::create_dir_all(&meta).unwrap();
        let far = r#"{"Name":"far","Endpoints":{"docker":{"Host":"ssh://me@gpu1"}}}"#;
        fs::write(meta.join("meta.json"), far).unwrap();
        let (key, known) = (dir.path().join("id"), dir.path().join("known"));
        fs::write(&key, "-----BEGIN PRIVATE KEY-----\nMII=\n-----END PRIVATE KEY-----\n").unwrap();
        fs::write(&known, "gpu1 ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIA==\n").unwrap();
        let text = |path: &std::path::Path| path.to_str().unwrap().to_owned();
        let words =
            ["set", "h1", "--context", "far", "--ssh-key", &text(&key), "--ssh-known-hosts", &text(&known)];
        let matches = SetHost::augment_args(clap::Command::new("set")).try_get_matches_from(words).unwrap();
        let set = SetHost::from_arg_matches(&matches).unwrap();
        let config = dir.path().to_owned();
        let env = |key: &str| (key == "DOCKER_CONFIG").then(|| config.clone().into_os_string());
        let (endpoint, settings) = set.wanted(env).unwrap();
        assert_eq!(endpoint.as_deref(), Some("ssh://me@gpu1"));
        assert!(settings.ssh.is_some() && settings.tls.is_none());
    }
}
