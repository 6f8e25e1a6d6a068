//! Where this workspace is and which test programs it has, as cargo tells.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::Context;
use serde::Deserialize;

use crate::shell;

/// The workspace.
#[derive(Debug)]
pub(crate) struct Workspace {
    /// Its top directory.
    pub(crate) root: PathBuf,
    /// Where cargo puts what it makes.
    pub(crate) target: PathBuf,
    /// Names of the test programs of all packages (`tests/` of each), without repetition.
    pub(crate) tests: Vec<String>,
}

#[derive(Deserialize)]
struct Metadata {
    workspace_root: PathBuf,
    target_directory: PathBuf,
    packages: Vec<Package>,
}

#[derive(Deserialize)]
struct Package {
    targets: Vec<Target>,
}

#[derive(Deserialize)]
struct Target {
    name: String,
    kind: Vec<String>,
}

impl Workspace {
    /// Asks cargo.
    ///
    /// # Errors
    /// Cargo cannot read the workspace.
    pub(crate) fn find() -> anyhow::Result<Self> {
        let manifest = Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.toml");
        let mut cargo = Command::new(program());
        cargo
            .args(["metadata", "--no-deps", "--format-version=1", "--locked", "--manifest-path"])
            .arg(manifest);
        Self::read(&shell::output(&mut cargo)?)
    }

    fn read(metadata: &str) -> anyhow::Result<Self> {
        let metadata: Metadata = serde_json::from_str(metadata).context("cargo metadata")?;
        let targets = metadata.packages.into_iter().flat_map(|package| package.targets);
        let mut tests: Vec<String> =
            targets.filter(|target| target.kind.iter().any(|kind| kind == "test")).map(|t| t.name).collect();
        tests.sort();
        tests.dedup();
        Ok(Self { root: metadata.workspace_root, target: metadata.target_directory, tests })
    }

    /// `cargo`, in this workspace, as a shell would call it. What `cargo run` told this program of its own package is not
    /// passed on: build scripts that watch such variables (ring's) would run again, and all that needs them be built again.
    pub(crate) fn cargo(&self) -> Command {
        let mut cargo = Command::new(program());
        cargo.current_dir(&self.root);
        without_ours(&mut cargo);
        cargo
    }

    /// Every Rust file, in order.
    ///
    /// # Errors
    /// A directory cannot be read.
    pub(crate) fn sources(&self) -> anyhow::Result<Vec<PathBuf>> {
        let mut found = Vec::new();
        self.collect(&self.root, &mut found)?;
        found.sort();
        Ok(found)
    }

    fn collect(&self, directory: &Path, found: &mut Vec<PathBuf>) -> anyhow::Result<()> {
        for entry in fs::read_dir(directory).with_context(|| directory.display().to_string())? {
            let path = entry?.path();
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            if path.is_symlink() || name.starts_with('.') || name == "target" || path == self.target {
                continue;
            }
            if path.is_dir() {
                self.collect(&path, found)?;
            } else if name.ends_with(".rs") {
                found.push(path);
            }
        }
        Ok(())
    }
}

/// Keeps what `cargo run` told this program of its own package from a command.
pub(crate) fn without_ours(command: &mut Command) {
    for (key, _) in env::vars_os() {
        if ["CARGO_PKG_", "CARGO_MANIFEST_"].iter().any(|of| key.to_string_lossy().starts_with(of)) {
            command.env_remove(key);
        }
    }
}

/// The cargo that runs this, else the one in PATH.
fn program() -> std::ffi::OsString {
    env::var_os("CARGO").unwrap_or_else(|| "cargo".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_file_is_among_the_sources() {
        let workspace = Workspace::find().unwrap();
        let sources = workspace.sources().unwrap();
        assert!(sources.iter().any(|path| path.ends_with("xtask/src/workspace.rs")), "{sources:?}");
        assert!(workspace.tests.iter().any(|name| name == "e2e"), "{:?}", workspace.tests);
    }
}
