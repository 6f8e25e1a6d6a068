//! A first cluster without a first `register`: the engine that Docker's variables name becomes a host, else the coordinator
//! makes this machine's own engine the host `local`; and here it is said.

use std::env;

use shoal_api::{Client, HostSettings, hint_of, hinted};
use shoal_types::RealmName;
use tonic::Status;

use crate::{
    docker_cli::{Named, named_by_variables},
    error::CliError,
    output::{host_line, root_warning},
};

/// Whether a host that appears was registered without being asked for.
#[derive(Debug)]
pub(super) struct FirstHost {
    /// Whose engine it is, where there was no host.
    expected: Option<String>,
}

impl FirstHost {
    /// Looks whether there is any host before a command that needs one, and registers the one that Docker's variables name if
    /// there is none. The store knows: the hosts are asked once, by the command itself.
    ///
    /// # Errors
    /// [`CliError::Status`]: the coordinator cannot tell, or refuses the engine that is named. Others: what the variables name
    /// cannot be used.
    pub(super) async fn look(client: &Client, realm: &RealmName) -> Result<Self, CliError> {
        // What names an engine here names another there, or none.
        if client.is_elsewhere() || !client.list_names(realm).await?.hosts.is_empty() {
            return Ok(Self { expected: None });
        }
        let whose = match named_by_variables(|key| env::var_os(key))? {
            None => "this machine's engine".to_owned(),
            Some(Named { variable, place, name }) => {
                let settings = HostSettings { tls: place.tls, ..HostSettings::default() };
                let registered = client.register_host(&name, place.endpoint, settings).await;
                registered.map_err(|error| of_variable(variable, error.into()))?;
                format!("the engine of {variable}")
            }
        };
        Ok(Self { expected: Some(whose) })
    }

    /// Says which host there is now, once, if there was none before.
    ///
    /// # Errors
    /// [`CliError::Status`]: the coordinator cannot tell. [`CliError::Stdout`]: nobody listens.
    pub(super) async fn announce(
        &mut self,
        client: &Client,
        mut say: impl FnMut(&str) -> Result<(), CliError>,
    ) -> Result<(), CliError> {
        if let Some(whose) = self.expected.take() {
            for host in client.list_hosts(&[]).await? {
                say(&host_line(&format!("no host was registered: registered {whose} as"), &host))?;
                if let Some(warning) = root_warning(&host) {
                    say(&warning)?;
                }
            }
        }
        Ok(())
    }
}

/// Names the variable in an error about an engine that nobody else named.
fn of_variable(variable: &str, error: CliError) -> CliError {
    let CliError::Status(status) = error else { return error };
    let named = Status::new(status.code(), format!("{variable}: {}", status.message()));
    CliError::Status(match hint_of(&status) {
        Some(hint) => hinted(named, &hint),
        None => named,
    })
}
