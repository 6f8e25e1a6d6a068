//! What is left of a host while a plan is made.

use std::collections::BTreeMap;

use shoal_types::{Capacity, Resources};

use crate::HostView;

/// Parts of a whole that are told apart.
const MILLION: u128 = 1_000_000;

/// A host and what has been promised on it, by earlier clusters and by this plan.
#[derive(Debug)]
pub(crate) struct Room<'a> {
    pub(crate) host: &'a HostView,
    pub(crate) allocatable: Capacity,
    /// Number of its size: rooms with equal `allocatable` have the same one (see [`number_sizes`]).
    pub(crate) size: usize,
    taken: Capacity,
    /// Nodes of the cluster on it, those of this plan included.
    pub(crate) cluster_nodes: u32,
    /// Nodes this plan has put on it.
    pub(crate) turns: u32,
}

/// What was promised on a host at one moment.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Standing {
    taken: Capacity,
    cluster_nodes: u32,
    turns: u32,
}

impl<'a> Room<'a> {
    pub(crate) fn new(host: &'a HostView) -> Self {
        Self {
            host,
            allocatable: host.allocatable(),
            size: 0,
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

    /// Takes back what one node reserved.
    pub(crate) fn give_back(&mut self, reserve: Resources) {
        let taken = &mut self.taken;
        taken.cpu.0 = taken.cpu.0.saturating_sub(reserve.cpu.0);
        taken.memory.0 = taken.memory.0.saturating_sub(reserve.memory.0);
        taken.node_slots = taken.node_slots.saturating_sub(1);
        self.cluster_nodes = self.cluster_nodes.saturating_sub(1);
    }

    /// What is promised on it now, to be had again.
    pub(crate) fn standing(&self) -> Standing {
        Standing { taken: self.taken, cluster_nodes: self.cluster_nodes, turns: self.turns }
    }

    /// Back to what was promised then.
    pub(crate) fn set_standing(&mut self, Standing { taken, cluster_nodes, turns }: Standing) {
        (self.taken, self.cluster_nodes, self.turns) = (taken, cluster_nodes, turns);
    }

    /// How full the host is, in millionths of its scarcest resource.
    pub(crate) fn fill(&self) -> u64 {
        fill(self.taken, self.allocatable)
    }

    /// How full the host is with one more node, in millionths of its scarcest resource.
    pub(crate) fn fill_with(&self, reserve: Resources) -> u64 {
        fill(self.with(reserve), self.allocatable)
    }

    /// Whether `fill_with` is at least `least`, told without a division: what decides between hosts is asked of each of
    /// them for every class.
    pub(crate) fn fills_to(&self, reserve: Resources, least: u64) -> bool {
        let reaches = |part: u64, whole: u64| match whole {
            0 => part > 0 || least == 0,
            whole => u128::from(part) * MILLION >= u128::from(least) * u128::from(whole),
        };
        let (part, whole) = (self.with(reserve), self.allocatable);
        reaches(part.cpu.0, whole.cpu.0)
            || reaches(part.memory.0, whole.memory.0)
            || reaches(part.node_slots.into(), whole.node_slots.into())
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

/// Numbers the sizes of rooms, from 0 in the order in which they first appear.
pub(crate) fn number_sizes(rooms: &mut [Room<'_>]) {
    let mut sizes = BTreeMap::new();
    for room in rooms {
        let Capacity { cpu, memory, node_slots } = room.allocatable;
        let next = sizes.len();
        room.size = *sizes.entry((cpu, memory, node_slots)).or_insert(next);
    }
}

/// The first room of every size, by position, in the order of the sizes' numbers.
pub(crate) fn of_each_size(rooms: &[Room<'_>]) -> Vec<usize> {
    let mut first = Vec::new();
    for (position, room) in rooms.iter().enumerate() {
        if room.size == first.len() {
            first.push(position);
        }
    }
    first
}

/// `part` of `whole` in millionths, by whichever resource is scarcest.
pub(crate) fn fill(part: Capacity, whole: Capacity) -> u64 {
    let wide = |part: u64, whole: u64| match (u128::from(part) * MILLION).checked_div(u128::from(whole)) {
        Some(millionths) => u64::try_from(millionths).unwrap_or(u64::MAX),
        None if part == 0 => 0,
        None => u64::MAX,
    };
    // A division of 128 bits takes several times as long as one of 64, which is enough for 18 TB.
    let of = |part: u64, whole: u64| match (part.checked_mul(1_000_000), whole) {
        (Some(millionths), 1..) => millionths / whole,
        (Some(_) | None, _) => wide(part, whole),
    };
    of(part.cpu.0, whole.cpu.0)
        .max(of(part.memory.0, whole.memory.0))
        .max(of(u64::from(part.node_slots), u64::from(whole.node_slots)))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use shoal_types::{Bytes, MilliCpu};

    use super::*;

    fn amount() -> impl Strategy<Value = u64> {
        prop_oneof![0..4_u64, 0..5_000_000_u64, any::<u64>(), Just(u64::MAX)]
    }

    prop_compose! {
        fn capacity()(cpu in amount(), memory in amount(), slots in prop_oneof![0..20_u32, any::<u32>()]) -> Capacity {
            Capacity { cpu: MilliCpu(cpu), memory: Bytes(memory), node_slots: slots }
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(4096))]

        #[test]
        fn fills_are_told_without_dividing_as_by_dividing(
            part in capacity(), whole in capacity(), any_bound in amount(), near in -1..=1_i64,
        ) {
            let of = |part: u64, whole: u64| match (u128::from(part) * MILLION).checked_div(whole.into()) {
                Some(millionths) => u64::try_from(millionths).unwrap_or(u64::MAX),
                None if part == 0 => 0,
                None => u64::MAX,
            };
            let [cpu, memory] = [of(part.cpu.0, whole.cpu.0), of(part.memory.0, whole.memory.0)];
            let full = cpu.max(memory).max(of(part.node_slots.into(), whole.node_slots.into()));
            prop_assert_eq!(fill(part, whole), full);
            let view = crate::snapshot::tests::host();
            // One node of no size makes up for the slot that `with` adds.
            prop_assume!(part.node_slots > 0);
            let taken = Capacity { node_slots: part.node_slots - 1, ..part };
            let room = Room { allocatable: whole, taken, ..Room::new(&view) };
            for bound in [any_bound, full.saturating_add_signed(near)] {
                prop_assert_eq!(room.fills_to(Resources::default(), bound), full >= bound, "{} {}", full, bound);
            }
        }
    }
}
