//! What a check of the host needs beyond its facts: its clock, room on its disk, processes, bridge ports, who has port 53.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs, io,
    net::IpAddr,
    path::Path,
};

use nix::sys::statvfs::statvfs;
use shoal_types::{Clock, SystemClock};

use crate::{
    facts::FactsError,
    mesh::{Kind, Link, links},
    probe::{LISTEN, sockets},
};

/// The port of name servers.
const NAMES: u16 = 53;
/// State of a UDP socket that has an address: `TCP_CLOSE` (include/net/tcp_states.h).
const BOUND: &str = "07";

/// How the host is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Health {
    /// Milliseconds since the epoch.
    pub(crate) clock_ms: u64,
    pub(crate) disk_total_bytes: u64,
    /// Space for processes without root's privilege: the engine should not take the last of it.
    pub(crate) disk_free_bytes: u64,
    /// Processes and threads there may be, and are.
    pub(crate) pid_limit: u64,
    pub(crate) pids: u64,
    /// Addresses with port 53, of UDP or TCP.
    pub(crate) name_listeners: BTreeSet<IpAddr>,
    /// The bridge with the most ports.
    pub(crate) bridge: Option<(String, u32)>,
}

/// Reads all; `state_dir` lies on the file system that is measured.
///
/// # Errors
/// [`FactsError`]: one of them cannot be read.
pub(crate) async fn health(state_dir: &Path) -> Result<Health, FactsError> {
    let (connection, handle, _) = rtnetlink::new_connection().map_err(FactsError::Socket)?;
    // Ends with this.
    let mut reader = tokio::task::JoinSet::new();
    reader.spawn(connection);
    let bridge = busiest(&links(&handle).await?);
    let state_dir = state_dir.to_owned();
    // Tables of sockets take the kernel milliseconds, a disk at times much longer.
    let read = tokio::task::spawn_blocking(move || read_health(&state_dir, bridge));
    // Not read to its end: the agent is ending.
    read.await
        .unwrap_or_else(|ended| Err(FactsError::File { path: "/proc", source: io::Error::other(ended) }))
}

fn read_health(state_dir: &Path, bridge: Option<(String, u32)>) -> Result<Health, FactsError> {
    let disk = |errno: nix::Error| FactsError::File { path: "the state directory", source: errno.into() };
    let disk = statvfs(state_dir).map_err(disk)?;
    let block = disk.fragment_size();
    let pid_limit = number("/proc/sys/kernel/pid_max")?.min(number("/proc/sys/kernel/threads-max")?);
    Ok(Health {
        clock_ms: SystemClock.now().0,
        disk_total_bytes: disk.blocks().saturating_mul(block),
        disk_free_bytes: disk.blocks_available().saturating_mul(block),
        pid_limit,
        pids: threads(&read("/proc/loadavg")?).unwrap_or(0),
        name_listeners: name_listeners(|table| fs::read_to_string(format!("/proc/self/net/{table}"))),
        bridge,
    })
}

/// The bridge with the most ports; the first by name of equals.
fn busiest(links: &[Link]) -> Option<(String, u32)> {
    let mut ports = BTreeMap::<u32, u32>::new();
    for controller in links.iter().filter_map(|l| l.controller) {
        *ports.entry(controller).or_default() += 1;
    }
    let bridges = links.iter().filter(|l| matches!(l.kind, Kind::Bridge));
    let counted = bridges.map(|l| (l.name.clone(), ports.get(&l.index).copied().unwrap_or(0)));
    counted.min_by_key(|(name, count)| (std::cmp::Reverse(*count), name.clone()))
}

/// Who has port 53, in the tables of proc_pid_net(5); one that cannot be read is of a protocol this kernel lacks.
fn name_listeners(read: impl Fn(&str) -> io::Result<String>) -> BTreeSet<IpAddr> {
    let mut addresses = BTreeSet::new();
    for (table, state) in [("udp", BOUND), ("udp6", BOUND), ("tcp", LISTEN), ("tcp6", LISTEN)] {
        let text = read(table).unwrap_or_default();
        let here = sockets(&text).filter(|(_, port, at)| *port == NAMES && *at == state);
        addresses.extend(here.map(|(address, _, _)| address));
    }
    addresses
}

/// Running and all scheduling entities, the fourth field of proc_loadavg(5).
fn threads(loadavg: &str) -> Option<u64> {
    loadavg.split_ascii_whitespace().nth(3)?.split_once('/')?.1.parse().ok()
}

fn read(path: &'static str) -> Result<String, FactsError> {
    fs::read_to_string(path).map_err(|source| FactsError::File { path, source })
}

fn number(path: &'static str) -> Result<u64, FactsError> {
    let malformed = || io::Error::from(io::ErrorKind::InvalidData);
    read(path)?.trim().parse().map_err(|_| FactsError::File { path, source: malformed() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn threads_of_the_machine() {
        assert_eq!(threads("9.08 8.35 5.58 7/714 27796\n"), Some(714));
        assert_eq!(threads("nonsense"), None);
    }

    #[test]
    fn who_has_the_port_of_names() {
        let tables = |table: &str| match table {
            "udp" => {
                Ok("  0: 00000000:0035 00000000:0000 07 0:0\n  1: 3500007F:0035 00000000:0000 07\n"
                    .to_owned())
            }
            "tcp" => {
                Ok("  0: 0100600A:0035 00000000:0000 0A\n  1: 0100600A:0035 0200600A:9C40 01\n".to_owned())
            }
            _ => Err(io::ErrorKind::NotFound.into()),
        };
        let seen: Vec<_> = name_listeners(tables).iter().map(ToString::to_string).collect();
        let expected = if cfg!(target_endian = "little") {
            ["0.0.0.0", "10.96.0.1", "127.0.0.53"]
        } else {
            ["0.0.0.0", "1.0.96.10", "53.0.0.127"]
        };
        assert_eq!(seen, expected);
    }

    #[tokio::test]
    async fn of_this_machine() {
        let health = health(Path::new("/tmp")).await.unwrap();
        assert!(health.disk_total_bytes >= health.disk_free_bytes && health.disk_total_bytes > 0);
        assert!(health.pid_limit > health.pids && health.pids > 0 && health.clock_ms > 1_700_000_000_000);
    }
}
