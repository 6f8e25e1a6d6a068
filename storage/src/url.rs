//! Where the store is: a file for SQLite, a URL for PostgreSQL. Shown without its password, always.
//!
//! A PostgreSQL server elsewhere must prove by TLS that it is the one asked for, before it is given a password: `sslmode` is
//! `verify-full` there unless the URL says otherwise. PostgreSQL's own default, `prefer`, takes any server that says it has no TLS.

use std::{
    fmt,
    net::IpAddr,
    path::{Path, PathBuf},
    str::FromStr,
    time::Duration,
};

use sqlx::postgres::{PgConnectOptions, PgSslMode};

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

    /// The `sslmode` by which a server elsewhere is trusted without proof that it is the one asked for, if the URL says so.
    #[must_use]
    pub fn weak_tls(&self) -> Option<&'static str> {
        match &self.place {
            Place::Postgres(options) if is_elsewhere(options) => match options.get_ssl_mode() {
                PgSslMode::Disable => Some("disable"),
                PgSslMode::Allow => Some("allow"),
                PgSslMode::Prefer => Some("prefer"),
                PgSslMode::Require => Some("require"),
                PgSslMode::VerifyCa => Some("verify-ca"),
                PgSslMode::VerifyFull => None,
            },
            Place::Postgres(_) | Place::Sqlite(_) => None,
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
    /// (what a URL leaves out is taken from `PGHOST`, `PGUSER`, `PGPASSWORD`, ... and `~/.pgpass`). `sslmode` is taken from the
    /// URL alone where the server is not of this machine, and is `verify-full` if that does not say it.
    fn from_str(text: &str) -> Result<Self, StoreUrlError> {
        let path = match text.split_once("://") {
            Some(("postgres" | "postgresql", _)) => {
                let mut options: PgConnectOptions = text.parse().map_err(StoreUrlError::Postgres)?;
                if is_elsewhere(&options) && !says_ssl_mode(text) {
                    options = options.ssl_mode(PgSslMode::VerifyFull);
                }
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

/// Whether the way to a server leaves this machine: neither a unix socket nor a loopback address.
fn is_elsewhere(options: &PgConnectOptions) -> bool {
    let host = options.get_host();
    let address: Option<IpAddr> = host.trim_start_matches('[').trim_end_matches(']').parse().ok();
    let is_loopback =
        host.eq_ignore_ascii_case("localhost") || address.is_some_and(|address| address.is_loopback());
    // A host that is a path is the directory of a socket, too.
    options.get_socket().is_none() && !host.starts_with('/') && !is_loopback
}

/// Whether a URL has the parameter, in sqlx's two spellings.
fn says_ssl_mode(url: &str) -> bool {
    let query = url.split_once('?').map_or("", |(_, query)| query);
    query.split('&').any(|pair| matches!(pair.split('=').next(), Some("sslmode" | "ssl-mode")))
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
    fn a_server_elsewhere_must_prove_itself_unless_the_url_says_otherwise() {
        let mode = |text: &str| match text.parse::<StoreUrl>().unwrap().place {
            Place::Postgres(options) => format!("{:?}", options.get_ssl_mode()),
            Place::Sqlite(path) => panic!("{}", path.display()),
        };
        let weak = |text: &str| text.parse::<StoreUrl>().unwrap().weak_tls();
        for elsewhere in ["db.lan", "10.0.0.7:5433", "[fd00::7]", "0.0.0.0", "localhost.example"] {
            let url = format!("postgres://ann@{elsewhere}/shoal");
            for silent in [url.clone(), format!("{url}?sslrootcert=/ca.pem"), format!("{url}?host=db2.lan")] {
                assert_eq!((mode(&silent).as_str(), weak(&silent)), ("VerifyFull", None), "{silent}");
            }
            for (word, sqlx) in [
                ("disable", "Disable"),
                ("allow", "Allow"),
                ("prefer", "Prefer"),
                ("require", "Require"),
                ("verify-ca", "VerifyCa"),
            ] {
                for name in ["sslmode", "ssl-mode"] {
                    let url = format!("{url}?connect_timeout=1&{name}={word}");
                    assert_eq!((mode(&url).as_str(), weak(&url)), (sqlx, Some(word)), "{url}");
                }
            }
        }
        for here in ["localhost", "LocalHost:5433", "127.0.0.1", "127.9.9.9", "[::1]", "db.lan/x?host=/run"] {
            let url = format!("postgres://ann@{here}");
            assert_eq!((mode(&url).as_str(), weak(&url)), ("Prefer", None), "{url}");
        }
        assert_eq!(weak("/var/lib/shoal.db"), None);
    }

    #[test]
    fn refuses_what_is_no_store() {
        assert!(matches!("".parse::<StoreUrl>(), Err(StoreUrlError::Empty)));
        assert!(matches!("sqlite://".parse::<StoreUrl>(), Err(StoreUrlError::Empty)));
        assert!(matches!("sqlite://:memory:".parse::<StoreUrl>(), Err(StoreUrlError::Memory)));
        assert!(matches!("mysql://x/y".parse::<StoreUrl>(), Err(StoreUrlError::Scheme { .. })));
    }
}
