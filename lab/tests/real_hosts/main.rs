//! Labs of real hosts: what the library promises, looked at from outside.
//!
//! Needs root. Every test has labs of its own, in directories of its own, and takes them down on every way out.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod engine;
mod traces;

use std::fs::File;
use std::io::Write;
use std::net::{SocketAddr, TcpStream};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use nix::sched::{CloneFlags, setns};
use nix::sys::signal::{SigSet, Signal};
use shoal_lab::{EngineKind, Engines, Error, Host, HostState, Lab, LabGuard, LabName, Options};

use engine::{Engine, Tls};
use traces::Traces;

/// The program under test; the library starts it as every host's first process.
const PROGRAM: &str = env!("CARGO_BIN_EXE_shoal-lab");

/// How long a test waits for what must happen.
const LIMIT: Duration = Duration::from_secs(60);

/// A lab that does not exist yet, and its directory.
struct Plot {
    options: Options,
    dir: PathBuf,
    _parent: tempfile::TempDir,
}

impl Plot {
    fn new(prefix: &str, hosts: usize, engines: Engines) -> Self {
        let parent = tempfile::tempdir().unwrap();
        let dir = parent.path().join("lab");
        let name: LabName = format!("{prefix}{}", std::process::id()).parse().unwrap();
        let options = Options {
            name,
            dir: Some(dir.clone()),
            hosts: Some(hosts),
            engines: Some(engines),
            program: Some(PathBuf::from(PROGRAM)),
        };
        Self { options, dir, _parent: parent }
    }

    fn up(&self) -> LabGuard {
        Lab::up(&self.options).unwrap().guard()
    }

    /// Up on a lab that has a guard already.
    fn up_again(&self) -> Lab {
        Lab::up(&self.options).unwrap()
    }

    fn traces(&self) -> Vec<String> {
        Traces::of(&self.options.name, &self.dir).found()
    }

    /// The command line, for this lab.
    fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new(PROGRAM);
        command.args(["--name", self.options.name.as_str(), "--dir"]).arg(&self.dir).args(words);
        command
    }

    fn run(&self, words: &[&str]) -> String {
        let output = self.command(words).output().unwrap();
        assert!(output.status.success(), "{words:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }
}

impl Drop for Plot {
    fn drop(&mut self) {
        // For a test that failed before it had a guard; fine when all is gone.
        if let Err(failed) = shoal_lab::down(&self.options.name, Some(&self.dir)) {
            eprintln!("{failed}");
        }
    }
}

/// Says on the terminal that a test cannot run, and whether it cannot.
fn skipped() -> bool {
    let root = nix::unistd::geteuid().is_root();
    if !root {
        // Not `eprintln!`: the harness would hide it in a test that passes.
        std::io::stderr().write_all(b"skipped: not root: a lab makes namespaces and mounts\n").unwrap();
    }
    !root
}

fn state(lab: &Lab, host: &Host) -> HostState {
    let status = lab.status().unwrap();
    status.hosts.iter().find(|status| status.host == *host).unwrap().state
}

fn pids(lab: &Lab) -> Vec<Option<i32>> {
    lab.status().unwrap().hosts.iter().map(|host| host.pid).collect()
}

/// The blocked signals of what the first processes of the hosts have started.
fn masks(lab: &Lab) -> Vec<String> {
    let read = |path: String| std::fs::read_to_string(path).unwrap();
    let mut masks = Vec::new();
    for init in pids(lab).into_iter().flatten() {
        for child in read(format!("/proc/{init}/task/{init}/children")).split_whitespace() {
            let status = read(format!("/proc/{child}/status"));
            let blocked = status.lines().find(|line| line.starts_with("SigBlk")).unwrap();
            masks.push(format!("{}: {blocked}", read(format!("/proc/{child}/comm")).trim()));
        }
    }
    masks
}

/// Can a TCP connection be made to a host's engine? From the root namespace, or from another host.
fn reaches(from: Option<&Host>, to: &Host) -> bool {
    let address: SocketAddr = to.endpoint.strip_prefix("tcp://").unwrap().parse().unwrap();
    let namespace = from.map(|host| File::open(Path::new("/run/netns").join(&host.netns)).unwrap());
    // A thread may be in another network namespace than its process.
    let attempt = thread::spawn(move || {
        if let Some(namespace) = namespace {
            setns(namespace, CloneFlags::CLONE_NEWNET).unwrap();
        }
        TcpStream::connect_timeout(&address, Duration::from_secs(2)).is_ok()
    });
    attempt.join().unwrap()
}

fn forward_policy(host: &Host) -> String {
    let namespace = format!("--net=/run/netns/{}", host.netns);
    let output = Command::new("nsenter").args([&namespace, "iptables", "-S", "FORWARD"]).output().unwrap();
    String::from_utf8(output.stdout).unwrap().lines().next().unwrap_or_default().to_owned()
}

#[test]
fn hosts_lose_engine_cable_and_power_and_come_back() {
    if skipped() {
        return;
    }
    let mut plot = Plot::new("rh", 2, Engines::Mixed);
    let lab = plot.up();
    let [one, two] = lab.hosts() else { panic!("{:?}", lab.hosts()) };
    assert_eq!([one.engine, two.engine], [EngineKind::System, EngineKind::V28]);
    assert!(two.engine_version.as_ref().unwrap().starts_with("28."), "{two:?}");
    let name = &plot.options.name;

    // As the contract says them: addresses, policies, doors.
    let shown: serde_json::Value = serde_json::from_str(&plot.run(&["status", "-o", "json"])).unwrap();
    for (host, shown) in lab.hosts().iter().zip(shown["hosts"].as_array().unwrap()) {
        assert_eq!(shown["state"], "up");
        assert_eq!(shown["endpoint"], format!("tcp://{}:2376", host.address));
        assert_eq!(shown["engine_version"], serde_json::json!(host.engine_version));
        assert_eq!(forward_policy(host), "-P FORWARD DROP");
        let name = host.name.to_string();
        assert_eq!(Tls::with_certificate(host).ping(&host.address.to_string()).unwrap(), "OK");
        assert_eq!(Tls::with_certificate(host).ping(&name).unwrap(), "OK", "the certificate names the host");
        assert!(Tls::with_certificate(host).ping("elsewhere").is_err(), "and nobody else");
        assert!(
            Tls::without_certificate(host).ping(&name).is_err(),
            "clients without certificate are refused"
        );
    }
    assert!(reaches(Some(one), two) && reaches(Some(two), one));

    // Up again changes nothing; one host more adds it and leaves the others alone.
    let before = pids(&lab);
    assert_eq!(pids(&plot.up_again()), before);
    plot.options.hosts = Some(3);
    assert_eq!(pids(&plot.up_again())[..2], before);
    plot.options.hosts = None;
    plot.options.engines = Some(Engines::System);
    assert!(matches!(Lab::up(&plot.options), Err(Error::OtherEngine { .. })));
    plot.options.engines = None;

    for host in [one, two] {
        let engine = Engine::of(host);
        let node = engine.start_sleeper();
        let alive = || Traces::container_lives(name, host.name, &node);
        assert!(alive());

        // The engine alone: its containers live on, and end when it comes back (no restart policy).
        lab.kill_engine(host.name).unwrap();
        assert_eq!(state(&lab, host), HostState::EngineDown);
        assert!(alive() && !reaches(None, host));
        lab.restart(host.name).unwrap();
        assert_eq!(state(&lab, host), HostState::Up);
        assert_eq!(engine.exit_code(&node), Some(137));
        assert!(!alive());

        // The cable alone: all lives on, unheard.
        engine.start(&node);
        lab.partition(host.name).unwrap();
        assert_eq!(state(&lab, host), HostState::Partitioned);
        assert!(alive() && !reaches(None, host));
        assert_eq!(engine.exit_code(&node), None, "it still answers on its socket");
        lab.mend(host.name).unwrap();
        assert_eq!(state(&lab, host), HostState::Up);
        assert!(reaches(None, host));

        // The engine hangs: the kernel still takes connections for it, its containers live on, and on when it goes on.
        lab.hang_engine(host.name).unwrap();
        assert_eq!(state(&lab, host), HostState::EngineDown);
        assert!(alive() && reaches(None, host));
        lab.restart(host.name).unwrap();
        assert_eq!(state(&lab, host), HostState::Up);
        assert!(alive());

        // Power: nothing lives, the disk stays, and with it who the engine is.
        let id = engine.id();
        lab.cut_power(host.name).unwrap();
        assert_eq!(state(&lab, host), HostState::Off);
        assert!(!alive() && !Path::new("/run/netns").join(&host.netns).exists());
        assert!(matches!(lab.partition(host.name), Err(Error::Off(off)) if off == host.name));
        lab.restart(host.name).unwrap();
        assert_eq!(state(&lab, host), HostState::Up);
        assert_eq!(engine.id(), id);
        assert!(engine.exit_code(&node).is_some(), "known, and dead of what the engine cannot know");
        engine.start(&node);
        assert!(alive());
    }
    // Up repairs whatever is missing.
    lab.cut_power(one.name).unwrap();
    lab.kill_engine(two.name).unwrap();
    lab.partition(two.name).unwrap();
    let repaired = plot.up_again();
    assert!(repaired.status().unwrap().hosts.iter().all(|host| host.state == HostState::Up));

    // With containers running.
    lab.down().unwrap();
    assert_eq!(plot.traces(), Vec::<String>::new());
}

#[test]
fn down_clears_away_what_a_crash_left() {
    if skipped() {
        return;
    }
    let plot = Plot::new("cr", 2, Engines::Mixed);
    let name = &plot.options.name;
    let namespaces = Path::new("/run/netns");
    let stages = [
        plot.dir.join("lab.json"),
        namespaces.join(format!("shoal-lab.{name}.lan")),
        Path::new("/sys/class/net").join(format!("sl-{name}")),
        plot.dir.join("hosts/host1/tls/key.pem"),
        namespaces.join(format!("shoal-lab.{name}.host1")),
        plot.dir.join("hosts/host1/spec.json"),
        plot.dir.join("hosts/host1/host.log"),
        plot.dir.join("hosts/host1/engine.log"),
        plot.dir.join("hosts/host2/spec.json"),
        plot.dir.join("hosts/host2/docker.sock"),
    ];
    for stage in stages {
        let mut up = plot.command(&["up", "--hosts", "2"]).stdout(Stdio::null()).spawn().unwrap();
        let begin = Instant::now();
        while !stage.exists() {
            assert!(begin.elapsed() < LIMIT, "{} never came", stage.display());
            thread::yield_now();
        }
        up.kill().unwrap();
        up.wait().unwrap();
        assert_ne!(plot.traces(), Vec::<String>::new(), "{}", stage.display());
        // The record may be lost or half written, too.
        std::fs::write(plot.dir.join("lab.json"), "{\"name\": \"").unwrap();
        assert!(matches!(Lab::up(&plot.options), Err(Error::Record { .. })));
        plot.run(&["down"]);
        assert_eq!(plot.traces(), Vec::<String>::new(), "{}", stage.display());
    }
    // What is not there can be taken down.
    plot.run(&["down"]);
}

#[test]
fn up_goes_on_after_a_crash_and_failures_are_told() {
    if skipped() {
        return;
    }
    let plot = Plot::new("go", 1, Engines::V28);
    let mut up =
        plot.command(&["up", "--hosts", "1", "--engine", "28"]).stdout(Stdio::null()).spawn().unwrap();
    let begin = Instant::now();
    while !plot.dir.join("hosts/host1/spec.json").exists() {
        assert!(begin.elapsed() < LIMIT);
        thread::yield_now();
    }
    up.kill().unwrap();
    up.wait().unwrap();
    let lab = plot.up();
    assert_eq!(state(&lab, &lab.hosts()[0]), HostState::Up);

    // An engine that cannot start says why, without waiting for what cannot come.
    let host = &lab.hosts()[0];
    let config = plot.dir.join("hosts/host1/daemon.json");
    let good = std::fs::read(&config).unwrap();
    std::fs::write(&config, "{\"no-such-option\": 1}").unwrap();
    lab.kill_engine(host.name).unwrap();
    let refused = lab.restart(host.name).unwrap_err();
    assert!(matches!(&refused, Error::Silent { tail, .. } if tail.contains("no-such-option")), "{refused}");
    std::fs::write(&config, good).unwrap();
    lab.restart(host.name).unwrap();
    assert_eq!(state(&lab, host), HostState::Up);

    // Whoever forgot where it is: its hosts know.
    shoal_lab::down(&plot.options.name, None).unwrap();
    assert_eq!(plot.traces(), Vec::<String>::new());
}

#[test]
fn labs_live_side_by_side() {
    if skipped() {
        return;
    }
    let plots = [Plot::new("pa", 1, Engines::V28), Plot::new("pb", 1, Engines::V28)];
    let [a, b] = thread::scope(|scope| {
        let [a, b] = plots.each_ref().map(|plot| {
            scope.spawn(|| {
                // As some CI systems do; hosts take nothing over from who makes them.
                SigSet::from(Signal::SIGWINCH).thread_block().unwrap();
                plot.up()
            })
        });
        [a.join().unwrap(), b.join().unwrap()]
    });
    for lab in [&a, &b] {
        assert_eq!(masks(lab), ["dockerd: SigBlk:\t0000000000000000"]);
    }
    assert_ne!(a.hosts()[0].address, b.hosts()[0].address);
    a.down().unwrap();
    assert_eq!(plots[0].traces(), Vec::<String>::new());
    assert_eq!(state(&b, &b.hosts()[0]), HostState::Up);
    assert!(reaches(None, &b.hosts()[0]));
    drop(b);
    assert_eq!(plots[1].traces(), Vec::<String>::new());
}

#[test]
fn who_is_not_root_is_told_so() {
    if skipped() {
        return;
    }
    let nobody = 65_534;
    // Where anyone may run it.
    let dir = tempfile::tempdir_in("/tmp").unwrap();
    let program = dir.path().join("shoal-lab");
    std::fs::copy(PROGRAM, &program).unwrap();
    std::fs::set_permissions(dir.path(), std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    for words in [["--name", "nobody", "up"], ["--name", "nobody", "status"], ["--name", "nobody", "down"]] {
        let output = Command::new(&program).args(words).uid(nobody).gid(nobody).output().unwrap();
        let told = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success() && told.contains("as root"), "{words:?}: {told}");
    }
}
