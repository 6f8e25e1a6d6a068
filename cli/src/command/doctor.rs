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
