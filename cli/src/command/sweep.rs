//! `shoal sweep`: what is on the hosts and nothing explains.

use clap::Args;
use shoal_api::{Sweep as Swept, SweepEnd};

use crate::{
    args::Global, connect::Session, duration::Wait, error::CliError, exit::Exit, interrupt::Interrupt,
    output::sweep_text, parse::word,
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
        let swept = Session::within(global, interrupt, async |client| {
            Ok(client.sweep(dry_run, grace.map(Wait::as_millis), yes_really).await?)
        })
        .await?;
        let names = swept.things.iter().map(|thing| thing.name.clone());
        global.screen().named(&swept, names, |width, _| sweep_text(width, &swept))?;
        end(&swept)
    }
}

fn end(swept: &Swept) -> Result<Exit, CliError> {
    if let Some(too_much) = swept.too_much.filter(|_| !swept.dry_run) {
        return Err(CliError::TooMuch { going: too_much.going, total: too_much.total });
    }
    let failed = swept.hosts.iter().filter(|host| host.error.is_some()).count();
    if failed > 0 {
        return Err(CliError::Unseen { failed, total: swept.hosts.len() });
    }
    match swept.things.iter().any(|thing| thing.end == SweepEnd::Failed) {
        true => Ok(Exit::Failure),
        false => Ok(Exit::Ok),
    }
}
