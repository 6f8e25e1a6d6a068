//! Failures of a lab, each with its remedy in the text.

use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::api::ApiError;
use crate::command::CommandError;
use crate::engine::EngineKind;
use crate::install::InstallError;
use crate::name::{HOSTS_MAX, HostName, LabName, NameError};
use crate::pki::PkiError;

/// A lab's failure.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The caller is not root.
    #[error("a lab makes namespaces, mounts and cgroups: run this as root")]
    NotRoot,
    /// The machine has no cgroup hierarchy that the lab could use.
    #[error("no cgroup hierarchy is mounted below /sys/fs/cgroup: mount cgroup v1 or v2 there first")]
    NoCgroups,
    /// The machine has no cgroup v2 hierarchy, which engine 28 runs on.
    #[error(
        "engine 28 runs on cgroup v2, which is not mounted: `mkdir -p /sys/fs/cgroup/unified && mount -t \
         cgroup2 none /sys/fs/cgroup/unified`, or use `--engine system`"
    )]
    NoCgroup2,
    /// A directory that cannot hold a lab.
    #[error("{} cannot hold a lab: {reason}", dir.display())]
    Dir {
        /// The directory.
        dir: PathBuf,
        /// Why not.
        reason: &'static str,
    },
    /// There is no such lab.
    #[error("there is no lab {lab} in {}: `shoal-lab --name {lab} up` makes one", dir.display())]
    NoLab {
        /// The lab.
        lab: LabName,
        /// Where it was looked for.
        dir: PathBuf,
    },
    /// The lab's record cannot be read.
    #[error(
        "the record {} cannot be understood: `shoal-lab --name {lab} down` clears the lab away all the same",
        path.display()
    )]
    Record {
        /// The lab.
        lab: LabName,
        /// The record's file.
        path: PathBuf,
        /// Why.
        #[source]
        source: serde_json::Error,
    },
    /// A name was refused.
    #[error(transparent)]
    Name(#[from] NameError),
    /// The lab has no such host.
    #[error("lab {lab} has no {host}: its last one is host{count}")]
    NoHost {
        /// The lab.
        lab: LabName,
        /// The host asked for.
        host: HostName,
        /// How many there are.
        count: usize,
    },
    /// A number of hosts that no lab can have.
    #[error("a lab has 1 to {HOSTS_MAX} hosts, not {0}")]
    HostCount(usize),
    /// A host's sshd does not listen.
    #[error("the sshd of {host} does not listen; it said last:\n{tail}")]
    Sshd {
        /// The host.
        host: HostName,
        /// The last lines of its log.
        tail: String,
    },
    /// Fewer hosts were asked for than the lab has.
    #[error("lab {lab} has {have} hosts already and does not shrink to {want}: take it down first")]
    Shrink {
        /// The lab.
        lab: LabName,
        /// How many it has.
        have: usize,
        /// How many were asked for.
        want: usize,
    },
    /// Another engine was asked for than a host has.
    #[error("{host} of lab {lab} has engine {have}, not {want}: take the lab down first")]
    OtherEngine {
        /// The lab.
        lab: LabName,
        /// The host.
        host: HostName,
        /// Its engine.
        have: EngineKind,
        /// The engine asked for.
        want: EngineKind,
    },
    /// Every LAN is in use.
    #[error("every 10.77.x.0/24 is taken by a lab or a route of this machine: take a lab down first")]
    NoSubnet,
    /// What all labs share cannot be removed while one of them is there.
    #[error("lab {lab} still uses resources of all labs: take that lab down first")]
    InUse {
        /// The lab.
        lab: LabName,
    },
    /// A host is off, so what was asked for cannot be done to it.
    #[error("{0} is off: `shoal-lab restart {0}` switches it on")]
    Off(HostName),
    /// The lab's own program was not found.
    #[error(
        "the program shoal-lab, which becomes a host's first process, was not found at {}: build it, or name it in \
         SHOAL_LAB", .0.display()
    )]
    NoProgram(PathBuf),
    /// A host could not be started.
    #[error("{host} did not start: {reason}")]
    Boot {
        /// The host.
        host: HostName,
        /// What its first process said.
        reason: String,
    },
    /// An engine does not answer.
    #[error("the engine of {host} does not answer after {waited:?}; the end of {}:\n{tail}", log.display())]
    Silent {
        /// The host.
        host: HostName,
        /// How long was waited.
        waited: Duration,
        /// The log.
        log: PathBuf,
        /// Its last lines.
        tail: String,
        /// What the last question met.
        #[source]
        source: ApiError,
    },
    /// Something of the lab is still there after it was taken down.
    #[error("{what} is still there after {waited:?}")]
    Remains {
        /// What.
        what: String,
        /// How long was waited.
        waited: Duration,
    },
    /// A file could not be read, written or removed.
    #[error("cannot {action} {}", path.display())]
    File {
        /// What was tried.
        action: &'static str,
        /// On what.
        path: PathBuf,
        /// Why it failed.
        #[source]
        source: std::io::Error,
    },
    /// A process could not be signalled.
    #[error("cannot signal process {pid} of {host}")]
    Signal {
        /// The host.
        host: HostName,
        /// The process.
        pid: i32,
        /// Why.
        #[source]
        source: nix::Error,
    },
    /// The kernel refused a step of setting a host up.
    #[error("{host} cannot {what}")]
    Kernel {
        /// The host.
        host: HostName,
        /// The step.
        what: &'static str,
        /// Why.
        #[source]
        source: nix::Error,
    },
    /// A tool failed.
    #[error(transparent)]
    Command(#[from] CommandError),
    /// The engines could not be installed.
    #[error(transparent)]
    Install(#[from] InstallError),
    /// The certificates could not be made.
    #[error(transparent)]
    Pki(#[from] PkiError),
    /// An engine refused a question.
    #[error(transparent)]
    Api(#[from] ApiError),
}

/// Turns an I/O error into [`Error::File`].
pub(crate) fn file(action: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> Error {
    let path = path.to_owned();
    move |source| Error::File { action, path, source }
}
