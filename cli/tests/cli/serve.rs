//! A server on an empty store: its socket, who uses it, and how it ends.

use std::{
    fs,
    io::{self, BufRead, BufReader, Read},
    os::unix::{
        fs::PermissionsExt,
        net::{UnixDatagram, UnixListener, UnixStream},
    },
    path::PathBuf,
    process::{Child, ChildStdout, Stdio},
    thread,
    time::Duration,
};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};

use crate::shoal::{Shoal, text};

/// A server that runs; killed with this.
pub(crate) struct Server {
    child: Child,
    stdout: BufReader<ChildStdout>,
}

impl Server {
    /// Starts one, and waits until it serves.
    pub(crate) fn start(shoal: &Shoal, args: &[&str]) -> Self {
        Self::start_with(shoal, args, &[])
    }

    fn start_with(shoal: &Shoal, args: &[&str], env: &[(&str, PathBuf)]) -> Self {
        let mut command = shoal.command(&[&["serve"], args].concat());
        let mut child = command.envs(env.iter().cloned()).stdout(Stdio::piped()).spawn().unwrap();
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        stdout.read_line(&mut line).unwrap();
        assert!(line.starts_with("serving installation "), "{line}");
        Self { child, stdout }
    }

    fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(i32::try_from(self.child.id()).unwrap()), signal).unwrap();
    }

    /// Its exit status, once it has ended; it has said nothing more.
    fn ended(mut self) -> Option<i32> {
        let mut rest = String::new();
        self.stdout.read_to_string(&mut rest).unwrap();
        assert_eq!(rest, "");
        self.child.wait().unwrap().code()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// Whether commands use a server: only one goes on with a create that nobody waits for.
fn is_used(shoal: &Shoal) -> bool {
    let create = ["create", "cluster", "dev", "--detach"];
    let output = shoal.command(&create).env("DOCKER_HOST", "unix:///nonexistent.sock").output().unwrap();
    let error = text(&output.stderr);
    match output.status.code() {
        Some(2) => assert!(error.contains("--detach needs a server"), "{error}"),
        Some(5) => assert!(error.contains("/nonexistent.sock"), "{error}"),
        other => panic!("{other:?}: {error}"),
    }
    output.status.code() == Some(5)
}

fn socket(shoal: &Shoal) -> PathBuf {
    shoal.home().join(".local/state/shoal/shoal.sock")
}

#[test]
fn commands_use_a_server_while_there_is_one() {
    let shoal = Shoal::new();
    assert!(!is_used(&shoal));
    let server = Server::start(&shoal, &[]);
    assert_eq!(fs::metadata(socket(&shoal)).unwrap().permissions().mode() & 0o777, 0o600);
    assert!(is_used(&shoal));
    assert_eq!(text(&shoal.run(&["get", "hosts", "-o", "json"]).stdout), "[]\n");
    let (exit, error) = shoal.fails(&["get", "cluster", "dev"]);
    assert_eq!(exit, 3, "{error}");
    server.signal(Signal::SIGTERM);
    assert_eq!(server.ended(), Some(0));
    assert!(!socket(&shoal).exists());
    assert!(!is_used(&shoal));
}

#[test]
fn what_a_killed_server_left_is_ignored_and_replaced() {
    let shoal = Shoal::new();
    let server = Server::start(&shoal, &[]);
    server.signal(Signal::SIGKILL);
    assert_eq!(server.ended(), None);
    assert!(socket(&shoal).exists() && !is_used(&shoal));
    let server = Server::start(&shoal, &[]);
    assert!(is_used(&shoal));
    server.signal(Signal::SIGINT);
    assert_eq!(server.ended(), Some(0));
}

#[test]
fn a_second_server_says_who_is_the_first() {
    let shoal = Shoal::new();
    let server = Server::start(&shoal, &[]);
    let (exit, error) = shoal.fails(&["serve"]);
    let expected = format!("shoal.sock is served already by process {}", server.child.id());
    assert!(exit == 1 && error.contains(&expected) && error.contains("hint: "), "{error}");
    assert!(is_used(&shoal), "the first one goes on");
    let file = shoal.home().join("file");
    fs::write(&file, "mine").unwrap();
    let (exit, error) = shoal.fails(&["serve", "--socket", "file"]);
    assert!(exit == 1 && error.contains("file is there and is no socket"), "{error}");
    assert_eq!(fs::read(&file).unwrap(), b"mine");
}

#[test]
fn a_server_that_is_named_is_not_done_without() {
    let shoal = Shoal::new();
    let (exit, error) = shoal.fails(&["get", "hosts", "--socket", "no.sock"]);
    assert!(exit == 1 && error.contains("no server listens on no.sock"), "{error}");
    // One that nobody listens on any more is no server either.
    drop(UnixListener::bind(shoal.home().join("dead.sock")).unwrap());
    let output = shoal.command(&["get", "hosts"]).env("SHOAL_SOCKET", "dead.sock").output().unwrap();
    assert!(text(&output.stderr).contains("no server listens on dead.sock"));
    let _server = Server::start(&shoal, &["--socket", "own.sock"]);
    assert!(!socket(&shoal).exists());
    assert_eq!(text(&shoal.run(&["get", "hosts", "-o", "json", "--socket", "own.sock"]).stdout), "[]\n");
}

#[test]
fn a_server_of_another_store_is_not_used() {
    let shoal = Shoal::new();
    let _server = Server::start(&shoal, &["--state-dir", "a", "--socket", "a.sock"]);
    for (args, ours) in [
        (&["get", "hosts", "--state-dir", "b", "--socket", "a.sock"][..], "b/shoal.db"),
        (&["get", "hosts", "--state-dir", "a", "--store", "c.db", "--socket", "a.sock"], "c.db"),
    ] {
        let (exit, error) = shoal.fails(args);
        assert!(exit == 1 && error.contains("a/shoal.db, and this command is about"), "{error}");
        assert!(error.contains(ours) && error.contains("hint: "), "{error}");
    }
    assert!(!shoal.home().join("b").exists() && !shoal.home().join("c.db").exists(), "looking makes nothing");
    // The same one, named in other words.
    let same = ["get", "hosts", "-o", "json", "--state-dir", "./a", "--store", "a/../a/shoal.db"];
    let output = shoal.run(&[&same[..], &["--socket", "a.sock"]].concat());
    assert_eq!(text(&output.stdout), "[]\n", "{}", text(&output.stderr));
}

/// An earlier version has no words for the question.
#[test]
fn a_server_of_another_version_is_not_used() {
    let shoal = Shoal::new();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().worker_threads(1).build().unwrap();
    let listener = {
        let _inside = runtime.enter();
        tokio::net::UnixListener::bind(shoal.home().join("old.sock")).unwrap()
    };
    let server = tonic::transport::Server::builder().add_routes(tonic::service::Routes::default());
    let connections = tokio_stream::wrappers::UnixListenerStream::new(listener);
    runtime.spawn(server.serve_with_incoming(connections));
    let (exit, error) = shoal.fails(&["get", "hosts", "--socket", "old.sock"]);
    let own = concat!("this is shoal ", env!("CARGO_PKG_VERSION"));
    assert!(
        exit == 1 && error.contains("old.sock is shoal of another version") && error.contains(own),
        "{error}"
    );
    assert!(error.contains("hint: end that server"), "{error}");
}

#[test]
fn a_server_that_hangs_up_is_told_as_that() {
    let shoal = Shoal::new();
    let listener = UnixListener::bind(shoal.home().join("rude.sock")).unwrap();
    // It hears who is there and goes, until the test ends.
    let hear = |client: io::Result<UnixStream>| drop(client.and_then(|mut c| c.read(&mut [0; 4096])));
    thread::spawn(move || listener.incoming().for_each(hear));
    let (exit, error) = shoal.fails(&["get", "hosts", "--socket", "rude.sock"]);
    assert!(exit == 1 && error.starts_with("error: the connection to the server broke: "), "{error}");
    assert!(error.contains("hint: see that `shoal serve` runs") && !error.contains("Kind("), "{error}");
}

#[test]
fn a_service_manager_is_told() {
    let shoal = Shoal::new();
    let path = shoal.home().join("notify");
    let manager = UnixDatagram::bind(&path).unwrap();
    manager.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    let server = Server::start_with(&shoal, &[], &[("NOTIFY_SOCKET", path)]);
    let told = || {
        let mut words = [0; 64];
        let length = manager.recv(&mut words).unwrap();
        text(&words[..length])
    };
    assert_eq!(told(), "READY=1");
    server.signal(Signal::SIGTERM);
    assert_eq!(told(), "STOPPING=1");
    assert_eq!(server.ended(), Some(0));
}

#[test]
fn wrong_use() {
    let shoal = Shoal::new();
    for args in
        [&["serve", "--keep-events", "0"][..], &["serve", "--keep-events", "for ever"], &["serve", "x"]]
    {
        let (exit, error) = shoal.fails(args);
        assert_eq!(exit, 2, "{args:?}: {error}");
    }
    let (exit, error) = shoal.fails(&["create", "cluster", "dev", "--detach", "--dry-run"]);
    assert_eq!(exit, 2, "{error}");
    let long = "x".repeat(120);
    let (exit, error) = shoal.fails(&["serve", "--socket", &long]);
    assert!(exit == 1 && error.contains("cannot listen on"), "{error}");
}
