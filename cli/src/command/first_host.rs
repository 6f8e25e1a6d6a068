//! A first cluster without a first `register`: the coordinator makes this machine's own engine the host `local`, and here
//! it is said.

use shoal_proto::v1::{Host, ListHostsRequest};

use crate::{connect::Session, error::CliError, output::host_line, progress::Progress};

/// Whether a host that appears was registered without being asked for.
#[derive(Debug)]
pub(super) struct FirstHost {
    expected: bool,
}

impl FirstHost {
    /// Looks whether there is any host before a command that needs one.
    ///
    /// # Errors
    /// [`CliError::Status`]: the coordinator cannot tell.
    pub(super) async fn look(session: &Session) -> Result<Self, CliError> {
        Ok(Self { expected: hosts(session).await?.is_empty() })
    }

    /// Says which host there is now, once, if there was none before.
    ///
    /// # Errors
    /// [`CliError::Status`]: the coordinator cannot tell. [`CliError::Stdout`]: nobody listens.
    pub(super) async fn announce(
        &mut self,
        session: &Session,
        progress: &mut Progress,
    ) -> Result<(), CliError> {
        if std::mem::take(&mut self.expected) {
            for host in hosts(session).await? {
                progress
                    .note(&host_line("no host was registered: registered this machine's engine as", &host))?;
            }
        }
        Ok(())
    }
}

async fn hosts(session: &Session) -> Result<Vec<Host>, CliError> {
    Ok(session.hosts().list_hosts(ListHostsRequest { label_exprs: Vec::new() }).await?.into_inner().hosts)
}
