//! `shoal agent`: what runs on a host, in a container of this very executable.

use clap::{Args, Subcommand};
use shoal_agent::Config;

use crate::{args::Global, error::CliError, exit::Exit, interrupt::Interrupt};

/// Arguments of `agent`.
#[derive(Debug, Args)]
pub(crate) struct Agent {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Clone, Copy, Subcommand)]
enum What {
    /// Be the agent, until told to end
    Serve,
    /// Connect standard input and output, which must be pipes, to the agent
    Connect,
}

impl Agent {
    /// Keeps its state in `--state-dir` if one is named, else where the agent's container has its volume.
    pub(super) async fn run(self, global: &Global, interrupt: &Interrupt) -> Result<Exit, CliError> {
        let mut config = Config::new(env!("CARGO_PKG_VERSION").to_owned());
        if let Some(dir) = &global.state_dir {
            config.state_dir.clone_from(dir);
        }
        match self.what {
            What::Serve => shoal_agent::serve(config, interrupt.token()).await?,
            What::Connect => tokio::select! {
                connected = shoal_agent::connect(&config.socket, &config.version) => connected?,
                () = interrupt.asked() => return Err(CliError::Interrupted),
            },
        }
        Ok(Exit::Ok)
    }
}
