//! The gate: what every change passes before anyone runs it.

use std::{fs, process::Command};

use anyhow::Context;

use super::{floors, messages, report::Results};
use crate::{advisories, shell, workspace::Workspace};

/// The cargo-deny whose configuration `deny.toml` is.
const CARGO_DENY: &str = "0.20.2";

/// Runs the gate.
pub(super) fn run(workspace: &Workspace, results: &mut Results) -> anyhow::Result<()> {
    headers(workspace, results)?;
    floors_go_down(workspace, results)?;
    messages_stay_at_the_edges(workspace, results)?;
    results.check(workspace.cargo().args(["fmt", "--all", "--check"]))?;
    deny(workspace, results)?;
    let faults = advisories::faults(workspace)?;
    results.record(faults.is_empty(), || format!("advisories:\n  {}", faults.join("\n  ")));
    let clippy = ["clippy", "--locked", "--workspace", "--all-targets", "--", "-D", "warnings"];
    results.check(workspace.cargo().args(clippy))?;
    let doc = ["doc", "--locked", "--workspace", "--no-deps"];
    results.check(workspace.cargo().args(doc).env("RUSTDOCFLAGS", "-D warnings"))
}

/// Every file says first what it is for.
fn headers(workspace: &Workspace, results: &mut Results) -> anyhow::Result<()> {
    let mut bare = Vec::new();
    for path in workspace.sources()? {
        let text = fs::read_to_string(&path).with_context(|| path.display().to_string())?;
        if !text.starts_with("//! ") {
            bare.push(path.strip_prefix(&workspace.root).unwrap_or(&path).display().to_string());
        }
    }
    results.record(bare.is_empty(), || format!("files without a `//!` header: {}", bare.join(", ")));
    Ok(())
}

/// In every crate, folders use one another in one direction only.
fn floors_go_down(workspace: &Workspace, results: &mut Results) -> anyhow::Result<()> {
    let crates = floors::read(workspace)?;
    println!("== floors: folders of each crate, and what they use ==");
    for floors in &crates {
        print!("{}", floors.drawing());
    }
    let faults: Vec<String> = crates.iter().flat_map(floors::Floors::faults).collect();
    results.record(faults.is_empty(), || format!("arrows between folders:\n  {}", faults.join("\n  ")));
    Ok(())
}

/// In the coordinator, only services and clients of other programs name messages of the protocol.
fn messages_stay_at_the_edges(workspace: &Workspace, results: &mut Results) -> anyhow::Result<()> {
    let faults = messages::faults(workspace)?;
    results.record(faults.is_empty(), || format!("messages beyond the edges:\n  {}", faults.join("\n  ")));
    Ok(())
}

/// Licences, who may use what, one TLS, and where crates come from.
fn deny(workspace: &Workspace, results: &mut Results) -> anyhow::Result<()> {
    if !shell::succeeds(workspace.cargo().args(["deny", "--version"])) {
        let mut cargo = Command::new(workspace.cargo().get_program());
        // It reads some files once: to optimise it takes longer than it ever runs.
        cargo.args(["install", "--debug", "--locked", "--version", CARGO_DENY, "cargo-deny"]);
        cargo.env("CARGO_PROFILE_DEV_DEBUG", "false");
        // Elsewhere, so that this workspace's flags do not apply to it.
        if shell::run(cargo.current_dir("/")).is_err() {
            results.record(false, || "cargo-deny cannot be installed".into());
            return Ok(());
        }
    }
    results.check(workspace.cargo().args(["deny", "--locked", "check", "bans", "licenses", "sources"]))
}
