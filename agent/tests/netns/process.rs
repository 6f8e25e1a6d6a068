//! This executable in the part of `shoal agent`: what a test starts inside a host's namespace.

use std::process::ExitCode;

use shoal_agent::{AgentError, Config, connect, serve};
use tokio_util::sync::CancellationToken;

/// Version the agents of these tests tell.
pub(crate) const VERSION: &str = "0.0.0-test";

/// `agent STATE_DIR SOCKET` serves until it is killed, `connect SOCKET` is one session.
pub(crate) fn run(role: &str, mut arguments: impl Iterator<Item = String>) -> ExitCode {
    tracing_subscriber::fmt().with_writer(std::io::stderr).with_ansi(false).with_env_filter(filter()).init();
    let mut path = || arguments.next().unwrap_or_default().into();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    let answer: Result<(), AgentError> = match (runtime, role) {
        (Ok(runtime), "agent") => {
            let config = Config { state_dir: path(), socket: path(), version: VERSION.into() };
            runtime.block_on(serve(config, CancellationToken::new()))
        }
        (Ok(runtime), _) => runtime.block_on(connect(&path(), VERSION)),
        (Err(source), _) => Err(AgentError::Netlink(source)),
    };
    match answer {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{:#}", anyhow::Error::from(error));
            ExitCode::FAILURE
        }
    }
}

fn filter() -> tracing_subscriber::EnvFilter {
    tracing_subscriber::EnvFilter::try_from_default_env().unwrap_or_else(|_| "error".into())
}
