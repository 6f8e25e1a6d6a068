//! The first process of a host: sets it up, starts its engine, and buries the dead.
//!
//! ```text
//!   boot --> running --(dockerd ends, for whatever reason)--> idle --(START_ENGINE)--> running
//! ```
//! It never starts an engine again by itself: one that was killed stays dead until someone asks (power.rs).

use std::convert::Infallible;
use std::fs::OpenOptions;
use std::path::Path;
use std::process::{Command, Stdio};

use nix::errno::Errno;
use nix::sys::prctl;
use nix::sys::signal::{SigSet, Signal};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::{Pid, sethostname};
use signal_hook::iterator::Signals;

use crate::command;
use crate::error::{Error, file};
use crate::file::gone_is_fine;
use crate::root;
use crate::spec::HostSpec;

/// Asks a host's init to start its engine, if that is not running.
pub(crate) const START_ENGINE: Signal = Signal::SIGUSR1;

/// Where the host's programs are.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Becomes the host described in a file. Must be called by the first process of new mount, pid and host name
/// namespaces, as [`crate::boot()`] makes them; returns only when it fails, and everything on the host ends then.
///
/// # Errors
/// [`Error::File`], [`Error::Kernel`], [`Error::Command`].
pub fn init(spec_path: &Path) -> Result<Infallible, Error> {
    let spec = HostSpec::read(spec_path)?;
    let step = |what| move |source| Error::Kernel { host: spec.name, what, source };
    // Before anything starts, so that no request and no death is lost. Caught and not blocked: what is blocked, here or by
    // who made the lab, stays blocked in the engine and in all its containers.
    SigSet::empty().thread_set_mask().map_err(step("unblock signals"))?;
    let mut signals = Signals::new([Signal::SIGCHLD as i32, START_ENGINE as i32])
        .map_err(|error| step("catch signals")(Errno::from_raw(error.raw_os_error().unwrap_or(0))))?;

    prctl::set_name(c"shoal-lab").map_err(step("name its process"))?;
    sethostname(spec.name.to_string()).map_err(step("set its name"))?;
    root::enter(&spec)?;
    // What a cautious administrator, and Docker itself, sets on a real host.
    for (tool, protocol) in [("iptables", "ipv4"), ("ip6tables", "ipv6")] {
        if Path::new("/proc/sys/net").join(protocol).exists() {
            command::run_command(on_host(tool).args(["-w", "-P", "FORWARD", "DROP"]))?;
        }
    }

    let mut engine = Some(start_engine(&spec)?);
    loop {
        let asked = signals.wait().any(|signal| signal == START_ENGINE as i32);
        // Signals of one kind merge, and a request overtakes the death that it follows: look for every death first.
        while let Some(death) = reap().map_err(step("reap"))? {
            if death.pid() == engine {
                eprintln!("{}: the engine ended: {death:?}", spec.name);
                engine = None;
            }
        }
        if asked && engine.is_none() {
            engine = Some(start_engine(&spec)?);
        }
    }
}

/// Starts the host's engine.
fn start_engine(spec: &HostSpec) -> Result<Pid, Error> {
    // Left by one that was killed; its number may be another process's by now.
    let left = Path::new("/run/docker.pid");
    gone_is_fine(std::fs::remove_file(left)).map_err(file("remove", left))?;
    let log = spec.dir.engine_log();
    let open = || OpenOptions::new().create(true).append(true).open(&log).map_err(file("open", &log));
    let program = Path::new("dockerd");
    let child = on_host("dockerd")
        .arg("--config-file")
        .arg(spec.dir.daemon_config())
        .stdin(Stdio::null())
        .stdout(open()?)
        .stderr(open()?)
        .spawn()
        .map_err(file("run", program))?;
    let pid = i32::try_from(child.id()).map_err(std::io::Error::other).map_err(file("run", program))?;
    Ok(Pid::from_raw(pid))
}

/// Buries one dead child; `None` when there is none.
fn reap() -> Result<Option<WaitStatus>, Errno> {
    match waitpid(None, Some(WaitPidFlag::WNOHANG)) {
        Ok(WaitStatus::StillAlive) | Err(Errno::ECHILD) => Ok(None),
        Ok(death) => Ok(Some(death)),
        Err(other) => Err(other),
    }
}

/// A program of the host, with an environment that owes nothing to whoever called the lab.
fn on_host(program: &str) -> Command {
    let mut command = Command::new(program);
    command.env_clear().env("PATH", PATH).env("HOME", "/root");
    command
}
