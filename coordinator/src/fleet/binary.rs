//! The agent's executable: our own, or one given for hosts of another architecture.
//!
//! A build is known by the ID that the linker made of its content (NT_GNU_BUILD_ID), which a look at the headers tells; by its
//! SHA-256 if it has none. The file is read as a whole only for an image.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    io,
    path::{Path, PathBuf},
    sync::Arc,
};

use bytes::Bytes;
use object::{Object, ReadCache, ReadRef};
use sha2::{Digest, Sha256};
use tokio::sync::OnceCell;

use crate::words::fault::BinaryError;

/// The shortest build ID that is taken for one, in bytes: what lld(1) makes with `--build-id=fast`.
const SHORTEST_ID: usize = 8;
/// This process's executable (proc(5)); stays readable after the file was replaced.
const OWN: &str = "/proc/self/exe";

/// An executable.
#[derive(Debug)]
pub(crate) struct Binary {
    /// What no other build has, in hexadecimal.
    pub(crate) build: String,
    path: PathBuf,
}

impl Binary {
    fn look(path: &Path) -> io::Result<Self> {
        let build = match id(&ReadCache::new(File::open(path)?)) {
            Some(id) => id,
            None => hash(&fs::read(path)?),
        };
        Ok(Self { build, path: path.into() })
    }

    /// The file, if it is still this build.
    pub(crate) fn read(&self) -> io::Result<Bytes> {
        let content = fs::read(&self.path)?;
        if id(&*content).unwrap_or_else(|| hash(&content)) != self.build {
            return Err(io::Error::other("it was replaced by another build just now: try again"));
        }
        Ok(content.into())
    }

    /// Of a file that cannot be read after all.
    pub(crate) fn error(&self, source: io::Error) -> BinaryError {
        BinaryError::Read { path: self.path.clone(), source }
    }
}

/// What the linker calls this content, if it does.
fn id<'data>(content: impl ReadRef<'data>) -> Option<String> {
    let parsed = object::File::parse(content).ok()?;
    let id = parsed.build_id().ok().flatten()?;
    (id.len() >= SHORTEST_ID).then(|| hex::encode(id))
}

fn hash(content: &[u8]) -> String {
    hex::encode(Sha256::digest(content))
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
        let look = async || {
            let at = path.clone();
            let looked = tokio::task::spawn_blocking(move || Binary::look(&at)).await;
            let looked = looked.map_err(io::Error::other).and_then(|looked| looked);
            looked.map(Arc::new).map_err(|source| BinaryError::Read { path: path.clone(), source })
        };
        cell.get_or_try_init(look).await.cloned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_build_is_known_by_its_id_or_else_by_its_content() {
        let own = Binary::look(Path::new(OWN)).unwrap();
        let again = Binary::look(&std::env::current_exe().unwrap()).unwrap();
        assert_eq!(own.build, again.build);
        let content = own.read().unwrap();
        let parsed = object::File::parse(&*content).unwrap();
        let id = parsed.build_id().unwrap().expect("linkers are asked for build IDs");
        assert_eq!(own.build, hex::encode(id));

        let directory = tempfile::tempdir().unwrap();
        let builds = ["", "#!/bin/sh\n", "\u{7f}ELF\u{2}\u{1}\u{1}"].map(|text| {
            let path = directory.path().join("agent");
            fs::write(&path, text).unwrap();
            Binary::look(&path).unwrap().build
        });
        assert_eq!(builds[0], "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
        assert!(builds[0] != builds[1] && builds[1] != builds[2] && builds.iter().all(|id| id.len() == 64));
        assert!(Binary::look(&directory.path().join("nothing")).is_err());

        let replaced = Binary::look(&directory.path().join("agent")).unwrap();
        assert!(replaced.read().is_ok());
        fs::write(directory.path().join("agent"), "another").unwrap();
        assert!(replaced.read().unwrap_err().to_string().contains("replaced"));
    }
}
