//! What one node does to the agent and to the kernel's tables costs itself, and not the other clusters of its host.

use std::{
    io::{Read, Write},
    net::{Ipv4Addr, SocketAddr, TcpStream},
    os::fd::AsRawFd,
    time::Duration,
};

use anyhow::{Context, ensure};
use hickory_proto::{
    op::{Message, ResponseCode},
    rr::RecordType,
};
use nix::sys::socket::{AddressFamily, MsgFlags, SockFlag, SockProtocol, SockType, sendto, socket};
use tokio::time::timeout;

use crate::{
    agent::{Fleet, block_on},
    intrusion::{OTHER_BRIDGE, OTHER_GATEWAY, attach, other},
    lab::{BRIDGE, GATEWAY, Namespace, Node},
    names::{ask, ask_tcp, question, udp, upstream},
};

const NODES: [Node; 2] = [Node { name: "w0", last: 3, host: 0 }, Node { name: "w1", last: 4, host: 0 }];
const PATIENCE: Duration = Duration::from_secs(5);
const CONNECTIONS: usize = 1000;

/// A host with two networks, and a node in the second one.
async fn stage() -> anyhow::Result<(Fleet, Namespace)> {
    let fleet = Fleet::new(3).await?;
    let host = &fleet.lab.hosts[0];
    host.namespace.ip(&format!("link add {OTHER_BRIDGE} mtu 1450 up type bridge"))?;
    host.namespace.ip(&format!("addr add {OTHER_GATEWAY}/24 dev {OTHER_BRIDGE}"))?;
    fleet.apply_to(0, &NODES, 1).await?;
    fleet.agents[0].apply(other(&fleet.lab, 0)?).await?;
    let neighbour = attach(host, "a0", OTHER_BRIDGE, OTHER_GATEWAY, 2)?;
    Ok((fleet, neighbour))
}

/// What the second network's server says.
async fn asked_there(from: &Namespace, name: &str) -> anyhow::Result<Message> {
    let socket = udp(from, "0.0.0.0:0")?;
    socket.send_to(&question(name, RecordType::A)?.to_vec()?, (OTHER_GATEWAY, 53)).await?;
    let mut answer = vec![0; 4096];
    let length = timeout(PATIENCE, socket.recv(&mut answer)).await.context("no answer")??;
    Ok(Message::from_vec(&answer[..length])?)
}

pub(crate) fn connections_for_names_are_few() -> anyhow::Result<()> {
    block_on(async {
        let (fleet, neighbour) = stage().await?;
        let host = &fleet.lab.hosts[0];
        let [w0, w1] = NODES.map(|n| host.start(&n));
        let (w0, w1) = (w0?, w1?);
        let server = SocketAddr::from((GATEWAY, 53));
        let held = w0.enter(|| {
            let connect = || TcpStream::connect_timeout(&server, PATIENCE);
            Ok((0..CONNECTIONS).map(|_| connect()).collect::<Result<Vec<_>, _>>()?)
        })?;
        // All of them were accepted; those beyond its share are closed, and not answered.
        let question = question("w0.", RecordType::A)?.to_vec()?;
        let framed = [&u16::try_from(question.len())?.to_be_bytes()[..], &question].concat();
        let answered = held.iter().filter(|stream| {
            let mut stream = *stream;
            let asked = stream.set_read_timeout(Some(PATIENCE)).and_then(|()| stream.write_all(&framed));
            asked.and_then(|()| stream.read(&mut [0; 64])).is_ok_and(|length| length > 0)
        });
        let answered = answered.count();
        ensure!(answered <= 8, "{answered} connections of one node are served");
        let message = ask_tcp(&w1, "w0.", RecordType::A).await.context("another node of the network")?;
        ensure!(message.answers.len() == 1, "{message:?}");
        let message = asked_there(&neighbour, "a0.").await?;
        ensure!(message.answers.len() == 1, "{message:?}");
        ensure!(!fleet.apply_to(0, &NODES, 1).await?, "the agent works");
        drop(held);
        // A stranger's connection ends before it has said anything.
        let other = neighbour.enter(|| Ok(TcpStream::connect_timeout(&server, PATIENCE)?))?;
        other.set_read_timeout(Some(PATIENCE / 2))?;
        let ended = (&other).read(&mut [0; 1]);
        ensure!(matches!(ended, Ok(0)), "{ended:?}");
        // A message that is none is told to be none; a long one ends the connection.
        let message = ask_tcp(&w1, "w1.", RecordType::A).await?;
        ensure!(message.metadata.response_code == ResponseCode::NoError);
        for (announced, answered) in [(12_u16, true), (5000, false)] {
            let mut stream = w1.enter(|| Ok(TcpStream::connect_timeout(&server, PATIENCE)?))?;
            stream.set_read_timeout(Some(PATIENCE / 2))?;
            let mut sent = announced.to_be_bytes().to_vec();
            // One question is announced, and there is none.
            sent.extend([0x12, 0x34, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0]);
            stream.write_all(&sent)?;
            let mut head = [0; 14];
            let length = stream.read(&mut head).unwrap_or_default();
            let answer = &head[..length];
            ensure!(answer.is_empty() != answered, "{announced}: {answer:?}");
            ensure!(!answered || answer[5] & 0xf == 1, "{answer:?}");
        }
        Ok(())
    })
}

pub(crate) fn questions_that_nobody_answers_are_a_networks_own() -> anyhow::Result<()> {
    block_on(async {
        let (fleet, neighbour) = stage().await?;
        let _upstream = upstream(&fleet.lab)?;
        let w0 = fleet.lab.hosts[0].start(&NODES[0])?;
        let socket = udp(&w0, "0.0.0.0:0")?;
        socket.connect((GATEWAY, 53)).await?;
        ask(&w0, "w0.", RecordType::A).await?;
        for number in 0..400 {
            socket.send(&question(&format!("n{number}.silent.org."), RecordType::A)?.to_vec()?).await?;
        }
        // One beyond its share is answered at once: by then all others wait.
        let mut buffer = [0; 512];
        timeout(PATIENCE, socket.recv(&mut buffer)).await.context("all of them wait")??;
        let message = asked_there(&neighbour, "www.example.org.").await?;
        ensure!(message.metadata.response_code == ResponseCode::NoError, "{message:?}");
        ensure!(message.answers.len() == 1, "{message:?}");
        Ok(())
    })
}

/// Sends frames, each from another address.
fn flood(from: &Namespace, frames: u32) -> anyhow::Result<()> {
    from.enter(|| {
        let fd = socket(AddressFamily::Packet, SockType::Raw, SockFlag::empty(), SockProtocol::EthAll)?;
        let interfaces = nix::ifaddrs::getifaddrs()?;
        let address = interfaces
            .filter(|i| i.interface_name == "eth0")
            .find_map(|i| i.address?.as_link_addr().copied())
            .context("no eth0")?;
        for number in 0..frames {
            let [_, a, b, c] = number.to_be_bytes();
            let mut frame = vec![2, 0, 0, 0, 0, 1, 6, 0, 0, a, b, c, 0x88, 0xb5];
            frame.resize(60, 0);
            sendto(fd.as_raw_fd(), &frame, &address, MsgFlags::empty())?;
        }
        Ok(())
    })
}

pub(crate) fn a_bridge_learns_a_bounded_number_of_addresses() -> anyhow::Result<()> {
    const FRAMES: u32 = 20_000;
    block_on(async {
        let (fleet, _neighbour) = stage().await?;
        let host = &fleet.lab.hosts[0];
        let w0 = host.start(&NODES[0])?;
        flood(&w0, FRAMES)?;
        let learned = host.bridge(&format!("fdb show br {BRIDGE}"))?.lines().count();
        ensure!((2048..2200).contains(&learned), "{learned} addresses");
        ensure!(!fleet.apply_to(0, &NODES, 1).await?, "nothing of the agent's is forgotten");
        let address = Ipv4Addr::new(10, 96, 4, 4);
        let w1 = host.start(&NODES[1])?;
        ensure!(crate::net::refuses(&w0, address)?, "a node that comes later is reached");
        drop(w1);
        Ok(())
    })
}

/// What other bridges learn is no work of the agent's: it asks for the rows of its own devices.
pub(crate) fn tables_of_others_are_not_read() -> anyhow::Result<()> {
    const FRAMES: u32 = 50_000;
    const APPLIES: usize = 20;
    block_on(async {
        let (fleet, _neighbour) = stage().await?;
        let host = &fleet.lab.hosts[0];
        host.namespace.ip("link add docker0 up type bridge")?;
        let stranger = attach(host, "x0", "docker0", [172, 17, 0, 1].into(), 2)?;
        flood(&stranger, FRAMES)?;
        let rows = host.bridge("fdb show br docker0")?.lines().count();
        ensure!(rows > usize::try_from(FRAMES)?, "{rows} rows");
        fleet.apply_to(0, &NODES, 1).await?;
        let before = fleet.agents[0].cpu_time()?;
        for _ in 0..APPLIES {
            ensure!(!fleet.apply_to(0, &NODES, 1).await?);
        }
        let took = fleet.agents[0].cpu_time()? - before;
        // One look at all rows takes more than a tenth of this.
        ensure!(took < Duration::from_secs(1), "{APPLIES} looks took {took:?}");
        Ok(())
    })
}
