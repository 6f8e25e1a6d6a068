//! Hosts for people; lists come sorted.

use shoal_proto::v1::{Amounts, Host};
use shoal_types::{Bytes, MilliCpu};

use super::{Width, table};
use crate::escape;

/// All hosts, one a row, then what is wrong with those that do not answer.
pub(crate) fn hosts_table(width: Width, hosts: &[Host]) -> String {
    let header =
        ["NAME", "STATE", "ENGINE", "AGENT", "NODES", "CPUS", "MEMORY", "CGROUP", "LABELS", "ENDPOINT"];
    let rows = hosts.iter().map(|host| {
        let (capacity, reserved) = (host.capacity.unwrap_or_default(), host.reserved.unwrap_or_default());
        [
            host.name.clone(),
            host.state.clone(),
            host.engine_version.clone(),
            host.agent_state.clone(),
            format!("{}/{}", host.nodes, capacity.node_slots),
            format!("{}/{}", MilliCpu(reserved.cpu_milli), MilliCpu(capacity.cpu_milli)),
            format!("{}/{}", Bytes(reserved.memory_bytes), Bytes(capacity.memory_bytes)),
            format!("{} {}", host.engine_cgroup, host.cgroup_way),
            labels(host),
            host.endpoint.clone(),
        ]
    });
    let none = "no hosts; register one: shoal register NAME --docker ENDPOINT";
    let errors = hosts.iter().filter(|host| !host.error.is_empty());
    let errors = errors.map(|host| {
        let Host { name, error, age_ms, .. } = host;
        let heard = if *age_ms == 0 { String::new() } else { format!(" (last heard {} ago)", age(*age_ms)) };
        format!("\n{name}: {}{heard}", escape::line(without_host(name, error)))
    });
    table(width, header, 7, rows, none) + &errors.collect::<String>()
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
