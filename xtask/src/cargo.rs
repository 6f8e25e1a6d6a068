//! Building programs and finding them: cargo says where each one is, because the place depends on target and profile.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

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

/// A program that runs tests.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TestProgram {
    /// The file.
    pub(crate) path: PathBuf,
    /// Its package's directory, in which cargo would run it.
    pub(crate) package: PathBuf,
    /// Its tests are beside the code that they test, not in `tests/`.
    pub(crate) is_beside: bool,
}

/// What cargo says of a thing it made.
#[derive(Deserialize)]
struct Artifact {
    reason: String,
    executable: Option<PathBuf>,
    manifest_path: Option<PathBuf>,
    profile: Option<Profile>,
    target: Option<Target>,
}

#[derive(Deserialize)]
struct Profile {
    test: bool,
}

#[derive(Deserialize)]
struct Target {
    name: String,
    #[serde(default)]
    kind: Vec<String>,
}

impl Programs {
    /// Builds them with the profile `quick`: release code without link-time optimisation.
    ///
    /// # Errors
    /// They do not build.
    pub(crate) fn build(workspace: &Workspace) -> anyhow::Result<Self> {
        Self::build_with(workspace, "quick")
    }

    /// Those that tests are built with: after the unit tier there is nothing left to compile. `shoal` is brought to every host, so
    /// what only a debugger reads is stripped from a copy of it (127 MB -> 65 MB, 2026-11-26).
    ///
    /// # Errors
    /// They do not build, or there is no strip(1).
    pub(crate) fn of_tests(workspace: &Workspace) -> anyhow::Result<Self> {
        let mut cargo = workspace.cargo();
        // Not by package, so that dependencies have the features they have in tests.
        cargo.args(["build", "--locked", "--bin", "shoal", "--bin", "shoal-lab"]);
        let mut programs = Self::of(executables(&messages(&mut cargo)?)?)?;
        let directory = programs.shoal.parent().context("shoal is in no directory")?.join("stripped");
        fs::create_dir_all(&directory).with_context(|| directory.display().to_string())?;
        let stripped = directory.join("shoal");
        shell::run(Command::new("strip").arg("-o").args([&stripped, &programs.shoal]))?;
        programs.shoal = stripped;
        Ok(programs)
    }

    /// Builds them with a profile.
    ///
    /// # Errors
    /// They do not build.
    pub(crate) fn build_with(workspace: &Workspace, profile: &str) -> anyhow::Result<Self> {
        Self::of(build(workspace, profile, &["shoal", "shoal-lab"])?)
    }

    fn of(mut built: BTreeMap<String, PathBuf>) -> anyhow::Result<Self> {
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
    executables(&messages(&mut cargo)?)
}

/// Builds test programs: `cargo` is a `cargo test` that says which.
///
/// # Errors
/// They do not build.
pub(crate) fn tests(cargo: &mut Command) -> anyhow::Result<Vec<TestProgram>> {
    test_programs(&messages(cargo.arg("--no-run"))?)
}

/// Shows a cargo command and runs it; what it says of what it made, a line each.
fn messages(cargo: &mut Command) -> anyhow::Result<String> {
    shell::show(cargo);
    let shown = shell::line(cargo);
    cargo.arg("--message-format=json-render-diagnostics").stderr(Stdio::inherit());
    let output = cargo.output().context("cannot run cargo")?;
    if !output.status.success() {
        bail!("{shown} ended with {}", output.status);
    }
    String::from_utf8(output.stdout).context("cargo writes no UTF-8")
}

fn artifacts(lines: &str) -> impl Iterator<Item = anyhow::Result<Artifact>> {
    let messages = lines.lines().map(|line| serde_json::from_str(line).context("a message of cargo"));
    messages.filter(|message: &anyhow::Result<Artifact>| {
        message.as_ref().map_or(true, |artifact| artifact.reason == "compiler-artifact")
    })
}

fn executables(lines: &str) -> anyhow::Result<BTreeMap<String, PathBuf>> {
    let mut found = BTreeMap::new();
    for artifact in artifacts(lines) {
        if let Artifact { executable: Some(path), target: Some(target), .. } = artifact? {
            found.insert(target.name, path);
        }
    }
    Ok(found)
}

/// Those in `tests/` first: they take longest.
fn test_programs(lines: &str) -> anyhow::Result<Vec<TestProgram>> {
    let mut found = Vec::new();
    for artifact in artifacts(lines) {
        let Artifact { executable: Some(path), manifest_path: Some(manifest), profile, target, .. } =
            artifact?
        else {
            continue;
        };
        if profile.is_some_and(|profile| profile.test) {
            let package = manifest.parent().map(Path::to_owned).unwrap_or_default();
            let is_beside = !target.is_some_and(|target| target.kind.iter().any(|kind| kind == "test"));
            found.push(TestProgram { path, package, is_beside });
        }
    }
    found.sort_by_key(|program| program.is_beside);
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

    #[test]
    fn test_programs_are_told_from_others() {
        let lines = r#"{"reason":"compiler-artifact","manifest_path":"/w/a/Cargo.toml","target":{"name":"a","kind":["lib"]},"profile":{"test":true},"executable":"/t/a-1"}
{"reason":"compiler-artifact","manifest_path":"/w/a/Cargo.toml","target":{"name":"a","kind":["bin"]},"profile":{"test":false},"executable":"/t/a"}
{"reason":"compiler-artifact","manifest_path":"/w/b/Cargo.toml","target":{"name":"b","kind":["test"]},"profile":{"test":true},"executable":"/t/b-1"}
{"reason":"build-finished","success":true}"#;
        let found: Vec<_> = test_programs(lines)
            .unwrap()
            .into_iter()
            .map(|program| (program.path, program.package, program.is_beside))
            .collect();
        assert_eq!(found, [("/t/b-1".into(), "/w/b".into(), false), ("/t/a-1".into(), "/w/a".into(), true)]);
    }
}
