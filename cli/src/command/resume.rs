//! `shoal resume`: creates and deletes whose process has ended, finished now.

use clap::Args;
use jiff::tz::TimeZone;
use shoal_api::{ResumeStep, Resumed};

use crate::{
    args::Global,
    connect::Session,
    error::CliError,
    exit::Exit,
    interrupt::Interrupt,
    output::{event_line, resumed_text},
};

/// Arguments of `resume`: the realm is a global one.
#[derive(Debug, Args)]
pub(crate) struct Resume {}

impl Resume {
    pub(super) async fn run(self, global: &Global, interrupt: &Interrupt) -> Result<Exit, CliError> {
        let realm = global.realm(None)?;
        let (screen, zone) = (global.screen(), TimeZone::system());
        let result = Session::within(global, interrupt, async |client| {
            let mut result = Resumed::default();
            let mut steps = client.resume(&realm).await?;
            while let Some(step) = steps.next().await? {
                match step {
                    ResumeStep::Event(event) => screen.progress(&event_line(&event, &zone))?,
                    ResumeStep::Cluster(cluster) => result.clusters.push(cluster),
                }
            }
            Ok(result)
        })
        .await?;
        let names = result.clusters.iter().map(|cluster| cluster.name.clone());
        screen.named(&result, names, |_, _| resumed_text(&result))?;
        // What keeps a cluster from being finished is a host that does not answer: its reason says which.
        Ok(if result.any_left() { Exit::Unreachable } else { Exit::Ok })
    }
}
