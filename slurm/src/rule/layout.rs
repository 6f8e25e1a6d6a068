//! Ports and paths of Slurm in a cluster: Debian's, or those that the user's text names, which everything of ours follows.

use std::collections::BTreeMap;

use shoal_types::SlurmSpec;

use crate::{
    SLURMCTLD_PORT, SLURMD_PORT,
    conf::UserText,
    role::{CONTROLLER_STATE_DIR, WORKER_SPOOL_DIR},
};

/// Where Slurm listens and keeps things.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layout {
    slurmctld_port: u16,
    slurmd_port: u16,
    state: String,
    spool: String,
    logs: Vec<String>,
}

impl Layout {
    /// That of a specification; what admission would refuse counts as not said.
    #[must_use]
    pub fn of(slurm: &SlurmSpec) -> Self {
        let text = UserText::of(slurm);
        let port = |key: &str, ours: u16| text.last(key).and_then(|value| value.parse().ok()).unwrap_or(ours);
        let path = |key: &str| text.last(key).filter(|value| is_path(value)).map(str::to_owned);
        let mut logs = vec!["SlurmctldLogFile", "SlurmdLogFile", "SlurmSchedLogFile"];
        if keeps_completions(&text) {
            logs.push("JobCompLoc");
        }
        Self {
            slurmctld_port: port("SlurmctldPort", SLURMCTLD_PORT),
            slurmd_port: port("SlurmdPort", SLURMD_PORT),
            state: path("StateSaveLocation").unwrap_or_else(|| CONTROLLER_STATE_DIR.to_owned()),
            spool: path("SlurmdSpoolDir").unwrap_or_else(|| WORKER_SPOOL_DIR.to_owned()),
            logs: logs.into_iter().filter_map(path).collect(),
        }
    }

    /// The port of a service that is known by its number elsewhere.
    #[must_use]
    pub fn port(&self, known: u16) -> u16 {
        match known {
            SLURMCTLD_PORT => self.slurmctld_port,
            SLURMD_PORT => self.slurmd_port,
            other => other,
        }
    }

    /// The directory that is known by this path elsewhere.
    #[must_use]
    pub fn directory<'a>(&'a self, known: &'a str) -> &'a str {
        match known {
            CONTROLLER_STATE_DIR => &self.state,
            WORKER_SPOOL_DIR => &self.spool,
            other => other,
        }
    }

    /// Directories that a node needs besides those of its image, outermost first, and which the user's text names. Those that Slurm
    /// writes in are slurm's (`true`); what is above one is root's: whoever owns a directory can replace all that is in it.
    pub(crate) fn made(&self) -> BTreeMap<&str, bool> {
        let mut made = BTreeMap::new();
        let dirs = [self.state.as_str(), &self.spool].into_iter();
        let ours = |dir: &&str| *dir != CONTROLLER_STATE_DIR && *dir != WORKER_SPOOL_DIR;
        let of_logs = self.logs.iter().filter_map(|file| file.rsplit_once('/')).map(|(dir, _)| dir);
        for dir in dirs.filter(ours).chain(of_logs) {
            // slurmd puts the node's name there, and makes it.
            let dir =
                dir.split_once('%').map_or(dir, |(before, _)| before.rsplit_once('/').map_or("", |(d, _)| d));
            let above = dir.match_indices('/').skip(1).map(|(at, _)| (&dir[..at], false));
            for (part, own) in above.chain([(dir, true)]) {
                if !part.is_empty() && !is_of_any_image(part) {
                    *made.entry(part).or_default() |= own;
                }
            }
        }
        made
    }
}

/// Whether `JobCompLoc` is a file that slurmctld writes.
pub(super) fn keeps_completions(text: &UserText<'_>) -> bool {
    let kind = text.statements().filter(|statement| statement.is("JobCompType")).last();
    kind.is_some_and(|statement| statement.has_plugin("jobcomp/filetxt"))
}

/// Directories of the Filesystem Hierarchy Standard (3.0) that something of a node's is below: never anybody's own.
const OF_IMAGES: &[&str] = &[
    "/bin",
    "/boot",
    "/etc",
    "/home",
    "/lib",
    "/media",
    "/mnt",
    "/opt",
    "/root",
    "/sbin",
    "/srv",
    "/usr",
    "/usr/bin",
    "/usr/lib",
    "/usr/local",
    "/usr/sbin",
    "/usr/share",
    "/var",
    "/var/cache",
    "/var/lib",
    "/var/log",
    "/var/opt",
    "/var/spool",
];
/// What root runs or reads, in every node: who may write there is root.
const OF_ROOT: &[&str] = &["/bin", "/boot", "/etc", "/lib", "/lib32", "/lib64", "/root", "/sbin", "/usr"];
/// What is in memory, or the kernel's, in every node.
const NOT_ON_DISK: &[&str] = &["/dev", "/proc", "/run", "/sys", "/tmp", "/var/run", "/var/lock"];

pub(super) fn is_of_any_image(path: &str) -> bool {
    OF_IMAGES.contains(&path)
}

/// Why something cannot be kept at a path, if so.
pub(super) fn unusable(path: &str) -> Option<&'static str> {
    let below =
        |dir: &&&str| path == **dir || path.strip_prefix(**dir).is_some_and(|rest| rest.starts_with('/'));
    if !is_path(path) {
        return Some(
            "it is no path such as `/var/spool/slurm`: from `/`, of letters, digits and `-_.%`, at most 90 characters",
        );
    }
    if NOT_ON_DISK.iter().find(below).is_some() {
        return Some("what is there is in memory, and gone when the node stops");
    }
    if OF_ROOT.iter().find(below).is_some() {
        return Some("what is there is run or read by root, and the directory would be `slurm`'s");
    }
    None
}

/// An absolute path of plain parts that a tar header holds; `%n` and `%h` are Slurm's.
fn is_path(path: &str) -> bool {
    let part = |part: &str| {
        !matches!(part, "" | "." | "..")
            && part.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.' | b'%'))
    };
    path.len() <= 90 && path.strip_prefix('/').is_some_and(|rest| rest.split('/').all(part))
}
