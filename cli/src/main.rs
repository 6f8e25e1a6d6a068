//! The `shoal` command: a client with the coordinator in the same process, a server of one, and the agent of hosts.
//!
//! This file is wiring: signals, cryptography, arguments, logs, runtime, exit status. The verbs are in [`command`]; a shell that
//! completes a word is answered before any of them ([`complete`]).

mod agent_binary;
mod args;
mod command;
mod complete;
mod config;
mod connect;
mod docker_cli;
mod duration;
mod error;
mod escape;
mod exit;
#[cfg(test)]
mod generated;
mod interrupt;
#[cfg(test)]
mod manual;
mod node_ref;
mod notify;
mod output;
mod parse;
mod pem;
mod private_file;
mod progress;
#[cfg(test)]
mod prose_flags;
mod quote;
mod report;
mod server_context;
mod ssh;
mod ssh_key;
mod state_dir;
mod terminal;

use std::{io, process::ExitCode};

use clap::Parser;
use nix::sys::signal::SigSet;
use tokio::runtime::Builder;
use tracing_subscriber::EnvFilter;

use crate::{args::Cli, error::CliError, exit::Exit, interrupt::Interrupt};

fn main() -> ExitCode {
    // Some callers leave signals blocked, and what is blocked reaches no listener: not Ctrl-C, not a window's new size.
    let _ = SigSet::empty().thread_set_mask();
    // Fails only if a provider is there already, and then TLS works too.
    let _ = rustls::crypto::ring::default_provider().install_default();
    complete::if_asked();
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return ExitCode::from(report::arguments(&error).code()),
    };
    log(cli.command.verbosity().saturating_add(cli.global.verbose));
    let own_failure = cli.command.own_failure();
    let exit = run(cli).unwrap_or_else(|error| report::error(&error, own_failure));
    ExitCode::from(exit.code())
}

fn run(cli: Cli) -> Result<Exit, CliError> {
    let mut builder = match cli.command.threads() {
        None => Builder::new_current_thread(),
        Some(threads) => {
            let mut builder = Builder::new_multi_thread();
            builder.worker_threads(threads);
            builder
        }
    };
    let runtime = builder.enable_all().build().map_err(CliError::Runtime)?;
    let result = runtime.block_on(async {
        let interrupt = Interrupt::listen().map_err(CliError::Runtime)?;
        cli.command.run(&cli.global, &interrupt).await
    });
    // A read of standard input cannot be cancelled; do not wait for it.
    runtime.shutdown_background();
    result
}

/// Logs to standard error: errors, and with each `-v` more of what Shoal does; what others do from the third on.
fn log(verbose: u8) {
    let filter = match verbose {
        0 => "error",
        1 => "error,shoal=info",
        2 => "warn,shoal=debug",
        _ => "debug,shoal=trace",
    };
    tracing_subscriber::fmt()
        .with_env_filter(EnvFilter::new(filter))
        .with_ansi(io::IsTerminal::is_terminal(&io::stderr()))
        .with_writer(io::stderr)
        .init();
}
