//! What of a lab can be seen on the machine, without asking the lab.

use std::fs;
use std::path::{Path, PathBuf};

use shoal_lab::{HostName, LabName};

/// Where a lab could leave something.
pub(crate) struct Traces<'a> {
    name: &'a LabName,
    dir: &'a Path,
}

impl<'a> Traces<'a> {
    pub(crate) fn of(name: &'a LabName, dir: &'a Path) -> Self {
        Self { name, dir }
    }

    /// Everything that is there: files, namespaces, interfaces, cgroups, processes, mounts.
    pub(crate) fn found(&self) -> Vec<String> {
        let mut found: Vec<String> = Vec::new();
        let lock = PathBuf::from(format!("/run/shoal-lab.{}.lock", self.name));
        let uplink = Path::new("/sys/class/net").join(format!("sl-{}", self.name));
        let files = [self.dir.to_owned(), lock, uplink].into_iter().filter(|path| path.exists());
        found.extend(files.map(|path| path.display().to_string()));
        let prefix = format!("shoal-lab.{}.", self.name);
        found.extend(names(Path::new("/run/netns")).into_iter().filter(|name| name.starts_with(&prefix)));
        found.extend(
            cgroups(&format!("shoal-lab/{}", self.name)).iter().map(|path| path.display().to_string()),
        );
        found.extend(self.processes());
        found
    }

    /// Processes that name the lab's directory, and mounts of it in the eyes of any process.
    fn processes(&self) -> Vec<String> {
        let dir = self.dir.to_str().unwrap();
        let mut found = Vec::new();
        let me = std::process::id().to_string();
        for pid in names(Path::new("/proc")) {
            if pid == me || !pid.bytes().all(|b| b.is_ascii_digit()) {
                continue;
            }
            for file in ["cmdline", "mountinfo"] {
                let text = fs::read(Path::new("/proc").join(&pid).join(file)).unwrap_or_default();
                if String::from_utf8_lossy(&text).contains(dir) {
                    found.push(format!("{file} of process {pid}"));
                }
            }
        }
        found
    }

    /// Has a container of a host processes?
    pub(crate) fn container_lives(lab: &LabName, host: HostName, id: &str) -> bool {
        let dirs = cgroups(&format!("shoal-lab/{lab}/{host}/{id}"));
        dirs.iter().any(|dir| fs::read_to_string(dir.join("cgroup.procs")).is_ok_and(|pids| !pids.is_empty()))
    }
}

/// A cgroup's directories in all hierarchies, wherever below /sys/fs/cgroup they are mounted.
fn cgroups(path: &str) -> Vec<PathBuf> {
    let top = Path::new("/sys/fs/cgroup");
    let mounts = names(top).into_iter().map(|name| top.join(name)).chain([top.to_owned()]);
    mounts.map(|mount| mount.join(path)).filter(|dir| dir.exists()).collect()
}

fn names(dir: &Path) -> Vec<String> {
    let entries = fs::read_dir(dir).into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().into_string().ok()).collect()
}
