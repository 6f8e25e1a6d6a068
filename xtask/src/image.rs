//! The node image, built once and kept below `target/` under a name made of what it is built from.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::Context;
use sha2::{Digest, Sha256};

use crate::{shell, workspace::Workspace};

/// Debian packages that building it takes.
pub(crate) const PACKAGES: &[&str] = &["mmdebstrap", "zstd", "ca-certificates"];

/// The archive of the node image: the one that is there, if package list and builder are the same, else a new one.
///
/// # Errors
/// It cannot be built.
pub(crate) fn ensure(workspace: &Workspace, shoal: &Path) -> anyhow::Result<PathBuf> {
    let directory = workspace.target.join("node-image");
    let archive = directory.join(format!("{}.tar", fingerprint(&workspace.root.join("images"))?));
    if archive.exists() {
        println!("the node image is there: {}", archive.display());
        return Ok(archive);
    }
    // What an earlier builder made is of no use any more.
    if directory.exists() {
        fs::remove_dir_all(&directory).with_context(|| directory.display().to_string())?;
    }
    fs::create_dir_all(&directory).with_context(|| directory.display().to_string())?;
    shell::run(Command::new(shoal).args(["build", "image", "--output"]).arg(&archive))?;
    Ok(archive)
}

/// A hash over names and contents of all files below a directory.
fn fingerprint(directory: &Path) -> anyhow::Result<String> {
    let mut files = Vec::new();
    collect(directory, &mut files)?;
    files.sort();
    let mut hash = Sha256::new();
    for file in files {
        let content = fs::read(&file).with_context(|| file.display().to_string())?;
        let name = file.strip_prefix(directory).unwrap_or(&file).to_string_lossy();
        for part in [name.as_bytes(), &content] {
            hash.update((part.len() as u64).to_be_bytes());
            hash.update(part);
        }
    }
    Ok(hex::encode(&hash.finalize()[..8]))
}

fn collect(directory: &Path, files: &mut Vec<PathBuf>) -> anyhow::Result<()> {
    for entry in fs::read_dir(directory).with_context(|| directory.display().to_string())? {
        let path = entry?.path();
        match path.is_dir() {
            true => collect(&path, files)?,
            false => files.push(path),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_and_byte_counts() {
        let directory = tempfile::tempdir().unwrap();
        let of = || fingerprint(directory.path()).unwrap();
        fs::write(directory.path().join("packages.txt"), "slurmd\n").unwrap();
        let first = of();
        assert_eq!(of(), first);
        fs::write(directory.path().join("packages.txt"), "slurmd2\n").unwrap();
        let second = of();
        fs::create_dir(directory.path().join("src")).unwrap();
        fs::write(directory.path().join("src/build.rs"), "").unwrap();
        let third = of();
        assert!(first != second && second != third && first != third);
    }
}
