//! Names, asked from inside nodes.

use std::{
    net::{SocketAddr, UdpSocket as StdUdpSocket},
    time::{Duration, Instant},
};

use anyhow::{Context, ensure};
use hickory_proto::{
    op::{Message, MessageType, OpCode, Query, ResponseCode},
    rr::{DNSClass, Name, RData, Record, RecordType, rdata::A},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpSocket, UdpSocket},
    task::JoinHandle,
    time::timeout,
};

use crate::{
    agent::{Fleet, block_on},
    lab::{BRIDGE, GATEWAY, Lab, Namespace, Node, sh, state},
};

const NODES: [Node; 3] = [
    Node { name: "c0", last: 2, host: 0 },
    Node { name: "w0", last: 3, host: 0 },
    Node { name: "w1", last: 4, host: 1 },
];
const SERVER: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(GATEWAY), 53);
/// The resolver hosts have in `resolv.conf`.
const UPSTREAM: &str = "10.77.0.254";
/// What a stub resolver waits before it asks again (resolv.conf(5)).
const STUB_PATIENCE: Duration = Duration::from_secs(5);

pub(crate) fn question(name: &str, wanted: RecordType) -> anyhow::Result<Message> {
    let mut message = Message::new(4711, MessageType::Query, OpCode::Query);
    message.metadata.recursion_desired = true;
    message.add_query(Query::query(Name::from_ascii(name)?, wanted));
    Ok(message)
}

pub(crate) fn udp(namespace: &Namespace, address: &str) -> anyhow::Result<UdpSocket> {
    let socket = namespace.enter(|| Ok(StdUdpSocket::bind(address)?))?;
    socket.set_nonblocking(true)?;
    Ok(UdpSocket::from_std(socket)?)
}

/// The answer, byte by byte.
async fn ask_raw(from: &Namespace, question: &[u8]) -> anyhow::Result<Vec<u8>> {
    let socket = udp(from, "0.0.0.0:0")?;
    socket.send_to(question, SERVER).await?;
    let mut answer = vec![0; 4096];
    let length = timeout(STUB_PATIENCE, socket.recv(&mut answer)).await.context("no answer")??;
    answer.truncate(length);
    Ok(answer)
}

pub(crate) async fn ask(from: &Namespace, name: &str, wanted: RecordType) -> anyhow::Result<Message> {
    let answer = ask_raw(from, &question(name, wanted)?.to_vec()?).await?;
    Ok(Message::from_vec(&answer)?)
}

pub(crate) async fn ask_tcp(from: &Namespace, name: &str, wanted: RecordType) -> anyhow::Result<Message> {
    let question = question(name, wanted)?.to_vec()?;
    let socket = from.enter(|| Ok(TcpSocket::new_v4()?))?;
    let mut stream = timeout(STUB_PATIENCE, socket.connect(SERVER)).await??;
    stream.write_u16(u16::try_from(question.len())?).await?;
    stream.write_all(&question).await?;
    let mut answer = vec![0; stream.read_u16().await?.into()];
    stream.read_exact(&mut answer).await?;
    Ok(Message::from_vec(&answer)?)
}

fn answers(message: &Message) -> Vec<String> {
    message.answers.iter().map(ToString::to_string).collect()
}

pub(crate) fn every_host_gives_the_same_answers() -> anyhow::Result<()> {
    block_on(async {
        let fleet = Fleet::new(2).await?;
        fleet.apply(&NODES, 1).await?;
        let (here, there) = (fleet.lab.hosts[0].start(&NODES[1])?, fleet.lab.hosts[1].start(&NODES[2])?);
        let domain = "dev.default.shoal.internal.";
        let questions = [
            ("w0.dev.default.shoal.internal.".into(), RecordType::A, format!("w0.{domain} 5 IN A 10.96.4.3")),
            (format!("w1.{domain}"), RecordType::A, format!("w1.{domain} 5 IN A 10.96.4.4")),
            ("w1.".into(), RecordType::A, "w1. 5 IN A 10.96.4.4".into()),
            ("w1.dev.".into(), RecordType::A, "w1.dev. 5 IN A 10.96.4.4".into()),
            (
                "4.4.96.10.in-addr.arpa.".into(),
                RecordType::PTR,
                format!("4.4.96.10.in-addr.arpa. 5 IN PTR w1.{domain}"),
            ),
            (
                format!("_slurmctld._tcp.{domain}"),
                RecordType::SRV,
                format!("_slurmctld._tcp.{domain} 5 IN SRV 0 0 6817 c0.{domain}"),
            ),
        ];
        for (name, wanted, expected) in &questions {
            let packet = question(name, *wanted)?.to_vec()?;
            let (a, b) = (ask_raw(&here, &packet).await?, ask_raw(&there, &packet).await?);
            ensure!(a == b, "{name} differs");
            let message = Message::from_vec(&a)?;
            ensure!(answers(&message) == [expected.as_str()], "{:?}", answers(&message));
            ensure!(
                message.metadata.authoritative && message.metadata.response_code == ResponseCode::NoError
            );
            ensure!(
                answers(&ask_tcp(&there, name, *wanted).await?) == [expected.as_str()],
                "{name} over TCP"
            );
        }
        for (name, code) in [
            (format!("w1.{domain}"), ResponseCode::NoError),
            (format!("w9.{domain}"), ResponseCode::NXDomain),
        ] {
            let message = ask(&there, &name, RecordType::AAAA).await?;
            ensure!(message.metadata.response_code == code && message.answers.is_empty(), "{message:?}");
            ensure!(message.authorities.iter().any(|r| r.record_type() == RecordType::SOA), "{message:?}");
        }
        Ok(())
    })
}

/// glibc with the resolv.conf a node gets: short names by the search list, and reverse.
pub(crate) fn a_nodes_own_resolver_finds_them() -> anyhow::Result<()> {
    block_on(async {
        let fleet = Fleet::new(2).await?;
        fleet.apply(&NODES, 1).await?;
        let (here, there) = (fleet.lab.hosts[0].start(&NODES[1])?, fleet.lab.hosts[1].start(&NODES[2])?);
        let directory = tempfile::tempdir()?;
        let resolv = directory.path().join("resolv.conf");
        std::fs::write(
            &resolv,
            "nameserver 10.96.4.1\nsearch dev.default.shoal.internal default.shoal.internal\n",
        )?;
        for node in [&here, &there] {
            let getent = |arguments: &str| {
                sh(&format!(
                    "nsenter --net=/run/netns/{} unshare --mount sh -euc 'mount --bind {} /etc/resolv.conf
                     exec getent {arguments}'",
                    node.name,
                    resolv.display(),
                ))
            };
            for name in ["w1", "w1.dev", "w1.dev.default.shoal.internal"] {
                let found = getent(&format!("ahostsv4 {name}"))?;
                ensure!(found.starts_with("10.96.4.4 "), "{name}: {found}");
            }
            let found = getent("hosts 10.96.4.4")?;
            ensure!(found.contains("w1.dev.default.shoal.internal"), "{found}");
            ensure!(getent("ahostsv4 w9").is_err());
        }
        Ok(())
    })
}

pub(crate) fn names_change_below_an_open_socket() -> anyhow::Result<()> {
    block_on(async {
        let fleet = Fleet::new(1).await?;
        fleet.apply(&NODES[..2], 1).await?;
        let host = &fleet.lab.hosts[0];
        let w0 = host.start(&NODES[1])?;
        let socket = udp(&w0, "0.0.0.0:0")?;
        socket.connect(SERVER).await?;
        let mut buffer = [0; 512];
        for (revision, nodes, code) in
            [(2, &NODES[..2], ResponseCode::NXDomain), (3, &NODES[..], ResponseCode::NoError)]
        {
            // One host is all there is: what is remote is somewhere.
            let mut message = state(&fleet.lab, 0, &NODES[..2], revision);
            if nodes.len() > 2 {
                let remote = message.members[0].clone();
                message.members.push(shoal_proto::v1::Member {
                    name: "w1".into(),
                    address: "10.96.4.4".into(),
                    mac: "02:42:0a:60:04:04".into(),
                    remote: "10.77.0.2".into(),
                    ..remote
                });
            }
            fleet.agents[0].apply(message).await?;
            socket.send(&question("w1.", RecordType::A)?.to_vec()?).await?;
            let length = timeout(STUB_PATIENCE, socket.recv(&mut buffer)).await??;
            ensure!(Message::from_vec(&buffer[..length])?.metadata.response_code == code);
        }
        host.stop(&NODES[1], w0)?;
        // The engine makes its bridge anew: the server is still there.
        sh(&format!("ip -n {} link del {BRIDGE}", host.namespace.name))?;
        host.add_bridge()?;
        let w0 = host.start(&NODES[1])?;
        let message = ask(&w0, "w0.", RecordType::A).await?;
        ensure!(answers(&message) == ["w0. 5 IN A 10.96.4.3"], "{message:?}");
        Ok(())
    })
}

/// A resolver on the LAN that knows one name, and says nothing of those below `silent.org`.
pub(crate) fn upstream(lab: &Lab) -> anyhow::Result<JoinHandle<()>> {
    lab.lan.ip(&format!("addr add {UPSTREAM}/24 dev lan"))?;
    let socket = udp(&lab.lan, &format!("{UPSTREAM}:53"))?;
    Ok(tokio::spawn(async move {
        let mut buffer = [0; 2048];
        while let Ok((length, asker)) = socket.recv_from(&mut buffer).await {
            let Ok(question) = Message::from_vec(&buffer[..length]) else { continue };
            if question.queries.iter().any(|q| q.name.to_ascii().ends_with(".silent.org.")) {
                continue;
            }
            let mut answer = Message::new(question.metadata.id, MessageType::Response, OpCode::Query);
            for query in &question.queries {
                answer.add_query(query.clone());
                if query.name.to_lowercase().to_ascii() == "www.example.org."
                    && query.query_type == RecordType::A
                {
                    let data = RData::A(A::new(192, 0, 2, 7));
                    answer.add_answer(Record::from_rdata(query.name.clone(), 60, data));
                } else {
                    answer.metadata.response_code = ResponseCode::NXDomain;
                }
            }
            let Ok(bytes) = answer.to_vec() else { continue };
            if socket.send_to(&bytes, asker).await.is_err() {
                break;
            }
        }
    }))
}

pub(crate) fn names_of_others_are_forwarded() -> anyhow::Result<()> {
    block_on(async {
        let fleet = Fleet::new(1).await?;
        let _upstream = upstream(&fleet.lab)?;
        fleet.apply(&NODES[..2], 1).await?;
        let w0 = fleet.lab.hosts[0].start(&NODES[1])?;
        let message = ask(&w0, "www.example.org.", RecordType::A).await?;
        let [record] = &message.answers[..] else { anyhow::bail!("{message:?}") };
        ensure!(record.data == RData::A(A::new(192, 0, 2, 7)) && !message.metadata.authoritative, "{record}");
        ensure!(message.metadata.recursion_available);
        let message = ask(&w0, "nobody.example.org.", RecordType::A).await?;
        ensure!(message.metadata.response_code == ResponseCode::NXDomain, "{message:?}");
        Ok(())
    })
}

pub(crate) fn a_dead_resolver_holds_up_nobody() -> anyhow::Result<()> {
    block_on(async {
        // Nobody has the resolver's address.
        let fleet = Fleet::new(1).await?;
        fleet.apply(&NODES[..2], 1).await?;
        let w0 = fleet.lab.hosts[0].start(&NODES[1])?;
        let socket = udp(&w0, "0.0.0.0:0")?;
        socket.connect(SERVER).await?;
        // The way there is found before it counts.
        ask(&w0, "w0.", RecordType::A).await?;
        let started = Instant::now();
        for number in 0..50 {
            socket.send(&question(&format!("n{number}.example.org."), RecordType::A)?.to_vec()?).await?;
        }
        let message = ask(&w0, "w0.", RecordType::A).await?;
        ensure!(message.answers.len() == 1);
        ensure!(started.elapsed() < Duration::from_secs(1), "held up for {:?}", started.elapsed());
        let mut buffer = [0; 512];
        for _ in 0..50 {
            let length = timeout(STUB_PATIENCE, socket.recv(&mut buffer)).await.context("no answer")??;
            let message = Message::from_vec(&buffer[..length])?;
            ensure!(message.metadata.response_code == ResponseCode::ServFail, "{message:?}");
        }
        ensure!(started.elapsed() < STUB_PATIENCE, "{:?}", started.elapsed());
        Ok(())
    })
}

pub(crate) fn what_must_not_be_answered_is_refused() -> anyhow::Result<()> {
    block_on(async {
        let fleet = Fleet::new(1).await?;
        fleet.apply(&NODES[..2], 1).await?;
        let host = &fleet.lab.hosts[0];
        let w0 = host.start(&NODES[1])?;
        for wanted in [RecordType::ANY, RecordType::AXFR, RecordType::IXFR] {
            let message = ask(&w0, "w0.dev.default.shoal.internal.", wanted).await?;
            ensure!(message.metadata.response_code == ResponseCode::Refused, "{wanted}: {message:?}");
        }
        let mut chaos = question("w0.", RecordType::A)?;
        chaos.queries[0].query_class = DNSClass::CH;
        let answer = Message::from_vec(&ask_raw(&w0, &chaos.to_vec()?).await?)?;
        ensure!(answer.metadata.response_code == ResponseCode::Refused, "{answer:?}");
        // Another network of the host can reach the gateway's address.
        let other = host.namespace.enter(|| {
            sh("ip addr add 10.200.0.1/24 dev eth0")?;
            Ok(StdUdpSocket::bind("10.200.0.1:0")?)
        })?;
        other.set_nonblocking(true)?;
        let other = UdpSocket::from_std(other)?;
        other.send_to(&question("w0.", RecordType::A)?.to_vec()?, SERVER).await?;
        let mut buffer = [0; 512];
        let length = timeout(STUB_PATIENCE, other.recv(&mut buffer)).await??;
        ensure!(Message::from_vec(&buffer[..length])?.metadata.response_code == ResponseCode::Refused);
        // Rubbish costs nobody the server.
        let socket = udp(&w0, "0.0.0.0:0")?;
        let packet = question("w0.dev.default.shoal.internal.", RecordType::A)?.to_vec()?;
        for cut in 0..packet.len() {
            socket.send_to(&packet[..cut], SERVER).await?;
            let mut twisted = packet.clone();
            twisted[cut] ^= 0xff;
            socket.send_to(&twisted, SERVER).await?;
        }
        ensure!(ask(&w0, "w0.", RecordType::A).await?.answers.len() == 1);
        Ok(())
    })
}
