//! The agent's network code in network namespaces of its own: bridges, tunnels, names, as on hosts.

use shoal_lab::install;

use super::{report::Results, unit};
use crate::{machine, workspace::Workspace};

/// The test program.
pub(super) const PROGRAM: &str = "netns";

/// Runs it.
pub(super) fn run(workspace: &Workspace, results: &mut Results) -> anyhow::Result<()> {
    if let Err(reason) = machine::for_namespaces() {
        results.skip("the agent in network namespaces", reason);
        return Ok(());
    }
    install::ensure(&[])?;
    results.tests(unit::tests(workspace).args(["--test", PROGRAM]))
}
