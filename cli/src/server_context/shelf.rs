//! The contexts that this user has, and which one is current.

use std::{
    ffi::OsString,
    fs::{self, DirBuilder},
    io,
    os::unix::fs::{DirBuilderExt, PermissionsExt},
    path::PathBuf,
};

use shoal_types::{ContextName, Timestamp, natural};

use super::{
    LOCAL,
    file::{ContextFile, ContextFileError},
};
use crate::private_file::replace;

/// Why the contexts cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ShelfError {
    /// Nothing says where they are.
    #[error("no place for contexts: neither XDG_CONFIG_HOME nor HOME is an absolute path")]
    NoHome,
    /// The system said no.
    #[error("cannot {action} {}", path.display())]
    System {
        /// What was tried, as a verb.
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// What it said.
        #[source]
        source: io::Error,
    },
    /// There is none of this name.
    #[error("there is no context {name}")]
    Unknown {
        /// The name.
        name: ContextName,
    },
    /// There is one of this name.
    #[error("there is a context {name} already")]
    Taken {
        /// The name.
        name: ContextName,
    },
    /// The name is that of this machine.
    #[error("`{LOCAL}` is the name of this machine")]
    Reserved,
    /// The current one's name is none.
    #[error("{} names no context", path.display())]
    Current {
        /// Where it is kept.
        path: PathBuf,
    },
    /// One cannot be used.
    #[error(transparent)]
    File(#[from] ContextFileError),
}

impl ShelfError {
    /// What to do next.
    pub(crate) fn hint(&self) -> String {
        match self {
            Self::NoHome => "set HOME, or XDG_CONFIG_HOME".into(),
            Self::System { .. } => "check the path and its permissions".into(),
            Self::Unknown { .. } => {
                "`shoal context list` lists them; `shoal context add FILE` adds one".into()
            }
            Self::Taken { name } => {
                format!("give another --name, or remove that one first: `shoal context remove {name}`")
            }
            Self::Reserved => "give another --name".into(),
            Self::Current { .. } => {
                "`shoal context use NAME` sets it, `shoal context use local` forgets it".into()
            }
            Self::File(error) => error.hint(),
        }
    }
}

/// The directory of contexts.
#[derive(Debug, Clone)]
pub(crate) struct Shelf(PathBuf);

impl Shelf {
    /// That of this user; `env`: the environment as a function.
    ///
    /// # Errors
    /// [`ShelfError::NoHome`].
    pub(crate) fn locate(env: impl Fn(&str) -> Option<OsString>) -> Result<Self, ShelfError> {
        let absolute = |key: &str| env(key).map(PathBuf::from).filter(|path| path.is_absolute());
        let config =
            absolute("XDG_CONFIG_HOME").or_else(|| absolute("HOME").map(|home| home.join(".config")));
        config.map(|dir| Self(dir.join("shoal"))).ok_or(ShelfError::NoHome)
    }

    fn dir(&self) -> PathBuf {
        self.0.join("contexts")
    }

    fn current_file(&self) -> PathBuf {
        self.0.join("context")
    }

    /// Where the context of this name is, or would be.
    pub(crate) fn path(&self, name: &ContextName) -> PathBuf {
        self.dir().join(format!("{name}.json"))
    }

    /// The current one.
    ///
    /// # Errors
    /// [`ShelfError`]: it cannot be read.
    pub(crate) fn current(&self) -> Result<Option<ContextName>, ShelfError> {
        let path = self.current_file();
        match fs::read_to_string(&path) {
            Ok(name) => name.trim().parse().map(Some).map_err(|_| ShelfError::Current { path }),
            Err(error) if [io::ErrorKind::NotFound, io::ErrorKind::NotADirectory].contains(&error.kind()) => {
                Ok(None)
            }
            Err(source) => Err(ShelfError::System { action: "read", path, source }),
        }
    }

    /// Names of all, in order.
    ///
    /// # Errors
    /// [`ShelfError::System`].
    pub(crate) fn names(&self) -> Result<Vec<ContextName>, ShelfError> {
        let dir = self.dir();
        let failed = |source| ShelfError::System { action: "read", path: self.dir(), source };
        let entries = match fs::read_dir(&dir) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(vec![]),
            Err(source) => return Err(failed(source)),
        };
        let mut names = Vec::new();
        for entry in entries {
            let name = entry.map_err(failed)?.file_name();
            let name = name.to_str().and_then(|name| name.strip_suffix(".json"));
            names.extend(name.and_then(|name| name.parse::<ContextName>().ok()));
        }
        names.sort_by(|a, b| natural::cmp(a.as_str(), b.as_str()));
        Ok(names)
    }

    /// The one of this name.
    ///
    /// # Errors
    /// [`ShelfError::Unknown`], [`ShelfError::File`].
    pub(crate) fn get(&self, name: &ContextName, now: Timestamp) -> Result<ContextFile, ShelfError> {
        let path = self.path(name);
        match ContextFile::read(&path, now) {
            Err(ContextFileError::Read { source, .. }) if source.kind() == io::ErrorKind::NotFound => {
                Err(ShelfError::Unknown { name: name.clone() })
            }
            read => Ok(read?),
        }
    }

    /// Adds one.
    ///
    /// # Errors
    /// [`ShelfError`].
    pub(crate) fn add(&self, name: &ContextName, context: &ContextFile) -> Result<(), ShelfError> {
        if name.as_str() == LOCAL {
            return Err(ShelfError::Reserved);
        }
        let dir = self.dir();
        let failed = |source| ShelfError::System { action: "make", path: self.dir(), source };
        DirBuilder::new().recursive(true).mode(0o700).create(&dir).map_err(failed)?;
        fs::set_permissions(&dir, fs::Permissions::from_mode(0o700)).map_err(failed)?;
        let path = self.path(name);
        if path.exists() {
            return Err(ShelfError::Taken { name: name.clone() });
        }
        Ok(context.write(&path)?)
    }

    /// Makes one current, or none.
    ///
    /// # Errors
    /// [`ShelfError`].
    pub(crate) fn set_current(&self, name: Option<&ContextName>) -> Result<(), ShelfError> {
        let path = self.current_file();
        match name {
            Some(name) if !self.path(name).exists() => Err(ShelfError::Unknown { name: name.clone() }),
            Some(name) => replace(&path, &format!("{name}\n")).map_err(|source| ShelfError::System {
                action: "write",
                path,
                source,
            }),
            None => match fs::remove_file(&path) {
                Err(source) if source.kind() != io::ErrorKind::NotFound => {
                    Err(ShelfError::System { action: "remove", path, source })
                }
                Ok(()) | Err(_) => Ok(()),
            },
        }
    }

    /// Removes one; none is current any more if it was that.
    ///
    /// # Errors
    /// [`ShelfError`].
    pub(crate) fn remove(&self, name: &ContextName) -> Result<(), ShelfError> {
        let path = self.path(name);
        match fs::remove_file(&path) {
            Ok(()) => {}
            Err(source) if source.kind() == io::ErrorKind::NotFound => {
                return Err(ShelfError::Unknown { name: name.clone() });
            }
            Err(source) => return Err(ShelfError::System { action: "remove", path, source }),
        }
        match self.current()?.as_ref() == Some(name) {
            true => self.set_current(None),
            false => Ok(()),
        }
    }
}
