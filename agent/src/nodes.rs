//! What runs in nodes, as `/proc` tells it: no packet, no exec in any of them, and one walk over the processes for all nodes,
//! by a few threads.
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

use crate::probe::{beginning, is_gone, probe};

/// Where systemd as PID 1 takes commands; it is there as soon as it does.
const MANAGER_SOCKET: &str = "/run/systemd/private";
/// Where munged takes requests.
const MUNGE_SOCKET: &str = "/run/munge/munge.socket.2";
/// `__SO_ACCEPTCON` in the flags of proc_pid_net(5): it listens.
const LISTENS: &str = "00010000";
/// sshd's unit on Debian. Sessions may stay in it after sshd has ended: a node has no logind.
const SSH_UNIT: &str = "ssh.service";
/// What sshd says of itself in its command line while it listens.
const SSH_LISTENS: &str = "[listener]";
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
    /// sshd listens, or systemd does for it and starts it at the first connection.
    pub(crate) sshd: bool,
    /// How long its first process has run.
    pub(crate) up: Duration,
}

/// Looks at the nodes in these containers, by full id; a container without a first process or units is not in the answer. Of
/// the units of a node only `known` ones are told: their names are the node's own, and it may have any number.
///
/// # Errors
/// The processes cannot be listed.
pub(crate) fn probe_nodes(
    proc: &Path,
    containers: &BTreeSet<String>,
    known: &BTreeSet<String>,
) -> io::Result<BTreeMap<String, NodeProbe>> {
    let uptime = fs::read_to_string(proc.join("uptime")).ok().and_then(|text| seconds(&text));
    let mut pids = Vec::new();
    for entry in fs::read_dir(proc)? {
        pids.extend(entry?.file_name().to_str().and_then(|name| name.parse::<u32>().ok()));
    }
    // One of thousands of processes is read in some 60 µs.
    let threads = thread::available_parallelism().map_or(1, NonZero::get).min(MAX_THREADS);
    let share = pids.len().div_ceil(threads).max(1);
    let look = |part: &[u32]| -> io::Result<Vec<Found>> {
        part.iter().filter_map(|pid| Found::look(proc, *pid, containers, uptime).transpose()).collect()
    };
    let found = thread::scope(|scope| {
        let begin = |part| thread::Builder::new().spawn_scoped(scope, move || look(part));
        let parts: Vec<_> = pids.chunks(share).map(begin).collect::<io::Result<_>>()?;
        let mut found = Vec::new();
        for part in parts {
            found.extend(part.join().unwrap_or_else(|panic| resume_unwind(panic))?);
        }
        Ok::<_, io::Error>(found)
    })?;
    let mut nodes = BTreeMap::<String, NodeProbe>::new();
    let mut firsts = BTreeMap::<String, u32>::new();
    for Found { container, what } in found {
        let node = nodes.entry(container.clone()).or_default();
        match what {
            What::Unit { unit, sshd } => {
                if known.contains(&unit) {
                    node.units.insert(unit);
                }
                node.sshd |= sshd;
            }
            What::First { pid, alive, manager, munge, up } => {
                *node = NodeProbe { alive, manager, munge, up, ..std::mem::take(node) };
                firsts.insert(container, pid);
            }
        }
    }
    for (container, pid) in firsts {
        let Some(node) = nodes.get_mut(&container) else { continue };
        node.sshd = node.sshd
            || match probe(proc, pid) {
                Ok(seen) => seen.ports.contains(&SSH_PORT),
                Err(error) if is_gone(&error) => false,
                Err(error) => return Err(error),
            };
    }
    Ok(nodes)
}

/// A process that says something of a node.
struct Found {
    container: String,
    what: What,
}

enum What {
    /// Of this unit; whether it is sshd that listens.
    Unit { unit: String, sshd: bool },
    /// The node's first.
    First { pid: u32, alive: bool, manager: bool, munge: bool, up: Duration },
}

impl Found {
    /// What this process is, if it says something of one of the nodes.
    fn look(
        proc: &Path,
        pid: u32,
        containers: &BTreeSet<String>,
        uptime: Option<f64>,
    ) -> io::Result<Option<Self>> {
        let of_process = |file: &str| match beginning(&proc.join(pid.to_string()).join(file)) {
            Ok(text) => Ok(Some(text)),
            Err(error) if is_gone(&error) => Ok(None),
            Err(error) => Err(error),
        };
        // One that has ended meanwhile is of no node.
        let Some(cgroups) = of_process("cgroup")? else { return Ok(None) };
        let Some((container, unit)) = place(&cgroups, containers) else { return Ok(None) };
        let what = match unit {
            Some(unit) if unit != MANAGER_UNIT => {
                let sshd =
                    unit == SSH_UNIT && of_process("cmdline")?.is_some_and(|line| line.contains(SSH_LISTENS));
                What::Unit { unit: unit.to_owned(), sshd }
            }
            // The first process is not in a unit of its own before systemd has made them, and never without systemd.
            Some(_) | None if of_process("status")?.is_some_and(|status| is_first(&status)) => {
                let net = of_process("net/unix")?;
                let table = net.as_deref().unwrap_or_default();
                What::First {
                    pid,
                    // A zombie is in no network any more.
                    alive: net.is_some(),
                    manager: listens(table, MANAGER_SOCKET),
                    munge: listens(table, MUNGE_SOCKET),
                    up: age(uptime, of_process("stat")?.and_then(|stat| start_ticks(&stat))),
                }
            }
            Some(_) | None => return Ok(None),
        };
        Ok(Some(Self { container: container.to_owned(), what }))
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

    /// A process: number, unit, number in its own namespace, command line.
    fn process(proc: &Path, pid: u32, unit: &str, inner: u32, cmdline: &str) {
        let dir = proc.join(pid.to_string());
        fs::create_dir_all(dir.join("net")).unwrap();
        let write = |file: &str, text: &[u8]| fs::write(dir.join(file), text).unwrap();
        write("cgroup", format!("0::/docker/{ID}/{unit}\n").as_bytes());
        write("status", format!("Name:\tx\nNSpid:\t{pid}\t{inner}\n").as_bytes());
        write("stat", b"7 (x) S 1 1 1 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 5000 1 2");
        write("cmdline", cmdline.as_bytes());
        // A name of a socket that is no text, as any user may give.
        write(
            "net/unix",
            b"0: 00000002 00000000 00010000 0001 01 24 /run/systemd/private\n0: 3 0 0 1 3 25 @\xff\xfe\n",
        );
        let table = |port: u16| format!("0: 00000000:{port:04X} 00000000:0000 0A\n");
        write("net/tcp", table(if inner == 1 { 22 } else { 6818 }).as_bytes());
        write("net/tcp6", b"");
    }

    #[test]
    fn processes_of_a_node_are_put_together() {
        let proc = tempfile::tempdir().unwrap();
        let known = ["munge.service", "slurmd.service", "ssh.service"].map(str::to_owned).into();
        let seen = || probe_nodes(proc.path(), &ids(), &known).unwrap().remove(ID).unwrap();
        let remove =
            |pid: u32, file: &str| fs::remove_file(proc.path().join(pid.to_string()).join(file)).unwrap();
        fs::write(proc.path().join("uptime"), "100.00 300.00\n").unwrap();
        fs::write(proc.path().join("self"), "no process").unwrap();
        for (pid, unit) in (20..80).zip(["munge.service", "slurmd.service"].into_iter().cycle()) {
            process(proc.path(), pid, &format!("system.slice/{unit}"), pid, "x");
        }
        process(proc.path(), 7, "init.scope", 1, "/lib/systemd/systemd");
        process(
            proc.path(),
            90,
            "system.slice/ssh.service",
            90,
            "sshd: /usr/sbin/sshd -D [listener] 0 of 10-100",
        );
        // As many as it likes, each with a name of its own.
        for pid in 100..400 {
            process(proc.path(), pid, &format!("system.slice/{}{pid}.service", "x".repeat(200)), pid, "x");
        }
        // Told by what listens, and not by a table that is not there.
        remove(7, "net/tcp");
        let node = seen();
        assert_eq!(
            node.units.iter().map(String::as_str).collect::<Vec<_>>(),
            ["munge.service", "slurmd.service", "ssh.service"]
        );
        assert!(node.alive && node.manager && !node.munge && node.sshd, "{node:?}");
        assert!(node.up > Duration::from_secs(40), "{node:?}");
        // A session without its sshd is no sshd; systemd listening on the port is as good as one.
        process(proc.path(), 90, "system.slice/ssh.service", 90, "sshd: root@pts/0");
        assert!(!seen().sshd);
        process(proc.path(), 7, "init.scope", 1, "/lib/systemd/systemd");
        assert!(seen().sshd);
        remove(7, "net/unix");
        assert!(!seen().alive);
    }

    #[test]
    fn of_containers_that_are_not_here_nothing_is_told() {
        assert_eq!(probe_nodes(Path::new("/proc"), &ids(), &BTreeSet::new()).unwrap(), BTreeMap::new());
    }
}
