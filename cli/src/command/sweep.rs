//! `shoal sweep`: what is on the hosts and nothing explains.

use clap::Args;
use shoal_proto::v1::{SweepRequest, SweepResponse};

use crate::{
    args::Global,
    connect::Session,
    error::CliError,
    exit::Exit,
    interrupt::Interrupt,
    output::{SweepJson, sweep_text},
    parse::word,
    wait::Wait,
};

/// Arguments of `sweep`.
#[derive(Debug, Args)]
pub(crate) struct Sweep {
    /// List the leftovers and remove nothing
    #[arg(long)]
    dry_run: bool,
    /// Keep objects younger than this, such as 10m or 0 [default: 5m]
    #[arg(long, value_name = "DURATION", value_parser = word::<Wait>)]
    grace: Option<Wait>,
    /// Remove the leftovers even if they are more than 3 objects and more than 30 % of all objects
    #[arg(long)]
    yes_really: bool,
}

impl Sweep {
    pub(super) async fn run(self, global: &Global, interrupt: &Interrupt) -> Result<Exit, CliError> {
        let Self { dry_run, grace, yes_really } = self;
        let request = SweepRequest { dry_run, grace_ms: grace.map(Wait::as_millis), yes_really };
        let answer = Session::within(global, interrupt, async |session| {
            Ok(session.upkeep().sweep(request).await?.into_inner())
        })
        .await?;
        let json = SweepJson::new(dry_run, answer.clone());
        global.screen().named(&json, json.names(), |width, _| sweep_text(width, &answer))?;
        end(dry_run, &answer)
    }
}

fn end(dry_run: bool, answer: &SweepResponse) -> Result<Exit, CliError> {
    if let Some(too_much) = answer.too_much.filter(|_| !dry_run) {
        return Err(CliError::TooMuch { going: too_much.going, total: too_much.total });
    }
    let failed = answer.hosts.iter().filter(|host| !host.error.is_empty()).count();
    if failed > 0 {
        return Err(CliError::Unseen { failed, total: answer.hosts.len() });
    }
    match answer.things.iter().any(|thing| thing.end == "failed") {
        true => Ok(Exit::Failure),
        false => Ok(Exit::Ok),
    }
}
