//! Cgroups: how the lab finds its processes again, and what it sweeps away after them.
//!
//! Every host has the cgroup `/shoal-lab/<lab>/<host>`, in every hierarchy. Its first process is put into
//! `engine` below it, and all that descend from it stay there or in the containers' cgroups, which the engine
//! makes below the host's. So membership, which only the kernel writes, tells which processes are ours (no pid
//! file that could name a stranger), and no limit of the caller's session reaches the host.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::error::{Error, file};
use crate::lock::Lock;
use crate::name::{HostName, LabName};
use crate::process::Process;
use crate::wait;

/// How long processes that were killed may take to leave their cgroups.
const SWEEP_LIMIT: Duration = Duration::from_secs(20);

/// The cgroup that all labs' are in.
pub(crate) const PARENT: &str = "/shoal-lab";

/// Name of the cgroup of a host's engine, below the host's.
const ENGINE: &str = "engine";

/// The hierarchies that the machine has mounted, v2 first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Cgroups(Vec<Hierarchy>);

#[derive(Debug, Clone, PartialEq, Eq)]
struct Hierarchy {
    mount: PathBuf,
    kind: Kind,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    V2,
    V1,
    /// v1's cpuset: nothing may join a group of it before that was given CPUs, so the engine stays outside.
    Cpuset,
}

impl Cgroups {
    /// Looks at the mounts of this process.
    ///
    /// # Errors
    /// [`Error::NoCgroups`], [`Error::File`].
    pub(crate) fn discover() -> Result<Self, Error> {
        let path = Path::new("/proc/self/mountinfo");
        let text = fs::read_to_string(path).map_err(file("read", path))?;
        Self::from_mountinfo(&text).ok_or(Error::NoCgroups)
    }

    /// Picks the hierarchies of a mount table (proc_pid_mountinfo(5)).
    fn from_mountinfo(text: &str) -> Option<Self> {
        let mut seen = Vec::new();
        let mut found = Vec::new();
        for line in text.lines() {
            let Some((left, right)) = line.split_once(" - ") else { continue };
            let mut left = left.split(' ').skip(2);
            let (Some(device), Some(root), Some(point)) = (left.next(), left.next(), left.next()) else {
                continue;
            };
            // A hierarchy may be mounted twice, and a part of one may be bound elsewhere.
            if root != "/" || seen.contains(&device) {
                continue;
            }
            let mut right = right.split(' ');
            let kind = match (right.next(), right.nth(1)) {
                (Some("cgroup2"), _) => Kind::V2,
                (Some("cgroup"), Some(options)) if options.split(',').any(|o| o == "cpuset") => Kind::Cpuset,
                (Some("cgroup"), _) => Kind::V1,
                (Some(_) | None, _) => continue,
            };
            seen.push(device);
            found.push(Hierarchy { mount: PathBuf::from(point), kind });
        }
        found.sort_by_key(|hierarchy| hierarchy.kind);
        found.iter().any(|hierarchy| hierarchy.kind != Kind::Cpuset).then_some(Self(found))
    }

    /// Is there a v2 hierarchy?
    pub(crate) fn has_v2(&self) -> bool {
        self.0.iter().any(|hierarchy| hierarchy.kind == Kind::V2)
    }

    /// The directories of a host's engine cgroup; at least one.
    pub(crate) fn engine(&self, lab: &LabName, host: HostName) -> Vec<PathBuf> {
        let joined = self.0.iter().filter(|hierarchy| hierarchy.kind != Kind::Cpuset);
        joined.map(|hierarchy| below(&hierarchy.mount, &lab.host_cgroup(host)).join(ENGINE)).collect()
    }

    /// Makes a host's cgroup in every hierarchy, and its engine's.
    ///
    /// # Errors
    /// [`Error::File`].
    pub(crate) fn make(&self, lab: &LabName, host: HostName) -> Result<(), Error> {
        let _no_other_lab_removes_it = Lock::shared("cgroups")?;
        let hosts = self.0.iter().map(|hierarchy| below(&hierarchy.mount, &lab.host_cgroup(host)));
        let mut dirs = hosts.chain(self.engine(lab, host));
        dirs.try_for_each(|dir| fs::create_dir_all(&dir).map_err(file("make cgroup", &dir)))
    }

    /// The processes in the cgroup of a host's engine: its init, daemons and shims.
    pub(crate) fn engine_members(&self, lab: &LabName, host: HostName) -> Vec<Process> {
        let first = self.engine(lab, host).into_iter().next();
        first.iter().flat_map(|dir| members(dir)).filter_map(Process::read).collect()
    }

    /// Every process of a host or of a whole lab that is still there, containers' too.
    pub(crate) fn all_members(&self, cgroup: &str) -> Vec<Process> {
        let mut pids = Vec::new();
        for hierarchy in &self.0 {
            walk(&below(&hierarchy.mount, cgroup), &mut |dir| pids.extend(members(dir)));
        }
        pids.sort_unstable();
        pids.dedup();
        pids.into_iter().filter_map(Process::read).collect()
    }

    /// The hosts that have a cgroup in this lab, known to a record or not.
    pub(crate) fn hosts(&self, lab: &LabName) -> Vec<HostName> {
        self.children(&lab.cgroup())
    }

    /// The labs that have a cgroup.
    pub(crate) fn labs(&self) -> Vec<LabName> {
        self.children(PARENT)
    }

    /// The cgroups right below one whose names are of a kind, in order.
    fn children<T: FromStr + Ord>(&self, cgroup: &str) -> Vec<T> {
        let dirs = self.0.iter().filter_map(|hierarchy| fs::read_dir(below(&hierarchy.mount, cgroup)).ok());
        let names = dirs.flatten().flatten().filter_map(|entry| entry.file_name().into_string().ok());
        let mut children: Vec<T> = names.filter_map(|name| name.parse().ok()).collect();
        children.sort_unstable();
        children.dedup();
        children
    }

    /// Removes a cgroup, all below it, and its parent `/shoal-lab` when that is empty, from every
    /// hierarchy; waits for its processes, which must have been killed, to be gone. A child that a killed process had just
    /// made may join its cgroup late: it is killed here.
    ///
    /// # Errors
    /// [`Error::Remains`], [`Error::File`].
    pub(crate) fn remove(&self, cgroup: &str) -> Result<(), Error> {
        wait::until(SWEEP_LIMIT, || {
            let mut left = Vec::new();
            for Hierarchy { mount, .. } in &self.0 {
                let top = below(mount, cgroup);
                walk(&top, &mut |dir| {
                    if crate::file::gone_is_fine(fs::remove_dir(dir)).is_err() {
                        left.push(dir.to_owned());
                    }
                });
            }
            for pid in left.iter().flat_map(|dir| members(dir)) {
                // One that is gone meanwhile is fine, and one that stays is told below.
                let _ = kill(Pid::from_raw(pid), Signal::SIGKILL);
            }
            match left.into_iter().next() {
                None => Ok(()),
                Some(dir) => Err(Error::Remains {
                    what: format!("cgroup {} with {:?}", dir.display(), members(&dir)),
                    waited: SWEEP_LIMIT,
                }),
            }
        })?;
        let _no_other_lab_makes_its_own = Lock::shared("cgroups")?;
        for Hierarchy { mount, .. } in &self.0 {
            let parent = below(mount, PARENT);
            match crate::file::gone_is_fine(fs::remove_dir(&parent)) {
                // Another lab is in there.
                Err(busy) if busy.kind() == ErrorKind::ResourceBusy => {}
                done => done.map_err(file("remove", &parent))?,
            }
        }
        Ok(())
    }
}

/// The process ids in one cgroup; none when it is gone.
fn members(dir: &Path) -> Vec<i32> {
    let text = fs::read_to_string(dir.join("cgroup.procs")).unwrap_or_default();
    text.lines().filter_map(|pid| pid.parse().ok()).collect()
}

/// Visits a directory tree, children first; what is gone is not visited.
fn walk(dir: &Path, visit: &mut dyn FnMut(&Path)) {
    let entries = match fs::read_dir(dir) {
        Ok(entries) => entries,
        Err(missing) if missing.kind() == ErrorKind::NotFound => return,
        Err(_) => return visit(dir),
    };
    for entry in entries.flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            walk(&entry.path(), visit);
        }
    }
    visit(dir);
}

fn below(mount: &Path, cgroup: &str) -> PathBuf {
    mount.join(cgroup.trim_start_matches('/'))
}

#[cfg(test)]
mod tests {
    use super::*;

    const HYBRID: &str = "\
30 24 0:26 / /sys/fs/cgroup rw,relatime - tmpfs tmpfs rw,mode=755
31 30 0:27 / /sys/fs/cgroup/cpu rw,relatime - cgroup cgroup rw,cpu
37 30 0:41 / /sys/fs/cgroup/cpuset rw,relatime - cgroup cgroup rw,cpuset,clone_children
32 30 0:28 / /sys/fs/cgroup/systemd rw,relatime shared:5 - cgroup cgroup rw,name=systemd
33 30 0:29 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw
34 24 0:27 / /mnt/again rw,relatime - cgroup cgroup rw,cpu
35 24 0:28 /docker /mnt/part rw,relatime - cgroup cgroup rw,name=systemd
36 24 0:40 / /data rw,relatime - ext4 /dev/sda rw
";

    fn mounts(found: &Cgroups) -> Vec<&str> {
        found.0.iter().filter_map(|hierarchy| hierarchy.mount.file_name()?.to_str()).collect()
    }

    #[test]
    fn v2_comes_first_and_each_hierarchy_counts_once() {
        let found = Cgroups::from_mountinfo(HYBRID).unwrap();
        assert!(found.has_v2());
        assert_eq!(mounts(&found), ["unified", "cpu", "systemd", "cpuset"]);
    }

    #[test]
    fn the_engine_joins_all_but_the_cpuset() {
        let (lab, host) = ("dev".parse().unwrap(), "host2".parse().unwrap());
        let engine = Cgroups::from_mountinfo(HYBRID).unwrap().engine(&lab, host);
        let expected = ["unified", "cpu", "systemd"]
            .map(|name| PathBuf::from(format!("/sys/fs/cgroup/{name}/shoal-lab/dev/host2/engine")));
        assert_eq!(engine, expected);
    }

    #[test]
    fn v1_alone_serves_too() {
        let v1: Vec<&str> = HYBRID.lines().filter(|line| !line.contains("cgroup2")).collect();
        let found = Cgroups::from_mountinfo(&v1.join("\n")).unwrap();
        assert!(!found.has_v2());
        assert_eq!(mounts(&found), ["cpu", "systemd", "cpuset"]);
    }

    #[test]
    fn no_hierarchy_is_told() {
        assert_eq!(Cgroups::from_mountinfo("36 24 0:40 / /data rw - ext4 /dev/sda rw\n"), None);
        assert_eq!(Cgroups::from_mountinfo("nonsense\n"), None);
    }
}
