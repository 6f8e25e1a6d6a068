//! The files the user's SSH client needs: exact known_hosts and the cluster's key, below the state directory.
//!
//! ```text
//! <state-dir>/ssh/<realm>/<cluster>/    0700
//!     known_hosts                       0600
//!     id_ed25519                        0600
//! ```
//! Each is written beside its place and renamed into it, so an SSH client never reads half a file.

use std::{
    fs::{self, DirBuilder, Permissions},
    io,
    os::unix::fs::{DirBuilderExt, PermissionsExt},
    path::{Path, PathBuf},
};

use shoal_types::{ClusterName, RealmName};

use crate::private_file;

/// A file that cannot be written.
#[derive(Debug, thiserror::Error)]
#[error("cannot write {}", path.display())]
pub(crate) struct SshFilesError {
    path: PathBuf,
    #[source]
    source: io::Error,
}

impl SshFilesError {
    /// What failed with this file.
    pub(crate) fn new(path: &Path, source: io::Error) -> Self {
        Self { path: path.into(), source }
    }
}

/// Where an SSH client finds what it needs.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct SshFiles {
    /// Host keys of every node.
    pub(crate) known_hosts: PathBuf,
    /// The cluster's private key.
    pub(crate) identity: PathBuf,
}

impl SshFiles {
    /// Writes them.
    ///
    /// # Errors
    /// [`SshFilesError`]: a directory or file cannot be written.
    pub(crate) fn write(
        state_dir: &Path,
        (realm, cluster): (&RealmName, &ClusterName),
        known_hosts: &str,
        private_key: &str,
    ) -> Result<Self, SshFilesError> {
        let dir = state_dir.join("ssh").join(realm.as_str()).join(cluster.as_str());
        Self::directory(&dir)?;
        Ok(Self {
            known_hosts: replace(dir.join("known_hosts"), known_hosts)?,
            identity: replace(dir.join("id_ed25519"), private_key)?,
        })
    }

    /// Makes a directory for such files that nobody else can read.
    ///
    /// # Errors
    /// [`SshFilesError`]: it cannot be made.
    pub(crate) fn directory(dir: &Path) -> Result<(), SshFilesError> {
        let failed = |source| SshFilesError::new(dir, source);
        DirBuilder::new().recursive(true).mode(0o700).create(dir).map_err(failed)?;
        fs::set_permissions(dir, Permissions::from_mode(0o700)).map_err(failed)
    }
}

/// Writes a file, 0600, beside its place and renames it into it.
///
/// # Errors
/// [`SshFilesError`]: it cannot be written.
pub(crate) fn replace(path: PathBuf, text: &str) -> Result<PathBuf, SshFilesError> {
    match private_file::replace(&path, text) {
        Ok(()) => Ok(path),
        Err(source) => Err(SshFilesError { path, source }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn private_and_replaced_whole() {
        let state = tempfile::tempdir().unwrap();
        let name = (&RealmName::default(), &"dev".parse().unwrap());
        SshFiles::write(state.path(), name, "old old old", "key").unwrap();
        let files = SshFiles::write(state.path(), name, "new", "key").unwrap();
        assert_eq!(files.identity, state.path().join("ssh/default/dev/id_ed25519"));
        assert_eq!(fs::read_to_string(&files.known_hosts).unwrap(), "new");
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(&files.identity), 0o600);
        assert_eq!(mode(files.identity.parent().unwrap()), 0o700);
        assert_eq!(fs::read_dir(files.identity.parent().unwrap()).unwrap().count(), 2);
    }
}
