//! Building programs and finding them: cargo says where each one is, because the place depends on target and profile.

use std::{collections::BTreeMap, path::PathBuf, process::Stdio};

use anyhow::{Context, bail};
use serde::Deserialize;

use crate::{shell, workspace::Workspace};

/// Programs as `demo`, the end-to-end tests and the benches use them.
#[derive(Debug, Clone)]
pub(crate) struct Programs {
    /// `shoal`.
    pub(crate) shoal: PathBuf,
    /// `shoal-lab`.
    pub(crate) lab: PathBuf,
}

/// What cargo says of a thing it made.
#[derive(Deserialize)]
struct Artifact {
    reason: String,
    executable: Option<PathBuf>,
    target: Option<Target>,
}

#[derive(Deserialize)]
struct Target {
    name: String,
}

impl Programs {
    /// Builds them with the profile `quick`: release code without link-time optimisation.
    ///
    /// # Errors
    /// They do not build.
    pub(crate) fn build(workspace: &Workspace) -> anyhow::Result<Self> {
        Self::build_with(workspace, "quick")
    }

    /// Builds them with a profile.
    ///
    /// # Errors
    /// They do not build.
    pub(crate) fn build_with(workspace: &Workspace, profile: &str) -> anyhow::Result<Self> {
        let mut built = build(workspace, profile, &["shoal", "shoal-lab"])?;
        let mut take = |name: &str| built.remove(name).with_context(|| format!("cargo built no {name}"));
        Ok(Self { shoal: take("shoal")?, lab: take("shoal-lab")? })
    }
}

/// Builds the programs of these packages; name -> file.
///
/// # Errors
/// They do not build.
pub(crate) fn build(
    workspace: &Workspace,
    profile: &str,
    packages: &[&str],
) -> anyhow::Result<BTreeMap<String, PathBuf>> {
    let mut cargo = workspace.cargo();
    cargo.args(["build", "--locked", "--bins", "--profile", profile]);
    cargo.args(packages.iter().flat_map(|package| ["--package", package]));
    shell::show(&cargo);
    cargo.arg("--message-format=json-render-diagnostics").stderr(Stdio::inherit());
    let output = cargo.output().context("cannot run cargo")?;
    if !output.status.success() {
        bail!("{} does not build", packages.join(", "));
    }
    let lines = String::from_utf8(output.stdout).context("cargo writes no UTF-8")?;
    executables(&lines)
}

fn executables(lines: &str) -> anyhow::Result<BTreeMap<String, PathBuf>> {
    let mut found = BTreeMap::new();
    for line in lines.lines() {
        let artifact: Artifact = serde_json::from_str(line).context("a message of cargo")?;
        if let ("compiler-artifact", Some(path), Some(target)) =
            (artifact.reason.as_str(), artifact.executable, artifact.target)
        {
            found.insert(target.name, path);
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn programs_are_found_in_what_cargo_says() {
        let lines = r#"{"reason":"compiler-artifact","target":{"name":"x"},"executable":null}
{"reason":"compiler-artifact","target":{"name":"shoal"},"executable":"/t/x86_64/quick/shoal","fresh":true}
{"reason":"build-finished","success":true}"#;
        let found = executables(lines).unwrap();
        assert_eq!(found, BTreeMap::from([("shoal".to_owned(), PathBuf::from("/t/x86_64/quick/shoal"))]));
    }
}
