//! What the kernel holds, from the first state told to the last one removed.

use std::collections::BTreeSet;

use anyhow::{Context, ensure};
use serde_json::Value;
use shoal_proto::v1::Member;
use tonic::Code;

use crate::{
    agent::{Agent, Fleet, block_on, eventually},
    lab::{BRIDGE, DEVICE, Host, Lab, Node, sh, state},
    net::speak,
};

const NODES: [Node; 3] = [
    Node { name: "c0", last: 2, host: 0 },
    Node { name: "w1", last: 4, host: 1 },
    Node { name: "w2", last: 5, host: 2 },
];

/// What iproute2 shows of the mesh on a host, a line per entry.
fn entries(host: &Host) -> anyhow::Result<BTreeSet<String>> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let rows = |json: String| anyhow::Ok(serde_json::from_str::<Vec<Value>>(&json)?);
    let mut entries = BTreeSet::new();
    for row in rows(sh(&format!("bridge -j -n {} fdb show dev {DEVICE}", host.namespace.name))?)? {
        let flags: Vec<_> = row["flags"].as_array().into_iter().flatten().map(text).collect();
        let (mac, state) = (text(&row["mac"]), text(&row["state"]));
        if flags.iter().any(|f| f == "self") {
            entries.insert(format!("tunnel {mac} to {} {state}", text(&row["dst"])));
        } else if state != "permanent" && row["vlan"].is_null() {
            entries.insert(format!("port {mac} {state} {}", flags.join(" ")));
        }
    }
    for row in rows(host.namespace.ip(&format!("-j neigh show dev {BRIDGE} nud permanent"))?)? {
        entries.insert(format!("neighbour {} {}", text(&row["dst"]), text(&row["lladdr"])));
    }
    Ok(entries)
}

/// What they must be for these nodes of other hosts.
fn expected(remote: &[(&Node, &str)]) -> BTreeSet<String> {
    let of = |(node, host): &(&Node, &str)| {
        let mac = format!("02:42:0a:60:04:{:02x}", node.last);
        [
            format!("tunnel {mac} to {host} static"),
            format!("port {mac} static sticky"),
            format!("neighbour {} {mac}", node.address()),
        ]
    };
    remote.iter().flat_map(of).collect()
}

pub(crate) fn entries_are_those_of_the_design() -> anyhow::Result<()> {
    block_on(async {
        let fleet = Fleet::new(3).await?;
        fleet.apply(&NODES, 1).await?;
        let h1 = &fleet.lab.hosts[0];
        ensure!(entries(h1)? == expected(&[(&NODES[1], "10.77.0.2"), (&NODES[2], "10.77.0.3")]));
        let link: Value = serde_json::from_str(&h1.namespace.ip(&format!("-j -d link show {DEVICE}"))?)?;
        let (link, data) = (&link[0], &link[0]["linkinfo"]["info_data"]);
        let port = &link["linkinfo"]["info_slave_data"];
        let seen = (
            (&data["id"], &data["local"], &data["port"], &data["learning"]),
            (&link["mtu"], &link["master"], &port["neigh_suppress"], &port["learning"]),
        );
        let wanted = (
            (&10.into(), &"10.77.0.1".into(), &4799.into(), &false.into()),
            (&1450.into(), &BRIDGE.into(), &true.into(), &false.into()),
        );
        ensure!(seen == wanted, "{seen:?}");
        ensure!(link["flags"].as_array().is_some_and(|f| f.contains(&"UP".into())), "{link}");
        // One node less, one on another host.
        let nodes = [NODES[0], Node { host: 2, ..NODES[1] }];
        ensure!(fleet.apply_to(0, &nodes, 2).await?);
        ensure!(entries(h1)? == expected(&[(&NODES[1], "10.77.0.3")]), "{:?}", entries(h1)?);
        Ok(())
    })
}

pub(crate) fn what_is_broken_comes_back() -> anyhow::Result<()> {
    block_on(async {
        let fleet = Fleet::new(2).await?;
        fleet.apply(&NODES[..2], 1).await?;
        let host = &fleet.lab.hosts[0];
        let right = entries(host)?;
        let (ns, mac) = (&host.namespace.name, "02:42:0a:60:04:04");
        for harm in [
            format!("bridge -n {ns} fdb del {mac} dev {DEVICE} dst 10.77.0.2 self"),
            format!("bridge -n {ns} fdb replace {mac} dev {DEVICE} dst 10.77.0.9 self static"),
            format!("bridge -n {ns} fdb append {mac} dev {DEVICE} dst 10.77.0.9 self static"),
            format!("bridge -n {ns} fdb append 00:00:00:00:00:00 dev {DEVICE} dst 10.77.0.9 self permanent"),
            format!("bridge -n {ns} fdb del {mac} dev {DEVICE} master"),
            format!("ip -n {ns} neigh del 10.96.4.4 dev {BRIDGE}"),
            format!("ip -n {ns} neigh add 10.96.4.99 lladdr {mac} dev {BRIDGE} nud permanent"),
            format!("ip -n {ns} link set {DEVICE} down"),
            format!("ip -n {ns} link set {DEVICE} nomaster"),
            format!("ip -n {ns} link set {DEVICE} mtu 1400"),
            format!("bridge -n {ns} link set dev {DEVICE} learning on neigh_suppress off"),
            format!("ip -n {ns} link del {DEVICE}"),
        ] {
            sh(&harm)?;
            // Sooner than the period: by an event, as nobody asks the agent anything.
            eventually(&harm, async || healthy(host) && entries(host).is_ok_and(|e| e == right)).await?;
        }
        let (kept, _) = fleet.agents[0].list().await?;
        ensure!(kept[0].trouble.is_empty(), "{kept:?}");
        let (c0, w1) = (host.start(&NODES[0])?, fleet.lab.hosts[1].start(&NODES[1])?);
        speak(&c0, &w1, &NODES[1])
    })
}

/// The device is up, a port of the bridge, with the right MTU and flags.
fn healthy(host: &Host) -> bool {
    let link = host.namespace.ip(&format!("-d link show {DEVICE}")).unwrap_or_default();
    let parts = ["mtu 1450", &format!("master {BRIDGE}"), ",UP", "neigh_suppress on", "learning off"];
    parts.iter().all(|part| link.contains(part))
}

pub(crate) fn a_restart_applies_what_was_kept() -> anyhow::Result<()> {
    block_on(async {
        let mut fleet = Fleet::new(2).await?;
        fleet.apply(&NODES[..2], 1).await?;
        let (c0, w1) = (fleet.lab.hosts[0].start(&NODES[0])?, fleet.lab.hosts[1].start(&NODES[1])?);
        fleet.apply(&NODES[..2], 7).await?;
        let agent = fleet.agents.remove(0);
        agent.kill()?;
        speak(&c0, &w1, &NODES[1]).context("while the agent is down")?;
        let host = &fleet.lab.hosts[0];
        let right = entries(host)?;
        sh(&format!(
            "ip -n {ns} link del {DEVICE}; ip -n {ns} neigh flush dev {BRIDGE} nud permanent",
            ns = host.namespace.name
        ))?;
        let agent = Agent::start(host, &fleet.directories[0]).await?;
        eventually("entries are back", async || entries(host).is_ok_and(|e| e == right)).await?;
        let (kept, _) = agent.list().await?;
        ensure!(kept.len() == 1 && kept[0].revision == 7, "{kept:?}");
        speak(&c0, &w1, &NODES[1])
    })
}

pub(crate) fn after_boot_it_waits_for_the_bridge() -> anyhow::Result<()> {
    block_on(async {
        let lab = Lab::without_bridges(1)?;
        let (host, directory) = (&lab.hosts[0], tempfile::tempdir()?);
        let agent = Agent::start(host, &directory).await?;
        let refused =
            agent.apply(state(&lab, 0, &[NODES[0]], 1)).await.err().context("there is no bridge")?;
        ensure!(refused.code() == Code::FailedPrecondition, "{refused}");
        ensure!(refused.message().contains(BRIDGE), "{refused}");
        // What was told is kept all the same: intent first.
        agent.kill()?;
        let agent = Agent::start(host, &directory).await?;
        let (kept, _) = agent.list().await?;
        ensure!(kept[0].trouble.contains("does not exist"), "{kept:?}");
        host.add_bridge()?;
        eventually("the device follows its bridge", async || healthy(host)).await?;
        // And again, when the engine makes its bridge anew.
        sh(&format!("ip -n {} link del {BRIDGE}", host.namespace.name))?;
        host.add_bridge()?;
        eventually("the device follows the new bridge", async || healthy(host)).await
    })
}

pub(crate) fn removal_leaves_nothing() -> anyhow::Result<()> {
    block_on(async {
        let fleet = Fleet::new(2).await?;
        fleet.apply(&NODES[..2], 1).await?;
        let (host, agent) = (&fleet.lab.hosts[0], &fleet.agents[0]);
        ensure!(agent.remove().await?);
        let nothing = |what: &str| {
            ensure!(!host.has_link(DEVICE), "{what}: device");
            let neighbours = host.namespace.ip(&format!("neigh show dev {BRIDGE} nud permanent"))?;
            ensure!(neighbours.is_empty(), "{what}: {neighbours}");
            let fdb = host.bridge(&format!("fdb show br {BRIDGE}"))?;
            ensure!(!fdb.contains("02:42:0a:60:04"), "{what}: {fdb}");
            for file in std::fs::read_dir(fleet.directories[0].path().join("state"))? {
                let name = file?.path();
                ensure!(name.extension().is_none_or(|e| e != "json"), "{what}: {}", name.display());
            }
            let sockets = sh(&format!("ip netns exec {} ss -Hltun sport = 53", host.namespace.name))?;
            ensure!(sockets.is_empty(), "{what}: {sockets}");
            anyhow::Ok(())
        };
        nothing("after the first removal")?;
        ensure!(agent.list().await? == (Vec::new(), Vec::new()));
        ensure!(!agent.remove().await?, "gone before");
        // A device that no state remembers, with an entry and a neighbour.
        sh(&format!(
            "ip -n {ns} link add {DEVICE} type vxlan id 10 dstport 4799 local 10.77.0.1
             ip -n {ns} link set {DEVICE} master {BRIDGE}
             bridge -n {ns} fdb add 02:42:0a:60:04:04 dev {DEVICE} master static
             ip -n {ns} neigh add 10.96.4.4 lladdr 02:42:0a:60:04:04 dev {BRIDGE} nud permanent",
            ns = host.namespace.name
        ))?;
        ensure!(agent.list().await?.1 == [DEVICE]);
        ensure!(agent.remove().await?);
        nothing("after the second removal")?;
        // Its bridge may be gone by then.
        sh(&format!("ip -n {} link del {BRIDGE}", host.namespace.name))?;
        ensure!(!agent.remove().await?);
        Ok(())
    })
}

pub(crate) fn what_is_left_behind_is_told_from_what_is_kept() -> anyhow::Result<()> {
    // Installation 0003fa with VNI 9c1000: another's, although our six digits are in it.
    const THEIRS: &str = "sv0003fa9c1000";
    const LEFT: &str = "sv3fa9c100000b";
    block_on(async {
        let fleet = Fleet::new(1).await?;
        let (host, agent) = (&fleet.lab.hosts[0], &fleet.agents[0]);
        fleet.apply(&NODES[..1], 1).await?;
        for (device, vni) in [(THEIRS, 0x9c_1000), (LEFT, 11)] {
            host.namespace
                .ip(&format!("link add {device} type vxlan id {vni} dstport 4799 local 10.77.0.1"))?;
        }
        let (kept, strays) = agent.list().await?;
        ensure!(strays == [LEFT], "{strays:?}");
        let names: Vec<_> = kept.iter().map(|k| (k.device.as_str(), k.bridge.as_str())).collect();
        ensure!(names == [(DEVICE, BRIDGE)], "{names:?}");
        let refused = agent.remove_of("", DEVICE).await.err().context("a kept device was removed")?;
        ensure!(refused.code() == Code::FailedPrecondition, "{refused}");
        let refused = agent.remove_of("", THEIRS).await.err().context("another's device was removed")?;
        ensure!(refused.code() == Code::InvalidArgument, "{refused}");
        ensure!(agent.remove_of("", LEFT).await? && !agent.remove_of("", LEFT).await?);
        ensure!(host.has_link(THEIRS) && host.has_link(DEVICE) && !host.has_link(LEFT));
        ensure!(agent.list().await?.0.len() == 1);
        Ok(())
    })
}

pub(crate) fn revisions_only_grow() -> anyhow::Result<()> {
    block_on(async {
        let mut fleet = Fleet::new(1).await?;
        ensure!(fleet.apply_to(0, &NODES[..1], 5).await?, "new");
        ensure!(!fleet.apply_to(0, &NODES[..1], 5).await?, "same again");
        for restart in [false, true] {
            if restart {
                fleet.agents.remove(0).kill()?;
                fleet.agents.push(Agent::start(&fleet.lab.hosts[0], &fleet.directories[0]).await?);
            }
            let told = |nodes, revision| fleet.agents[0].apply(state(&fleet.lab, 0, nodes, revision));
            let lower = told(&NODES[..1], 4).await.err().context("lower was taken")?;
            ensure!(lower.code() == Code::FailedPrecondition, "{lower}");
            ensure!(lower.message().contains('4') && lower.message().contains('5'), "{lower}");
            let other =
                told(&[Node { name: "x", ..NODES[0] }], 5).await.err().context("another was taken")?;
            ensure!(other.code() == Code::FailedPrecondition, "{other}");
        }
        // What was told before a removal comes too late, also after a restart; what is newer is taken.
        fleet.agents[0].remove().await?;
        for restart in [false, true] {
            if restart {
                fleet.agents.remove(0).kill()?;
                fleet.agents.push(Agent::start(&fleet.lab.hosts[0], &fleet.directories[0]).await?);
            }
            let late =
                fleet.apply_to(0, &NODES[..1], 5).await.err().context("a removed network came back")?;
            ensure!(late.to_string().contains("removed"), "{late}");
        }
        ensure!(fleet.apply_to(0, &NODES[..1], 6).await?);
        Ok(())
    })
}

pub(crate) fn two_networks_share_a_host_and_no_more() -> anyhow::Result<()> {
    const OTHER: (&str, &str) = ("sb3fa9c100000b", "sv3fa9c100000b");
    block_on(async {
        let fleet = Fleet::new(2).await?;
        let (host, agent) = (&fleet.lab.hosts[0], &fleet.agents[0]);
        fleet.apply(&NODES[..2], 1).await?;
        let right = entries(host)?;
        let mut other = state(&fleet.lab, 0, &[], 1);
        other.network = shoal_types::NetworkId::new(2, [2; 10]).to_string();
        other.domain = "prod.default.shoal.internal".into();
        for (what, claim) in ["device", "bridge", "gateway"].into_iter().zip(0..) {
            let mut clash = other.clone();
            if claim > 0 {
                clash.device = OTHER.1.into();
            }
            if claim > 1 {
                clash.bridge = OTHER.0.into();
            }
            let refused = agent.apply(clash).await.err().context("shared")?;
            ensure!(refused.code() == Code::AlreadyExists && refused.message().contains(what), "{refused}");
        }
        (other.bridge, other.device, other.vni) = (OTHER.0.into(), OTHER.1.into(), 11);
        (other.subnet, other.gateway) = ("10.96.5.0/24".into(), "10.96.5.1".into());
        host.namespace.ip(&format!("link add {} up type bridge", OTHER.0))?;
        ensure!(agent.apply(other.clone()).await?);
        ensure!(agent.list().await?.0.len() == 2);
        ensure!(entries(host)? == right, "the first network is untouched");
        ensure!(agent.remove().await?);
        ensure!(host.has_link(OTHER.1) && !host.has_link(DEVICE), "only the first is gone");
        ensure!(!agent.apply(other).await?, "the second is as it was");
        Ok(())
    })
}

pub(crate) fn what_others_hold_is_named() -> anyhow::Result<()> {
    block_on(async {
        let fleet = Fleet::new(1).await?;
        let (host, agent) = (&fleet.lab.hosts[0], &fleet.agents[0]);
        let refused = async |code: Code, words: &[&str]| {
            let error = agent.apply(state(&fleet.lab, 0, &NODES[..1], 1)).await.err().context("was taken")?;
            ensure!(error.code() == code && words.iter().all(|w| error.message().contains(w)), "{error}");
            anyhow::Ok(())
        };
        host.namespace.ip("link add flannel.10 type vxlan id 10 dstport 4799 local 10.77.0.1")?;
        refused(Code::AlreadyExists, &["VNI 10", "4799", "flannel.10"]).await?;
        ensure!(host.has_link("flannel.10") && !host.has_link(DEVICE));
        host.namespace.ip("link del flannel.10")?;
        host.namespace.ip(&format!("link add {DEVICE} type bridge"))?;
        refused(Code::AlreadyExists, &[DEVICE, "bridge"]).await?;
        host.namespace.ip(&format!("link del {DEVICE}"))?;
        eventually("it goes on by itself", async || healthy(host)).await?;
        let mut foreign = state(&fleet.lab, 0, &NODES[..1], 2);
        foreign.local = "10.77.0.77".into();
        let error = agent.apply(foreign).await.err().context("was taken")?;
        ensure!(error.message().contains("10.77.0.77"), "{error}");
        Ok(())
    })
}

/// Of the agent's own memory only: how much of an unoptimized executable's file is resident is the page cache's matter.
pub(crate) fn a_thousand_members_fit_in_20_mb() -> anyhow::Result<()> {
    const LIMIT: u64 = 20_000_000;
    block_on(async {
        let fleet = Fleet::new(1).await?;
        let mut message = state(&fleet.lab, 0, &[NODES[0]], 1);
        message.subnet = "10.96.0.0/20".into();
        message.members.extend((0..999u32).map(|n| {
            let address = std::net::Ipv4Addr::from_bits(0x0a60_0500 + n);
            Member {
                name: format!("worker-{n}"),
                address: address.to_string(),
                mac: shoal_types::MacAddr::of(address).to_string(),
                remote: format!("10.77.0.{}", 2 + n % 50),
                container: String::new(),
            }
        }));
        let agent = &fleet.agents[0];
        let empty = agent.anonymous_bytes()?;
        let started = std::time::Instant::now();
        ensure!(agent.apply(message.clone()).await?);
        let first = started.elapsed();
        for revision in 2..8 {
            message.revision = revision;
            message.members.swap(1, 2);
            agent.apply(message.clone()).await?;
        }
        ensure!(entries(&fleet.lab.hosts[0])?.len() == 3 * 999);
        let full = agent.anonymous_bytes()?;
        println!(
            "anonymous memory: {:.1} MB without networks, {:.1} MB with 1,000 members; first applied in {first:.0?}",
            mega(empty),
            mega(full)
        );
        ensure!(full < LIMIT, "{:.1} MB", mega(full));
        Ok(())
    })
}

#[expect(clippy::cast_precision_loss, reason = "for people")]
fn mega(bytes: u64) -> f64 {
    bytes as f64 / 1e6
}
