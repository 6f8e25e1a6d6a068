//! `shoal resume`: creates and deletes whose process has ended, finished now.

use clap::Args;
use jiff::tz::TimeZone;
use shoal_proto::v1::{ResumeRequest, ResumeResponse, resume_response::Step};

use crate::{
    args::Global,
    connect::Session,
    error::CliError,
    exit::Exit,
    interrupt::Interrupt,
    output::{ResumedJson, event_line},
};

/// Arguments of `resume`: the realm is a global one.
#[derive(Debug, Args)]
pub(crate) struct Resume {}

impl Resume {
    pub(super) async fn run(self, global: &Global, interrupt: &Interrupt) -> Result<Exit, CliError> {
        let request = ResumeRequest { realm: global.realm(None)?.to_string() };
        let (screen, zone) = (global.screen(), TimeZone::system());
        let result = Session::within(global, interrupt, async |session| {
            let mut result = ResumedJson::default();
            let mut steps = session.upkeep().resume(request).await?.into_inner();
            while let Some(ResumeResponse { step }) = steps.message().await? {
                match step {
                    Some(Step::Event(event)) => screen.progress(&event_line(&event, &zone))?,
                    Some(Step::Cluster(cluster)) => result.add(cluster),
                    None => {}
                }
            }
            Ok(result)
        })
        .await?;
        screen.named(&result, result.names(), |_, _| result.text())?;
        // Only a silent host keeps a cluster unfinished: the reason names that host.
        Ok(if result.left() { Exit::Unreachable } else { Exit::Ok })
    }
}
