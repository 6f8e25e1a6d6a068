//! The networks this agent keeps, on disk: one JSON file each, so that a restart, of the agent or of the host, forgets
//! nothing.
//!
//! A file is written whole beside its name, synced, renamed, and its directory synced: after a power cut there is the old
//! state or the new one, never a part. The directory is locked for as long as an agent runs on it.

use std::{
    collections::BTreeMap,
    fs::{self, File, OpenOptions, TryLockError},
    io::{self, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
    sync::Arc,
};

use shoal_types::{NetworkId, Revision};

use crate::network::Network;

/// Networks that were removed -> the last revision known of each: what is not newer comes too late.
pub(crate) type Graves = BTreeMap<NetworkId, Revision>;

/// Their file.
const GRAVES: &str = "removed";

/// File of the host's own id.
const HOST_ID: &str = "host-id";
/// A new random id at every read, random(4).
const RANDOM_ID: &str = "/proc/sys/kernel/random/uuid";

/// A state directory that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum StateError {
    /// It, or a file in it, cannot be read or written.
    #[error("cannot use {}", path.display())]
    Io {
        /// The directory or file.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// Another agent runs on it.
    #[error("another agent uses {}", path.display())]
    InUse {
        /// The directory.
        path: PathBuf,
    },
    /// The file of the host's id holds none.
    #[error("{} holds no id of this host: remove it, and the agent draws another", path.display())]
    NoId {
        /// The file.
        path: PathBuf,
    },
    /// A file does not hold a network.
    #[error("{} is corrupt", path.display())]
    Corrupt {
        /// The file.
        path: PathBuf,
        /// What is wrong in it.
        source: serde_json::Error,
    },
}

/// The directory, locked. Clones share the lock.
#[derive(Debug, Clone)]
pub(crate) struct StateDir {
    path: PathBuf,
    _lock: Arc<File>,
}

impl StateDir {
    /// Creates the directory if it is missing, and locks it.
    ///
    /// # Errors
    /// [`StateError::InUse`]: another process holds the lock. [`StateError::Io`]: it cannot be made or opened.
    pub(crate) fn open(path: &Path) -> Result<Self, StateError> {
        fs::create_dir_all(path).map_err(|source| StateError::Io { path: path.into(), source })?;
        let name = path.join("lock");
        let lock = File::create(&name).map_err(|source| StateError::Io { path: name.clone(), source })?;
        match lock.try_lock() {
            Ok(()) => Ok(Self { path: path.into(), _lock: Arc::new(lock) }),
            Err(TryLockError::WouldBlock) => Err(StateError::InUse { path: path.into() }),
            Err(TryLockError::Error(source)) => Err(StateError::Io { path: name, source }),
        }
    }

    /// The id of this host: drawn by the kernel the first time, and the same ever after.
    ///
    /// # Errors
    /// [`StateError::Io`]: it cannot be read or written. [`StateError::NoId`]: the file holds something else.
    pub(crate) fn host_id(&self) -> Result<String, StateError> {
        let path = self.path.join(HOST_ID);
        let io = |source| StateError::Io { path: path.clone(), source };
        let id = match fs::read_to_string(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let id = fs::read_to_string(RANDOM_ID).map_err(io)?;
                self.write_whole(&path, &self.path.join("host-id.new"), id.as_bytes()).map_err(io)?;
                id
            }
            answer => answer.map_err(io)?,
        };
        let id = id.trim();
        let plain = id.len() == 36 && id.bytes().all(|b| b.is_ascii_hexdigit() || b == b'-');
        if plain { Ok(id.to_owned()) } else { Err(StateError::NoId { path }) }
    }

    /// Every network on disk, or why a file is none: one bad file does not cost the others.
    ///
    /// # Errors
    /// [`StateError::Io`]: the directory cannot be listed.
    pub(crate) fn load(&self) -> Result<Vec<Result<Network, StateError>>, StateError> {
        let io = |source| StateError::Io { path: self.path.clone(), source };
        let mut networks = Vec::new();
        for entry in fs::read_dir(&self.path).map_err(io)? {
            let path = entry.map_err(io)?.path();
            if path.extension().is_some_and(|e| e == "json") {
                networks.push(read(path));
            }
        }
        Ok(networks)
    }

    /// Writes a network; it is on the disk when this returns.
    ///
    /// # Errors
    /// [`StateError::Io`].
    pub(crate) fn save(&self, network: &Network) -> Result<(), StateError> {
        self.write(self.file(network.id), network)
    }

    /// Which networks were removed, and at which revision.
    ///
    /// # Errors
    /// [`StateError::Io`], [`StateError::Corrupt`]: not without knowing which states are from the past.
    pub(crate) fn graves(&self) -> Result<Graves, StateError> {
        let path = self.path.join(GRAVES);
        match fs::read(&path) {
            Ok(bytes) => {
                serde_json::from_slice(&bytes).map_err(|source| StateError::Corrupt { path, source })
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Graves::new()),
            Err(source) => Err(StateError::Io { path, source }),
        }
    }

    /// Writes down which networks were removed.
    ///
    /// # Errors
    /// [`StateError::Io`].
    pub(crate) fn bury(&self, gone: &Graves) -> Result<(), StateError> {
        self.write(self.path.join(GRAVES), gone)
    }

    fn write(&self, path: PathBuf, content: &impl serde::Serialize) -> Result<(), StateError> {
        let bytes = serde_json::to_vec(content).map_err(io::Error::from);
        let written = bytes.and_then(|bytes| self.write_whole(&path, &path.with_extension("new"), &bytes));
        written.map_err(|source| StateError::Io { path, source })
    }

    /// Writes a file whole, closed to others.
    fn write_whole(&self, path: &Path, draft: &Path, bytes: &[u8]) -> io::Result<()> {
        let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(draft)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(draft, path)?;
        self.sync()
    }

    /// Deletes a network's file; that there is none is success.
    ///
    /// # Errors
    /// [`StateError::Io`].
    pub(crate) fn forget(&self, id: NetworkId) -> Result<(), StateError> {
        let path = self.file(id);
        let answer = match fs::remove_file(&path) {
            Ok(()) => self.sync(),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(error) => Err(error),
        };
        answer.map_err(|source| StateError::Io { path, source })
    }

    fn file(&self, id: NetworkId) -> PathBuf {
        self.path.join(format!("{id}.json"))
    }

    fn sync(&self) -> io::Result<()> {
        File::open(&self.path)?.sync_all()
    }
}

fn read(path: PathBuf) -> Result<Network, StateError> {
    match fs::read(&path) {
        Ok(bytes) => serde_json::from_slice(&bytes).map_err(|source| StateError::Corrupt { path, source }),
        Err(source) => Err(StateError::Io { path, source }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::network::tests::network;

    #[test]
    fn what_is_saved_is_loaded_until_it_is_forgotten() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("state");
        let (state, network) = (StateDir::open(&path).unwrap(), network());
        state.save(&network).unwrap();
        let newer = Network { revision: network.revision.next(), ..network };
        state.save(&newer).unwrap();
        drop(state);
        let state = StateDir::open(&path).unwrap();
        let loaded: Vec<_> = state.load().unwrap().into_iter().map(Result::unwrap).collect();
        assert_eq!(loaded, std::slice::from_ref(&newer));
        state.forget(newer.id).unwrap();
        state.forget(newer.id).unwrap();
        assert!(state.load().unwrap().is_empty());
    }

    #[test]
    fn removals_are_remembered() {
        let dir = tempfile::tempdir().unwrap();
        let state = StateDir::open(dir.path()).unwrap();
        assert!(state.graves().unwrap().is_empty());
        let gone = Graves::from([(network().id, network().revision)]);
        state.bury(&gone).unwrap();
        assert_eq!(state.graves().unwrap(), gone);
        assert!(state.load().unwrap().is_empty());
    }

    #[test]
    fn the_id_is_drawn_once_and_private() {
        use std::os::unix::fs::PermissionsExt;
        let dir = tempfile::tempdir().unwrap();
        let other = tempfile::tempdir().unwrap();
        let first = StateDir::open(dir.path()).unwrap().host_id().unwrap();
        let state = StateDir::open(dir.path()).unwrap();
        assert_eq!(state.host_id().unwrap(), first);
        assert_ne!(StateDir::open(other.path()).unwrap().host_id().unwrap(), first);
        let file = dir.path().join(HOST_ID);
        assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
        for bad in ["", "x", "../../../../../../../../../../../etc/"] {
            fs::write(&file, bad).unwrap();
            assert!(matches!(state.host_id(), Err(StateError::NoId { .. })), "{bad}");
        }
        assert!(state.load().unwrap().is_empty(), "it is no network");
    }

    #[test]
    fn one_agent_at_a_time() {
        let dir = tempfile::tempdir().unwrap();
        let _first = StateDir::open(dir.path()).unwrap();
        assert!(matches!(StateDir::open(dir.path()), Err(StateError::InUse { .. })));
    }

    #[test]
    fn a_corrupt_file_is_told_and_costs_only_itself() {
        let dir = tempfile::tempdir().unwrap();
        let state = StateDir::open(dir.path()).unwrap();
        state.save(&network()).unwrap();
        fs::write(dir.path().join("net_0.json"), "{").unwrap();
        let (good, bad): (Vec<_>, Vec<_>) = state.load().unwrap().into_iter().partition(Result::is_ok);
        assert_eq!(good.len(), 1);
        assert!(matches!(&bad[..], [Err(StateError::Corrupt { path, .. })] if path.ends_with("net_0.json")));
    }
}
