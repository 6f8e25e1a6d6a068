//! `shoal completion`: the script a shell loads.

use clap::{Args, CommandFactory};
use clap_complete::{Shell, generate};

use crate::{args::Cli, error::CliError, exit::Exit, output};

/// Arguments of `completion`.
#[derive(Debug, Args)]
pub(crate) struct Completion {
    /// The shell
    shell: Shell,
}

impl Completion {
    pub(super) fn run(self) -> Result<Exit, CliError> {
        let mut script = Vec::new();
        generate(self.shell, &mut Cli::command(), "shoal", &mut script);
        output::raw(&script)?;
        Ok(Exit::Ok)
    }
}
