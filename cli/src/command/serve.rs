//! `shoal serve`: a coordinator that stays, for the commands of this user, and for users elsewhere if they are to be served.

use std::net::SocketAddr;

use clap::Args;
use shoal_coordinator::{Elsewhere, KeepEvents, is_address, serve};
use shoal_types::SchedulerAddress;

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
    /// Serve users elsewhere, too: listen on this address, by TLS with certificates on both sides
    ///
    /// `shoal create user` makes users. Without this nothing but the socket is listened on.
    #[arg(long, value_name = "ADDRESS:PORT")]
    listen: Option<SocketAddr>,
    /// Name or address that users reach the server by; repeatable [default: the address of --listen, or this machine's name]
    #[arg(long = "name", value_name = "NAME", value_parser = name, requires = "listen")]
    names: Vec<String>,
    /// Most connections of users elsewhere at once
    #[arg(long, value_name = "N", default_value_t = 1000, value_parser = clap::value_parser!(u16).range(1..), requires = "listen")]
    max_connections: u16,
    /// Most calls of each user elsewhere in a second; four times as many may come at once
    #[arg(long, value_name = "N", default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=10_000), requires = "listen")]
    max_calls: u32,
    /// Scheduler of your own that may place clusters of users elsewhere; repeatable [default: none]
    #[arg(long = "scheduler-program", value_name = "ADDRESS", value_parser = word::<SchedulerAddress>, requires = "listen")]
    scheduler_programs: Vec<SchedulerAddress>,
}

/// A name that can be in a certificate.
fn name(text: &str) -> Result<String, String> {
    match is_address(&format!("{text}:1")) && !text.contains(':') {
        true => Ok(text.to_owned()),
        false => Err("not a name of the DNS or an IPv4 address".into()),
    }
}

impl Serve {
    pub(super) async fn run(self, global: &Global, interrupt: &Interrupt) -> Result<Exit, CliError> {
        allow_many_files();
        let Age(age) = self.keep_events;
        let events = KeepEvents { age, most: MOST_EVENTS };
        let elsewhere = self.listen.map(|listen| Elsewhere {
            listen,
            names: self.names,
            connections: self.max_connections.into(),
            calls_a_second: self.max_calls,
            schedulers: self.scheduler_programs,
        });
        let server = serve(told_options(global)?, &global.socket()?, events, elsewhere).await?;
        let socket = server.socket().display();
        let mut ready = format!("serving installation {} on {socket}", server.installation());
        if !server.addresses().is_empty() {
            ready.push_str(&format!(", and to users elsewhere at {}", server.addresses().join(", ")));
        }
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
