//! The pipeline: filter, score, reserve, class by class, all or nothing.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BinaryHeap, binary_heap::PeekMut},
};

use shoal_types::{Capacity, Resources};

use crate::{
    Filter, Placement, Plan, Reason, Refusal, Request, Snapshot, Unplaceable,
    class::{Class, Demand, classes},
    rank::{Constraints, Ranking},
    room::{Room, fill},
};

/// Places `request` by the ranking `R`.
pub(crate) fn place<R: Ranking>(snapshot: &Snapshot, request: &Request) -> Result<Plan, Unplaceable> {
    let mut rooms: Vec<_> = snapshot.hosts.iter().map(Room::new).collect();
    rooms.sort_by_key(|room| room.host.id);

    let (classes, refused) = survey::<R>(&rooms, request);
    let mut assigned = Vec::with_capacity(request.nodes.len());
    for class in &classes {
        let mut queue = Queue::<R>::new(&rooms, class.demand);
        for &node in &class.nodes {
            let Some(position) = queue.take(&mut rooms) else {
                return Err(unplaceable::<R>(&rooms, class.demand, node, assigned.len()));
            };
            assigned.push((node, position));
        }
    }

    assigned.sort_unstable();
    let placements = assigned.into_iter().map(|(node, position)| {
        let (node, host) = (request.nodes[node].name.clone(), rooms[position].host);
        Placement { node, host: host.name.clone(), host_id: host.id }
    });
    let refusals = refused.into_iter().map(|((position, _), reason)| (position, reason));
    Ok(Plan { placements: placements.collect(), refusals: by_name(&rooms, refusals) })
}

/// Asks every host about every class before anything is placed: the classes in the order they are to be placed, and
/// why hosts were refused, (position, filter) -> reason of the earliest class in the request.
fn survey<'a, R: Ranking>(
    rooms: &[Room<'_>],
    request: &'a Request,
) -> (Vec<Class<'a>>, BTreeMap<(usize, Filter), Reason>) {
    let mut refused = BTreeMap::new();
    let whole = rooms.iter().fold(Capacity::default(), |sum, room| plus(sum, room.allocatable));
    let mut ranked = Vec::new();
    for class in classes(request) {
        let mut usable = 0_usize;
        for (position, room) in rooms.iter().enumerate() {
            match refuses::<R>(room, class.demand) {
                None => usable += 1,
                Some(reason) => {
                    refused.entry((position, reason.filter())).or_insert(reason);
                }
            }
        }
        ranked.push((usable, Reverse(fill(one(class.demand.node.reserve), whole)), class));
    }
    // Scarcest first, then largest; stable, so the order of the request decides the rest.
    ranked.sort_by_key(|(usable, size, _)| (*usable, *size));
    (ranked.into_iter().map(|(_, _, class)| class).collect(), refused)
}

/// Why a host cannot take such a node: the first filter that refuses it.
fn refuses<R: Ranking>(room: &Room<'_>, demand: Demand<'_>) -> Option<Reason> {
    let asked = |filter: &Filter| *filter != Filter::Constraint || R::CONSTRAINTS == Constraints::Required;
    Filter::ALL.into_iter().filter(asked).find_map(|filter| filter.refuses(room, demand))
}

/// The hosts that can take a node of one class, best first.
struct Queue<'a, R: Ranking> {
    demand: Demand<'a>,
    ranking: R,
    /// (score, position): the position follows the host's id, so it settles ties.
    heap: BinaryHeap<Reverse<(R::Score, usize)>>,
}

impl<'a, R: Ranking> Queue<'a, R> {
    fn new(rooms: &[Room<'_>], demand: Demand<'a>) -> Self {
        let usable: Vec<usize> =
            (0..rooms.len()).filter(|position| refuses::<R>(&rooms[*position], demand).is_none()).collect();
        let ranking = R::new(rooms, &usable, demand);
        let scored = |position: usize| Reverse((ranking.score(position, &rooms[position]), position));
        let heap = usable.into_iter().map(scored).collect();
        Self { demand, ranking, heap }
    }

    /// Reserves room for the next node on the best host; its position.
    fn take(&mut self, rooms: &mut [Room<'_>]) -> Option<usize> {
        let mut best = self.heap.peek_mut()?;
        let position = best.0.1;
        let room = &mut rooms[position];
        room.take(self.demand.node.reserve);
        if Filter::OF_ROOM.iter().any(|filter| filter.refuses(room, self.demand).is_some()) {
            PeekMut::pop(best);
        } else {
            best.0.0 = self.ranking.score(position, room);
        }
        Some(position)
    }
}

fn unplaceable<R: Ranking>(
    rooms: &[Room<'_>],
    demand: Demand<'_>,
    node: usize,
    placed: usize,
) -> Unplaceable {
    let refusals = rooms.iter().enumerate().filter_map(|(at, room)| Some((at, refuses::<R>(room, demand)?)));
    Unplaceable {
        node: demand.request.nodes[node].name.clone(),
        placed,
        nodes: demand.request.nodes.len(),
        refusals: by_name(rooms, refusals),
    }
}

/// Refusals by host name, then in the order of the filters.
fn by_name(rooms: &[Room<'_>], refused: impl Iterator<Item = (usize, Reason)>) -> Vec<Refusal> {
    let mut refusals: Vec<_> = refused
        .map(|(position, reason)| {
            let host = rooms[position].host;
            Refusal { host: host.name.clone(), host_id: host.id, reason }
        })
        .collect();
    refusals.sort_by(|a, b| {
        (&a.host, a.host_id, a.reason.filter()).cmp(&(&b.host, b.host_id, b.reason.filter()))
    });
    refusals
}

fn plus(a: Capacity, b: Capacity) -> Capacity {
    let mut sum = a;
    sum.cpu.0 = sum.cpu.0.saturating_add(b.cpu.0);
    sum.memory.0 = sum.memory.0.saturating_add(b.memory.0);
    sum.node_slots = sum.node_slots.saturating_add(b.node_slots);
    sum
}

fn one(reserve: Resources) -> Capacity {
    Capacity { cpu: reserve.cpu, memory: reserve.memory, node_slots: 1 }
}
