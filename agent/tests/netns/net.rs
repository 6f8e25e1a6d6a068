//! Sockets inside namespaces: an echo between two nodes, and a look at what crosses the LAN.

use std::{
    io::{ErrorKind, Read, Write},
    net::{Ipv4Addr, SocketAddrV4, TcpListener, TcpStream},
    os::fd::{AsRawFd, OwnedFd},
    time::{Duration, Instant},
};

use anyhow::{Context, ensure};
use nix::{
    errno::Errno,
    sys::{
        socket::{
            AddressFamily, MsgFlags, SockFlag, SockProtocol, SockType, recv, setsockopt, socket, sockopt,
        },
        time::{TimeVal, TimeValLike},
    },
};

use crate::lab::{Namespace, Node};

const PORT: u16 = 7000;
const WAIT: Duration = Duration::from_secs(5);
/// More than fits the windows of a new connection, so frames of full size cross.
const BYTES: usize = 1 << 20;

/// Sends a megabyte from one node to the other over TCP and checks what arrives.
pub(crate) fn speak(from: &Namespace, to: &Namespace, node: &Node) -> anyhow::Result<()> {
    let sent: Vec<u8> = (0..BYTES).map(|n| (n % 251).to_le_bytes()[0]).collect();
    let address = SocketAddrV4::new(node.address(), PORT);
    let listener = to.enter(|| Ok(TcpListener::bind(address)?))?;
    let received = std::thread::scope(|scope| {
        let receiver = scope.spawn(|| -> anyhow::Result<Vec<u8>> {
            let mut received = Vec::new();
            listener.accept()?.0.read_to_end(&mut received)?;
            Ok(received)
        });
        let answer = from.enter(|| {
            let mut stream = TcpStream::connect_timeout(&address.into(), WAIT)?;
            stream.set_write_timeout(Some(WAIT))?;
            Ok(stream.write_all(&sent)?)
        });
        if answer.is_err() {
            // Lets the listener go.
            to.enter(|| Ok(TcpStream::connect_timeout(&address.into(), WAIT).map(drop)?))?;
        }
        answer.with_context(|| format!("{} to {address}", from.name))?;
        receiver.join().unwrap_or_else(|_| anyhow::bail!("receiver panicked"))
    })?;
    ensure!(received == sent, "{} of {} bytes arrived as sent", received.len(), sent.len());
    Ok(())
}

/// True if a connection to a port nobody listens on is refused, so the node is there.
pub(crate) fn refuses(from: &Namespace, address: Ipv4Addr) -> anyhow::Result<bool> {
    from.enter(|| {
        let answer = TcpStream::connect_timeout(&SocketAddrV4::new(address, PORT).into(), WAIT);
        Ok(answer.is_err_and(|e| e.kind() == ErrorKind::ConnectionRefused))
    })
}

/// Reads every frame that crosses the LAN.
#[derive(Debug)]
pub(crate) struct Sniffer(OwnedFd);

/// Frames inside tunnel packets, by what they are.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Crossing {
    pub(crate) arp: usize,
    pub(crate) ipv4: usize,
    pub(crate) other: usize,
}

impl Sniffer {
    pub(crate) fn new(lan: &Namespace) -> anyhow::Result<Self> {
        lan.enter(|| {
            let fd = socket(AddressFamily::Packet, SockType::Raw, SockFlag::empty(), SockProtocol::EthAll)?;
            setsockopt(&fd, sockopt::ReceiveTimeout, &TimeVal::milliseconds(300))?;
            Ok(Self(fd))
        })
    }

    /// What has crossed since the last call, once the LAN is quiet.
    pub(crate) fn crossed(&self) -> anyhow::Result<Crossing> {
        let mut crossing = Crossing::default();
        let mut frame = [0; 2048];
        let deadline = Instant::now() + WAIT;
        while Instant::now() < deadline {
            match recv(self.0.as_raw_fd(), &mut frame, MsgFlags::empty()) {
                Ok(length) => match inner_type(&frame[..length]) {
                    None => {}
                    Some(0x0806) => crossing.arp += 1,
                    Some(0x0800) => crossing.ipv4 += 1,
                    Some(_) => crossing.other += 1,
                },
                Err(Errno::EAGAIN) => break,
                Err(error) => return Err(error.into()),
            }
        }
        Ok(crossing)
    }
}

/// EtherType of the frame inside a tunnel packet: after 14 (Ethernet), 20 (IPv4), 8 (UDP) and 8 (VXLAN) bytes.
fn inner_type(frame: &[u8]) -> Option<u16> {
    let word = |at: usize| Some(u16::from_be_bytes([*frame.get(at)?, *frame.get(at + 1)?]));
    let tunnel = word(12)? == 0x0800 && *frame.get(23)? == 17 && word(36)? == 4799;
    if tunnel { word(14 + 20 + 8 + 8 + 12) } else { None }
}
