//! Where a lab keeps its files.
//!
//! ```text
//! <dir>/                        /var/lib/shoal-lab/<lab> unless told otherwise
//!   lab.json                    which hosts there are (record.rs)
//!   pki/{ca.pem,ca-key.pem}     signs every certificate of the lab
//!   hosts/hostN/
//!     tls/{ca,cert,key}.pem     for clients of the engine: a host's tls_dir
//!     server/{ca,cert,key}.pem  for the engine
//!     spec.json                 what the host is made from (boot.rs)
//!     daemon.json               the engine's whole configuration
//!     docker.sock               its unix socket
//!     data/                     its data root, which survives a power cut
//!     root/                     mount point of the host's own `/`
//!     host.log  engine.log      what the host's init and the engine say
//! ```

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::error::Error;
use crate::name::{HostName, LabName};

/// Parent of the labs' default directories and of what they share.
pub(crate) const SHARED_DIR: &str = "/var/lib/shoal-lab";

/// A unix socket's path must be shorter than this (`sun_path` in unix(7)).
const SOCKET_PATH_MAX: usize = 108;

/// The directory of one lab.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct LabDir(PathBuf);

/// The directory of one host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct HostDir(PathBuf);

impl LabDir {
    /// The directory of a lab: the one given, or the default.
    ///
    /// # Errors
    /// [`Error::Dir`] when the path cannot serve.
    pub(crate) fn new(name: &LabName, dir: Option<&Path>) -> Result<Self, Error> {
        let dir = dir.map_or_else(|| Path::new(SHARED_DIR).join(name.as_str()), Path::to_owned);
        let refuse = |reason| Err(Error::Dir { dir: dir.clone(), reason });
        if !dir.is_absolute() {
            return refuse("it is not absolute");
        }
        if ["/proc", "/sys", "/dev"].iter().any(|kernel| dir.starts_with(kernel)) {
            return refuse("no files can be kept there");
        }
        let lab = Self(dir.clone());
        let longest = HostName::from_number(crate::name::HOSTS_MAX).map(|host| lab.host(host).socket());
        if longest.is_some_and(|socket| socket.as_os_str().len() >= SOCKET_PATH_MAX) {
            return refuse("it is too long for the path of a unix socket below it");
        }
        Ok(lab)
    }

    /// The lab's directory that a host's spec is in: the inverse of `lab.host(name).spec()`.
    pub(crate) fn of_spec(spec: &Path) -> Option<Self> {
        let host = spec.parent()?;
        let lab = Self(host.parent()?.parent()?.to_owned());
        let name: HostName = host.file_name()?.to_str()?.parse().ok()?;
        (lab.host(name).spec() == spec).then_some(lab)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    pub(crate) fn record(&self) -> PathBuf {
        self.0.join("lab.json")
    }

    pub(crate) fn pki(&self) -> PathBuf {
        self.0.join("pki")
    }

    pub(crate) fn hosts(&self) -> PathBuf {
        self.0.join("hosts")
    }

    pub(crate) fn host(&self, host: HostName) -> HostDir {
        HostDir(self.hosts().join(host.to_string()))
    }
}

impl HostDir {
    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    pub(crate) fn client_tls(&self) -> PathBuf {
        self.0.join("tls")
    }

    pub(crate) fn server_tls(&self) -> PathBuf {
        self.0.join("server")
    }

    pub(crate) fn spec(&self) -> PathBuf {
        self.0.join("spec.json")
    }

    pub(crate) fn daemon_config(&self) -> PathBuf {
        self.0.join("daemon.json")
    }

    pub(crate) fn socket(&self) -> PathBuf {
        self.0.join("docker.sock")
    }

    pub(crate) fn data(&self) -> PathBuf {
        self.0.join("data")
    }

    /// What the engine sees as `/etc/docker`.
    pub(crate) fn etc(&self) -> PathBuf {
        self.0.join("etc")
    }

    pub(crate) fn root(&self) -> PathBuf {
        self.0.join("root")
    }

    pub(crate) fn host_log(&self) -> PathBuf {
        self.0.join("host.log")
    }

    pub(crate) fn engine_log(&self) -> PathBuf {
        self.0.join("engine.log")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dir(path: &str) -> Result<LabDir, Error> {
        LabDir::new(&"lab".parse().unwrap(), Some(Path::new(path)))
    }

    #[test]
    fn the_default_is_below_the_shared_directory() {
        let default = LabDir::new(&"dev".parse().unwrap(), None).unwrap();
        assert_eq!(default.path(), Path::new("/var/lib/shoal-lab/dev"));
    }

    #[test]
    fn a_spec_leads_back_to_its_lab() {
        let lab = dir("/tmp/x").unwrap();
        let spec = lab.host("host3".parse().unwrap()).spec();
        assert_eq!(LabDir::of_spec(&spec), Some(lab));
        for other in ["/tmp/x/hosts/host3/other.json", "/tmp/x/hosts/box/spec.json", "spec.json", "/"] {
            assert_eq!(LabDir::of_spec(Path::new(other)), None);
        }
    }

    #[test]
    fn directories_that_cannot_serve_are_refused_with_the_reason() {
        assert!(dir("/tmp/x").is_ok());
        for (bad, reason) in [
            ("relative", "absolute"),
            ("/sys/fs/cgroup/lab", "no files"),
            (&*format!("/{}", "x".repeat(90)), "too long"),
        ] {
            let refused = dir(bad).unwrap_err().to_string();
            assert!(refused.contains(bad) && refused.contains(reason), "{refused}");
        }
    }
}
