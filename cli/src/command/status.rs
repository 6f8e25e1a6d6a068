//! `shoal status`: how every node of a cluster is now.

use clap::Args;
use clap_complete::ArgValueCandidates;
use shoal_types::ClusterName;

use crate::{
    args::Global, complete, connect::Session, error::CliError, exit::Exit, interrupt::Interrupt,
    output::status_text, parse::word,
};

/// Arguments of `status`.
///
/// Asks the cluster's hosts, agents and controller at once, each for 2 seconds at most. A state without an answer is
/// `unknown`. Exit status 0: the cluster is ready and every node is well; 1: it is not; 3: there is no such cluster.
#[derive(Debug, Args)]
pub(crate) struct Status {
    /// The cluster
    #[arg(value_parser = word::<ClusterName>, add = ArgValueCandidates::new(complete::clusters))]
    cluster: ClusterName,
}

impl Status {
    pub(super) async fn run(self, global: &Global, interrupt: &Interrupt) -> Result<Exit, CliError> {
        let realm = global.realm(None)?;
        let status = Session::within(global, interrupt, async |client| {
            Ok(client.status(&realm, &self.cluster).await?)
        })
        .await?;
        let well = status.is_well();
        global.screen().result(&status, |width| status_text(width, &status))?;
        Ok(if well { Exit::Ok } else { Exit::Failure })
    }
}
