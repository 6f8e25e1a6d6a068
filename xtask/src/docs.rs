//! `cargo xtask docs`: what the documentation takes from the code.
//!
//! The tests that hold code and documentation together write their files when they are asked to; this asks them. What
//! commands print on the pages of `docs/` is written by the end-to-end tests, with the same variable set.

use std::process::ExitCode;

use clap::Args;

use crate::{shell, workspace::Workspace};

/// Asks tests to write what they would compare.
const UPDATE: &str = "SHOAL_UPDATE_DOCS";

/// Arguments of `docs`.
#[derive(Debug, Args)]
pub(crate) struct Docs {}

impl Docs {
    /// Writes the files.
    ///
    /// # Errors
    /// A test of the command line does not pass.
    pub(crate) fn run(self) -> anyhow::Result<ExitCode> {
        let workspace = Workspace::find()?;
        let mut cargo = workspace.cargo();
        cargo.args(["test", "--locked", "--workspace", "--bin", "shoal"]).env(UPDATE, "1");
        shell::run(&mut cargo)?;
        Ok(ExitCode::SUCCESS)
    }
}
