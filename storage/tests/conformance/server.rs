//! A PostgreSQL server of our own: one per test process, on a unix socket in a temporary directory, gone with the process.
//!
//! ```text
//! test process --pipe--> sh: initdb; pg_ctl start; "ready"; read (blocks); pg_ctl stop; rm -rf
//! ```
//! The shell waits on a pipe whose other end only this process has, so it cleans up however the process ends, also when it
//! is killed. The server refuses to run as root, so it and the shell run as the first of `postgres` and `nobody` there is.

use std::{
    io::{BufRead, BufReader, Read},
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::OnceLock,
};

/// A running server.
pub(crate) struct Server {
    /// The directory of its socket.
    pub(crate) socket: PathBuf,
    // Holds the pipe open; never waited for, since it ends after us.
    _keeper: Child,
}

/// The user the server runs as and the superuser in it.
pub(crate) const USER: &str = "shoal";

/// `$1`: where PostgreSQL's programs are; `$2`: the superuser. Its directory's name must be short: a socket's path has at
/// most 107 bytes. A reader that is gone must not end it before it has cleaned up, hence the trap on PIPE.
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

/// The server, started on first use; `None` if it was switched off.
///
/// # Panics
/// PostgreSQL is not installed or does not start.
pub(crate) fn server() -> Option<&'static Server> {
    static SERVER: OnceLock<Option<Server>> = OnceLock::new();
    let server = SERVER.get_or_init(|| {
        let off = std::env::var_os("SHOAL_TEST_POSTGRES").is_some_and(|value| value == "off");
        (!off).then(Server::start)
    });
    if server.is_none() {
        println!("skipped on PostgreSQL: SHOAL_TEST_POSTGRES=off");
    }
    server.as_ref()
}

impl Server {
    fn start() -> Self {
        let programs = programs().expect(
            "PostgreSQL is not installed: install `postgresql`, or set SHOAL_TEST_POSTGRES=off to leave its half out",
        );
        let mut keeper = Command::new("sh");
        keeper.args(["-c", KEEPER, "sh"]).arg(programs).arg(USER);
        if nix::unistd::geteuid().is_root() {
            let (uid, gid) = unprivileged();
            keeper.uid(uid).gid(gid);
        }
        // A process group of its own: an interrupt at the terminal is not for it.
        keeper.current_dir("/").process_group(0);
        let mut keeper = keeper.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let mut output = BufReader::new(keeper.stdout.take().unwrap());
        let mut line = String::new();
        output.read_line(&mut line).unwrap();
        let Some(directory) = line.trim_end().strip_prefix("ready ") else {
            output.read_to_string(&mut line).unwrap();
            panic!("PostgreSQL does not start: {line}");
        };
        Self { socket: directory.into(), _keeper: keeper }
    }
}

/// Where `initdb` and `pg_ctl` are: in PATH, or where Debian keeps them (the newest version).
fn programs() -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    let mut versions: Vec<_> = Path::new("/usr/lib/postgresql").read_dir().into_iter().flatten().collect();
    versions.sort_by_key(|entry| {
        let name = entry.as_ref().ok().map(std::fs::DirEntry::file_name);
        name.and_then(|n| n.to_str()?.parse::<u32>().ok())
    });
    let debian = versions.into_iter().rev().flatten().map(|entry| entry.path().join("bin"));
    std::env::split_paths(&path)
        .chain(debian)
        .find(|dir| dir.join("pg_ctl").exists() && dir.join("initdb").exists())
}

/// User and group id of `postgres`, else of `nobody`.
fn unprivileged() -> (u32, u32) {
    let find = |name| nix::unistd::User::from_name(name).ok().flatten();
    let user = find("postgres").or_else(|| find("nobody")).expect("a user `postgres` or `nobody`");
    (user.uid.as_raw(), user.gid.as_raw())
}
