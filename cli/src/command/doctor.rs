//! `shoal doctor`: what is wrong with hosts and the ways between them, and what to do.

use clap::Args;
use clap_complete::ArgValueCandidates;
use shoal_proto::v1::ExamineHostsRequest;
use shoal_types::HostName;

use crate::{
    args::Global,
    complete,
    connect::Session,
    error::CliError,
    exit::Exit,
    interrupt::Interrupt,
    output::{DoctorJson, doctor_text},
    parse::word,
};

/// Arguments of `doctor`.
///
/// Checks engine, certificates, kernel limits, disk, clock, addresses, ports, images and agents of each host, and sends tunnel
/// packets of full size between every two of them, both ways. An agent is brought to a host that has none, as a create
/// would do; nothing else is changed. Exit status 0: nothing failed; 1: something did; 3: a host that is not
/// registered was named; 5: a host could not be reached (the others are checked all the same).
#[derive(Debug, Args)]
pub(crate) struct Doctor {
    /// Only these hosts, and the ways between them [default: all]
    #[arg(value_name = "HOST", value_parser = word::<HostName>, add = ArgValueCandidates::new(complete::hosts))]
    hosts: Vec<HostName>,
}

impl Doctor {
    pub(super) async fn run(self, global: &Global, interrupt: &Interrupt) -> Result<Exit, CliError> {
        let request = ExamineHostsRequest {
            hosts: self.hosts.iter().map(ToString::to_string).collect(),
            image: shoal_images::DEFAULT_TAG.into(),
        };
        let answer = Session::within(global, interrupt, async |session| {
            Ok(session.insight().examine_hosts(request).await?.into_inner())
        })
        .await?;
        let found = DoctorJson::from(answer);
        let exit = match (found.any_unreachable(), found.any_failed()) {
            (true, _) => Exit::Unreachable,
            (false, true) => Exit::Failure,
            (false, false) => Exit::Ok,
        };
        global.screen().result(&found, |width| doctor_text(width, &found))?;
        Ok(exit)
    }
}
