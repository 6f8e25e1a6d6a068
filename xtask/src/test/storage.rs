//! The store's conformance suite, on SQLite and on a real PostgreSQL server that the suite starts itself.

use shoal_lab::install;

use super::{report::Results, unit};
use crate::{machine, workspace::Workspace};

/// The test program.
pub(super) const PROGRAM: &str = "conformance";

/// Runs it; installs the server if it is missing and that is possible.
pub(super) fn run(workspace: &Workspace, results: &mut Results) -> anyhow::Result<()> {
    let mut cargo = unit::tests(workspace);
    cargo.args(["--test", PROGRAM]);
    if let Err(reason) = ensure_server() {
        results.skip("the suite on PostgreSQL", reason);
        cargo.env("SHOAL_TEST_POSTGRES", "off");
    }
    results.tests(&mut cargo)
}

/// Sees to it that PostgreSQL's server programs and PgBouncer are there.
///
/// # Errors
/// Why they are not and cannot be.
pub(super) fn ensure_server() -> Result<(), machine::Reason> {
    if machine::has_postgres() {
        return Ok(());
    }
    if !machine::is_root() {
        return Err("PostgreSQL is not installed, and only root can install it".into());
    }
    install::ensure_packages(&["postgresql", "pgbouncer"])
        .map_err(|failed| format!("PostgreSQL is not there: {failed}"))
}
