//! Listening ports of nodes, read from `/proc/<pid>/net/{tcp,tcp6}` of their first process: no packet, no exec, and true
//! also of a node whose network is broken (a paused node still answers ping).

use std::{
    collections::BTreeSet,
    fs::File,
    io::{self, Read},
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    path::Path,
};

/// State `TCP_LISTEN` as the kernel prints it (include/net/tcp_states.h).
pub(crate) const LISTEN: &str = "0A";

/// Most that is read of a file: a node makes some of them as long as it likes.
const LONGEST: u64 = 1 << 20;

/// What one process's namespace listens on.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Probe {
    pub(crate) alive: bool,
    /// TCP ports at any address but loopback, ascending.
    pub(crate) ports: BTreeSet<u16>,
}

/// Probes the namespace of process `pid`. One that is gone, or going while it is read, is not alive.
///
/// # Errors
/// Its tables cannot be read.
pub(crate) fn probe(proc: &Path, pid: u32) -> io::Result<Probe> {
    let net = proc.join(pid.to_string()).join("net");
    let mut ports = BTreeSet::new();
    match beginning(&net.join("tcp")) {
        Ok(table) => ports.extend(listening(&table)),
        Err(error) if is_gone(&error) => return Ok(Probe::default()),
        Err(error) => return Err(error),
    }
    match beginning(&net.join("tcp6")) {
        Ok(table) => ports.extend(listening(&table)),
        // No IPv6 in this kernel.
        Err(error) if is_gone(&error) => {}
        Err(error) => return Err(error),
    }
    Ok(Probe { alive: true, ports })
}

/// The first [`LONGEST`] bytes of a file, as text: names of sockets and words of command lines are any bytes. Tables of TCP
/// begin with the listeners.
pub(crate) fn beginning(path: &Path) -> io::Result<String> {
    let mut bytes = Vec::new();
    File::open(path)?.take(LONGEST).read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// `ESRCH`: it ended between opening and reading; `EINVAL`: it is a zombie, without namespaces.
pub(crate) fn is_gone(error: &io::Error) -> bool {
    use nix::errno::Errno;
    let gone = [Errno::ENOENT, Errno::ESRCH, Errno::EINVAL];
    error.raw_os_error().is_some_and(|code| gone.contains(&Errno::from_raw(code)))
}

/// The ports of a table that others reach.
fn listening(table: &str) -> impl Iterator<Item = u16> {
    sockets(table)
        .filter(|(address, _, state)| *state == LISTEN && !is_loopback(*address))
        .map(|(_, port, _)| port)
}

/// Address, port and state of every socket of a table in the form of proc_pid_net(5): `sl local_address rem_address st ...`,
/// hexadecimal. Lines of another form are left out.
pub(crate) fn sockets(table: &str) -> impl Iterator<Item = (IpAddr, u16, &str)> {
    table.lines().filter_map(|line| {
        let mut fields = line.split_ascii_whitespace();
        let (local, state) = (fields.nth(1)?, fields.nth(1)?);
        let (address, port) = local.split_once(':')?;
        Some((parse_address(address)?, u16::from_str_radix(port, 16).ok()?, state))
    })
}

/// Words of 32 bits, each in the byte order of the machine.
fn parse_address(text: &str) -> Option<IpAddr> {
    let word = |text: &str| u32::from_str_radix(text, 16).ok().map(u32::to_ne_bytes);
    match text.len() {
        8 => Some(IpAddr::V4(Ipv4Addr::from(word(text)?))),
        32 if text.is_ascii() => {
            let mut octets = [0; 16];
            for (part, at) in octets.chunks_exact_mut(4).zip((0..32).step_by(8)) {
                part.copy_from_slice(&word(text.get(at..at + 8)?)?);
            }
            Some(IpAddr::V6(Ipv6Addr::from(octets)))
        }
        _ => None,
    }
}

/// 127.0.0.0/8, `::1`, and the former written as IPv6.
fn is_loopback(address: IpAddr) -> bool {
    address.to_canonical().is_loopback()
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use proptest::prelude::*;

    use super::*;

    /// From a Debian 12 machine: sshd on any address, a resolver on 127.0.0.53, slurmd's connection, sshd on IPv6.
    const TCP: &str = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 00000000:0016 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 24371 1 0000 100 0 0 10 0
   1: 3500007F:0035 00000000:0000 0A 00000000:00000000 00:00000000 00000000   101        0 20034 1 0000 100 0 0 10 5
   2: 0204600A:1AA2 0304600A:8E2C 01 00000000:00000000 00:00000000 00000000     0        0 25001 1 0000 20 4 30 10 -1
   3: 0204600A:1AA2 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 25000 1 0000 100 0 0 10 0
";
    const TCP6: &str = "  sl  local_address                         remote_address                        st
   0: 00000000000000000000000000000000:0016 00000000000000000000000000000000:0000 0A 0:0
   1: 00000000000000000000000001000000:0277 00000000000000000000000000000000:0000 0A 0:0
   2: 0000000000000000FFFF00000100007F:1F90 00000000000000000000000000000000:0000 0A 0:0
";

    #[test]
    #[cfg(target_endian = "little")]
    fn only_listeners_that_others_reach() {
        assert_eq!(listening(TCP).collect::<Vec<_>>(), [22, 6818]);
        assert_eq!(listening(TCP6).collect::<Vec<_>>(), [22]);
    }

    #[test]
    fn sees_its_own_process_and_no_other() {
        let listener = TcpListener::bind("0.0.0.0:0").unwrap();
        let loopback = TcpListener::bind("127.0.0.1:0").unwrap();
        let seen = probe(Path::new("/proc"), std::process::id()).unwrap();
        assert!(seen.alive && seen.ports.contains(&listener.local_addr().unwrap().port()));
        assert!(!seen.ports.contains(&loopback.local_addr().unwrap().port()));
        // Above the largest process id there is (proc_sys_kernel(5): 2^22).
        assert_eq!(probe(Path::new("/proc"), 1 << 23).unwrap(), Probe::default());
    }

    #[test]
    fn of_a_long_table_the_beginning_is_read() {
        let proc = tempfile::tempdir().unwrap();
        let net = proc.path().join("7/net");
        std::fs::create_dir_all(&net).unwrap();
        let line = |port: u16| format!("0: 00000000:{port:04X} 00000000:0000 0A\n");
        std::fs::write(net.join("tcp"), line(22) + &line(80).repeat(1 << 16) + &line(443)).unwrap();
        assert_eq!(beginning(&net.join("tcp")).unwrap().len(), 1 << 20);
        assert_eq!(probe(proc.path(), 7).unwrap().ports, [22, 80].into());
    }

    proptest! {
        #[test]
        fn no_table_makes_it_panic(table in "(\\PC{0,80}\n){0,4}|([0-9A-Fa-f:é ]{0,90}\n){0,4}") {
            listening(&table).for_each(drop);
        }

        #[test]
        fn every_address_is_read_back(address in any::<u32>(), port in any::<u16>()) {
            let line = format!("0: {:08X}:{port:04X} 00000000:0000 0A", u32::from_ne_bytes(address.to_be_bytes()));
            let expected = (!Ipv4Addr::from(address).is_loopback()).then_some(port);
            prop_assert_eq!(listening(&line).next(), expected);
        }
    }
}
