//! Tests that need nothing but a compiler, OpenSSH to read what is written for it, and Python for the example scheduler.

use std::process::Command;

use shoal_lab::install;

use super::report::Results;
use crate::{
    cargo::{self, TestProgram},
    machine,
    workspace::{self, Workspace},
};

/// Test programs that belong to another tier, because they need more.
const ELSEWHERE: [&str; 4] =
    [super::storage::PROGRAM, super::netns::PROGRAM, super::e2e::LABS, super::e2e::CLUSTERS];

/// What the example scheduler in Python is made with.
const PYTHON: [&str; 2] = ["python3-grpcio", "python3-grpc-tools"];

/// Runs them: beside the code, in `tests/` unless another tier has it, in the documentation.
pub(super) fn run(workspace: &Workspace, results: &mut Results) -> anyhow::Result<()> {
    let mut cargo = tests(workspace);
    cargo.args(["--lib", "--bins"]);
    for program in workspace.tests.iter().filter(|name| !ELSEWHERE.contains(&name.as_str())) {
        cargo.args(["--test", program]);
    }
    if machine::for_labs().is_ok() {
        install::ensure_packages(&["openssh-client"])?;
        install::ensure_packages(&PYTHON)?;
    }
    let mut skipped = Vec::new();
    if !machine::has_openssh() {
        results
            .skip("what OpenSSH makes of our files", "no ssh and ssh-keygen: install openssh-client".into());
        skipped.extend(["--skip", "openssh"]);
    }
    if !machine::has_python_grpc() {
        let packages = PYTHON.join(" and ");
        results.skip("the example scheduler in Python", format!("install {packages}"));
        skipped.extend(["--skip", "in_python"]);
    }
    let programs = cargo::tests(&mut cargo)?;
    let commands = programs.iter().map(|program| as_cargo_runs(program, &skipped));
    results.beside(commands.collect())?;
    // Whether it passes counts: not every crate has an example.
    results.check(tests(workspace).arg("--doc"))
}

/// A test program where, and with the variables that, `cargo test` would run it: cargo runs one after the other, and the last tests
/// of each use one core.
fn as_cargo_runs(program: &TestProgram, args: &[&str]) -> Command {
    let mut command = Command::new(&program.path);
    workspace::without_ours(&mut command);
    command.args(args).current_dir(&program.package).env("CARGO_MANIFEST_DIR", &program.package);
    command
}

/// `cargo test` on the whole workspace: always all of it, so that every tier builds dependencies with the same features
/// and the next one finds them built.
pub(super) fn tests(workspace: &Workspace) -> Command {
    let mut cargo = workspace.cargo();
    cargo.args(["test", "--locked", "--no-fail-fast", "--workspace"]);
    cargo
}
