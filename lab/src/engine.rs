//! Which Docker engine a host runs.

use std::fmt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::name::HostName;

/// The engine of one host.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum EngineKind {
    /// The engine the machine's distribution packages (Debian 12: 20.10), on the machine's own cgroups.
    #[serde(rename = "system")]
    System,
    /// Debian forky's engine (28) in a root of its own, on cgroup v2.
    #[serde(rename = "28")]
    V28,
}

/// How engines are given to the hosts of a lab.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Engines {
    /// The distribution's on all.
    System,
    /// Docker 28 on all.
    #[value(name = "28")]
    V28,
    /// In turn: odd hosts have the distribution's, even ones Docker 28.
    Mixed,
}

/// Which cgroup tree an engine sees.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum CgroupView {
    /// What the machine has mounted on `/sys/fs/cgroup`.
    Machine,
    /// The v2 hierarchy alone.
    V2,
}

impl EngineKind {
    /// The file tree that the host's processes see as `/` (writes to it stay in the host).
    pub(crate) fn image(self, engine_28_root: &Path) -> PathBuf {
        match self {
            Self::System => PathBuf::from("/"),
            Self::V28 => engine_28_root.to_owned(),
        }
    }

    /// The cgroup tree the engine sees.
    pub(crate) fn cgroup_view(self) -> CgroupView {
        match self {
            Self::System => CgroupView::Machine,
            Self::V28 => CgroupView::V2,
        }
    }
}

impl Engines {
    /// The engine of a host.
    #[must_use]
    pub fn of(self, host: HostName) -> EngineKind {
        match self {
            Self::System => EngineKind::System,
            Self::V28 => EngineKind::V28,
            Self::Mixed if host.number() % 2 == 1 => EngineKind::System,
            Self::Mixed => EngineKind::V28,
        }
    }
}

impl fmt::Display for EngineKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::System => "system",
            Self::V28 => "28",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_mixed_hosts_show_both_kinds() {
        let kinds = ["host1", "host2", "host3"].map(|name| Engines::Mixed.of(name.parse().unwrap()));
        assert_eq!(kinds, [EngineKind::System, EngineKind::V28, EngineKind::System]);
    }

    #[test]
    fn text_and_json_agree() {
        for kind in [EngineKind::System, EngineKind::V28] {
            assert_eq!(serde_json::to_string(&kind).unwrap(), format!("\"{kind}\""));
        }
    }
}
