//! What runs in nodes, as `/proc` tells it: no packet, no exec in any of them, and one walk over the processes for all nodes, by a few threads.
//!
//! systemd puts every unit into a cgroup of its own below its container's, so the cgroup of a process says both whose it is
//! and which unit it runs: `.../<container id>/system.slice/munge.service`. That needs no permission beyond reading `/proc`: a node's
//! files, and with them systemd's own word (`systemctl is-system-running`), are behind a ptrace check that the agent does not pass.
//! Tables of TCP sockets are a last resort: the kernel makes each by walking all connections of the machine, 5 ms on one of 24 GiB
//! (Linux 6.18, measured 2026-11-21).

use std::{
    collections::{BTreeMap, BTreeSet},
    fs, io,
    num::NonZero,
    panic::resume_unwind,
    path::Path,
    thread,
    time::Duration,
};

use crate::probe::{is_gone, probe};

/// Where systemd as PID 1 takes commands; it is there as soon as it does.
const MANAGER_SOCKET: &str = "/run/systemd/private";
/// Where munged takes requests.
const MUNGE_SOCKET: &str = "/run/munge/munge.socket.2";
/// `__SO_ACCEPTCON` in the flags of proc_pid_net(5): it listens.
const LISTENS: &str = "00010000";
/// sshd's unit on Debian.
const SSH_UNIT: &str = "ssh.service";
const SSH_PORT: u16 = 22;
/// Threads of one walk.
const MAX_THREADS: usize = 4;
/// Where systemd puts itself.
const MANAGER_UNIT: &str = "init.scope";

/// What runs in one node.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct NodeProbe {
    /// Its first process lives.
    pub(crate) alive: bool,
    /// systemd takes commands.
    pub(crate) manager: bool,
    /// Units that have processes.
    pub(crate) units: BTreeSet<String>,
    /// munged takes requests.
    pub(crate) munge: bool,
    /// sshd runs, or systemd listens for it and starts it at the first connection.
    pub(crate) sshd: bool,
    /// How long its first process has run.
    pub(crate) up: Duration,
}

/// Looks at the nodes in these containers, by full id; a container without processes is not in the answer.
///
/// # Errors
/// The processes cannot be listed.
pub(crate) fn probe_nodes(
    proc: &Path,
    containers: &BTreeSet<String>,
) -> io::Result<BTreeMap<String, NodeProbe>> {
    let uptime = fs::read_to_string(proc.join("uptime")).ok().and_then(|text| seconds(&text));
    let mut pids = Vec::new();
    for entry in fs::read_dir(proc)? {
        pids.extend(entry?.file_name().to_str().and_then(|name| name.parse::<u32>().ok()));
    }
    // One of thousands of processes is read in some 60 µs.
    let threads = thread::available_parallelism().map_or(1, NonZero::get).min(MAX_THREADS);
    let share = pids.len().div_ceil(threads).max(1);
    let found: Vec<Found> = thread::scope(|scope| {
        let parts = pids.chunks(share).map(|part| {
            scope.spawn(move || {
                part.iter().filter_map(|pid| Found::look(proc, *pid, containers, uptime)).collect::<Vec<_>>()
            })
        });
        let parts: Vec<_> = parts.collect();
        parts.into_iter().flat_map(|part| part.join().unwrap_or_else(|panic| resume_unwind(panic))).collect()
    });
    let mut nodes = BTreeMap::<String, NodeProbe>::new();
    let mut firsts = BTreeMap::<String, u32>::new();
    for Found { container, what } in found {
        let node = nodes.entry(container.clone()).or_default();
        match what {
            What::Unit(unit) => {
                node.units.insert(unit);
            }
            What::First { pid, alive, manager, munge, up } => {
                *node = NodeProbe { alive, manager, munge, up, ..std::mem::take(node) };
                firsts.insert(container, pid);
            }
            What::Other => {}
        }
    }
    for (container, pid) in firsts {
        let Some(node) = nodes.get_mut(&container) else { continue };
        node.sshd = node.units.contains(SSH_UNIT)
            || match probe(proc, pid) {
                Ok(seen) => seen.ports.contains(&SSH_PORT),
                Err(error) if is_gone(&error) => false,
                Err(error) => return Err(error),
            };
    }
    Ok(nodes)
}

/// A process of a node.
struct Found {
    container: String,
    what: What,
}

enum What {
    /// Of this unit.
    Unit(String),
    /// The node's first.
    First {
        pid: u32,
        alive: bool,
        manager: bool,
        munge: bool,
        up: Duration,
    },
    Other,
}

impl Found {
    /// What this process is, if it is of one of the nodes.
    fn look(proc: &Path, pid: u32, containers: &BTreeSet<String>, uptime: Option<f64>) -> Option<Self> {
        let of_process = |file: &str| fs::read_to_string(proc.join(pid.to_string()).join(file)).ok();
        // One that has ended meanwhile is of no node.
        let cgroups = of_process("cgroup")?;
        let (container, unit) = place(&cgroups, containers)?;
        let what = match unit {
            Some(unit) if unit != MANAGER_UNIT => What::Unit(unit.to_owned()),
            // The first process is not in a unit of its own before systemd has made them, and never without systemd.
            Some(_) | None if of_process("status").is_some_and(|status| is_first(&status)) => {
                let net = of_process("net/unix").unwrap_or_default();
                What::First {
                    pid,
                    // A zombie is in no network any more.
                    alive: !net.is_empty(),
                    manager: listens(&net, MANAGER_SOCKET),
                    munge: listens(&net, MUNGE_SOCKET),
                    up: age(uptime, of_process("stat").and_then(|stat| start_ticks(&stat))),
                }
            }
            Some(_) | None => What::Other,
        };
        Some(Self { container: container.to_owned(), what })
    }
}

/// Whose process it is, by its container's id, and the unit it is of. Engines name the cgroup after the id, or
/// `docker-<id>.scope` where systemd keeps it; a hierarchy without systemd ends there.
fn place<'a>(cgroups: &'a str, containers: &BTreeSet<String>) -> Option<(&'a str, Option<&'a str>)> {
    let mut found: Option<(&str, Option<&str>)> = None;
    for line in cgroups.lines() {
        // `number:controllers:/path` (cgroups(7)).
        let Some(path) = line.splitn(3, ':').nth(2) else { continue };
        let mut parts = path
            .split('/')
            .map(|part| part.strip_prefix("docker-").and_then(|p| p.strip_suffix(".scope")).unwrap_or(part));
        let Some(container) = parts.by_ref().find(|part| containers.contains(*part)) else { continue };
        let unit = parts.find(|part| part.ends_with(".service") || *part == MANAGER_UNIT);
        if found.is_none_or(|(_, known)| known.is_none()) {
            found = Some((container, unit));
        }
    }
    found
}

/// `NSpid` of proc_pid_status(5): its numbers from the outermost namespace to its own.
fn is_first(status: &str) -> bool {
    let line = status.lines().find_map(|line| line.strip_prefix("NSpid:"));
    line.is_some_and(|line| line.split_ascii_whitespace().last() == Some("1"))
}

/// Whether a socket of this path listens: `Num RefCount Protocol Flags Type St Inode Path`.
fn listens(table: &str, path: &str) -> bool {
    table.lines().any(|line| {
        let fields: Vec<_> = line.split_ascii_whitespace().collect();
        fields.get(3) == Some(&LISTENS) && fields.get(7) == Some(&path)
    })
}

/// Field 22 of proc_pid_stat(5), counted from behind the name, which may hold anything.
fn start_ticks(stat: &str) -> Option<u64> {
    stat.rsplit_once(')')?.1.split_ascii_whitespace().nth(19)?.parse().ok()
}

fn seconds(uptime: &str) -> Option<f64> {
    uptime.split_ascii_whitespace().next()?.parse().ok()
}

fn age(uptime: Option<f64>, began: Option<u64>) -> Duration {
    let hertz = nix::unistd::sysconf(nix::unistd::SysconfVar::CLK_TCK).ok().flatten();
    let (Some(uptime), Some(began), Some(hertz)) = (uptime, began, hertz.and_then(|h| u32::try_from(h).ok()))
    else {
        return Duration::ZERO;
    };
    let began = Duration::from_millis(began.saturating_mul(1000) / u64::from(hertz.max(1)));
    Duration::try_from_secs_f64(uptime).unwrap_or_default().saturating_sub(began)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

    fn ids() -> BTreeSet<String> {
        [ID.to_owned()].into()
    }

    #[test]
    fn a_process_is_placed_by_its_cgroup() {
        for (cgroups, unit) in [
            // cgroup v1 with systemd's own hierarchy; v2 seen from a private namespace; systemd as cgroup driver.
            (
                format!("9:name=systemd:/docker/{ID}/system.slice/munge.service\n8:pids:/docker/{ID}\n"),
                Some("munge.service"),
            ),
            (
                format!("8:pids:/docker/{ID}\n0::/docker/{ID}/system.slice/munge.service\n"),
                Some("munge.service"),
            ),
            (format!("0::/../{ID}/system.slice/ssh.service\n"), Some("ssh.service")),
            (format!("0::/system.slice/docker-{ID}.scope/init.scope\n"), Some("init.scope")),
            (format!("0::/docker/{ID}/system.slice/slurmd.service/slurmstepd\n"), Some("slurmd.service")),
            (format!("0::/docker/{ID}\n"), None),
        ] {
            assert_eq!(place(&cgroups, &ids()), Some((ID, unit)), "{cgroups}");
        }
        for other in ["0::/init.scope\n", "0::/system.slice/docker.service\n", "nonsense", ""] {
            assert_eq!(place(other, &ids()), None, "{other}");
        }
    }

    #[test]
    fn sockets_that_listen_are_told_from_those_that_do_not() {
        let table = "Num       RefCount Protocol Flags    Type St Inode Path\n\
            0000000000000000: 00000002 00000000 00000000 0002 01 23 /run/systemd/notify\n\
            0000000000000000: 00000002 00000000 00010000 0001 01 24 /run/systemd/private\n\
            0000000000000000: 00000003 00000000 00000000 0001 03 25 /run/munge/munge.socket.2\n";
        assert!(listens(table, MANAGER_SOCKET));
        assert!(!listens(table, MUNGE_SOCKET) && !listens(table, "/run/systemd/notify"));
    }

    #[test]
    fn the_first_process_of_a_namespace() {
        assert!(is_first("Name:\tsystemd\nNSpid:\t410\t1\n"));
        assert!(!is_first("Name:\tmunged\nNSpid:\t529\t23\n") && !is_first("Name:\tx\n"));
        let stat = "410 (a) b) S 1 410 410 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 4711 1 2";
        assert_eq!(start_ticks(stat), Some(4711));
        assert!(age(seconds("100.50 300.00\n"), Some(50)) > Duration::from_secs(90));
        assert_eq!(age(None, Some(50)), Duration::ZERO);
    }

    #[test]
    fn of_containers_that_are_not_here_nothing_is_told() {
        assert_eq!(probe_nodes(Path::new("/proc"), &ids()).unwrap(), BTreeMap::new());
    }
}
