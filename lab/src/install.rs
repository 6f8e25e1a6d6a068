//! What a lab needs on the machine, installed where it is missing.
//!
//! Debian's packages for the machine itself, and for engine 28 a small Debian forky tree of its own, made
//! once and shared by all labs.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::command::{CommandError, run, run_command};
use crate::engine::EngineKind;
use crate::error::{Error, file};
use crate::layout::SHARED_DIR;
use crate::lock::Lock;

/// A program of the lab, and its Debian package.
type Tool = (&'static str, &'static str);

/// What every lab runs.
const TOOLS: [Tool; 2] = [("ip", "iproute2"), ("iptables", "iptables")];

/// The distribution's engine. Asked for by program: another vendor's package of it serves as well, and
/// Debian's would push that aside.
const SYSTEM_ENGINE: Tool = ("dockerd", "docker.io");

/// What opens hosts to SSH.
const SSHD: Tool = ("sshd", "openssh-server");

/// What makes the file tree of engine 28.
const BOOTSTRAP: Tool = ("mmdebstrap", "mmdebstrap");

/// Where programs are.
const PATH: [&str; 6] = ["/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin"];

/// The Debian release that engine 28 comes from.
const ENGINE_28_SUITE: &str = "forky";

/// What goes into its tree.
const ENGINE_28_PACKAGES: &str = "docker.io,iptables,iproute2,ca-certificates,procps";

/// Units of Debian's packages that must not start: the lab runs its engines and its sshd itself.
const UNITS: [(&str, &[&str]); 2] = [
    ("docker.io", &["docker.socket", "docker.service", "containerd.service"]),
    ("openssh-server", &["ssh.socket", "ssh.service"]),
];

/// An installation that failed.
#[derive(Debug, thiserror::Error)]
pub enum InstallError {
    /// Packages are missing and this is no Debian.
    #[error("missing: {}; without apt-get they must be installed by hand", .0.join(", "))]
    NoApt(Vec<String>),
    /// The package manager failed.
    #[error("cannot install {}", packages.join(", "))]
    Apt {
        /// The packages.
        packages: Vec<String>,
        /// What it said.
        #[source]
        source: CommandError,
    },
    /// The tree of engine 28 could not be made.
    #[error("cannot make the file tree of engine 28 (Debian {ENGINE_28_SUITE})")]
    Bootstrap(#[source] CommandError),
}

/// Where the tree of engine 28 is kept, for all labs.
pub(crate) fn engine_28_root() -> PathBuf {
    Path::new(SHARED_DIR).join("engine-28-root")
}

/// Installs what hosts with these engines need and is missing: packages by `apt-get`, and for
/// [`EngineKind::V28`] its file tree by `mmdebstrap`. Nothing it installs is started. Says on the log what it
/// installs; does nothing, quickly, when all is there.
///
/// # Errors
/// [`Error::NotRoot`], [`Error::Install`], [`Error::File`].
pub fn ensure(engines: &[EngineKind]) -> Result<(), Error> {
    if !nix::unistd::geteuid().is_root() {
        return Err(Error::NotRoot);
    }
    let _one_at_a_time = Lock::shared("install")?;
    let root = engine_28_root();
    let bootstrap = engines.contains(&EngineKind::V28) && !root.exists();
    let mut tools = TOOLS.to_vec();
    tools.extend(engines.contains(&EngineKind::System).then_some(SYSTEM_ENGINE));
    tools.extend(bootstrap.then_some(BOOTSTRAP));
    let absent = tools.into_iter().filter(|(program, _)| !is_there(program));
    install(&absent.map(|(_, package)| package).collect::<Vec<_>>())?;
    if bootstrap {
        make_engine_28_root(&root)?;
    }
    Ok(())
}

/// Installs what opens hosts to SSH, if it is missing. Nothing is started.
///
/// # Errors
/// [`InstallError::NoApt`], [`InstallError::Apt`].
pub(crate) fn ensure_sshd() -> Result<(), Error> {
    let _one_at_a_time = Lock::shared("install")?;
    let (program, package) = SSHD;
    if !is_there(program) {
        install(&[package])?;
    }
    Ok(())
}

/// Installs the Debian packages among these that are missing (xtask needs some of its own).
///
/// # Errors
/// [`InstallError::NoApt`], [`InstallError::Apt`].
pub fn ensure_packages(packages: &[&str]) -> Result<(), InstallError> {
    let missing: Vec<&str> = packages.iter().copied().filter(|package| !is_installed(package)).collect();
    install(&missing)
}

fn install(packages: &[&str]) -> Result<(), InstallError> {
    if packages.is_empty() {
        return Ok(());
    }
    let missing: Vec<String> = packages.iter().map(|&name| name.to_owned()).collect();
    if run("apt-get", &["--version"]).is_err() {
        return Err(InstallError::NoApt(missing));
    }
    tracing::info!("installing {}", missing.join(", "));
    let failed = |source| InstallError::Apt { packages: missing.clone(), source };
    let of =
        |(package, units): &(&str, &'static [&'static str])| packages.contains(package).then_some(*units);
    let quiet: Vec<&str> = UNITS.iter().filter_map(of).flatten().copied().collect();
    units(&["mask", "--runtime"], &quiet).map_err(failed)?;
    let installed = apt_get(&["update"]).and_then(|()| {
        let words = ["install", "--yes", "--no-install-recommends"].into_iter();
        apt_get(&words.chain(missing.iter().map(String::as_str)).collect::<Vec<_>>())
    });
    units(&["unmask", "--runtime"], &quiet).map_err(failed)?;
    installed.map_err(failed)?;
    // Installing a package enables its units: disable them, so that the next boot starts none.
    units(&["disable"], &quiet).map_err(failed)
}

fn is_there(program: &str) -> bool {
    PATH.iter().any(|dir| Path::new(dir).join(program).is_file())
}

fn is_installed(package: &str) -> bool {
    run("dpkg-query", &["--show", "--showformat=${db:Status-Status}", package])
        .is_ok_and(|status| status == "installed")
}

fn apt_get(words: &[&str]) -> Result<(), CommandError> {
    let mut command = Command::new("apt-get");
    // Another package manager may be at work for a while after a boot.
    command.args(["-q", "-o", "DPkg::Lock::Timeout=300"]).args(words);
    run_command(command.env("DEBIAN_FRONTEND", "noninteractive")).map(drop)
}

/// Runs `systemctl` on units, where there are some and systemd runs at all.
fn units(words: &[&str], units: &[&str]) -> Result<(), CommandError> {
    if units.is_empty() || !Path::new("/run/systemd/system").exists() {
        return Ok(());
    }
    run("systemctl", &[words, units].concat()).map(drop)
}

/// Makes the tree beside its place and moves it there when it is whole.
fn make_engine_28_root(root: &Path) -> Result<(), Error> {
    tracing::info!("making the file tree of engine 28 in {} (once, about 20 s)", root.display());
    let partial = root.with_extension("partial");
    crate::file::gone_is_fine(std::fs::remove_dir_all(&partial)).map_err(file("remove", &partial))?;
    crate::file::make_dir(Path::new(SHARED_DIR))?;
    let include = format!("--include={ENGINE_28_PACKAGES}");
    // The release is still being made: its index may be older than apt accepts.
    let stale = "--aptopt=Acquire::Check-Valid-Until \"false\"";
    let target = partial.display().to_string();
    run("mmdebstrap", &["--variant=minbase", &include, stale, ENGINE_28_SUITE, &target])
        .map_err(InstallError::Bootstrap)?;
    std::fs::rename(&partial, root).map_err(file("move into place", root))
}
