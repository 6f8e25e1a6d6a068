//! A PostgreSQL server of a test's own, on a socket in a temporary directory.
//!
//! ```text
//! test --pipe--> sh: initdb; pg_ctl start; "ready"; read (blocks); pg_ctl stop; rm -rf
//! ```
//! The shell waits on a pipe whose other end only the test's process has, so it cleans up however the test ends, also when it
//! is killed. The server refuses to run as root, so for root it and the shell run as the first of `postgres`, the user
//! Debian's package makes, and `nobody` there is.

use std::{
    env,
    io::{BufRead, BufReader, Read},
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use anyhow::{Context, bail};
use nix::unistd::{User, geteuid};

/// `$1`: where PostgreSQL's programs are; `$2`: the superuser. Its directory's name must be short: a socket's path has at
/// most 107 bytes (unix(7)). A reader that is gone must not end it before it has cleaned up, hence the trap on PIPE.
const KEEPER: &str = r#"
trap '' PIPE
directory=$(mktemp -d /tmp/shoal-pg-XXXXXX) || exit 1
trap '"$1/pg_ctl" stop -s -m immediate -D "$directory/data" 2>&1; rm -rf "$directory"' EXIT
{
  "$1/initdb" --no-sync --auth=trust --encoding=UTF8 --locale=C -U "$2" -D "$directory/data" &&
  "$1/pg_ctl" start -w -s -D "$directory/data" -l "$directory/server.log" \
    -o "-k $directory -c listen_addresses= -c fsync=off -c full_page_writes=off -c max_connections=300"
} </dev/null >"$directory/log" 2>&1 || { cat "$directory/log" "$directory/server.log"; exit 1; }
echo "ready $directory"
read -r _
"#;

/// A running server; it ends when this is dropped, and with this process.
#[derive(Debug)]
pub struct Postgres {
    socket: PathBuf,
    keeper: Child,
}

impl Postgres {
    /// The superuser in it.
    pub const USER: &str = "shoal";

    /// Starts one; `None` where `SHOAL_TEST_POSTGRES=off` says that there is none to start.
    ///
    /// # Errors
    /// PostgreSQL is not installed or does not start.
    pub fn start() -> anyhow::Result<Option<Self>> {
        if env::var_os("SHOAL_TEST_POSTGRES").is_some_and(|value| value == "off") {
            return Ok(None);
        }
        let programs = programs().context(
            "PostgreSQL is not installed: install `postgresql`, or set SHOAL_TEST_POSTGRES=off to leave its half out",
        )?;
        let mut keeper = Command::new("sh");
        keeper.args(["-c", KEEPER, "sh"]).arg(programs).arg(Self::USER);
        if geteuid().is_root() {
            let user = |name| User::from_name(name).ok().flatten();
            let user =
                user("postgres").or_else(|| user("nobody")).context("no user `postgres` or `nobody`")?;
            keeper.uid(user.uid.as_raw()).gid(user.gid.as_raw());
        }
        // A process group of its own: an interrupt at the terminal is not for it.
        keeper.current_dir("/").process_group(0).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut keeper = keeper.spawn()?;
        let mut output = BufReader::new(keeper.stdout.take().context("no pipe")?);
        let mut line = String::new();
        output.read_line(&mut line)?;
        let Some(socket) = line.trim_end().strip_prefix("ready ").map(PathBuf::from) else {
            output.read_to_string(&mut line)?;
            bail!("PostgreSQL does not start: {line}");
        };
        Ok(Some(Self { socket, keeper }))
    }

    /// The directory of its socket.
    #[must_use]
    pub fn socket(&self) -> &Path {
        &self.socket
    }

    /// URL of its own database, for the superuser.
    #[must_use]
    pub fn url(&self) -> String {
        format!("postgres://{}@localhost/postgres?host={}", Self::USER, self.socket.display())
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

/// Where `initdb` and `pg_ctl` are: in PATH, or where Debian keeps them (the newest version).
fn programs() -> Option<PathBuf> {
    let path = env::var_os("PATH")?;
    let mut versions: Vec<_> =
        Path::new("/usr/lib/postgresql").read_dir().into_iter().flatten().flatten().collect();
    versions.sort_by_key(|entry| entry.file_name().to_str().and_then(|name| name.parse::<u32>().ok()));
    let debian = versions.into_iter().rev().map(|entry| entry.path().join("bin"));
    env::split_paths(&path)
        .chain(debian)
        .find(|place| place.join("initdb").exists() && place.join("pg_ctl").exists())
}
