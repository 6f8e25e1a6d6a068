//! How a host's first process comes to be.
//!
//! ```text
//! shoal-lab up ──spawns──> shoal-lab host-boot SPEC         (this file; ends at once)
//!                            new session, own cgroup, the host's network namespace,
//!                            new mount, pid and host name namespaces
//!                          └─spawns─> shoal-lab host-init SPEC   (init.rs; pid 1 of the host)
//!                                       its own `/` (root.rs)
//!                                     └─spawns─> dockerd ──> containerd, shims, containers
//! ```
//! The pid namespace is the power switch: when the init is killed, the kernel kills everything in it, and
//! with the last process the mount namespace and all its mounts go. As the init outlives its engine, an
//! engine that is started again finds the mounts that its surviving containers use.

use std::fs::{File, OpenOptions};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};

use nix::sched::{CloneFlags, setns, unshare};
use nix::sys::prctl;
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::sys::signal::Signal;
use nix::unistd::setsid;

use crate::error::{Error, file};
use crate::spec::HostSpec;

/// The hidden command that runs [`boot`].
pub const BOOT_COMMAND: &str = "host-boot";
/// The hidden command that runs [`crate::init::init`].
pub const INIT_COMMAND: &str = "host-init";

/// Starts the first process of the host described in a file and leaves it running.
///
/// # Errors
/// [`Error::File`] when the spec, the cgroup, the network namespace or a log cannot be opened or the init
/// cannot be spawned; [`Error::Kernel`] when the kernel refuses a step.
pub fn boot(spec_path: &Path) -> Result<(), Error> {
    let spec = HostSpec::read(spec_path)?;
    let step = |what| move |source| Error::Kernel { host: spec.name, what, source };
    // If the lab is killed meanwhile, so is this: no host may appear after a `down` that follows.
    prctl::set_pdeathsig(Signal::SIGKILL).map_err(step("follow its parent's death"))?;
    setsid().map_err(step("begin a session"))?;
    spec.cgroups.iter().try_for_each(|dir| join_cgroup(dir))?;
    // Hundreds of containers need more open files than a login shell's soft limit.
    let (_, hard) = getrlimit(Resource::RLIMIT_NOFILE).map_err(step("read the limit of open files"))?;
    setrlimit(Resource::RLIMIT_NOFILE, hard, hard).map_err(step("raise the limit of open files"))?;
    let network = File::open(&spec.network).map_err(file("open", &spec.network))?;
    setns(network, CloneFlags::CLONE_NEWNET).map_err(step("enter the network namespace"))?;
    unshare(CloneFlags::CLONE_NEWNS | CloneFlags::CLONE_NEWPID | CloneFlags::CLONE_NEWUTS)
        .map_err(step("make namespaces"))?;
    let log = spec.dir.host_log();
    let open = || OpenOptions::new().create(true).append(true).open(&log).map_err(file("open", &log));
    let this = Path::new("/proc/self/exe");
    Command::new(this)
        .arg0("shoal-lab")
        .arg(INIT_COMMAND)
        .arg(spec_path)
        .stdin(Stdio::null())
        .stdout(open()?)
        .stderr(open()?)
        .spawn()
        .map_err(file("run", this))?;
    Ok(())
}

fn join_cgroup(dir: &Path) -> Result<(), Error> {
    let members = dir.join("cgroup.procs");
    std::fs::write(&members, std::process::id().to_string()).map_err(file("join", &members))
}
