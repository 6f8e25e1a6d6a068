//! Whether tunnel packets arrive, while the port is free and while a network has it: a firewall that drops and a link that is
//! too narrow are noticed, each between the hosts where it is.

use std::{collections::BTreeSet, time::Duration};

use anyhow::{Context, ensure};
use shoal_proto::v1::{
    ProbePacket, ProbeTarget, ProbesSent, ReceiveProbesRequest, ReceiveProbesResponse, SendProbesRequest,
};
use tokio::time::{Instant, timeout};
use tonic::Streaming;

use crate::{
    agent::{Fleet, block_on, eventually},
    lab::{Node, sh},
};

const DEVICE: &str = "sv3fa9c1123456";
const VNI: u32 = 0x12_3456;
const PORT: u32 = 4799;
/// After the sender is done, what has not come by now does not come: the LAN is inside this machine.
const LATE: Duration = Duration::from_secs(1);
/// Longest silence of an agent that speaks ten times a second; a loaded machine is slow.
const SILENCE: Duration = Duration::from_secs(10);

fn address(fleet: &Fleet, host: usize) -> String {
    fleet.lab.hosts[host].address.to_string()
}

/// Opens the device of a check on a host.
async fn open(fleet: &Fleet, host: usize) -> anyhow::Result<Streaming<ReceiveProbesResponse>> {
    let request =
        ReceiveProbesRequest { device: DEVICE.into(), vni: VNI, local: address(fleet, host), udp_port: PORT };
    let mut arrivals = fleet.agents[host].client.clone().receive_probes(request).await?.into_inner();
    let first = arrivals.message().await?.context("nothing is told")?;
    ensure!(first.marks.is_empty(), "{first:?}");
    Ok(arrivals)
}

/// Sends packets, (mark, size), from a host to others.
async fn send(
    fleet: &Fleet,
    from: usize,
    targets: &[(usize, &[(u32, u32)])],
) -> anyhow::Result<Vec<ProbesSent>> {
    let packet = |&(mark, size): &(u32, u32)| ProbePacket { mark, size };
    let target = |(to, packets): &(usize, &[(u32, u32)])| ProbeTarget {
        remote: address(fleet, *to),
        packets: packets.iter().map(packet).collect(),
    };
    let request = SendProbesRequest {
        local: address(fleet, from),
        udp_port: PORT,
        vni: VNI,
        targets: targets.iter().map(target).collect(),
    };
    Ok(fleet.agents[from].client.clone().send_probes(request).await?.into_inner().targets)
}

/// The marks of the first so many packets that come, or of those that do come.
async fn heard(
    arrivals: &mut Streaming<ReceiveProbesResponse>,
    count: usize,
) -> anyhow::Result<BTreeSet<u32>> {
    let (began, mut came) = (Instant::now(), BTreeSet::new());
    while came.len() < count && began.elapsed() < LATE {
        let said = timeout(SILENCE, arrivals.message()).await.context("the agent says nothing")??;
        let marks = said.context("it ended")?.marks;
        let all = came.len() + marks.len();
        came.extend(marks);
        ensure!(came.len() == all, "a packet was told of twice: {came:?}");
    }
    Ok(came)
}

/// Sends one packet of each size from the second host to the first; how many arrived, and why not all were sent.
async fn arrived(fleet: &Fleet, sizes: &[u32]) -> anyhow::Result<(usize, String)> {
    let mut arrivals = open(fleet, 0).await?;
    let packets: Vec<_> = (7..).zip(sizes.iter().copied()).collect();
    let sent = send(fleet, 1, &[(0, &packets)]).await?.pop().context("no target")?;
    let came = heard(&mut arrivals, sent.sent as usize).await?;
    drop(arrivals);
    // The device goes with the stream.
    eventually("the check's device goes", async || !fleet.lab.hosts[0].has_link(DEVICE)).await?;
    Ok((came.len(), sent.error))
}

pub(crate) fn tunnel_packets_arrive_with_and_without_a_network() -> anyhow::Result<()> {
    block_on(async {
        let fleet = Fleet::new(2).await?;
        ensure!(arrived(&fleet, &[100, 1500, 1500]).await? == (3, String::new()));
        // The kernel has the port now; what crosses for a cluster is not told of.
        let nodes = [Node { name: "w0", last: 3, host: 0 }, Node { name: "w1", last: 4, host: 1 }];
        fleet.apply(&nodes, 1).await?;
        ensure!(arrived(&fleet, &[100, 1500, 1500]).await? == (3, String::new()));
        // More than the sender's own interface takes.
        let (frames, error) = arrived(&fleet, &[100, 1501]).await?;
        ensure!(
            frames == 1 && error.contains("1501 bytes") && error.contains("too long"),
            "{frames} {error}"
        );
        Ok(())
    })
}

pub(crate) fn a_firewall_and_a_narrow_link_are_noticed() -> anyhow::Result<()> {
    block_on(async {
        let fleet = Fleet::new(2).await?;
        let nodes = [Node { name: "w0", last: 3, host: 0 }, Node { name: "w1", last: 4, host: 1 }];
        fleet.apply(&nodes, 1).await?;
        let (lan, host) = (&fleet.lab.lan, &fleet.lab.hosts[0].namespace.name);
        // Frames beyond it are dropped by the LAN without a word, as by a switch.
        lan.ip("link set h1 mtu 1400")?;
        ensure!(
            arrived(&fleet, &[100, 1500, 1400]).await? == (2, String::new()),
            "a narrow link is not noticed"
        );
        lan.ip("link set h1 mtu 1500")?;
        let rule = |verb: &str| {
            sh(&format!("ip netns exec {host} iptables {verb} INPUT -p udp --dport {PORT} -j DROP"))
        };
        rule("-A")?;
        ensure!(arrived(&fleet, &[100, 1500]).await? == (0, String::new()), "a firewall is not noticed");
        rule("-D")?;
        ensure!(arrived(&fleet, &[100, 1500]).await? == (2, String::new()));
        Ok(())
    })
}

pub(crate) fn hosts_that_send_at_once_are_told_apart() -> anyhow::Result<()> {
    block_on(async {
        let fleet = Fleet::new(3).await?;
        let namespace = &fleet.lab.hosts[0].namespace.name;
        // What the third host sends to the first is dropped.
        let from = address(&fleet, 2);
        sh(&format!("ip netns exec {namespace} iptables -A INPUT -s {from} -p udp --dport {PORT} -j DROP"))?;
        let mut opened = Vec::new();
        for host in 0..3 {
            opened.push(open(&fleet, host).await?);
        }
        // The mark is sender, receiver, number; the same packets again are the same.
        let packets = |from: u32, to: u32| [(100 * from + 10 * to, 100), (100 * from + 10 * to + 1, 1500)];
        let of = |from: u32, first: u32, second: u32| (packets(from, first), packets(from, second));
        let sends = [(0, 1, 2), (1, 2, 0), (2, 0, 1)].map(async |(from, first, second)| {
            let (to_first, to_second) = of(from, first, second);
            let targets = [(first as usize, &to_first[..]), (second as usize, &to_second[..])];
            send(&fleet, from as usize, &targets).await
        });
        for sent in futures_util::future::try_join_all(sends).await? {
            ensure!(sent.iter().all(|target| target.sent == 2 && target.error.is_empty()), "{sent:?}");
        }
        for (host, (arrivals, expected)) in opened
            .iter_mut()
            .zip([vec![100, 101], vec![10, 11, 210, 211], vec![20, 21, 120, 121]])
            .enumerate()
        {
            // One more than all: until none can come.
            let came = heard(arrivals, 5).await?;
            ensure!(came == expected.iter().copied().collect(), "host {host} heard {came:?}");
        }
        Ok(())
    })
}

pub(crate) fn what_cannot_be_checked_is_refused() -> anyhow::Result<()> {
    block_on(async {
        let fleet = Fleet::new(1).await?;
        let local = address(&fleet, 0);
        let good = ReceiveProbesRequest { device: DEVICE.into(), vni: VNI, local, udp_port: PORT };
        let mut agent = fleet.agents[0].client.clone();
        for (bad, says) in [
            (ReceiveProbesRequest { device: "../x".into(), ..good.clone() }, "device"),
            (ReceiveProbesRequest { vni: 1 << 24, ..good.clone() }, "vni"),
            (ReceiveProbesRequest { local: "x".into(), ..good.clone() }, "local"),
            (ReceiveProbesRequest { udp_port: 0, ..good.clone() }, "udp_port"),
        ] {
            let status = agent.receive_probes(bad).await.err().context("it was taken")?;
            ensure!(
                status.code() == tonic::Code::InvalidArgument && status.message().contains(says),
                "{status}"
            );
        }
        let packets = |count| (0..count).map(|mark| ProbePacket { mark, size: 100 }).collect();
        let target = |remote: &str, count| ProbeTarget { remote: remote.into(), packets: packets(count) };
        for (bad, says) in
            [(target("x", 1), "targets.remote"), (target("10.77.0.9", 5000), "targets.packets")]
        {
            let (local, targets) = (address(&fleet, 0), vec![bad]);
            let request = SendProbesRequest { local, udp_port: PORT, vni: VNI, targets };
            let status = agent.send_probes(request).await.err().context("it was taken")?;
            ensure!(
                status.code() == tonic::Code::InvalidArgument && status.message().contains(says),
                "{status}"
            );
        }
        // A process has the port: no tunnel could open it either.
        let holder = fleet.lab.hosts[0].namespace.enter(|| Ok(std::net::UdpSocket::bind("0.0.0.0:4799")?))?;
        let status = agent.receive_probes(good.clone()).await.err().context("it was taken")?;
        ensure!(
            status.code() == tonic::Code::FailedPrecondition && status.message().contains(DEVICE),
            "{status}"
        );
        ensure!(!fleet.lab.hosts[0].has_link(DEVICE), "half a device stays");
        drop(holder);
        agent.receive_probes(good).await?;
        Ok(())
    })
}
