//! The agent's executable: our own, or one given for hosts of another architecture. Read and hashed once.

use std::{
    collections::BTreeMap,
    io,
    path::{Path, PathBuf},
    sync::Arc,
};

use bytes::Bytes;
use sha2::{Digest, Sha256};
use tokio::sync::OnceCell;

/// This process's executable (proc(5)); stays readable after the file was replaced.
const OWN: &str = "/proc/self/exe";

/// An executable that cannot be brought to a host.
#[derive(Debug, thiserror::Error)]
pub enum BinaryError {
    /// None was given for this architecture.
    #[error("no agent executable for architecture {architecture}: give one with --agent-binary")]
    Missing {
        /// Of the host, in Docker's words.
        architecture: String,
    },
    /// It cannot be read.
    #[error("the agent executable {} cannot be read", path.display())]
    Read {
        /// Which file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
}

/// An executable in memory.
#[derive(Debug)]
pub(crate) struct Binary {
    /// SHA-256 of it, in hexadecimal.
    pub(crate) build: String,
    /// The file.
    pub(crate) bytes: Bytes,
}

/// The executables there are, by architecture in Docker's words.
#[derive(Debug)]
pub(crate) struct Binaries {
    by_architecture: BTreeMap<String, (PathBuf, OnceCell<Arc<Binary>>)>,
}

impl Binaries {
    /// Our own, and `foreign` ones: architecture -> path.
    pub(crate) fn new(foreign: &BTreeMap<String, PathBuf>) -> Self {
        let own = (std::env::consts::ARCH.to_owned(), PathBuf::from(OWN));
        let all = std::iter::once(own).chain(foreign.clone());
        Self { by_architecture: all.map(|(arch, path)| (arch, (path, OnceCell::new()))).collect() }
    }

    pub(crate) fn has(&self, architecture: &str) -> bool {
        self.by_architecture.contains_key(architecture)
    }

    /// The executable for a host of this architecture.
    pub(crate) async fn get(&self, architecture: &str) -> Result<Arc<Binary>, BinaryError> {
        let missing = || BinaryError::Missing { architecture: architecture.into() };
        let (path, cell) = self.by_architecture.get(architecture).ok_or_else(missing)?;
        cell.get_or_try_init(|| read(path)).await.cloned()
    }
}

async fn read(path: &Path) -> Result<Arc<Binary>, BinaryError> {
    let error = |source| BinaryError::Read { path: path.into(), source };
    let bytes = Bytes::from(tokio::fs::read(path).await.map_err(error)?);
    let hashed = bytes.clone();
    let build = tokio::task::spawn_blocking(move || hex::encode(Sha256::digest(&hashed)));
    let build = build.await.map_err(|join| error(io::Error::other(join)))?;
    Ok(Arc::new(Binary { build, bytes }))
}
