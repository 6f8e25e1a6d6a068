//! How many nodes and how much of them a host can carry: from what its engine and its agent report. Pure.

use shoal_storage::Host;
use shoal_types::{Bytes, Capacity, EngineFacts, HostFacts, MilliCpu, Resources};

/// Inotify instances a node with systemd takes: 128, the kernel's default, let 13 nodes start (measured 2026-11-21).
const INOTIFY_PER_NODE: u32 = 9;
/// Dynamic entries in the kernel's one neighbour table that a node takes: its gateway, its controller and a few peers.
const NEIGHBOURS_PER_NODE: u32 = 4;
/// A Linux bridge has 1,024 ports (BR_PORT_BITS); some stay free for the tunnel and for people.
pub(crate) const BRIDGE_PORTS: u32 = 1000;
/// Processes and threads of a node, with room for a job and a login: an idle worker has 8, a controller 17 (`docker stats` on
/// engine 20.10, measured 2026-11-21).
const PIDS_PER_NODE: u64 = 32;
/// What is kept back for the engine, the agent and the machine itself.
pub(crate) const KEEP_BACK: Resources = Resources { cpu: MilliCpu(100), memory: Bytes::mib(256) };

/// What a registered host has to give: CPUs and memory as set, node slots as its machine allows now.
pub(crate) fn total(host: &Host) -> Capacity {
    let set = host.settings.capacity;
    capacity(&host.engine, host.facts.as_ref(), Some(set.cpu), Some(set.memory))
}

/// Nodes that this many inotify instances carry.
pub(crate) fn fits_inotify(instances: u32) -> u32 {
    instances / INOTIFY_PER_NODE
}

/// Nodes that a neighbour table of this size carries.
pub(crate) fn fits_neighbours(limit: u32) -> u32 {
    limit / NEIGHBOURS_PER_NODE
}

/// Nodes that this many processes carry.
pub(crate) fn fits_pids(limit: u64) -> u32 {
    u32::try_from(limit / PIDS_PER_NODE).unwrap_or(u32::MAX)
}

/// What a host has to give; `cpus` and `memory` are the operator's word instead of the engine's.
pub(crate) fn capacity(
    engine: &EngineFacts,
    facts: Option<&HostFacts>,
    cpus: Option<MilliCpu>,
    memory: Option<Bytes>,
) -> Capacity {
    let slots = facts.map_or(BRIDGE_PORTS, |facts| {
        let inotify = fits_inotify(facts.inotify_instances);
        let neighbours = fits_neighbours(facts.neighbour_limit);
        inotify.min(neighbours).min(BRIDGE_PORTS)
    });
    Capacity {
        cpu: cpus.unwrap_or(MilliCpu(u64::from(engine.cpus) * 1000)),
        memory: memory.unwrap_or(engine.memory),
        node_slots: slots,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_scarcest_kernel_limit_counts() {
        let engine = EngineFacts { memory: Bytes::mib(4096), ..EngineFacts::sample() };
        let facts = |inotify_instances, neighbour_limit| HostFacts {
            inotify_instances,
            neighbour_limit,
            ..HostFacts::default()
        };
        assert_eq!(capacity(&engine, Some(&facts(128, 1024)), None, None).node_slots, 14);
        assert_eq!(capacity(&engine, Some(&facts(8192, 1024)), None, None).node_slots, 256);
        assert_eq!(capacity(&engine, Some(&facts(u32::MAX, u32::MAX)), None, None).node_slots, 1000);
        let told = capacity(&engine, None, Some(MilliCpu(8000)), Some(Bytes::mib(1)));
        assert_eq!((told.cpu, told.memory), (MilliCpu(8000), Bytes::mib(1)));
    }
}
