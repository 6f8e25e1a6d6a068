//! What is left of a host while a plan is made.

use shoal_types::{Capacity, Resources};

use crate::HostView;

/// A host and what has been promised on it, by earlier clusters and by this plan.
#[derive(Debug)]
pub(crate) struct Room<'a> {
    pub(crate) host: &'a HostView,
    pub(crate) allocatable: Capacity,
    taken: Capacity,
    /// Nodes of the cluster on it, those of this plan included.
    pub(crate) cluster_nodes: u32,
    /// Nodes this plan has put on it.
    pub(crate) turns: u32,
}

impl<'a> Room<'a> {
    pub(crate) fn new(host: &'a HostView) -> Self {
        Self {
            host,
            allocatable: host.allocatable(),
            taken: host.reserved,
            cluster_nodes: host.cluster_nodes,
            turns: 0,
        }
    }

    pub(crate) fn free(&self) -> Capacity {
        let mut free = self.allocatable;
        free.cpu.0 = free.cpu.0.saturating_sub(self.taken.cpu.0);
        free.memory.0 = free.memory.0.saturating_sub(self.taken.memory.0);
        free.node_slots = free.node_slots.saturating_sub(self.taken.node_slots);
        free
    }

    /// Nodes on it, of every cluster and of this plan.
    pub(crate) fn nodes(&self) -> u32 {
        self.taken.node_slots
    }

    /// Reserves room for one node.
    pub(crate) fn take(&mut self, reserve: Resources) {
        self.taken = self.with(reserve);
        self.cluster_nodes = self.cluster_nodes.saturating_add(1);
        self.turns = self.turns.saturating_add(1);
    }

    /// How full the host is with one more node, in millionths of its scarcest resource.
    pub(crate) fn fill_with(&self, reserve: Resources) -> u64 {
        fill(self.with(reserve), self.allocatable)
    }

    /// How many such nodes the host would hold if it were empty.
    pub(crate) fn holds(&self, reserve: Resources) -> u64 {
        let whole = self.allocatable;
        let by_cpu = whole.cpu.0.checked_div(reserve.cpu.0).unwrap_or(u64::MAX);
        let by_memory = whole.memory.0.checked_div(reserve.memory.0).unwrap_or(u64::MAX);
        by_cpu.min(by_memory).min(u64::from(whole.node_slots))
    }

    fn with(&self, reserve: Resources) -> Capacity {
        let mut taken = self.taken;
        taken.cpu.0 = taken.cpu.0.saturating_add(reserve.cpu.0);
        taken.memory.0 = taken.memory.0.saturating_add(reserve.memory.0);
        taken.node_slots = taken.node_slots.saturating_add(1);
        taken
    }
}

/// `part` of `whole` in millionths, by whichever resource is scarcest.
pub(crate) fn fill(part: Capacity, whole: Capacity) -> u64 {
    let of = |part: u64, whole: u64| match (u128::from(part) * 1_000_000).checked_div(u128::from(whole)) {
        Some(millionths) => u64::try_from(millionths).unwrap_or(u64::MAX),
        None if part == 0 => 0,
        None => u64::MAX,
    };
    of(part.cpu.0, whole.cpu.0)
        .max(of(part.memory.0, whole.memory.0))
        .max(of(u64::from(part.node_slots), u64::from(whole.node_slots)))
}
