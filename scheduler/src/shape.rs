//! The hosts that may take nodes of one shape, whatever their size: found once, and then asked for room class by class.
//!
//! ```text
//! (constraints, pin, role) = shape      Tier: group r1, nobody there to be apart from   h1 h4 h7
//!                                       Tier: group r1, one node to be apart from       h3
//!                                       Tier: group r2, nobody there to be apart from   h2 h5
//! ```

use std::collections::BTreeMap;

use shoal_types::LabelValue;

use crate::{
    Reason,
    class::Demand,
    filter::lack,
    place::lasting,
    queue::{unwished, value},
    rank::Constraints,
    room::Room,
};

/// Position -> number of the host's group; groups are numbered in the order of their values.
pub(crate) type Groups = Vec<usize>;

/// The hosts for one shape.
#[derive(Debug)]
pub(crate) struct Shape {
    /// By group, then by `unwished`, ascending.
    pub(crate) tiers: Vec<Tier>,
}

/// Hosts of a group with as many nodes that had better be apart from those of the shape.
#[derive(Debug)]
pub(crate) struct Tier {
    /// Number of the group.
    pub(crate) group: usize,
    /// Nodes of other clusters that had better be apart.
    pub(crate) unwished: u32,
    /// Positions, ascending.
    pub(crate) hosts: Vec<usize>,
}

impl Tier {
    /// Its hosts with room for a node of the class, ascending.
    pub(crate) fn open(&self, rooms: &[Room<'_>], demand: Demand<'_>) -> impl Iterator<Item = usize> {
        self.hosts.iter().copied().filter(move |at| lack(&rooms[*at], demand).is_none())
    }
}

/// The groups of the hosts.
pub(crate) fn groups(rooms: &[Room<'_>], label: Demand<'_>) -> Groups {
    let values: Vec<Option<&LabelValue>> = rooms.iter().map(|room| value(room, label)).collect();
    let mut sorted = values.clone();
    sorted.sort_unstable();
    sorted.dedup();
    values.iter().map(|value| sorted.binary_search(value).unwrap_or(0)).collect()
}

impl Shape {
    /// Asks every host but for room; `refused` is told of those that cannot be, in ascending order.
    pub(crate) fn new(
        constraints: Constraints,
        rooms: &[Room<'_>],
        groups: &Groups,
        demand: Demand<'_>,
        mut refused: impl FnMut(usize, Reason),
    ) -> Self {
        let mut tiers: BTreeMap<(usize, u32), Vec<usize>> = BTreeMap::new();
        for (at, room) in rooms.iter().enumerate() {
            match lasting(constraints, room.host, demand) {
                None => tiers.entry((groups[at], unwished(room, demand))).or_default().push(at),
                Some(reason) => refused(at, reason),
            }
        }
        let tier = |((group, unwished), hosts)| Tier { group, unwished, hosts };
        Self { tiers: tiers.into_iter().map(tier).collect() }
    }
}
