//! Hosts for people; lists come sorted.

use shoal_proto::v1::{Amounts, Host};
use shoal_types::{Bytes, MilliCpu};

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
                "NAME", "STATE", "NODES", "CPUS", "MEMORY", "ENGINE", "AGENT", "CGROUP", "HEARD", "UNDERLAY",
                "LABELS", "ENDPOINT", "ID",
            ];
            let rows = hosts.iter().map(|host| {
                let [nodes, cpus, memory] =
                    load(host).map(|(part, whole, text)| format!("{} {text}", bar(part, whole, BAR)));
                let [name, state, engine, agent, cgroup, labels, endpoint] = words(host);
                let heard = if host.last_seen_ms == 0 { "never".into() } else { age(host.age_ms) };
                let (underlay, id) = (host.underlay.clone(), host.id.clone());
                [
                    name, state, nodes, cpus, memory, engine, agent, cgroup, heard, underlay, labels,
                    endpoint, id,
                ]
            });
            table(width, header, 5, rows, none)
        }
    };
    let errors = hosts.iter().filter(|host| !host.error.is_empty());
    let errors = errors.map(|host| {
        let Host { name, error, age_ms, .. } = host;
        let heard = if *age_ms == 0 { String::new() } else { format!(" (last heard {} ago)", age(*age_ms)) };
        format!("\n{name}: {}{heard}", escape::line(without_host(name, error)))
    });
    table + &errors.collect::<String>()
}

/// How much is promised of how much there is, and both in words: nodes, CPUs, memory.
fn load(host: &Host) -> [(u64, u64, String); 3] {
    let (capacity, reserved) = (host.capacity.unwrap_or_default(), host.reserved.unwrap_or_default());
    let (nodes, slots) = (host.nodes, capacity.node_slots);
    let (cpu, cpus) = (reserved.cpu_milli, capacity.cpu_milli);
    let (memory, memory_bytes) = (reserved.memory_bytes, capacity.memory_bytes);
    [
        (nodes.into(), slots.into(), format!("{nodes}/{slots}")),
        (cpu, cpus, format!("{}/{}", MilliCpu(cpu), MilliCpu(cpus))),
        (memory, memory_bytes, format!("{}/{}", Bytes(memory), Bytes(memory_bytes))),
    ]
}

/// Name, state, engine, agent, way to cgroups, labels, endpoint.
fn words(host: &Host) -> [String; 7] {
    [
        host.name.clone(),
        host.state.clone(),
        host.engine_version.clone(),
        host.agent_state.clone(),
        format!("{} {}", host.engine_cgroup, host.cgroup_way),
        labels(host),
        host.endpoint.clone(),
    ]
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

/// An error without the name of the host it is of, where the name stands before it anyway.
pub(crate) fn without_host<'a>(name: &str, error: &'a str) -> &'a str {
    error
        .strip_prefix("host ")
        .and_then(|e| e.strip_prefix(name))
        .and_then(|e| e.strip_prefix(": "))
        .unwrap_or(error)
}

fn labels(host: &Host) -> String {
    let mut pairs: Vec<_> = host.labels.iter().map(|(key, value)| format!("{key}={value}")).collect();
    pairs.sort();
    pairs.join(" ")
}

/// A host just registered or changed, on one line.
pub(crate) fn host_line(done: &str, host: &Host) -> String {
    let Amounts { cpu_milli, memory_bytes, node_slots } = host.capacity.unwrap_or_default();
    let line = format!(
        "{done} {}: Docker {} (API {}), cgroup {} ({}), room for {} CPUs, {}, {node_slots} nodes",
        host.name,
        host.engine_version,
        host.engine_api_version,
        host.engine_cgroup,
        host.cgroup_way,
        MilliCpu(cpu_milli),
        Bytes(memory_bytes),
    );
    escape::line(&line)
}
