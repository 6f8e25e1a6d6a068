//! `shoal serve`: a coordinator that stays, for the commands of this user.

use clap::Args;
use shoal_coordinator::{KeepEvents, serve};

use crate::{
    args::Global,
    connect::{allow_many_files, told_options},
    duration::Age,
    error::CliError,
    exit::Exit,
    interrupt::Interrupt,
    notify::{self, State},
    parse::word,
    report,
};

/// Most events that are kept, however young: the table of a million has some 200 MiB.
const MOST_EVENTS: u64 = 1_000_000;

/// Arguments of `serve`.
#[derive(Debug, Args)]
pub(crate) struct Serve {
    /// How long events are kept; of more than a million, the last million
    #[arg(long, value_name = "DURATION", default_value = "30d", value_parser = word::<Age>)]
    keep_events: Age,
}

impl Serve {
    pub(super) async fn run(self, global: &Global, interrupt: &Interrupt) -> Result<Exit, CliError> {
        allow_many_files();
        let Age(age) = self.keep_events;
        let events = KeepEvents { age, most: MOST_EVENTS };
        let server = serve(told_options(global)?, &global.socket()?, events).await?;
        let ready =
            format!("serving installation {} on {}", server.installation(), server.socket().display());
        global.screen().progress(&ready)?;
        tell(State::Ready);
        interrupt.asked().await;
        tell(State::Stopping);
        server.leave().await;
        Ok(Exit::Ok)
    }
}

/// A service manager that cannot be told goes by what it sees.
fn tell(state: State) {
    if let Err(error) = notify::tell(state) {
        report::warning(&format!("NOTIFY_SOCKET: {error}"));
    }
}
