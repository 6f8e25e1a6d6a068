//! A first cluster without a first `register`: the coordinator makes this machine's own engine the host `local`, and here
//! it is said.

use shoal_api::Client;
use shoal_types::RealmName;

use crate::{
    error::CliError,
    output::{host_line, root_warning},
    progress::Progress,
};

/// Whether a host that appears was registered without being asked for.
#[derive(Debug)]
pub(super) struct FirstHost {
    expected: bool,
}

impl FirstHost {
    /// Looks whether there is any host before a command that needs one. The store knows: the hosts are asked once, by the
    /// command itself.
    ///
    /// # Errors
    /// [`CliError::Status`]: the coordinator cannot tell.
    pub(super) async fn look(client: &Client, realm: &RealmName) -> Result<Self, CliError> {
        Ok(Self { expected: client.list_names(realm).await?.hosts.is_empty() })
    }

    /// Says which host there is now, once, if there was none before.
    ///
    /// # Errors
    /// [`CliError::Status`]: the coordinator cannot tell. [`CliError::Stdout`]: nobody listens.
    pub(super) async fn announce(
        &mut self,
        client: &Client,
        progress: &mut Progress,
    ) -> Result<(), CliError> {
        if std::mem::take(&mut self.expected) {
            for host in client.list_hosts(&[]).await? {
                progress
                    .note(&host_line("no host was registered: registered this machine's engine as", &host))?;
                if let Some(warning) = root_warning(&host) {
                    progress.note(&warning)?;
                }
            }
        }
        Ok(())
    }
}
