//! What takes longer than a change can wait for: the binary as it is released, simulation at length, the benches, the soak.

use std::{fs, path::Path, process::Command};

use anyhow::Context;

use super::report::Results;
use crate::{cargo, machine, shell, soak::Soak, workspace::Workspace};

/// The largest a released `shoal` may be: it is copied to every host.
const RELEASE_BYTES_MAX: u64 = 30 * 1000 * 1000;

/// How long the soak takes.
const SOAK_MINUTES: u32 = 15;
/// Hosts of its lab.
const SOAK_HOSTS: u8 = 3;

/// Runs them.
pub(super) fn run(workspace: &Workspace, results: &mut Results) -> anyhow::Result<()> {
    release(workspace, results)?;
    let simulated = ["test", "--locked", "--package", "shoal-tests", "--test", "sim"];
    let long = [("SHOAL_SIM_SCHEDULES", "3000"), ("SHOAL_SIM_POINTS", "all")];
    results.tests(workspace.cargo().args(simulated).envs(long))?;
    results.check(workspace.cargo().args(["xtask", "bench", "scale"]))?;
    let admission =
        ["bench", "--locked", "--profile", "quick", "--package", "shoal-tests", "--bench", "admission"];
    results.check(workspace.cargo().args(admission))?;
    results.check(workspace.cargo().args(["bench", "--locked", "--package", "shoal-scheduler"]))?;
    results.check(workspace.cargo().args(["bench", "--locked", "--package", "shoal-storage"]))?;
    match machine::for_labs() {
        Ok(()) => {
            results.check(workspace.cargo().args(["xtask", "bench", "create"]))?;
            results.check(workspace.cargo().args(["xtask", "bench", "tunnel"]))?;
            let violations = Soak::of(SOAK_MINUTES, SOAK_HOSTS, None).violations()?;
            results.record(violations == 0, || format!("{violations} violations in the soak"));
        }
        Err(reason) => results.skip("bench create, bench tunnel and the soak", reason),
    }
    Ok(())
}

/// The released binary is small and needs nothing of the machine it runs on.
fn release(workspace: &Workspace, results: &mut Results) -> anyhow::Result<()> {
    let built = cargo::build(workspace, "release", &["shoal"])?;
    let shoal = built.get("shoal").context("cargo built no shoal")?;
    let size = fs::metadata(shoal).with_context(|| shoal.display().to_string())?.len();
    println!("{} has {size} bytes", shoal.display());
    results.record(size <= RELEASE_BYTES_MAX, || {
        format!("shoal has {size} bytes, more than {RELEASE_BYTES_MAX}")
    });
    if machine::is_root() {
        let empty = workspace.target.join("empty-root");
        results.record(runs_alone(shoal, &empty)?, || "shoal does not run in an empty root".into());
    } else {
        results.skip("shoal in an empty root", "not root: chroot needs it".into());
    }
    Ok(())
}

/// Does it run with nothing else in its file system?
pub(super) fn runs_alone(shoal: &Path, root: &Path) -> anyhow::Result<bool> {
    fs::create_dir_all(root).with_context(|| root.display().to_string())?;
    fs::copy(shoal, root.join("shoal")).with_context(|| root.display().to_string())?;
    Ok(shell::status(Command::new("chroot").arg(root).args(["/shoal", "version"]))?.success())
}
