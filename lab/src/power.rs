//! Switching a host and its engine on and off.

use std::net::SocketAddr;
use std::process::Stdio;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;

use crate::boot::BOOT_COMMAND;
use crate::cgroup::Cgroups;
use crate::command::CommandError;
use crate::error::{Error, file};
use crate::init::START_ENGINE;
use crate::lab::{Lab, signal};
use crate::name::{HostName, LabName};
use crate::spec::HostSpec;
use crate::{api, daemon, install, lan, process, program, wait};

/// How long an engine may take until it answers. A new one takes 2 s on two cores; 20.10 after a SIGKILL first
/// ends the containers that lived on, for which it gives them 10 s.
const ENGINE_LIMIT: Duration = Duration::from_secs(120);

/// How many engines are started for one request, if they end by themselves.
const ATTEMPTS: usize = 3;

/// How long killed processes may take to vanish.
const KILL_LIMIT: Duration = Duration::from_secs(20);

/// Lines of a log that an error shows.
const TAIL: usize = 15;

/// Gives a host power: plugs it in and boots it, engine and all, unless it is on; lets an engine that was stopped go on;
/// does not wait for the engine.
///
/// # Errors
/// [`Error::Boot`], [`Error::Command`], [`Error::File`], [`Error::Signal`].
pub(crate) fn on(lab: &Lab, host: HostName) -> Result<(), Error> {
    let members = lab.members(host);
    match (process::init(&members), process::dockerd(&members)) {
        (None, _) => boot(lab, host),
        // It does nothing to one that runs.
        (Some(_), Some(engine)) => signal(host, engine.pid, Signal::SIGCONT),
        (Some(_), None) => Ok(()),
    }
}

/// Stops a host's engine where it is: connections to it are accepted, and nothing is ever answered.
///
/// # Errors
/// [`Error::Off`], [`Error::Signal`].
pub(crate) fn hang_engine(lab: &Lab, host: HostName) -> Result<(), Error> {
    let members = lab.members(host);
    process::init(&members).ok_or(Error::Off(host))?;
    process::dockerd(&members).map_or(Ok(()), |engine| signal(host, engine.pid, Signal::SIGSTOP))
}

fn boot(lab: &Lab, host: HostName) -> Result<(), Error> {
    // Whatever a crash left of it.
    off(lab.name(), &lab.cgroups, host)?;
    lab.cgroups.make(lab.name(), host)?;
    lab.lan().ensure_host(host)?;
    let described = lab.host(host)?;
    let dir = lab.dir.host(host);
    for made in [dir.data(), dir.etc(), dir.root()] {
        crate::file::make_dir(&made)?;
    }
    let socket = dir.socket();
    crate::file::gone_is_fine(std::fs::remove_file(&socket)).map_err(file("remove", &socket))?;
    let config = daemon::config(&dir, described.address, &lab.name().host_cgroup(host));
    crate::file::write_json(&dir.daemon_config(), &config)?;
    let spec = HostSpec {
        name: host,
        network: lan::namespace_path(&described.netns),
        cgroups: lab.cgroups.engine(lab.name(), host),
        image: described.engine.image(&install::engine_28_root()),
        cgroup_view: described.engine.cgroup_view(),
        dir: dir.clone(),
    };
    crate::file::write_json(&dir.spec(), &spec)?;

    let program = program::find(lab.program.as_deref())?;
    let booted = std::process::Command::new(&program)
        .arg(BOOT_COMMAND)
        .arg(dir.spec())
        .stdin(Stdio::null())
        .output()
        .map_err(|source| CommandError::Start { program: program.display().to_string(), source })?;
    if booted.status.success() {
        return Ok(());
    }
    Err(Error::Boot { host, reason: String::from_utf8_lossy(&booted.stderr).trim().to_owned() })
}

/// Starts a host's engine where it does not run, and waits until it answers, on its unix socket and, if wanted,
/// through the LAN; returns its version. An engine that ends meanwhile is started again a few times: 20.10, after a
/// SIGKILL, can race the containerd that lived on.
///
/// # Errors
/// [`Error::Boot`] when the host itself ended; [`Error::Silent`] when the attempts or the time are over.
pub(crate) fn await_engine(lab: &Lab, host: HostName, through_lan: bool) -> Result<String, Error> {
    let described = lab.host(host)?;
    let dir = lab.dir.host(host);
    let address: SocketAddr = (described.address, daemon::TLS_PORT).into();
    let begin = Instant::now();
    let silent = |source| {
        let log = dir.engine_log();
        let tail = crate::file::tail(&log, TAIL);
        Error::Silent { host, waited: begin.elapsed(), log, tail, source }
    };
    let ask = || {
        let version = api::version(&described.socket)?;
        if through_lan {
            api::ping(address, &described.tls_dir)?;
        }
        Ok(version)
    };
    let mut engines = Vec::new();
    wait::until(ENGINE_LIMIT, || {
        let members = lab.members(host);
        let Some(init) = process::init(&members) else {
            return Ok(Err(Error::Boot { host, reason: crate::file::tail(&dir.host_log(), TAIL) }));
        };
        let engine = process::dockerd(&members).map(|engine| engine.pid);
        engines.extend(engine.filter(|pid| !engines.contains(pid)));
        let answer = ask();
        match (answer, engine) {
            (Err(refused), None) if engines.len() >= ATTEMPTS => Ok(Err(silent(refused))),
            // Asked for once more than needed it does nothing.
            (Err(refused), None) => match signal(host, init.pid, START_ENGINE) {
                Ok(()) => Err(refused),
                Err(failed) => Ok(Err(failed)),
            },
            (answer, _) => answer.map(Ok),
        }
    })
    .unwrap_or_else(|refused| Err(silent(refused)))
}

/// Kills a host's engine and waits until it is gone.
///
/// # Errors
/// [`Error::Off`], [`Error::Signal`], [`Error::Remains`].
pub(crate) fn kill_engine(lab: &Lab, host: HostName) -> Result<(), Error> {
    let members = lab.members(host);
    process::init(&members).ok_or(Error::Off(host))?;
    let Some(engine) = process::dockerd(&members) else { return Ok(()) };
    signal(host, engine.pid, Signal::SIGKILL)?;
    wait::until(KILL_LIMIT, || match process::dockerd(&lab.members(host)) {
        Some(left) if left.pid == engine.pid => Err(Error::Remains {
            what: format!("the engine of {host} (process {})", left.pid),
            waited: KILL_LIMIT,
        }),
        Some(_) | None => Ok(()),
    })
}

/// Takes a host's power: its processes, links, namespace and cgroups; its directory stays.
///
/// # Errors
/// [`Error::Signal`], [`Error::Remains`], [`Error::Command`], [`Error::File`].
pub(crate) fn off(lab: &LabName, cgroups: &Cgroups, host: HostName) -> Result<(), Error> {
    if let Some(init) = process::init(&cgroups.engine_members(lab, host)) {
        // With it the kernel kills all of its pid namespace.
        signal(host, init.pid, Signal::SIGKILL)?;
    }
    let cgroup = lab.host_cgroup(host);
    wait::until(KILL_LIMIT, || {
        let left = cgroups.all_members(&cgroup);
        for process in &left {
            signal(host, process.pid, Signal::SIGKILL)?;
        }
        match left.first() {
            None => Ok(()),
            Some(process) => {
                Err(Error::Remains { what: format!("{process:?} of {host}"), waited: KILL_LIMIT })
            }
        }
    })?;
    lan::remove_host(lab, host)?;
    cgroups.remove(&cgroup)
}
