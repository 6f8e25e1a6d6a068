//! One command at a time on a lab, and one at a time where all labs share something.
//!
//! The lock is the kernel's on an open file, so it ends with its holder, however that ends. The file goes with
//! it; one that a crash leaves locks nobody out.

use std::fs::{File, OpenOptions};
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;

use crate::error::{Error, file};
use crate::name::LabName;

/// A held lock; dropping it releases it and removes its file.
#[derive(Debug)]
pub(crate) struct Lock {
    path: PathBuf,
    _held: File,
}

impl Lock {
    /// Waits for the lock of a lab.
    ///
    /// # Errors
    /// [`Error::File`].
    pub(crate) fn lab(name: &LabName) -> Result<Self, Error> {
        Self::take(PathBuf::from(format!("/run/shoal-lab.{name}.lock")))
    }

    /// Waits for the lock of something that all labs share.
    ///
    /// # Errors
    /// [`Error::File`].
    pub(crate) fn shared(what: &str) -> Result<Self, Error> {
        Self::take(PathBuf::from(format!("/run/shoal-lab:{what}.lock")))
    }

    fn take(path: PathBuf) -> Result<Self, Error> {
        loop {
            let held = OpenOptions::new()
                .create(true)
                .truncate(false)
                .write(true)
                .open(&path)
                .map_err(file("open lock", &path))?;
            held.lock().map_err(file("take lock", &path))?;
            // Its holder before us may have removed the file: then we hold nothing that others would see.
            let ours = held.metadata().map_err(file("read", &path))?.ino();
            if std::fs::metadata(&path).is_ok_and(|there| there.ino() == ours) {
                return Ok(Self { path, _held: held });
            }
        }
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        // Still held: a waiter notices the replaced or missing file, and opens the file anew.
        if let Err(failed) = std::fs::remove_file(&self.path) {
            tracing::debug!("{} stays: {failed}", self.path.display());
        }
    }
}
