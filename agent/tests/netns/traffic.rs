//! Frames between nodes of different hosts.

use std::net::UdpSocket;

use anyhow::ensure;

use crate::{
    agent::{Fleet, block_on},
    lab::{BRIDGE, Node, sh},
    net::{Crossing, Sniffer, refuses, speak},
};

const NODES: [Node; 4] = [
    Node { name: "c0", last: 2, host: 0 },
    Node { name: "w0", last: 3, host: 0 },
    Node { name: "w1", last: 4, host: 1 },
    Node { name: "w2", last: 5, host: 2 },
];

pub(crate) fn nodes_of_three_hosts_speak_tcp() -> anyhow::Result<()> {
    block_on(async {
        let fleet = Fleet::new(3).await?;
        fleet.apply(&NODES, 1).await?;
        let start = |n: &Node| fleet.lab.hosts[n.host].start(n);
        let containers = NODES.iter().map(start).collect::<Result<Vec<_>, _>>()?;
        for from in 0..NODES.len() {
            for to in (0..NODES.len()).filter(|to| *to != from) {
                speak(&containers[from], &containers[to], &NODES[to])?;
            }
        }
        Ok(())
    })
}

pub(crate) fn arp_is_answered_locally() -> anyhow::Result<()> {
    block_on(async {
        let fleet = Fleet::new(2).await?;
        let nodes = [NODES[0], NODES[2]];
        fleet.apply(&nodes, 1).await?;
        let [c0, w1] = nodes.map(|n| fleet.lab.hosts[n.host].start(&n));
        let (c0, w1) = (c0?, w1?);
        let sniffer = Sniffer::new(&fleet.lab.lan)?;
        sniffer.crossed()?;
        ensure!(refuses(&c0, nodes[1].address())?, "w1 is not reached");
        let neighbour = c0.ip(&format!("neigh show {}", nodes[1].address()))?;
        ensure!(neighbour.contains("02:42:0a:60:04:04"), "{neighbour}");
        let crossed = sniffer.crossed()?;
        ensure!(crossed.ipv4 >= 2, "the connection did not cross: {crossed:?}");
        ensure!((crossed.arp, crossed.other) == (0, 0), "{crossed:?}");
        // Neither an address nobody has nor a broadcast is flooded.
        ensure!(!refuses(&c0, [10, 96, 4, 200].into())?);
        w1.enter(|| {
            let socket = UdpSocket::bind("10.96.4.4:0")?;
            socket.set_broadcast(true)?;
            Ok(socket.send_to(b"anybody", "10.96.4.255:9")?)
        })?;
        let crossed = sniffer.crossed()?;
        ensure!(crossed == Crossing::default(), "{crossed:?}");
        Ok(())
    })
}

/// Removed on the new host, started there, others switched, added on the old host.
pub(crate) fn a_node_that_moves_keeps_its_traffic() -> anyhow::Result<()> {
    block_on(async {
        let fleet = Fleet::new(3).await?;
        fleet.apply(&NODES, 1).await?;
        let start = |n: &Node| fleet.lab.hosts[n.host].start(n);
        let (c0, w1, w2) = (start(&NODES[0])?, start(&NODES[2])?, start(&NODES[3])?);
        speak(&c0, &w1, &NODES[2])?;
        speak(&w1, &w2, &NODES[3])?;

        let moved = Node { host: 2, ..NODES[2] };
        let nodes = [NODES[0], NODES[1], moved, NODES[3]];
        fleet.lab.hosts[1].stop(&NODES[2], w1)?;
        fleet.apply_to(2, &nodes, 2).await?;
        let fdb = fleet.lab.hosts[2].bridge(&format!("fdb show br {BRIDGE}"))?;
        ensure!(!fdb.contains("02:42:0a:60:04:04"), "entries remain on the new host: {fdb}");
        let w1 = start(&moved)?;
        fleet.apply_to(0, &nodes, 2).await?;
        fleet.apply_to(1, &nodes, 2).await?;
        speak(&c0, &w1, &moved)?;
        speak(&w1, &c0, &NODES[0])?;
        speak(&w2, &w1, &moved)?;
        // Its old host reaches it too.
        let late = Node { name: "w3", last: 6, host: 1 };
        let all = [nodes.as_slice(), &[late]].concat();
        fleet.apply(&all, 3).await?;
        speak(&start(&late)?, &w1, &moved)
    })
}

/// A tunnel to a site whose range holds the cluster's: its policies take and refuse whatever the host sends and hears.
pub(crate) fn a_hosts_ipsec_is_not_asked_about_nodes() -> anyhow::Result<()> {
    block_on(async {
        let fleet = Fleet::new(2).await?;
        let host = &fleet.lab.hosts[0];
        let (c0, w1) = (NODES[0], NODES[2]);
        let node = host.start(&c0)?;
        let other = fleet.lab.hosts[1].start(&w1)?;
        ensure!(refuses(&host.namespace, c0.address())?, "a host reaches its node");
        let all = "src 0.0.0.0/0 dst 10.96.0.0/12";
        for direction in ["in", "out", "fwd"] {
            host.namespace.ip(&format!("xfrm policy add dir {direction} {all} action block"))?;
        }
        ensure!(!refuses(&host.namespace, c0.address())?, "the policies are in force");
        fleet.apply(&[c0, w1], 1).await?;
        ensure!(refuses(&host.namespace, c0.address())?, "the host reaches its node");
        speak(&node, &other, &w1)?;
        speak(&other, &node, &c0)?;
        sh(&format!(
            "ip netns exec {} sysctl -qw net.ipv4.conf.{BRIDGE}.disable_xfrm=0",
            host.namespace.name
        ))?;
        fleet.apply(&[c0, w1], 2).await?;
        ensure!(refuses(&host.namespace, c0.address())?, "the host reaches its node again");
        Ok(())
    })
}
