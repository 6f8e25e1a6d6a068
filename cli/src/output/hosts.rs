//! Hosts for people; lists come sorted.

use shoal_api::{Host, without_host};
use shoal_types::{Bytes, PrivilegedNodes, Scheduling};

use super::{Detail, Width, bar, table};
use crate::escape;

/// Columns of a bar in a table.
const BAR: usize = 8;

/// All hosts, one a row, then the errors of the hosts without an answer.
pub(crate) fn hosts_table(width: Width, detail: Detail, hosts: &[Host]) -> String {
    let none = "no hosts; register one: shoal register NAME --docker ENDPOINT";
    let table = match detail {
        Detail::Usual => {
            let header = [
                "NAME", "STATE", "ENGINE", "AGENT", "NODES", "CPUS", "MEMORY", "CGROUP", "LABELS", "ENDPOINT",
            ];
            let rows = hosts.iter().map(|host| {
                let [nodes, cpus, memory] = load(host).map(|(_, _, text)| text);
                let [name, state, engine, agent, cgroup, labels, endpoint] = words(host);
                [name, state, engine, agent, nodes, cpus, memory, cgroup, labels, endpoint]
            });
            table(width, header, 7, rows, none)
        }
        Detail::Wide => {
            let header = [
                "NAME",
                "STATE",
                "NODES",
                "CPUS",
                "MEMORY",
                "ENGINE",
                "AGENT",
                "CGROUP",
                "PRIVILEGED",
                "HEARD",
                "UNDERLAY",
                "MTU",
                "LABELS",
                "ENDPOINT",
                "ID",
            ];
            let rows = hosts.iter().map(|host| {
                let [nodes, cpus, memory] =
                    load(host).map(|(part, whole, text)| format!("{} {text}", bar(part, whole, BAR)));
                let [name, state, engine, agent, cgroup, labels, endpoint] = words(host);
                let heard = host.last_seen.map_or_else(|| "never".into(), |_| age(host.age_ms));
                let privileged = host.privileged_nodes.to_string();
                let (underlay, id) = (host.underlay.clone().unwrap_or_default(), host.id.clone());
                [
                    name,
                    state,
                    nodes,
                    cpus,
                    memory,
                    engine,
                    agent,
                    cgroup,
                    privileged,
                    heard,
                    underlay,
                    mtu(host),
                    labels,
                    endpoint,
                    id,
                ]
            });
            table(width, header, 5, rows, none)
        }
    };
    let errors = hosts.iter().filter_map(|host| Some((host, host.error.as_ref()?)));
    let errors = errors.map(|(Host { name, age_ms, .. }, error)| {
        let heard = if *age_ms == 0 { String::new() } else { format!(" (last heard {} ago)", age(*age_ms)) };
        format!("\n{name}: {}{heard}", escape::line(without_host(name, error)))
    });
    table + &errors.collect::<String>()
}

/// How much is promised of how much there is, and both in words: nodes, CPUs, memory.
fn load(host: &Host) -> [(u64, u64, String); 3] {
    let (capacity, reserved) = (host.capacity, host.reserved);
    let (nodes, slots) = (host.nodes, capacity.node_slots);
    let (cpu, cpus) = (reserved.cpus, capacity.cpus);
    let (memory, memory_bytes) = (reserved.memory_bytes, capacity.memory_bytes);
    [
        (nodes.into(), slots.into(), format!("{nodes}/{slots}")),
        (cpu.0.0, cpus.0.0, format!("{cpu}/{cpus}")),
        (memory, memory_bytes, format!("{}/{}", Bytes(memory), Bytes(memory_bytes))),
    ]
}

/// Name, state, engine, agent, way to cgroups, labels, endpoint.
fn words(host: &Host) -> [String; 7] {
    [
        host.name.clone(),
        state(host),
        host.engine.version.clone().unwrap_or_default(),
        host.agent.state.to_string(),
        format!("{} {}", host.engine.cgroup, host.engine.cgroup_way),
        labels(host),
        host.endpoint.clone(),
    ]
}

/// Its state, and what its operator says, as `ready,cordoned`.
fn state(host: &Host) -> String {
    match host.scheduling {
        Scheduling::Schedulable => host.state.to_string(),
        word @ (Scheduling::Cordoned | Scheduling::Draining | Scheduling::Drained) => {
            format!("{},{word}", host.state)
        }
    }
}

/// A time span in the largest unit that it has at least two of, or in seconds.
pub(crate) fn age(ms: u64) -> String {
    match ms / 1000 {
        seconds @ 0..120 => format!("{seconds} s"),
        seconds @ 120..7200 => format!("{} min", seconds / 60),
        seconds @ 7200..172_800 => format!("{} h", seconds / 3600),
        seconds => format!("{} d", seconds / 86_400),
    }
}

/// MTU of the path to other hosts, and whether it is as its operator said.
fn mtu(host: &Host) -> String {
    match (host.set_mtu, host.mtu) {
        (Some(set), _) => format!("{set} (set)"),
        (None, Some(measured)) => measured.to_string(),
        (None, None) => String::new(),
    }
}

fn labels(host: &Host) -> String {
    let mut pairs: Vec<_> = host.labels.iter().map(|(key, value)| format!("{key}={value}")).collect();
    pairs.sort();
    pairs.join(" ")
}

/// What to know of a host whose nodes are root on it, if it takes nodes.
pub(crate) fn root_warning(host: &Host) -> Option<String> {
    match host.privileged_nodes {
        PrivilegedNodes::Deny => None,
        PrivilegedNodes::Allow => {
            let name = escape::line(&host.name);
            host.engine.cgroup_way.reach(&name).map(|reach| {
                format!("warning: {reach} with it; `shoal set host {name} --privileged-nodes deny` keeps nodes off it")
            })
        }
    }
}

/// A host just registered or changed, on one line, and on another what it lacks.
pub(crate) fn host_line(done: &str, host: &Host) -> String {
    let (engine, room) = (&host.engine, &host.capacity);
    let known = |text: &Option<String>| text.clone().unwrap_or_default();
    let line = format!(
        "{done} {}: Docker {} (API {}), cgroup {} ({}), room for {} CPUs, {}, {} nodes{}",
        host.name,
        known(&engine.version),
        known(&engine.api_version),
        engine.cgroup,
        engine.cgroup_way,
        room.cpus,
        Bytes(room.memory_bytes),
        room.node_slots,
        host.set_mtu.map(|mtu| format!(", MTU {mtu}")).unwrap_or_default(),
    );
    match &host.filter_fault {
        None => escape::line(&line),
        Some(fault) => {
            let warning = format!(
                "warning: whoever reaches UDP port 4799 of {} can send into its clusters: {fault}",
                host.name
            );
            format!("{}\n{}", escape::line(&line), escape::line(&warning))
        }
    }
}
