//! A PostgreSQL server of a test's own, on a socket in a temporary directory.
//!
//! ```text
//! test --pipe--> sh: pg_ctl start; "ready"; read (blocks) ...; pg_ctl stop
//! ```
//! The shell ends the server when the pipe closes: however the test ends, also when it is killed. The server refuses to
//! run as root, so both run as `postgres`, the user Debian's package makes, else as `nobody`.

use std::{
    env, fs,
    io::{BufRead, BufReader},
    os::unix::{fs::chown, process::CommandExt},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use anyhow::{Context, ensure};
use nix::unistd::User;
use tempfile::TempDir;

const KEEPER: &str = r#"
set -e
"$1/initdb" --no-sync --auth=trust --encoding=UTF8 --locale=C -U shoal -D "$2/data" >&2
"$1/pg_ctl" start -w -s -D "$2/data" -l "$2/log" -o "-k $2 -c listen_addresses= -c fsync=off" </dev/null >&2
echo ready
read -r _ || true
"$1/pg_ctl" stop -s -m immediate -D "$2/data"
"#;

/// A running server; it ends when this is dropped.
#[derive(Debug)]
pub struct Postgres {
    directory: TempDir,
    keeper: Child,
}

impl Postgres {
    /// Starts one; `None` where `SHOAL_TEST_POSTGRES=off` says that there is none to start.
    ///
    /// # Errors
    /// PostgreSQL is not installed or does not start.
    pub fn start() -> anyhow::Result<Option<Self>> {
        if env::var_os("SHOAL_TEST_POSTGRES").is_some_and(|value| value == "off") {
            return Ok(None);
        }
        let programs = programs().context("PostgreSQL is not installed")?;
        let user = |name| User::from_name(name).ok().flatten();
        let user = user("postgres").or_else(|| user("nobody")).context("no user to run PostgreSQL as")?;
        // Its name is short: a socket's path has at most 107 bytes (unix(7)).
        let directory = tempfile::Builder::new().prefix("shoal-pg-").tempdir_in("/tmp")?;
        chown(directory.path(), Some(user.uid.as_raw()), Some(user.gid.as_raw()))?;
        let mut keeper = Command::new("sh");
        keeper.args(["-c", KEEPER, "sh"]).arg(programs).arg(directory.path());
        keeper.uid(user.uid.as_raw()).gid(user.gid.as_raw()).current_dir("/").process_group(0);
        let log = fs::File::create(directory.path().join("setup.log"))?;
        let mut keeper = keeper.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(log).spawn()?;
        let mut line = String::new();
        BufReader::new(keeper.stdout.take().context("no pipe")?).read_line(&mut line)?;
        let said = || fs::read_to_string(directory.path().join("setup.log")).unwrap_or_default();
        ensure!(line == "ready\n", "PostgreSQL does not start: {}", said());
        Ok(Some(Self { directory, keeper }))
    }

    /// URL of its database.
    #[must_use]
    pub fn url(&self) -> String {
        format!("postgres://shoal@localhost/postgres?host={}", self.directory.path().display())
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        drop(self.keeper.stdin.take());
        if let Err(failed) = self.keeper.wait() {
            eprintln!("PostgreSQL was not waited for: {failed}");
        }
    }
}

/// Where `initdb` and `pg_ctl` are: in PATH, or where Debian keeps them.
fn programs() -> Option<PathBuf> {
    let path = env::var_os("PATH")?;
    let debian = Path::new("/usr/lib/postgresql").read_dir().into_iter().flatten().flatten();
    env::split_paths(&path)
        .chain(debian.map(|version| version.path().join("bin")))
        .find(|place| place.join("initdb").exists() && place.join("pg_ctl").exists())
}
