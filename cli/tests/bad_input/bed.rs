//! Where a row of the table runs: a home with one registered host, whose store and files are compared after every row.

use std::{
    collections::BTreeMap,
    ffi::OsString,
    fs::{self, DirBuilder},
    io::Write,
    os::unix::{
        fs::{DirBuilderExt, PermissionsExt},
        process::ExitStatusExt,
    },
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
};

use rand::{SeedableRng, rngs::StdRng};
use shoal_storage::{Host, HostSettings, SealingKey, Store, StoreUrl};
use shoal_types::{Bytes, Capacity, EngineFacts, HostId, Labels, MilliCpu, Overcommit, Resources, Timestamp};
use tempfile::TempDir;

/// The host that is registered, and the id of its engine.
pub(crate) const HOST: &str = "host1";
/// Id of that host's engine.
pub(crate) const ENGINE: &str = "ENGINE-1";
/// A password that no output may ever show.
pub(crate) const PASSWORD: &str = "hunter2";

/// One row: the command, its expected exit status, and its text in the snapshot.
pub(crate) struct Row {
    what: String,
    args: Vec<OsString>,
    input: Vec<u8>,
    env: Vec<(&'static str, OsString)>,
    exit: i32,
}

/// A row: what is wrong, the exit status, the arguments.
pub(crate) fn row<A: Into<OsString>>(
    what: impl Into<String>,
    exit: i32,
    args: impl IntoIterator<Item = A>,
) -> Row {
    let args = args.into_iter().map(Into::into).collect();
    Row { what: what.into(), args, input: vec![], env: vec![], exit }
}

impl Row {
    /// Whether this is what is wrong.
    pub(crate) fn is_about(&self, what: &str) -> bool {
        self.what.ends_with(what)
    }

    /// With this on standard input.
    pub(crate) fn input(self, bytes: impl Into<Vec<u8>>) -> Self {
        Self { input: bytes.into(), ..self }
    }

    /// With this in its environment.
    pub(crate) fn env(mut self, key: &'static str, value: impl Into<OsString>) -> Self {
        self.env.push((key, value.into()));
        self
    }
}

/// A home directory, its store, and what has been said so far.
pub(crate) struct Bed {
    home: TempDir,
    store: Store,
    runtime: tokio::runtime::Runtime,
    redacted: Vec<(String, &'static str)>,
    said: String,
    /// What went wrong, row by row: one run tells all.
    faults: Vec<String>,
}

impl Bed {
    pub(crate) fn new() -> Self {
        let home = tempfile::tempdir().unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let store = runtime.block_on(furnished(&home.path().join(".local/state/shoal")));
        let redacted = vec![(home.path().display().to_string(), "HOME")];
        Self { home, store, runtime, redacted, said: String::new(), faults: vec![] }
    }

    pub(crate) fn home(&self) -> &Path {
        self.home.path()
    }

    /// A path in the home, as text.
    pub(crate) fn path(&self, name: &str) -> String {
        self.home().join(name).display().to_string()
    }

    /// Writes a file in the home; its path as text.
    pub(crate) fn file(&self, name: &str, bytes: impl AsRef<[u8]>) -> String {
        let path = self.home().join(name);
        DirBuilder::new().recursive(true).mode(0o700).create(path.parent().unwrap()).unwrap();
        fs::write(&path, bytes).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        self.path(name)
    }

    /// Shows `what` as `instead` in the snapshot: what differs from run to run.
    pub(crate) fn redact(&mut self, what: impl Into<String>, instead: &'static str) {
        self.redacted.push((what.into(), instead));
    }

    /// The store of this bed.
    pub(crate) fn store(&self) -> &Store {
        &self.store
    }

    /// Where futures of a test run.
    pub(crate) fn runtime(&self) -> &tokio::runtime::Runtime {
        &self.runtime
    }

    /// Runs a row: the exit status, no panic, no signal, no secret, and nothing half applied.
    pub(crate) fn run(&mut self, row: Row) {
        let before = (self.stored(), self.files());
        let output = self.output(&row);
        let after = (self.stored(), self.files());
        let (stdout, stderr) = (text(&output.stdout), text(&output.stderr));
        let mut wrong = |holds: bool, is: &str| {
            if !holds {
                self.faults.push(format!("{}: {is}: {:?}\n{stdout}{stderr}", row.what, output.status));
            }
        };
        wrong(output.status.signal().is_none(), "ended by a signal");
        wrong(output.status.code() == Some(row.exit), &format!("not exit {}", row.exit));
        wrong(!stderr.contains("panicked"), "panicked");
        wrong(!stderr.contains(PASSWORD) && !stdout.contains(PASSWORD), "shows a password");
        wrong(!stderr.contains("PRIVATE KEY-----\nM"), "shows a key");
        wrong(!stdout.contains('\u{1b}') && !stderr.contains('\u{1b}'), "raw control characters");
        wrong(before.0 == after.0, "changed the store");
        wrong(before.1 == after.1, "changed files");
        let args: Vec<_> = row.args.iter().map(|a| shortened(&a.to_string_lossy())).collect();
        let (what, args) = (row.what, args.join(" "));
        let said = format!("## {what}\n$ shoal {args}\nexit {}\n{stdout}{stderr}\n", row.exit);
        self.said += &self.redacted(said);
    }

    /// Everything that was said, for a snapshot, once every row has ended as it must.
    pub(crate) fn said(self) -> String {
        assert!(self.faults.is_empty(), "{} rows went wrong\n{}", self.faults.len(), self.faults.join("\n"));
        self.said
    }

    fn output(&self, row: &Row) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_shoal"));
        command.env_clear().env("PATH", "/usr/bin:/bin").env("HOME", self.home()).current_dir(self.home());
        command.args(&row.args).envs(row.env.iter().map(|(k, v)| (k, v)));
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        // One that refuses its arguments does not read: then the pipe is closed.
        drop(child.stdin.take().unwrap().write_all(&row.input));
        child.wait_with_output().unwrap()
    }

    /// All that the store says, as text.
    fn stored(&self) -> String {
        self.runtime.block_on(async {
            let mut view = self.store.read().await.unwrap();
            format!(
                "{:#?}{:#?}{:#?}{:#?}{:#?}{:#?}{:#?}",
                view.hosts().list().await.unwrap(),
                view.clusters().list().await.unwrap(),
                view.nodes().list().await.unwrap(),
                view.networks().list().await.unwrap(),
                view.remnants().list().await.unwrap(),
                view.leases().list().await.unwrap(),
                view.events().latest_seq().await.unwrap(),
            )
        })
    }

    /// Every file of the home and its length or text; of the database only that it is there.
    fn files(&self) -> BTreeMap<PathBuf, Vec<u8>> {
        let (mut files, mut todo) = (BTreeMap::new(), vec![self.home().to_owned()]);
        while let Some(dir) = todo.pop() {
            for entry in fs::read_dir(dir).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() && !path.is_symlink() {
                    todo.push(path.clone());
                    files.insert(path, vec![]);
                } else if path.file_name().is_some_and(|n| n.to_string_lossy().starts_with("shoal.db")) {
                    // The log beside the database comes and goes.
                } else {
                    let bytes = if path.is_file() { fs::read(&path).unwrap() } else { vec![] };
                    files.insert(path, bytes);
                }
            }
        }
        files
    }

    fn redacted(&self, said: String) -> String {
        self.redacted.iter().fold(said, |said, (what, instead)| said.replace(what, instead))
    }
}

/// Arguments in the snapshot, with what is long cut.
fn shortened(arg: &str) -> String {
    let shown: String = arg.chars().take(120).flat_map(char::escape_debug).collect();
    match arg.chars().count() {
        0 => "''".into(),
        1..=120 if arg.contains(' ') => format!("'{shown}'"),
        1..=120 => shown,
        _ => format!("{shown}..."),
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// Opens the store of a state directory with the key that is made there.
pub(crate) async fn open(state: &Path) -> Store {
    fs::create_dir_all(state).unwrap();
    let mut rng = StdRng::seed_from_u64(1);
    let key = SealingKey::load_or_create(&state.join("key"), &mut rng).unwrap();
    Store::open(&StoreUrl::file(state.join("shoal.db")), key, Timestamp(1), &mut rng).await.unwrap()
}

/// A store with one host in it.
async fn furnished(state: &Path) -> Store {
    let store = open(state).await;
    let mut tx = store.begin().await.unwrap();
    let settings = HostSettings {
        endpoint: "unix:///nonexistent/docker.sock".into(),
        credential: None,
        underlay: Some("10.77.0.1".parse().unwrap()),
        mtu: None,
        labels: Labels::default(),
        capacity: Capacity { cpu: MilliCpu(8000), memory: Bytes::mib(16384), node_slots: 100 },
        overcommit: Overcommit::default(),
        reserve: Resources { cpu: MilliCpu(500), memory: Bytes::mib(512) },
        privileged_nodes: shoal_types::PrivilegedNodes::Allow,
        scheduling: shoal_types::Scheduling::Schedulable,
    };
    let engine = EngineFacts { id: ENGINE.into(), ..EngineFacts::sample() };
    let id = HostId::new(1, [7; 10]);
    let host = Host::registered(id, HOST.parse().unwrap(), settings, engine, Timestamp(1));
    tx.hosts().insert(&host).await.unwrap();
    tx.commit().await.unwrap();
    store
}
