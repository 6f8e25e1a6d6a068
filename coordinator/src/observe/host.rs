//! A host as lists show it: its row, what it can give and what is promised of it. Pure.

use std::collections::{BTreeMap, BTreeSet};

use shoal_api::{Agent, Amounts, CgroupVersion, Cores, Engine, Host as Shown, Time, millis};
use shoal_storage::{Host, Usage};
use shoal_types::{Capacity, HostState, Timestamp};

use crate::observe::{
    capacity::total,
    survey::{underlay, underlay_mtu},
};

/// A host as shown; `usage` is what nodes take of it.
pub(crate) fn shown(host: &Host, usage: Option<&Usage>, now: Timestamp) -> Shown {
    let settings = &host.settings;
    let used = usage.map(|u| (u.reserved, u.nodes)).unwrap_or_default();
    let failed = host.health.state != HostState::Ready;
    let error = host.health.last_error.as_ref().filter(|_| failed).map(|e| e.message.clone());
    let known = |text: &String| Some(text.clone()).filter(|text| !text.is_empty());
    Shown {
        id: host.id.to_string(),
        name: host.name.to_string(),
        endpoint: settings.endpoint.clone(),
        state: host.health.state,
        labels: settings.labels.0.iter().map(|(k, v)| (k.to_string(), v.to_string())).collect(),
        capacity: amounts(allocatable(host)),
        reserved: amounts(Capacity { cpu: used.0.cpu, memory: used.0.memory, node_slots: used.1 }),
        nodes: used.1,
        engine: Engine {
            version: known(&host.engine.version),
            api_version: known(&host.engine.api_version),
            cgroup: if host.engine.cgroup_version == 1 { CgroupVersion::V1 } else { CgroupVersion::V2 },
            cgroup_way: host.engine.cgroup_way(),
        },
        agent: Agent { version: host.agent.version.clone(), state: host.agent.state },
        privileged_nodes: settings.privileged_nodes,
        scheduling: settings.scheduling,
        underlay: underlay(host).map(|address| address.to_string()),
        mtu: underlay_mtu(host),
        set_mtu: settings.mtu,
        error,
        filter_fault: host.facts.as_ref().and_then(|facts| known(&facts.filter_fault)),
        last_seen: host.health.last_seen.and_then(Time::known),
        age_ms: host.health.last_seen.map_or(0, |t| millis(now.since(t))),
    }
}

/// What may be promised of a host.
fn allocatable(host: &Host) -> Capacity {
    let settings = &host.settings;
    shoal_scheduler::HostView {
        id: host.id,
        name: host.name.clone(),
        state: host.health.state,
        scheduling: shoal_types::Scheduling::Schedulable,
        privilege_denied: false,
        labels: settings.labels.clone(),
        total: total(host),
        overcommit: settings.overcommit,
        keep_back: settings.reserve,
        reserved: Capacity::default(),
        cluster_nodes: 0,
        others: BTreeMap::new(),
        claimed: BTreeSet::new(),
        architecture: String::new(),
        profiles: vec![],
        mtu: 0,
        image: shoal_scheduler::ImageState::Present,
    }
    .allocatable()
}

fn amounts(c: Capacity) -> Amounts {
    Amounts { cpus: Cores(c.cpu), memory_bytes: c.memory.0, node_slots: c.node_slots }
}
