//! What a user in a node of one cluster tries against another cluster of the same hosts.

use std::io::{BufRead, BufReader};

use anyhow::{Context, ensure};
use ipnet::Ipv4Net;
use shoal_tests::{Cluster, Node, Stage};

/// Nobody listens on it in any node.
const PORT: u16 = 9;
const REPEAT: usize = 3;
/// Connections to a name server that a node tries to hold.
const CONNECTIONS: usize = 1000;
/// `CAP_NET_RAW` and `CAP_MKNOD` (capabilities(7), linux/capability.h).
const DROPPED: u64 = 1 << 13 | 1 << 27;

/// Words of `printf` for a VXLAN header and a frame with an empty datagram to the victim's port, as from its controller.
fn frame(vni: u32, controller: &Node, victim: &Node) -> anyhow::Result<String> {
    let mac = |node: &Node| [&[0x02, 0x42][..], &node.address.octets()].concat();
    let [_, high, middle, low] = vni.to_be_bytes();
    let mut header = vec![0x45, 0, 0, 28, 0, 0, 0, 0, 64, 17, 0, 0];
    header.extend(controller.address.octets());
    header.extend(victim.address.octets());
    let sum: u32 = header.chunks(2).map(|word| u32::from(u16::from_be_bytes([word[0], word[1]]))).sum();
    let sum = !u16::try_from((sum & 0xffff) + (sum >> 16))?;
    header[10..12].copy_from_slice(&sum.to_be_bytes());
    let [to_high, to_low] = PORT.to_be_bytes();
    let datagram = [0, 1, to_high, to_low, 0, 8, 0, 0];
    let ethernet = [mac(victim), mac(controller), vec![8, 0]].concat();
    let bytes = [vec![8, 0, 0, 0, high, middle, low, 0], ethernet, header, datagram.to_vec()].concat();
    Ok(bytes.iter().map(|byte| format!("\\x{byte:02x}")).collect())
}

/// A line of bash that sends these words to a UDP port, as somebody who is not root. By a file: bash writes what it prints line
/// by line, and each would be a datagram.
fn send(words: &str, to: &str, port: u16) -> String {
    let send = format!("cat $file >/dev/udp/{to}/{port}");
    format!(
        "runuser -u nobody -- bash -c 'file=$(mktemp); printf \"{words}\" >$file; for n in $(seq {REPEAT}); do {send}; done; rm $file'"
    )
}

/// Datagrams to ports that nobody listens on, as the node's kernel counts them (`NoPorts` of proc_pid_net_snmp(5)).
fn unwanted(node: &Node) -> anyhow::Result<usize> {
    let table = node.exec(&["grep", "^Udp:", "/proc/net/snmp"])?.ok()?;
    let mut lines = table.lines().map(|line| line.split_ascii_whitespace());
    let place =
        lines.next().and_then(|mut names| names.position(|name| name == "NoPorts")).context("names")?;
    Ok(lines.next().and_then(|mut numbers| numbers.nth(place)).context("numbers")?.parse()?)
}

fn gateway(cluster: &Cluster) -> anyhow::Result<String> {
    let subnet: Ipv4Net = cluster.subnet.parse()?;
    Ok(subnet.hosts().next().context("an empty subnet")?.to_string())
}

pub(crate) fn a_node_does_no_harm_to_other_clusters(stage: &Stage) -> anyhow::Result<()> {
    let (home, dev) = (stage.home()?, stage.dev()?);
    home.run(&["create", "cluster", "eve", "--workers", "3", "--scheduler", "spread"])?.ok()?;
    let eve = home.cluster("eve", stage.machines()?)?;
    frames_stay_out(stage, dev, &eve)?;
    names_are_served(stage, &eve)?;
    nothing_raw(&eve)?;
    home.run(&["delete", "cluster", "eve"])?.ok().map(drop)
}

/// By its gateway, its host's address and another host's, from every host.
fn frames_stay_out(stage: &Stage, dev: &Cluster, eve: &Cluster) -> anyhow::Result<()> {
    let shown = stage.home()?.json(&["get", "cluster", "dev"])?;
    let vni = u32::try_from(shown["network"]["vni"].as_u64().context("no VNI")?)?;
    let controller = dev.node("controller")?;
    let victims = dev.one_worker_per_host();
    let before = victims.iter().map(|node| unwanted(node)).collect::<Result<Vec<_>, _>>()?;
    for attacker in eve.one_worker_per_host() {
        for victim in &victims {
            let words = frame(vni, controller, victim)?;
            let there = victim.machine.host().address.to_string();
            for way in [gateway(eve)?, gateway(dev)?, there] {
                // A host that does not forward it says so.
                attacker.shell(&send(&words, &way, 4799))?;
            }
        }
    }
    // The victims hear a node of their own cluster, and have heard nobody else.
    for (victim, before) in victims.iter().zip(before) {
        controller.shell(&send("member", &victim.address.to_string(), PORT))?.ok()?;
        let heard = unwanted(victim)? - before;
        ensure!(heard == REPEAT, "{} heard {heard} datagrams", victim.name);
    }
    Ok(())
}

/// While a node holds as many connections to its name server as it gets.
fn names_are_served(stage: &Stage, eve: &Cluster) -> anyhow::Result<()> {
    let home = stage.home()?;
    let gateway = gateway(eve)?;
    let hold = format!(
        "ulimit -n 4096; for n in $(seq {CONNECTIONS}); do exec {{fd}}<>/dev/tcp/{gateway}/53; done; echo held; sleep 60"
    );
    let mut holder = home.begin(&["exec", "eve", "--node", "worker-0", "--", "bash", "-c", &hold])?;
    let mut said = String::new();
    let output = holder.stdout.take().context("no output")?;
    BufReader::new(output).read_line(&mut said)?;
    let looked = || {
        ensure!(said == "held\n", "{said}");
        home.run(&["exec", "dev", "--", "getent", "hosts", "worker-1"])?.ok()?;
        home.run(&["exec", "dev", "--", "srun", "-N", "7", "true"])?.ok()?;
        home.run(&["ssh", "worker-0.dev", "--", "true"])?.ok().map(drop)
    };
    let looked = looked();
    holder.kill()?;
    holder.wait()?;
    looked
}

/// Neither raw sockets nor devices, on any engine.
fn nothing_raw(eve: &Cluster) -> anyhow::Result<()> {
    for node in &eve.nodes {
        let status = node.exec(&["grep", "CapBnd", "/proc/1/status"])?.ok()?;
        let bounds = status.split_ascii_whitespace().last().context("no capabilities")?;
        let bounds = u64::from_str_radix(bounds, 16)?;
        ensure!(bounds & DROPPED == 0, "{} on {} has {bounds:x}", node.name, node.machine.name());
    }
    Ok(())
}
