//! What a host is made from: handed from the lab to the host's first process as `spec.json`.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::engine::CgroupView;
use crate::error::{Error, file};
use crate::layout::HostDir;
use crate::name::HostName;

/// A host, to its first process.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct HostSpec {
    pub(crate) name: HostName,
    /// Its network namespace.
    pub(crate) network: PathBuf,
    /// The cgroup directories of its engine.
    pub(crate) cgroups: Vec<PathBuf>,
    /// The file tree below its `/`.
    pub(crate) image: PathBuf,
    pub(crate) cgroup_view: CgroupView,
    /// Its directory on the machine, seen by it under the same path.
    pub(crate) dir: HostDir,
}

impl HostSpec {
    /// Reads a spec.
    ///
    /// # Errors
    /// [`Error::File`].
    pub(crate) fn read(path: &Path) -> Result<Self, Error> {
        let text = std::fs::read_to_string(path).map_err(file("read", path))?;
        serde_json::from_str(&text).map_err(std::io::Error::from).map_err(file("read", path))
    }
}
