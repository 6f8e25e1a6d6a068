//! Where the store is: a file for SQLite, a URL for PostgreSQL. Shown without its password, always.

use std::{
    fmt,
    path::{Path, PathBuf},
    str::FromStr,
    time::Duration,
};

use sqlx::postgres::PgConnectOptions;

/// How long a lock held by another process is waited for: longer than any transaction of ours, short enough for a user.
const LOCK_WAIT: Duration = Duration::from_secs(10);

/// A text that names no store.
#[derive(Debug, thiserror::Error)]
pub enum StoreUrlError {
    /// Nothing was given.
    #[error("a store must be named: a file, sqlite://PATH or postgres://USER@HOST/DATABASE")]
    Empty,
    /// Neither a path nor a known scheme.
    #[error("`{scheme}://` is no store; use a file, sqlite://PATH or postgres://USER@HOST/DATABASE")]
    Scheme {
        /// The scheme given.
        scheme: String,
    },
    /// An in-memory database would be lost at once and cannot be shared.
    #[error("a store in memory cannot be used; name a file")]
    Memory,
    /// The rest of a PostgreSQL URL is unusable. It is not repeated, since it may hold a password.
    #[error("the PostgreSQL URL is malformed")]
    Postgres(#[source] sqlx::Error),
}

/// Where the store is; see [`StoreUrl::from_str`].
#[derive(Clone)]
pub struct StoreUrl {
    pub(crate) place: Place,
    pub(crate) lock_wait: Duration,
}

#[derive(Clone)]
pub(crate) enum Place {
    Sqlite(PathBuf),
    Postgres(Box<PgConnectOptions>),
}

impl StoreUrl {
    /// A SQLite database file.
    #[must_use]
    pub fn file(path: impl Into<PathBuf>) -> Self {
        Self { place: Place::Sqlite(path.into()), lock_wait: LOCK_WAIT }
    }

    /// The file, if it is SQLite.
    #[must_use]
    pub fn path(&self) -> Option<&Path> {
        match &self.place {
            Place::Sqlite(path) => Some(path),
            Place::Postgres(_) => None,
        }
    }

    /// The same store, waiting this long (default 10 s) for a lock another process holds.
    #[must_use]
    pub fn with_lock_wait(self, lock_wait: Duration) -> Self {
        Self { lock_wait, ..self }
    }
}

impl FromStr for StoreUrl {
    type Err = StoreUrlError;

    /// `sqlite://PATH` or a plain path; `postgres://` or `postgresql://` as in PostgreSQL's manual, section 34.1.1.2
    /// (what a URL leaves out is taken from `PGHOST`, `PGUSER`, `PGPASSWORD`, ... and `~/.pgpass`).
    fn from_str(text: &str) -> Result<Self, StoreUrlError> {
        let path = match text.split_once("://") {
            Some(("postgres" | "postgresql", _)) => {
                let options = text.parse().map_err(StoreUrlError::Postgres)?;
                return Ok(Self { place: Place::Postgres(Box::new(options)), lock_wait: LOCK_WAIT });
            }
            Some(("sqlite", path)) => path,
            Some((scheme, _)) => {
                let scheme = scheme.chars().take(20).flat_map(char::escape_default).collect();
                return Err(StoreUrlError::Scheme { scheme });
            }
            None => text,
        };
        match path {
            "" => Err(StoreUrlError::Empty),
            _ if path.contains(":memory:") || path.contains("mode=memory") => Err(StoreUrlError::Memory),
            _ => Ok(Self::file(path)),
        }
    }
}

impl fmt::Display for StoreUrl {
    /// The path, or host, port, user and database; never a password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.place {
            Place::Sqlite(path) => path.display().fmt(f),
            Place::Postgres(options) => {
                write!(f, "postgres://{}@", options.get_username())?;
                match options.get_socket() {
                    Some(socket) => write!(f, "{}", socket.display())?,
                    None => write!(f, "{}:{}", options.get_host(), options.get_port())?,
                }
                write!(f, "/{}", options.get_database().unwrap_or_default())
            }
        }
    }
}

impl fmt::Debug for StoreUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files() {
        for (text, path) in [
            ("sqlite:///var/lib/shoal/shoal.db", "/var/lib/shoal/shoal.db"),
            ("sqlite://shoal.db", "shoal.db"),
            ("/tmp/a b", "/tmp/a b"),
            ("x.db", "x.db"),
        ] {
            assert_eq!(text.parse::<StoreUrl>().unwrap().path(), Some(Path::new(path)), "{text}");
        }
    }

    #[test]
    fn a_password_is_never_shown() {
        for text in [
            "postgres://ann:hunter2@db.lan:5433/shoal",
            "postgresql://ann@db.lan:5433/shoal?password=hunter2",
            "postgres://ann:hunter2@db.lan:5433/shoal?sslmode=require",
        ] {
            let url: StoreUrl = text.parse().unwrap();
            assert_eq!(format!("{url}"), "postgres://ann@db.lan:5433/shoal");
            assert_eq!(format!("{url:?}"), "postgres://ann@db.lan:5433/shoal");
        }
        let error = "postgres://ann:hunter2@db.lan:notaport/shoal".parse::<StoreUrl>().unwrap_err();
        assert!(!format!("{error:?} {error}").contains("hunter2"));
    }

    #[test]
    fn refuses_what_is_no_store() {
        assert!(matches!("".parse::<StoreUrl>(), Err(StoreUrlError::Empty)));
        assert!(matches!("sqlite://".parse::<StoreUrl>(), Err(StoreUrlError::Empty)));
        assert!(matches!("sqlite://:memory:".parse::<StoreUrl>(), Err(StoreUrlError::Memory)));
        assert!(matches!("mysql://x/y".parse::<StoreUrl>(), Err(StoreUrlError::Scheme { .. })));
    }
}
