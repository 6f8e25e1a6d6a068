//! What is on the hosts after a step, asked past Shoal: engines through docker(1), kernels through ip(8) and bridge(8).

use std::{
    collections::{BTreeMap, BTreeSet},
    net::Ipv4Addr,
    thread,
};

use anyhow::{Context, anyhow};
use serde_json::Value;
use shoal_tests::{Machine, list, text};

/// What a host has of one installation.
#[derive(Debug, Clone, Default)]
pub(super) struct HostSeen {
    /// Containers, running or not.
    pub(super) containers: Vec<Container>,
    /// Docker networks.
    pub(super) networks: Vec<Thing>,
    /// Volumes.
    pub(super) volumes: Vec<Thing>,
    /// Bridges and VXLAN devices: name -> the bridge a device is a port of.
    pub(super) devices: BTreeMap<String, Option<String>>,
    /// Entries of VXLAN devices: device, MAC, host it leads to.
    pub(super) tunnels: BTreeSet<(String, String, Ipv4Addr)>,
    /// Sticky entries of bridges: port, MAC.
    pub(super) sticky: BTreeSet<(String, String)>,
    /// Permanent neighbours: bridge, address, MAC.
    pub(super) neighbours: BTreeSet<(String, Ipv4Addr, String)>,
    /// Sessions with the agent that are open.
    pub(super) sessions: usize,
}

/// A container.
#[derive(Debug, Clone, Default)]
pub(super) struct Container {
    /// Its name.
    pub(super) name: String,
    /// Its labels.
    pub(super) labels: BTreeMap<String, String>,
    /// Whether it runs.
    pub(super) running: bool,
    /// What the engine calls its state.
    pub(super) state: String,
    /// Address and MAC on each of its networks; none unless it runs.
    pub(super) addresses: Vec<(Ipv4Addr, String)>,
}

/// A network or a volume.
#[derive(Debug, Clone, Default)]
pub(super) struct Thing {
    /// Its name.
    pub(super) name: String,
    /// Its labels.
    pub(super) labels: BTreeMap<String, String>,
}

/// Looks at these hosts at once.
///
/// # Errors
/// One cannot be looked at, or something went away while it was looked at.
pub(super) fn look(machines: &[&Machine], installation: &str) -> anyhow::Result<BTreeMap<String, HostSeen>> {
    thread::scope(|scope| {
        let looks: Vec<_> = machines
            .iter()
            .map(|machine| (machine.name(), scope.spawn(|| look_at(machine, installation))))
            .collect();
        let ended = looks.into_iter().map(|(name, look)| {
            let seen = look.join().map_err(|_| anyhow!("looking at {name} panicked"))?;
            Ok((name.clone(), seen.with_context(|| name)?))
        });
        ended.collect()
    })
}

fn look_at(machine: &Machine, installation: &str) -> anyhow::Result<HostSeen> {
    let label = format!("shoal.installation={installation}");
    let containers = inspected(machine, "container", &label)?;
    let containers: Vec<Container> = containers.iter().map(container).collect::<anyhow::Result<_>>()?;
    let things = |kind| -> anyhow::Result<Vec<Thing>> {
        inspected(machine, kind, &label)?
            .iter()
            .map(|thing| Ok(Thing { name: text(thing, "Name")?, labels: labels(&thing["Labels"]) }))
            .collect()
    };
    let (networks, volumes) = (things("network")?, things("volume")?);

    let mut devices = BTreeMap::new();
    for kind in ["bridge", "vxlan"] {
        for link in list(&machine.kernel("ip", &["link", "show", "type", kind])?)? {
            let master = link["master"].as_str().map(str::to_owned);
            devices.insert(text(link, "ifname")?, master);
        }
    }
    let ours = |device: &str| {
        ["sb", "sv"].iter().any(|p| device.strip_prefix(p).is_some_and(|d| d.starts_with(installation)))
    };
    devices.retain(|name, _| ours(name));

    let (mut tunnels, mut sticky) = (BTreeSet::new(), BTreeSet::new());
    for entry in list(&machine.kernel("bridge", &["fdb", "show"])?)? {
        let (device, mac) = (text(entry, "ifname")?, text(entry, "mac")?);
        if !ours(&device) {
            continue;
        }
        if let Some(to) = entry["dst"].as_str() {
            tunnels.insert((device, mac, to.parse()?));
        } else if list(&entry["flags"]).is_ok_and(|flags| flags.contains(&"sticky".into())) {
            sticky.insert((device, mac));
        }
    }
    let neighbours = machine.kernel("ip", &["-4", "neigh", "show", "nud", "permanent"])?;
    let neighbours = list(&neighbours)?.iter().filter(|entry| entry["dev"].as_str().is_some_and(ours));
    let neighbours = neighbours
        .map(|entry| Ok((text(entry, "dev")?, text(entry, "dst")?.parse()?, text(entry, "lladdr")?)))
        .collect::<anyhow::Result<_>>()?;

    let mut sessions = 0;
    for agent in containers.iter().filter(|c| c.running && c.is_agent()) {
        let shown = machine.docker(&["top", &agent.name, "-eo", "pid,args"])?.ok()?;
        sessions += shown.lines().filter(|line| line.contains("agent connect")).count();
    }
    Ok(HostSeen { containers, networks, volumes, devices, tunnels, sticky, neighbours, sessions })
}

/// All of a kind that carries a label, as the engine describes it.
fn inspected(machine: &Machine, kind: &str, label: &str) -> anyhow::Result<Vec<Value>> {
    let ids = machine.labelled(kind, label)?;
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    let words = [kind, "inspect"].into_iter().chain(ids.iter().map(String::as_str)).collect::<Vec<_>>();
    let said = machine.docker(&words)?.ok()?;
    serde_json::from_str(&said).with_context(|| format!("docker {kind} inspect"))
}

fn container(value: &Value) -> anyhow::Result<Container> {
    let networks = value["NetworkSettings"]["Networks"].as_object();
    let addresses = networks.into_iter().flat_map(|networks| networks.values()).filter_map(|network| {
        Some((network["IPAddress"].as_str()?.parse().ok()?, network["MacAddress"].as_str()?.to_owned()))
    });
    Ok(Container {
        name: text(value, "Name")?.trim_start_matches('/').to_owned(),
        labels: labels(&value["Config"]["Labels"]),
        running: value["State"]["Running"] == true,
        state: text(&value["State"], "Status")?,
        addresses: addresses.collect(),
    })
}

fn labels(value: &Value) -> BTreeMap<String, String> {
    let labels = value.as_object().into_iter().flatten();
    labels.filter_map(|(key, value)| Some((key.clone(), value.as_str()?.to_owned()))).collect()
}

impl Container {
    /// A label's value; empty if it has none.
    pub(super) fn label(&self, key: &str) -> &str {
        self.labels.get(key).map_or("", String::as_str)
    }

    /// Is it an agent?
    pub(super) fn is_agent(&self) -> bool {
        self.label("shoal.role") == "agent"
    }
}
