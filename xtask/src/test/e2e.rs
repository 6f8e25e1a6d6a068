//! Real engines and real Slurm, in labs on this machine.

use shoal_lab::{EngineKind, Engines, Lab, Options, install};

use super::{report::Results, storage, unit};
use crate::{cargo::Programs, image, machine, workspace::Workspace};

/// The test program of the lab itself.
pub(super) const LABS: &str = "real_hosts";
/// The test program that asks engines how they behave: fake ones in every tier that runs it, real ones here.
pub(super) const ENGINES: &str = "engine";
/// The test program that runs `shoal`.
pub(super) const CLUSTERS: &str = "e2e";

/// Runs them, each in labs of its own.
pub(super) fn run(workspace: &Workspace, results: &mut Results) -> anyhow::Result<()> {
    if let Err(reason) = machine::for_labs() {
        results.skip("labs, engines and clusters", reason);
        return Ok(());
    }
    install::ensure(&[EngineKind::System, EngineKind::V28])?;
    install::ensure_packages(image::PACKAGES)?;
    install::ensure_packages(&["openssh-client", "rsync", "ansible-core", "zsh", "fish"])?;
    let programs = Programs::of_tests(workspace)?;
    let archive = image::ensure(workspace, &programs.shoal)?;

    let empty = workspace.target.join("empty-root");
    results.record(super::full::runs_alone(&programs.shoal, &empty)?, || {
        "shoal does not run in an empty root".into()
    });
    if let Err(failed) = engines(workspace, results, &programs) {
        results.record(false, || format!("{failed:#}"));
    }
    let mut clusters = unit::tests(workspace);
    clusters.args(["--test", CLUSTERS]);
    clusters
        .env("SHOAL_BIN", &programs.shoal)
        .env("SHOAL_LAB", &programs.lab)
        .env("SHOAL_NODE_IMAGE", archive);
    if let Err(reason) = storage::ensure_server() {
        results.skip("clusters on a PostgreSQL store", reason);
        clusters.env("SHOAL_TEST_POSTGRES", "off");
    }
    results.tests(&mut clusters)?;
    results.tests(unit::tests(workspace).args(["--test", LABS]))
}

/// The behaviours that Shoal counts on, asked of an engine of each kind.
fn engines(workspace: &Workspace, results: &mut Results, programs: &Programs) -> anyhow::Result<()> {
    let mut options = Options::named("engines".parse()?);
    options.hosts = Some(2);
    options.engines = Some(Engines::Mixed);
    options.program = Some(programs.lab.clone());
    let lab = Lab::up(&options)?.guard();
    let entries = lab.hosts().iter().map(|host| {
        serde_json::json!({ "socket": host.socket, "endpoint": host.endpoint, "tls_dir": host.tls_dir })
    });
    let list = entries.collect::<serde_json::Value>().to_string();
    results.tests(unit::tests(workspace).args(["--test", ENGINES]).env("SHOAL_TEST_ENGINES", list))?;
    Ok(lab.down()?)
}
