//! `shoal cordon` and `shoal uncordon`: whether nodes are placed on a host.

use clap::Args;
use clap_complete::ArgValueCandidates;
use shoal_types::HostName;

use crate::{
    args::Global, complete, connect::Session, error::CliError, exit::Exit, interrupt::Interrupt, parse::word,
};

/// Arguments of `cordon`.
#[derive(Debug, Args)]
pub(crate) struct Cordon {
    /// The host
    #[arg(value_parser = word::<HostName>, add = ArgValueCandidates::new(complete::hosts))]
    name: HostName,
}

/// Arguments of `uncordon`.
#[derive(Debug, Args)]
pub(crate) struct Uncordon {
    /// The host
    #[arg(value_parser = word::<HostName>, add = ArgValueCandidates::new(complete::hosts))]
    name: HostName,
}

impl Cordon {
    pub(super) async fn run(self, global: &Global, interrupt: &Interrupt) -> Result<Exit, CliError> {
        let host =
            Session::within(global, interrupt, async |client| Ok(client.cordon_host(&self.name).await?))
                .await?;
        let said = format!("{} is {}: no node is placed there", host.name, host.scheduling);
        global.screen().named(&host, [host.name.clone()], |_, _| said)?;
        Ok(Exit::Ok)
    }
}

impl Uncordon {
    pub(super) async fn run(self, global: &Global, interrupt: &Interrupt) -> Result<Exit, CliError> {
        let host =
            Session::within(global, interrupt, async |client| Ok(client.uncordon_host(&self.name).await?))
                .await?;
        let said = format!("{} is {}: nodes are placed there", host.name, host.scheduling);
        global.screen().named(&host, [host.name.clone()], |_, _| said)?;
        Ok(Exit::Ok)
    }
}
