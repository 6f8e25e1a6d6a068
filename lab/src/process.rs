//! Telling a host's processes apart, from what the kernel says of them.

use std::fs;
use std::path::Path;

/// What `/proc/<pid>/status` says of a process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Process {
    /// Its id in our pid namespace.
    pub(crate) pid: i32,
    /// Its parent's id in our pid namespace.
    pub(crate) parent: i32,
    /// The first 15 bytes of its name.
    pub(crate) name: String,
    /// Its ids from our pid namespace down to its own.
    pub(crate) ids: Vec<i32>,
}

impl Process {
    /// Reads a process; `None` when it is gone, or dead and only waits to be reaped.
    pub(crate) fn read(pid: i32) -> Option<Self> {
        let status = fs::read_to_string(Path::new("/proc").join(pid.to_string()).join("status")).ok()?;
        Self::parse(pid, &status)
    }

    fn parse(pid: i32, status: &str) -> Option<Self> {
        let field = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
            line.map(str::trim)
        };
        if field("State")?.starts_with(['Z', 'X']) {
            return None;
        }
        Some(Self {
            pid,
            parent: field("PPid")?.parse().ok()?,
            name: field("Name")?.to_owned(),
            ids: field("NSpid")?.split_whitespace().map_while(|id| id.parse().ok()).collect(),
        })
    }

    /// Is it the first process of a host? Such a one is in a pid namespace right below ours, and 1 there.
    fn is_init(&self) -> bool {
        matches!(self.ids.as_slice(), [_, 1])
    }
}

/// The command line of a process; `None` when it is gone.
pub(crate) fn arguments(pid: i32) -> Option<Vec<String>> {
    let text = fs::read(Path::new("/proc").join(pid.to_string()).join("cmdline")).ok()?;
    let words = String::from_utf8(text).ok()?;
    Some(words.split_terminator('\0').map(str::to_owned).collect())
}

/// The first process of a host, among the members of its engine's cgroup.
pub(crate) fn init(members: &[Process]) -> Option<&Process> {
    members.iter().find(|process| process.is_init())
}

/// The Docker daemon of a host, among the members of its engine's cgroup: the init's own child, so that a
/// daemon inside one of the host's containers is never taken for it.
pub(crate) fn dockerd(members: &[Process]) -> Option<&Process> {
    let init = init(members)?.pid;
    members.iter().find(|process| process.name == "dockerd" && process.parent == init)
}

#[cfg(test)]
mod tests {
    use super::*;

    const STATUS: &str = "Name:\tdockerd\nUmask:\t0022\nState:\tS (sleeping)\nTgid:\t310\nPid:\t310\n\
        PPid:\t300\nNSpid:\t310\t7\nThreads:\t9\n";

    fn process(pid: i32, parent: i32, name: &str, ids: &[i32]) -> Process {
        Process { pid, parent, name: name.to_owned(), ids: ids.to_vec() }
    }

    #[test]
    fn status_is_read() {
        assert_eq!(Process::parse(310, STATUS), Some(process(310, 300, "dockerd", &[310, 7])));
    }

    #[test]
    fn a_dead_process_does_not_count() {
        assert_eq!(Process::parse(310, &STATUS.replace("S (sleeping)", "Z (zombie)")), None);
        assert_eq!(Process::parse(310, ""), None);
    }

    #[test]
    fn our_own_process_is_found() {
        let me = i32::try_from(std::process::id()).unwrap();
        assert_eq!(Process::read(me).unwrap().pid, me);
        let words: Vec<String> = std::env::args().collect();
        assert_eq!(arguments(me), Some(words));
    }

    #[test]
    fn a_daemon_in_a_container_is_not_the_hosts() {
        let members = [
            process(300, 1, "shoal-lab", &[300, 1]),
            process(320, 315, "dockerd", &[320, 40, 1]),
            process(310, 300, "dockerd", &[310, 7]),
        ];
        assert_eq!(init(&members).unwrap().pid, 300);
        assert_eq!(dockerd(&members).unwrap().pid, 310);
        assert_eq!(dockerd(&members[..2]), None);
        assert_eq!(dockerd(&members[1..]), None, "no init, no daemon of ours");
    }
}
