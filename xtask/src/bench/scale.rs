//! `bench scale`: the coordinator, in a process of its own, on simulated hosts, as many as a large site has. The program is
//! `tests/benches/scale.rs`.

use std::process::ExitCode;

use crate::{shell, workspace::Workspace};

/// Runs it.
pub(super) fn run() -> anyhow::Result<ExitCode> {
    let mut cargo = Workspace::find()?.cargo();
    cargo.args(["bench", "--locked", "--profile", "quick", "--package", "shoal-tests", "--bench", "scale"]);
    shell::show(&cargo);
    Ok(if shell::status(&mut cargo)?.success() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
