//! Writing the lab's files: readable by root alone, and never half a file.

use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;

use serde::Serialize;

use crate::error::{Error, file};

/// Makes a directory and its parents, mode 0700 where it makes one.
///
/// # Errors
/// [`Error::File`].
pub(crate) fn make_dir(path: &Path) -> Result<(), Error> {
    DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(file("make directory", path))
}

/// Replaces a file, mode 0600: a reader sees the old one or the new one.
///
/// # Errors
/// [`Error::File`].
pub(crate) fn write(path: &Path, content: &[u8]) -> Result<(), Error> {
    let new = path.with_extension("new");
    OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&new)
        .and_then(|mut opened| opened.write_all(content))
        .map_err(file("write", &new))?;
    fs::rename(&new, path).map_err(file("write", path))
}

/// Replaces a file with a value as JSON.
///
/// # Errors
/// [`Error::File`].
pub(crate) fn write_json<T: Serialize>(path: &Path, value: &T) -> Result<(), Error> {
    let text =
        serde_json::to_string_pretty(value).map_err(std::io::Error::from).map_err(file("write", path))?;
    write(path, format!("{text}\n").as_bytes())
}

/// Lets "it is gone already" count as removed.
pub(crate) fn gone_is_fine(result: std::io::Result<()>) -> std::io::Result<()> {
    match result {
        Err(missing) if missing.kind() == ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

/// The last lines of a log; empty when there is none.
pub(crate) fn tail(path: &Path, lines: usize) -> String {
    let text = fs::read(path).unwrap_or_default();
    crate::command::last_lines(&String::from_utf8_lossy(&text), lines)
}
