//! What the filter of tunnel packets costs those that it lets through: `netns measure`.
//!
//! ```text
//!   [c0] ---- host 1 ======= tunnel ======= host 2 ---- [w1]
//! ```
//! Everything from the sender's call to the receiver's socket happens in the sender's time, so that is what is measured: the
//! time of a call, with the tables of the installation and without them, in turn. Hosts have at their hooks what an engine has
//! there: connection tracking, rules that accept what is established, a masquerade.

use std::{
    io::{Read, Write},
    net::{TcpListener, TcpStream, UdpSocket},
    time::Instant,
};

use anyhow::ensure;

use crate::{
    agent::{Agent, Fleet, block_on},
    intrusion::{TABLE, forward_as_docker},
    lab::{BRIDGE, Namespace, Node},
    nft,
};

const NODES: [Node; 2] = [Node { name: "c0", last: 2, host: 0 }, Node { name: "w1", last: 3, host: 1 }];
const ROUNDS: usize = 15;
/// Of each kind of traffic a round.
const PARTS: usize = 20;
const DATAGRAMS: usize = 2_000;
const BULK_BYTES: usize = 32 << 20;
const PORT: u16 = 9;

/// A kind of traffic: its name, and seconds for a fixed amount of it.
type Traffic = (&'static str, fn(&Namespace, &Namespace) -> anyhow::Result<f64>);

const TRAFFIC: [Traffic; 3] = [
    ("datagrams of 16 bytes", |from, to| datagrams(from, to, 16)),
    ("datagrams of 1,400 bytes", |from, to| datagrams(from, to, 1400)),
    ("bytes of one TCP stream", stream),
];

/// Measures and prints.
///
/// # Errors
/// It cannot be measured here.
pub(crate) fn measure() -> anyhow::Result<()> {
    for (hosts, at_hooks) in [("with nothing at their hooks", false), ("with what an engine has there", true)]
    {
        for (what, left) in block_on(compare(at_hooks))? {
            println!("hosts {hosts}: {left:.3} of the {what} that go through without the tables");
        }
    }
    Ok(())
}

/// For each kind of traffic, how long the fastest part took without the tables, in times of the fastest with them: what else the
/// machine does only ever adds.
async fn compare(at_hooks: bool) -> anyhow::Result<Vec<(&'static str, f64)>> {
    let mut fleet = Fleet::new(2).await?;
    fleet.apply(&NODES, 1).await?;
    if at_hooks {
        for host in &fleet.lab.hosts {
            forward_as_docker(host, &[(BRIDGE, "10.96.4.0/24")])?;
        }
    }
    let nodes = NODES.iter().map(|node| fleet.lab.hosts[node.host].start(node));
    let nodes = nodes.collect::<anyhow::Result<Vec<_>>>()?;
    let mut fastest = [[f64::INFINITY; TRAFFIC.len()]; 2];
    for round in 0..ROUNDS {
        // Which one goes first takes turns.
        for filtered in [round % 2 == 0, round % 2 != 0] {
            // An agent would make the table again, and one that starts does.
            fleet.agents.clear();
            for (host, directory) in fleet.lab.hosts.iter().zip(&fleet.directories) {
                let agent = Agent::start(host, directory).await?;
                agent.list().await?;
                ensure!(nft::tables(&host.namespace)?.iter().any(|name| name == TABLE), "no table");
                agent.kill()?;
                if !filtered {
                    nft::delete(&host.namespace, TABLE)?;
                }
            }
            for ((_, run), fastest) in TRAFFIC.iter().zip(&mut fastest[usize::from(filtered)]) {
                for _ in 0..PARTS {
                    *fastest = fastest.min(run(&nodes[0], &nodes[1])?);
                }
            }
        }
    }
    let [without, with] = fastest;
    Ok(TRAFFIC.iter().zip(without.into_iter().zip(with)).map(|((what, _), (a, b))| (*what, a / b)).collect())
}

fn datagrams(from: &Namespace, to: &Namespace, bytes: usize) -> anyhow::Result<f64> {
    let receiver = to.enter(|| Ok(UdpSocket::bind((NODES[1].address(), PORT))?))?;
    receiver.set_nonblocking(true)?;
    let sender = from.enter(|| Ok(UdpSocket::bind((NODES[0].address(), 0))?))?;
    sender.connect((NODES[1].address(), PORT))?;
    let datagram = vec![0; bytes];
    sender.send(&datagram)?;
    let begin = Instant::now();
    for _ in 0..DATAGRAMS {
        sender.send(&datagram)?;
    }
    let seconds = begin.elapsed().as_secs_f64();
    ensure!(receiver.recv(&mut [0; 1500])? == bytes, "nothing arrives");
    Ok(seconds)
}

fn stream(from: &Namespace, to: &Namespace) -> anyhow::Result<f64> {
    let listener = to.enter(|| Ok(TcpListener::bind((NODES[1].address(), PORT))?))?;
    let mut sender = from.enter(|| Ok(TcpStream::connect((NODES[1].address(), PORT))?))?;
    let (mut receiver, _) = listener.accept()?;
    let begin = Instant::now();
    std::thread::scope(|scope| {
        let reader = scope.spawn(move || -> anyhow::Result<usize> {
            let (mut buffer, mut all) = (vec![0; 1 << 18], 0);
            while all < BULK_BYTES {
                let read = receiver.read(&mut buffer)?;
                ensure!(read > 0, "the stream ended");
                all += read;
            }
            Ok(all)
        });
        let part = vec![0; 1 << 18];
        for _ in 0..BULK_BYTES / part.len() {
            sender.write_all(&part)?;
        }
        reader.join().unwrap_or_else(|_| anyhow::bail!("the reader panicked")).map(drop)
    })?;
    Ok(begin.elapsed().as_secs_f64())
}
