//! A lab and what can be done to it.
//!
//! Every operation looks at what is there and does what is missing, under the lab's lock: `up` again repairs.

use std::ops::Deref;
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::cgroup::Cgroups;
use crate::engine::Engines;
use crate::error::Error;
use crate::lan::{Cable, Lan};
use crate::layout::LabDir;
use crate::lock::Lock;
use crate::name::{HostName, LabName};
use crate::process::{self, Process};
use crate::record::{HostRecord, Record};
use crate::status::{Host, HostState, HostStatus, Status};
use crate::{api, daemon};

/// What `up` is asked for.
#[derive(Debug, Clone)]
pub struct Options {
    /// The lab.
    pub name: LabName,
    /// Its directory; `/var/lib/shoal-lab/<name>` when `None`. Every later command needs the same.
    pub dir: Option<PathBuf>,
    /// How many hosts; when `None`, as many as it has, or 3.
    pub hosts: Option<usize>,
    /// Their engines; when `None`, what they have, and mixed for new ones.
    pub engines: Option<Engines>,
    /// The program `shoal-lab`; when `None`, `SHOAL_LAB` or the one built with the caller.
    pub program: Option<PathBuf>,
}

/// A lab that was brought up, now or earlier.
#[derive(Debug, Clone)]
pub struct Lab {
    pub(crate) dir: LabDir,
    pub(crate) record: Record,
    pub(crate) cgroups: Cgroups,
    pub(crate) program: Option<PathBuf>,
    hosts: Vec<Host>,
}

/// A lab that is taken down when this is dropped.
#[derive(Debug)]
pub struct LabGuard(Option<Lab>);

impl Options {
    /// A lab with that name, all else as it comes.
    #[must_use]
    pub fn named(name: LabName) -> Self {
        Self { name, dir: None, hosts: None, engines: None, program: None }
    }
}

impl Lab {
    pub(crate) fn new(dir: LabDir, record: Record, cgroups: Cgroups, program: Option<PathBuf>) -> Self {
        let hosts = record.hosts.iter().map(|host| describe(&dir, &record, host)).collect();
        Self { dir, record, cgroups, program, hosts }
    }

    /// Opens a lab that was brought up earlier. Looks at its record only: it may have lost its hosts since.
    ///
    /// # Errors
    /// [`Error::NotRoot`], [`Error::NoLab`], [`Error::Record`], [`Error::NoCgroups`], [`Error::Dir`].
    pub fn open(name: &LabName, dir: Option<&Path>) -> Result<Self, Error> {
        require_root()?;
        let dir = LabDir::new(name, dir)?;
        let record = Record::read(name, &dir)?
            .ok_or_else(|| Error::NoLab { lab: name.clone(), dir: dir.path().to_owned() })?;
        Ok(Self::new(dir, record, Cgroups::discover()?, None))
    }

    /// The lab's name.
    #[must_use]
    pub fn name(&self) -> &LabName {
        &self.record.name
    }

    /// Its hosts, in the order of their numbers.
    #[must_use]
    pub fn hosts(&self) -> &[Host] {
        &self.hosts
    }

    /// One of its hosts.
    ///
    /// # Errors
    /// [`Error::NoHost`].
    pub fn host(&self, name: HostName) -> Result<&Host, Error> {
        self.hosts.iter().find(|host| host.name == name).ok_or_else(|| Error::NoHost {
            lab: self.name().clone(),
            host: name,
            count: self.hosts.len(),
        })
    }

    /// How the lab is now.
    ///
    /// # Errors
    /// [`Error::Command`] when its network cannot be looked at.
    pub fn status(&self) -> Result<Status, Error> {
        let look = |host: &Host| {
            let init = process::init(&self.members(host.name)).map(|init| init.pid);
            let answer = init.and_then(|_| api::version(&host.socket).ok());
            let state = HostState::of(init.is_some(), self.lan().cable(host.name)?, answer.is_some());
            let engine_version = answer.or_else(|| host.engine_version.clone());
            Ok(HostStatus { host: Host { engine_version, ..host.clone() }, state, pid: init })
        };
        Ok(Status {
            name: self.name().clone(),
            dir: self.dir.path().to_owned(),
            subnet: self.record.subnet.network(),
            hosts: self.hosts.iter().map(look).collect::<Result<_, Error>>()?,
        })
    }

    /// Cuts a host's power: its engine and every process on it are killed at once, its links vanish, its data
    /// root stays. Nothing to do when it is off.
    ///
    /// # Errors
    /// [`Error::NoHost`], [`Error::Signal`], [`Error::Remains`], [`Error::Command`], [`Error::File`].
    pub fn cut_power(&self, host: HostName) -> Result<(), Error> {
        self.host(host)?;
        let _lock = Lock::lab(self.name())?;
        crate::power::off(self.name(), &self.cgroups, host)
    }

    /// Kills a host's engine (SIGKILL) and nothing else: containers live on, unattended. Returns when it is
    /// gone; nothing to do when it is gone already.
    ///
    /// # Errors
    /// [`Error::NoHost`], [`Error::Off`], [`Error::Signal`], [`Error::Remains`].
    pub fn kill_engine(&self, host: HostName) -> Result<(), Error> {
        self.host(host)?;
        let _lock = Lock::lab(self.name())?;
        crate::power::kill_engine(self, host)
    }

    /// Hangs a host's engine (SIGSTOP): it accepts connections and never answers; containers live on. Nothing to do
    /// when it is gone.
    ///
    /// # Errors
    /// [`Error::NoHost`], [`Error::Off`], [`Error::Signal`].
    pub fn hang_engine(&self, host: HostName) -> Result<(), Error> {
        self.host(host)?;
        let _lock = Lock::lab(self.name())?;
        crate::power::hang_engine(self, host)
    }

    /// Brings a host back: switches it on after a power cut, as a boot would, starts its killed engine again, or lets
    /// a hung one go on; returns when the engine answers. Nothing to do when it is up. A host that boots has its cable plugged in;
    /// an engine that is started leaves it as it is.
    ///
    /// # Errors
    /// [`Error::NoHost`], [`Error::Boot`], [`Error::Silent`], [`Error::Command`], [`Error::File`].
    pub fn restart(&self, host: HostName) -> Result<(), Error> {
        self.host(host)?;
        let _lock = Lock::lab(self.name())?;
        crate::power::on(self, host)?;
        self.await_engine(host).map(drop)
    }

    /// Cuts a host off: its cable is pulled out of the LAN. The host and its unix socket live on.
    ///
    /// # Errors
    /// [`Error::NoHost`], [`Error::Off`], [`Error::Command`].
    pub fn partition(&self, host: HostName) -> Result<(), Error> {
        self.host(host)?;
        let _lock = Lock::lab(self.name())?;
        self.lan().set_cable(host, false)
    }

    /// Plugs a host's cable in again.
    ///
    /// # Errors
    /// [`Error::NoHost`], [`Error::Off`], [`Error::Command`].
    pub fn mend(&self, host: HostName) -> Result<(), Error> {
        self.host(host)?;
        let _lock = Lock::lab(self.name())?;
        self.lan().set_cable(host, true)
    }

    /// Takes the lab down. See [`crate::down()`].
    ///
    /// # Errors
    /// Those of [`crate::down()`].
    pub fn down(self) -> Result<(), Error> {
        crate::down(self.name(), Some(self.dir.path()))
    }

    /// Ties the lab to a guard; dropping the guard takes the lab down.
    #[must_use]
    pub fn guard(self) -> LabGuard {
        LabGuard(Some(self))
    }

    pub(crate) fn lan(&self) -> Lan<'_> {
        Lan::new(&self.record.name, self.record.subnet)
    }

    /// The processes in a host's engine cgroup.
    pub(crate) fn members(&self, host: HostName) -> Vec<Process> {
        self.cgroups.engine_members(self.name(), host)
    }

    /// Waits for a host's engine, through the LAN too if it is in it; returns its version.
    pub(crate) fn await_engine(&self, host: HostName) -> Result<String, Error> {
        let through_lan = self.lan().cable(host)? == Cable::Plugged;
        crate::power::await_engine(self, host, through_lan)
    }
}

impl LabGuard {
    /// Takes the lab down now and tells how that went, which a drop can only log.
    ///
    /// # Errors
    /// Those of [`crate::down()`].
    pub fn down(mut self) -> Result<(), Error> {
        self.0.take().map_or(Ok(()), Lab::down)
    }
}

impl Deref for LabGuard {
    type Target = Lab;

    #[expect(clippy::expect_used, reason = "only `down` and `drop` take it, and both end the guard")]
    fn deref(&self) -> &Lab {
        self.0.as_ref().expect("a guard has its lab until it ends")
    }
}

impl Drop for LabGuard {
    fn drop(&mut self) {
        if let Some(Err(failed)) = self.0.take().map(Lab::down) {
            tracing::error!("the lab was not taken down: {failed}");
        }
    }
}

/// Refuses a caller that is not root.
pub(crate) fn require_root() -> Result<(), Error> {
    if nix::unistd::geteuid().is_root() { Ok(()) } else { Err(Error::NotRoot) }
}

/// Signals a process of a host; one that is gone already is fine.
pub(crate) fn signal(host: HostName, pid: i32, signal: Signal) -> Result<(), Error> {
    match kill(Pid::from_raw(pid), signal) {
        Ok(()) | Err(Errno::ESRCH) => Ok(()),
        Err(source) => Err(Error::Signal { host, pid, source }),
    }
}

fn describe(dir: &LabDir, record: &Record, host: &HostRecord) -> Host {
    let own = dir.host(host.name);
    let address = record.subnet.host(host.name);
    Host {
        name: host.name,
        engine: host.engine,
        engine_version: host.engine_version.clone(),
        address,
        endpoint: daemon::endpoint(address),
        tls_dir: own.client_tls(),
        socket: own.socket(),
        netns: record.name.host_namespace(host.name),
    }
}
