//! Whether tunnel packets arrive, while the port is free and while a network has it: a firewall that drops and a link that is
//! too narrow are noticed.

use std::time::Duration;

use anyhow::{Context, ensure};
use shoal_proto::v1::{CountProbesRequest, SendProbesRequest};
use tokio::time::timeout;

use crate::{
    agent::{Fleet, block_on, eventually},
    lab::{Node, sh},
};

const DEVICE: &str = "sv3fa9c1123456";
const VNI: u32 = 0x12_3456;
const PORT: u32 = 4799;
/// After the sender is done, what has not come by now does not come: the LAN is inside this machine.
const LATE: Duration = Duration::from_secs(1);

/// Sends one packet of each size from the second host to the first; how many arrived, and why not all were sent.
async fn arrived(fleet: &Fleet, sizes: &[u32]) -> anyhow::Result<(u64, String)> {
    let address = |host: usize| fleet.lab.hosts[host].address.to_string();
    let request = CountProbesRequest { device: DEVICE.into(), vni: VNI, local: address(0), udp_port: PORT };
    let mut counts = fleet.agents[0].client.clone().count_probes(request).await?.into_inner();
    let first = counts.message().await?.context("no count")?;
    ensure!(first.frames == 0, "{first:?}");
    let request = SendProbesRequest {
        local: address(1),
        remote: address(0),
        udp_port: PORT,
        vni: VNI,
        sizes: sizes.to_vec(),
    };
    let sent = fleet.agents[1].client.clone().send_probes(request).await?.into_inner();
    let mut frames = 0;
    while frames < u64::from(sent.sent) {
        match timeout(LATE, counts.message()).await {
            Ok(message) => frames = message?.context("the count ended")?.frames,
            Err(_) => break,
        }
    }
    drop(counts);
    // The device goes with the stream.
    eventually("the check's device goes", async || !fleet.lab.hosts[0].has_link(DEVICE)).await?;
    Ok((frames, sent.error))
}

pub(crate) fn tunnel_packets_arrive_with_and_without_a_network() -> anyhow::Result<()> {
    block_on(async {
        let fleet = Fleet::new(2).await?;
        ensure!(arrived(&fleet, &[100, 1500, 1500]).await? == (3, String::new()));
        // The kernel has the port now; what crosses for a cluster is not counted.
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

pub(crate) fn what_cannot_be_checked_is_refused() -> anyhow::Result<()> {
    block_on(async {
        let fleet = Fleet::new(1).await?;
        let local = fleet.lab.hosts[0].address.to_string();
        let good = CountProbesRequest { device: DEVICE.into(), vni: VNI, local, udp_port: PORT };
        let mut agent = fleet.agents[0].client.clone();
        for (bad, says) in [
            (CountProbesRequest { device: "../x".into(), ..good.clone() }, "device"),
            (CountProbesRequest { vni: 1 << 24, ..good.clone() }, "vni"),
            (CountProbesRequest { local: "x".into(), ..good.clone() }, "local"),
            (CountProbesRequest { udp_port: 0, ..good.clone() }, "udp_port"),
        ] {
            let status = agent.count_probes(bad).await.err().context("it was taken")?;
            ensure!(
                status.code() == tonic::Code::InvalidArgument && status.message().contains(says),
                "{status}"
            );
        }
        // A process has the port: no tunnel could open it either.
        let holder = fleet.lab.hosts[0].namespace.enter(|| Ok(std::net::UdpSocket::bind("0.0.0.0:4799")?))?;
        let status = agent.count_probes(good.clone()).await.err().context("it was taken")?;
        ensure!(
            status.code() == tonic::Code::FailedPrecondition && status.message().contains(DEVICE),
            "{status}"
        );
        ensure!(!fleet.lab.hosts[0].has_link(DEVICE), "half a device stays");
        drop(holder);
        agent.count_probes(good).await?;
        Ok(())
    })
}
