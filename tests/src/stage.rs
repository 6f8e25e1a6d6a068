//! The stage of a run: one lab, one installation that knows its hosts, one cluster for the tests that only look.
//!
//! Each is made when the first test needs it, so that a run of one test costs what that test needs. What is kept here
//! lives until the run ends; then the lab is taken down with all that is on it.

use std::{env, fs::File, path::PathBuf, sync::OnceLock};

use anyhow::{Context, anyhow};
use nix::fcntl::{Flock, FlockArg};
use shoal_lab::{Engines, Lab, LabGuard, LabName, Options};

use crate::{call::Call, cluster::Cluster, installation::Installation, machine::Machine};

/// The cluster for tests that only look: nodes of all roles, more than one of them on every host.
const CONFIG: &str = "\
kind: Cluster
name: dev
nodes:
  - controller
  - submitter
  - worker: 7
";

/// Set to `ssh`, the hosts of [`Stage::home`] are reached by SSH: the same tests, another way.
const WAY: &str = "SHOAL_TEST_WAY";

/// In the state directory of the installation: the key of a user of `dev`.
pub const USER_KEY: &str = "user_key";

/// What `cargo xtask test --tier e2e` hands to the tests.
#[derive(Debug, Clone)]
pub struct Means {
    /// The program under test (`SHOAL_BIN`).
    pub shoal: PathBuf,
    /// The program of the lab (`SHOAL_LAB`).
    pub lab: PathBuf,
    /// Archive of the node image (`SHOAL_NODE_IMAGE`).
    pub image: PathBuf,
}

/// What the tests of a run share.
#[derive(Debug)]
pub struct Stage {
    means: Means,
    lab: &'static str,
    ground: OnceLock<Result<Ground, String>>,
    home: OnceLock<Result<Installation, String>>,
    dev: OnceLock<Result<Cluster, String>>,
}

#[derive(Debug)]
struct Ground {
    lab: LabGuard,
    machines: Vec<Machine>,
    // Held by the run that has the lab.
    _lock: Flock<File>,
}

impl Means {
    /// From the environment.
    ///
    /// # Errors
    /// Why the tests cannot run here.
    pub fn find() -> Result<Self, String> {
        if !nix::unistd::geteuid().is_root() {
            return Err("not root: a lab makes namespaces and mounts".into());
        }
        let file = |key: &str| {
            let path = env::var_os(key).map(PathBuf::from);
            path.ok_or_else(|| {
                format!("{key} is not set: `cargo xtask test --tier e2e` builds what is needed")
            })
        };
        Ok(Self { shoal: file("SHOAL_BIN")?, lab: file("SHOAL_LAB")?, image: file("SHOAL_NODE_IMAGE")? })
    }
}

impl Stage {
    /// An empty stage. The name of its lab is the same in every run, so that what a killed one left is found and removed.
    #[must_use]
    pub fn new(means: Means, lab: &'static str) -> Self {
        Self { means, lab, ground: OnceLock::new(), home: OnceLock::new(), dev: OnceLock::new() }
    }

    /// What the tests were handed.
    #[must_use]
    pub fn means(&self) -> &Means {
        &self.means
    }

    /// The hosts of the lab.
    ///
    /// # Errors
    /// The lab does not come up.
    pub fn machines(&self) -> anyhow::Result<&[Machine]> {
        once(&self.ground, || Ground::make(&self.means, self.lab)).map(|ground| ground.machines.as_slice())
    }

    /// The lab, to cut power and cables.
    ///
    /// # Errors
    /// It does not come up.
    pub fn lab(&self) -> anyhow::Result<&Lab> {
        once(&self.ground, || Ground::make(&self.means, self.lab)).map(|ground| &*ground.lab)
    }

    /// An installation that knows the hosts; the node image is on all of them.
    ///
    /// # Errors
    /// A host is refused.
    pub fn home(&self) -> anyhow::Result<&Installation> {
        once(&self.home, || {
            let home = Installation::new(&self.means, None)?;
            match env::var_os(WAY).is_some_and(|way| way == "ssh") {
                false => home.register(self.machines()?)?,
                true => home.register_by_ssh(self.lab()?, self.machines()?)?,
            }
            home.load(&self.means.image)?;
            Ok(home)
        })
    }

    /// The cluster `dev` of that installation: a controller, a submitter and seven workers. Only to be looked at.
    ///
    /// # Errors
    /// It does not become ready.
    pub fn dev(&self) -> anyhow::Result<&Cluster> {
        once(&self.dev, || {
            let home = self.home()?;
            let key = home.state_dir().join(USER_KEY).display().to_string();
            let words = ["-q", "-t", "ed25519", "-N", "", "-C", "user", "-f", &key];
            Call::new("ssh-keygen").words(words).end()?.ok()?;
            let create = ["create", "cluster", "--config", "-", "--ssh-key", &format!("{key}.pub")];
            home.call(&create).input(CONFIG).end()?.ok()?;
            home.cluster("dev", self.machines()?)
        })
    }

    /// Takes everything down and tells how that went, which a drop can only log.
    ///
    /// # Errors
    /// Something of the lab remains.
    pub fn clear(self) -> anyhow::Result<()> {
        match self.ground.into_inner() {
            Some(Ok(ground)) => Ok(ground.lab.down()?),
            Some(Err(_)) | None => Ok(()),
        }
    }
}

impl Ground {
    fn make(means: &Means, lab: &str) -> anyhow::Result<Self> {
        let path = format!("/run/shoal-{lab}.lock");
        let file = File::create(&path).with_context(|| path.clone())?;
        let lock = Flock::lock(file, FlockArg::LockExclusive).map_err(|(_, errno)| errno).context(path)?;
        let name: LabName = lab.parse()?;
        shoal_lab::down(&name, None)?;
        let mut options = Options::named(name);
        options.hosts = Some(3);
        options.engines = Some(Engines::Mixed);
        options.program = Some(means.lab.clone());
        let lab = Lab::up(&options)?.guard();
        let machines = lab.hosts().iter().map(Machine::new).collect();
        Ok(Self { lab, machines, _lock: lock })
    }
}

/// Makes something the first time; a failure is every later caller's, too.
fn once<T>(
    cell: &OnceLock<Result<T, String>>,
    make: impl FnOnce() -> anyhow::Result<T>,
) -> anyhow::Result<&T> {
    cell.get_or_init(|| make().map_err(|failed| format!("{failed:#}")))
        .as_ref()
        .map_err(|failed| anyhow!("{failed}"))
}
