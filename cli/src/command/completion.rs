//! `shoal completion`: the script a shell loads. It asks `shoal` itself for words ([`crate::complete`]).

use clap::{Args, ValueEnum};
use clap_complete::env::{Bash, EnvCompleter, Fish, Zsh};

use crate::{complete::VARIABLE, error::CliError, exit::Exit, output};

/// Arguments of `completion`.
#[derive(Debug, Args)]
pub(crate) struct Completion {
    /// The shell
    shell: Shell,
}

/// A shell whose script there is.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum Shell {
    /// In ~/.bashrc: source <(shoal completion bash)
    Bash,
    /// In ~/.zshrc, after compinit: source <(shoal completion zsh)
    Zsh,
    /// In ~/.config/fish/config.fish: shoal completion fish | source
    Fish,
}

impl Completion {
    pub(super) fn run(self) -> Result<Exit, CliError> {
        let shell: &dyn EnvCompleter = match self.shell {
            Shell::Bash => &Bash,
            Shell::Zsh => &Zsh,
            Shell::Fish => &Fish,
        };
        let mut script = Vec::new();
        shell
            .write_registration(VARIABLE, "shoal", "shoal", "shoal", &mut script)
            .map_err(CliError::Stdout)?;
        output::raw(&script)?;
        Ok(Exit::Ok)
    }
}
