//! The sealing key: 32 random bytes in a file of their own, outside the database, readable by its owner alone.
//!
//! It protects copies of the database (backups, dumps, a stolen disk of the server), not against someone who can read
//! both files. The file is made whole under another name and then linked into place, so that of two processes that make
//! it at the same time both end with the same key, and a crash leaves none or a whole one.

use std::{
    fmt,
    fs::{File, OpenOptions},
    io::{self, ErrorKind, Read, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

use zeroize::Zeroizing;

use crate::{NotOwn, guard};

/// Length of the key in bytes (XChaCha20-Poly1305).
const KEY_LEN: usize = 32;

/// Where random bytes come from: the system's generator in a program, a seeded one in a test.
pub type Rng = dyn rand::CryptoRng + Send;

/// Why a key file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// It cannot be read.
    #[error("cannot read key file {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// It cannot be made.
    #[error("cannot make key file {}", path.display())]
    Create {
        /// The file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// Its group or everyone can read or write it, or it belongs to somebody else.
    #[error("key file {} cannot be trusted: {why} {}", path.display(), path.display())]
    Exposed {
        /// The file.
        path: PathBuf,
        /// Why not, and what makes it right.
        why: NotOwn,
    },
    /// It does not have exactly 32 bytes, or is no plain file.
    #[error("key file {} is not a key: it must be a plain file of exactly {KEY_LEN} bytes", path.display())]
    NotAKey {
        /// The file.
        path: PathBuf,
    },
}

/// The key every secret is sealed with; wiped from memory when dropped, never shown.
#[derive(Clone)]
pub struct SealingKey {
    bytes: Zeroizing<[u8; KEY_LEN]>,
    file: PathBuf,
}

impl SealingKey {
    /// Reads the key in `path`.
    ///
    /// # Errors
    /// [`KeyError::Read`]: absent or unreadable. [`KeyError::Exposed`]: open to others. [`KeyError::NotAKey`]: not 32 bytes.
    pub fn load(path: &Path) -> Result<Self, KeyError> {
        let read = |source| KeyError::Read { path: path.into(), source };
        let not_a_key = || KeyError::NotAKey { path: path.into() };
        let file = match guard::secret(path) {
            Ok((file, None)) => file,
            Ok((_, Some(why))) => return Err(KeyError::Exposed { path: path.into(), why }),
            Err(source) if source.kind() == ErrorKind::InvalidInput => return Err(not_a_key()),
            Err(source) => return Err(read(source)),
        };
        let mut bytes = Zeroizing::new(Vec::with_capacity(KEY_LEN + 1));
        file.take(KEY_LEN as u64 + 1).read_to_end(&mut bytes).map_err(read)?;
        let bytes = <[u8; KEY_LEN]>::try_from(bytes.as_slice()).map_err(|_| not_a_key())?;
        Ok(Self { bytes: Zeroizing::new(bytes), file: path.into() })
    }

    /// Reads the key in `path`, and makes one first if there is no such file. Its directory must exist.
    ///
    /// # Errors
    /// [`KeyError::Create`]: the file cannot be made. Else as [`SealingKey::load`].
    pub fn load_or_create(path: &Path, rng: &mut Rng) -> Result<Self, KeyError> {
        match Self::load(path) {
            Err(KeyError::Read { source, .. }) if source.kind() == ErrorKind::NotFound => {
                Self::create(path, rng).map_err(|source| KeyError::Create { path: path.into(), source })?;
                Self::load(path)
            }
            outcome => outcome,
        }
    }

    fn create(path: &Path, rng: &mut Rng) -> io::Result<()> {
        let mut bytes = Zeroizing::new([0; KEY_LEN]);
        rng.fill_bytes(&mut *bytes);
        let mut name = path.file_name().ok_or(ErrorKind::InvalidInput)?.to_owned();
        name.push(format!(".{:016x}.tmp", rng.next_u64()));
        let draft = path.with_file_name(name);
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&draft)?;
        let linked = file.write_all(&*bytes).and_then(|()| file.sync_all()).and_then(|()| {
            match std::fs::hard_link(&draft, path) {
                // Another process was first: its key is the key.
                Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(()),
                outcome => outcome,
            }
        });
        let removed = std::fs::remove_file(&draft);
        linked.and(removed)?;
        let directory = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
        File::open(directory)?.sync_all()
    }

    pub(crate) fn bytes(&self) -> &[u8; KEY_LEN] {
        &self.bytes
    }

    pub(crate) fn file(&self) -> &Path {
        &self.file
    }
}

impl fmt::Debug for SealingKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SealingKey").field("file", &self.file).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{MetadataExt, PermissionsExt};

    use rand::{SeedableRng, rngs::StdRng};

    use super::*;

    #[test]
    fn made_once_private_and_whole() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("key");
        let first = SealingKey::load_or_create(&path, &mut StdRng::seed_from_u64(1)).unwrap();
        let second = SealingKey::load_or_create(&path, &mut StdRng::seed_from_u64(2)).unwrap();
        assert_eq!(first.bytes(), second.bytes());
        assert_eq!(path.metadata().unwrap().mode() & 0o7777, 0o600);
        assert_eq!(dir.path().read_dir().unwrap().count(), 1, "the draft is gone");
        assert!(!format!("{first:?}").contains("bytes"));
    }

    #[test]
    fn processes_that_race_get_one_key() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("key");
        let keys: Vec<_> = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..8)
                .map(|seed| {
                    let path = &path;
                    scope.spawn(move || {
                        SealingKey::load_or_create(path, &mut StdRng::seed_from_u64(seed)).unwrap()
                    })
                })
                .collect();
            threads.into_iter().map(|t| t.join().unwrap()).collect()
        });
        assert!(keys.windows(2).all(|pair| pair[0].bytes() == pair[1].bytes()));
        assert_eq!(dir.path().read_dir().unwrap().count(), 1);
    }

    #[test]
    fn refuses_what_is_no_private_key() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("key");
        let load = |path: &Path| SealingKey::load_or_create(path, &mut StdRng::seed_from_u64(1));
        for len in [0, 31, 33, 4096] {
            std::fs::write(&path, vec![7; len]).unwrap();
            std::fs::set_permissions(&path, PermissionsExt::from_mode(0o600)).unwrap();
            assert!(matches!(load(&path), Err(KeyError::NotAKey { .. })), "{len}");
        }
        std::fs::write(&path, [7; KEY_LEN]).unwrap();
        for mode in [0o640, 0o604, 0o620] {
            std::fs::set_permissions(&path, PermissionsExt::from_mode(mode)).unwrap();
            let why = NotOwn::Open { mode };
            assert!(matches!(load(&path), Err(KeyError::Exposed { why: w, .. }) if w == why));
        }
        assert!(matches!(load(dir.path()), Err(KeyError::NotAKey { .. })));
        assert!(matches!(load(&dir.path().join("none/key")), Err(KeyError::Create { .. })));
    }
}
