//! The hosts that can take a node of one class, in the order of the rules and then of the strategy.
//!
//! ```text
//! order   (nodes of the cluster, wish, key) per group: the least is next
//!  group r1: 3 nodes    wished for: Pool   not wished for: Pool         a group is a value of the label nodes are spread
//!  group r2: 2 nodes    wished for: Pool   not wished for: Pool         over; without such a label there is one
//! ```
//! Only the group just used changes, so only its place in the order does.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BinaryHeap, binary_heap::PeekMut},
};

use shoal_types::LabelValue;

use crate::{
    choice::Choice,
    class::{Class, Demand},
    place::refuses,
    room::Room,
    shape::{Groups, Shape},
};

/// Place of a group in the order: its nodes of the cluster, nodes its next host should rather not have, how good that host
/// is, its number.
type Place<K> = (u64, u32, K, usize);

/// The hosts of a class.
pub(crate) struct Queue<'a, C: Choice> {
    demand: Demand<'a>,
    choice: C,
    groups: Vec<Group<C::Pool>>,
    order: BinaryHeap<Reverse<Place<C::Key>>>,
}

struct Group<P> {
    /// Nodes of the cluster on its hosts.
    nodes: u64,
    /// (nodes of other clusters that had better be apart, hosts with so many), ascending.
    tiers: Vec<(u32, P)>,
}

/// The value of the label nodes are spread over; `None` if they are not.
pub(crate) fn value<'h>(room: &Room<'h>, demand: Demand<'_>) -> Option<&'h LabelValue> {
    room.host.labels.get(demand.request.rules.spread_over.as_ref()?)
}

/// Nodes of other clusters on a host that had better be apart from such a node.
pub(crate) fn unwished(room: &Room<'_>, demand: Demand<'_>) -> u32 {
    let role = demand.node.role;
    let wish = demand.request.rules.prefer_apart.contains(&role);
    room.host.others.get(&role).copied().filter(|_| wish).unwrap_or(0)
}

/// Nodes of the cluster per group, those on hosts that cannot be used included.
pub(crate) fn per_group<'h>(rooms: &[Room<'h>], demand: Demand<'_>) -> BTreeMap<Option<&'h LabelValue>, u64> {
    let mut nodes = BTreeMap::new();
    for room in rooms {
        *nodes.entry(value(room, demand)).or_default() += u64::from(room.cluster_nodes);
    }
    nodes
}

impl<'a, C: Choice> Queue<'a, C> {
    /// The hosts of `shape` that have room for nodes of `class`; `known` is what the strategy knows of the shape.
    pub(crate) fn new(
        rooms: &[Room<'_>],
        class: &Class<'a>,
        shape: &Shape,
        groups: &Groups,
        known: &C::Shape,
    ) -> Self {
        let demand = class.demand;
        let mut usable: Vec<usize> = Vec::with_capacity(rooms.len());
        // (tier, where its hosts end in `usable`) for those with room
        let mut tiers = Vec::new();
        for tier in &shape.tiers {
            let from = usable.len();
            usable.extend(tier.open(rooms, demand));
            if usable.len() > from {
                tiers.push((tier, from..usable.len()));
            }
        }
        let choice = C::new(known, rooms, &usable, class);
        let mut nodes = vec![0; groups.iter().max().map_or(0, |last| last + 1)];
        for (room, group) in rooms.iter().zip(groups) {
            nodes[*group] += u64::from(room.cluster_nodes);
        }
        let (mut queued, mut last): (Vec<Group<C::Pool>>, _) = (Vec::new(), None);
        for (number, (tier, hosts)) in tiers.into_iter().enumerate() {
            let pool = choice.pool(number, rooms, usable[hosts].to_vec());
            match queued.last_mut().filter(|_| last == Some(tier.group)) {
                Some(group) => group.tiers.push((tier.unwished, pool)),
                None => {
                    queued.push(Group { nodes: nodes[tier.group], tiers: vec![(tier.unwished, pool)] });
                }
            }
            last = Some(tier.group);
        }
        let order = queued.iter().enumerate().filter_map(|(at, group)| place::<C>(group, at));
        let order = order.map(Reverse).collect();
        Self { demand, choice, groups: queued, order }
    }

    /// Reserves room for the next node on the next host; its position.
    pub(crate) fn take(&mut self, rooms: &mut [Room<'_>]) -> Option<usize> {
        let mut next = self.order.peek_mut()?;
        let at = next.0.3;
        let group = &mut self.groups[at];
        let pool = group.tiers.iter_mut().find(|(_, pool)| C::key(pool).is_some())?;
        let position = self.choice.take(&mut pool.1, rooms, self.demand)?;
        group.nodes += 1;
        match place::<C>(group, at) {
            Some(place) => next.0 = place,
            None => drop(PeekMut::pop(next)),
        }
        Some(position)
    }

    /// Every host that can take the next node, best first, each with its score in words.
    pub(crate) fn standings(&self, rooms: &[Room<'_>]) -> Vec<(usize, String)> {
        let demand = self.demand;
        let nodes = per_group(rooms, demand);
        let mut hosts: Vec<usize> =
            (0..rooms.len()).filter(|at| refuses(C::CONSTRAINTS, &rooms[*at], demand).is_none()).collect();
        let texts = self.choice.order(rooms, &mut hosts);
        let mut standings: Vec<_> = hosts.into_iter().zip(texts).collect();
        // Stable: within group and wish the strategy's order stays.
        standings.sort_by_key(|(at, _)| {
            let room = &rooms[*at];
            (nodes.get(&value(room, demand)).copied(), unwished(room, demand))
        });
        standings
    }
}

fn place<C: Choice>(group: &Group<C::Pool>, at: usize) -> Option<Place<C::Key>> {
    group.tiers.iter().find_map(|(unwished, pool)| Some((group.nodes, *unwished, C::key(pool)?, at)))
}
