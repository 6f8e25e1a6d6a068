//! A PostgreSQL server of a test's own, on a socket in a temporary directory, and PgBouncer before it on a second one.
//!
//! ```text
//! test --pipe--> sh: initdb; pg_ctl start; pgbouncer; "ready"; read (blocks); pgbouncer, pg_ctl stop; rm -rf
//! ```
//! PgBouncer gives each transaction one of four connections of the server, whichever is free, and each statement
//! in the database `each_statement`.
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

/// `$1`: where PostgreSQL's programs are; `$2`: the superuser; `$3`: PgBouncer. Its directory's name must be short: a socket's path has at
/// most 107 bytes (unix(7)). A reader that is gone must not end it before it has cleaned up, hence the trap on PIPE.
const KEEPER: &str = r#"
trap '' PIPE
directory=$(mktemp -d /tmp/shoal-pg-XXXXXX) || exit 1
pooler=
trap '[ -z "$pooler" ] || kill -INT "$pooler"
    "$1/pg_ctl" stop -s -m immediate -D "$directory/data" 2>&1; rm -rf "$directory"' EXIT
{
  "$1/initdb" --no-sync --auth=trust --encoding=UTF8 --locale=C -U "$2" -D "$directory/data" &&
  "$1/pg_ctl" start -w -s -D "$directory/data" -l "$directory/server.log" \
    -o "-k $directory -c listen_addresses= -c fsync=off -c full_page_writes=off -c max_connections=300"
} </dev/null >"$directory/log" 2>&1 || { cat "$directory/log" "$directory/server.log"; exit 1; }
mkdir "$directory/pool"
cat >"$directory/pool/users" <<END
"$2" ""
"guest" ""
END
cat >"$directory/pool/ini" <<END
[databases]
each_statement = host=$directory dbname=postgres pool_mode=statement
* = host=$directory
[pgbouncer]
listen_addr =
unix_socket_dir = $directory/pool
listen_port = 5432
auth_type = trust
auth_file = $directory/pool/users
pool_mode = transaction
default_pool_size = 4
max_client_conn = 500
END
"$3" -q "$directory/pool/ini" </dev/null >"$directory/log" 2>&1 &
pooler=$!
until [ -S "$directory/pool/.s.PGSQL.5432" ]; do
  kill -0 "$pooler" 2>/dev/null || { cat "$directory/log"; exit 1; }
  sleep 0.05
done
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
        let pooler = pooler().context(
            "PgBouncer is not installed: install `pgbouncer`, or set SHOAL_TEST_POSTGRES=off to leave that half out",
        )?;
        keeper.args(["-c", KEEPER, "sh"]).arg(programs).arg(Self::USER).arg(pooler);
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

    /// The directory of the pooler's socket.
    #[must_use]
    pub fn pool(&self) -> PathBuf {
        self.socket.join("pool")
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

/// Where PgBouncer is: in PATH, or where Debian keeps it.
fn pooler() -> Option<PathBuf> {
    let path = env::var_os("PATH")?;
    env::split_paths(&path)
        .chain([PathBuf::from("/usr/sbin")])
        .map(|place| place.join("pgbouncer"))
        .find(|file| file.exists())
}
