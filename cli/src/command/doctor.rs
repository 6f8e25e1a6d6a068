//! `shoal doctor`: what is wrong with hosts and the ways between them, and what to do.

use clap::Args;
use clap_complete::ArgValueCandidates;
use shoal_api::Verdict;
use shoal_types::HostName;

use crate::{
    args::Global, complete, connect::Session, error::CliError, exit::Exit, interrupt::Interrupt,
    output::doctor_text, parse::word,
};

/// Arguments of `doctor`.
///
/// Checks engine, certificates, kernel limits, disk, clock, addresses, ports, images and agents of each host, and sends tunnel
/// packets of full size between every two hosts, both ways. A host without an agent gets one, as in a create; nothing else
/// changes. Exit status 0: every check passed; 1: a check failed; 3: a named host is not registered; 5: a host could not be
/// reached (the other hosts are checked all the same).
#[derive(Debug, Args)]
pub(crate) struct Doctor {
    /// Only these hosts, and the paths between them [default: all]
    #[arg(value_name = "HOST", value_parser = word::<HostName>, add = ArgValueCandidates::new(complete::hosts))]
    hosts: Vec<HostName>,
}

impl Doctor {
    pub(super) async fn run(self, global: &Global, interrupt: &Interrupt) -> Result<Exit, CliError> {
        let found = Session::within(global, interrupt, async |client| {
            Ok(client.examine_hosts(&self.hosts, shoal_images::DEFAULT_TAG).await?)
        })
        .await?;
        let exit = match (found.any_unreachable(), found.count(Verdict::Fail) > 0) {
            (true, _) => Exit::Unreachable,
            (false, true) => Exit::Failure,
            (false, false) => Exit::Ok,
        };
        global.screen().result(&found, |width| doctor_text(width, &found))?;
        Ok(exit)
    }
}
