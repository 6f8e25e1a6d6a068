//! The pipeline: filter, choose, reserve, class by class, all or nothing.

use std::{cmp::Reverse, collections::BTreeMap};

use shoal_types::{Capacity, Resources};

use crate::{
    Account, Filter, HostView, Placement, Plan, Reason, Refusal, Request, Snapshot, Unplaceable,
    account::Sight,
    choice::Choice,
    class::{Class, Demand, classes},
    filter::lack,
    queue::Queue,
    rank::Constraints,
    room::{Room, fill, number_sizes},
    shape::{Groups, Shape, groups},
};

/// (position, filter) -> why the host was refused to the earliest class of the request that it was refused to.
pub(crate) type Refused = BTreeMap<(usize, Filter), Reason>;

/// What is known before anything is placed.
pub(crate) struct Survey<'a> {
    /// In the order they are to be placed.
    pub(crate) classes: Vec<Class<'a>>,
    /// By number.
    shapes: Vec<Shape>,
    groups: Groups,
    /// Why hosts were refused.
    pub(crate) refused: Refused,
}

impl<'a> Survey<'a> {
    /// What the strategy knows of every shape, by number.
    fn known<C: Choice>(&self, rooms: &[Room<'_>]) -> Vec<C::Shape> {
        let mut known: Vec<_> = (0..self.shapes.len()).map(|_| None).collect();
        for class in &self.classes {
            known[class.shape].get_or_insert_with(|| C::shape(rooms, class.demand));
        }
        known.into_iter().flatten().collect()
    }

    fn queue<C: Choice>(&self, known: &[C::Shape], rooms: &[Room<'_>], class: &Class<'a>) -> Queue<'a, C> {
        Queue::new(rooms, class, &self.shapes[class.shape], &self.groups, &known[class.shape])
    }
}

/// Places `request`, choosing by `C`.
pub(crate) fn place<C: Choice>(snapshot: &Snapshot, request: &Request) -> Result<Plan, Unplaceable> {
    let mut rooms = rooms(snapshot);
    let survey = survey(C::CONSTRAINTS, &rooms, request);
    let known = survey.known::<C>(&rooms);
    let mut assigned = Vec::with_capacity(request.nodes.len());
    for class in &survey.classes {
        let mut queue = survey.queue::<C>(&known, &rooms, class);
        for &node in &class.nodes {
            let Some(position) = queue.take(&mut rooms) else {
                return Err(unplaceable(C::CONSTRAINTS, &rooms, class.demand, node, assigned.len()));
            };
            assigned.push((node, position));
        }
    }

    assigned.sort_unstable();
    let placements = assigned.into_iter().map(|(node, position)| {
        let (node, host) = (request.nodes[node].name.clone(), rooms[position].host);
        Placement { node, host: host.name.clone(), host_id: host.id }
    });
    let placements = placements.collect();
    Ok(Plan { placements, refusals: named(&rooms, survey.refused) })
}

/// Places `request` as [`place`] does, up to the node at `watched`, and says what was seen there; `None` if it is not placed.
pub(crate) fn account<C: Choice>(snapshot: &Snapshot, request: &Request, watched: usize) -> Option<Account> {
    let mut rooms = rooms(snapshot);
    let survey = survey(C::CONSTRAINTS, &rooms, request);
    let known = survey.known::<C>(&rooms);
    let mut before = 0;
    for class in &survey.classes {
        let mut queue = survey.queue::<C>(&known, &rooms, class);
        for &node in &class.nodes {
            let sight = (node == watched).then(|| Sight::of(&queue, &rooms, class.demand, before));
            let position = queue.take(&mut rooms)?;
            if let Some(sight) = sight {
                return Some(sight.chosen(&rooms, request, node, position));
            }
            before += 1;
        }
    }
    None
}

/// A room per host, in order of the ids.
pub(crate) fn rooms(snapshot: &Snapshot) -> Vec<Room<'_>> {
    let mut rooms: Vec<_> = snapshot.hosts.iter().map(Room::new).collect();
    rooms.sort_by_key(|room| room.host.id);
    number_sizes(&mut rooms);
    rooms
}

/// Asks every host about every class before anything is placed.
pub(crate) fn survey<'a>(constraints: Constraints, rooms: &[Room<'_>], request: &'a Request) -> Survey<'a> {
    let mut refused = BTreeMap::new();
    let whole = rooms.iter().fold(Capacity::default(), |sum, room| plus(sum, room.allocatable));
    let claimed = rooms.iter().any(|room| !room.host.claimed.is_empty());
    let classes = classes(request, claimed);
    let groups = classes.first().map(|class| groups(rooms, class.demand)).unwrap_or_default();
    let mut shapes: Vec<Shape> = Vec::new();
    // Position -> the last filter of room that refused it: most refuse a host to one class as to the one before.
    let mut last = vec![None; rooms.len()];
    let mut ranked = Vec::new();
    for class in classes {
        if class.shape == shapes.len() {
            shapes.push(Shape::new(constraints, rooms, &groups, class.demand, |at, reason| {
                refused.entry((at, reason.filter())).or_insert(reason);
            }));
        }
        let mut usable = 0_usize;
        for &at in shapes[class.shape].tiers.iter().flat_map(|tier| &tier.hosts) {
            let Some(reason) = lack(&rooms[at], class.demand) else {
                usable += 1;
                continue;
            };
            let filter = reason.filter();
            if last[at] != Some(filter) {
                last[at] = Some(filter);
                refused.entry((at, filter)).or_insert(reason);
            }
        }
        ranked.push((usable, Reverse(fill(one(class.demand.node.reserve), whole)), class));
    }
    // Scarcest first, then largest; stable, so the order of the request decides the rest.
    ranked.sort_by_key(|(usable, size, _)| (*usable, *size));
    let classes = ranked.into_iter().map(|(_, _, class)| class).collect();
    Survey { classes, shapes, groups, refused }
}

/// Why a host cannot take such a node: the first filter that refuses it.
pub(crate) fn refuses(constraints: Constraints, room: &Room<'_>, demand: Demand<'_>) -> Option<Reason> {
    lasting(constraints, room.host, demand).or_else(|| lack(room, demand))
}

/// Why a host cannot take nodes of such a shape, whatever their size.
pub(crate) fn lasting(constraints: Constraints, host: &HostView, demand: Demand<'_>) -> Option<Reason> {
    let asked = |filter: &Filter| *filter != Filter::Constraint || constraints == Constraints::Required;
    Filter::LASTING.into_iter().filter(asked).find_map(|filter| filter.refuses(host, demand))
}

fn unplaceable(
    constraints: Constraints,
    rooms: &[Room<'_>],
    demand: Demand<'_>,
    node: usize,
    placed: usize,
) -> Unplaceable {
    Unplaceable {
        node: demand.request.nodes[node].name.clone(),
        placed,
        nodes: demand.request.nodes.len(),
        refusals: refused_now(constraints, rooms, demand),
    }
}

/// The hosts that cannot take such a node as things are.
pub(crate) fn refused_now(constraints: Constraints, rooms: &[Room<'_>], demand: Demand<'_>) -> Vec<Refusal> {
    let refused = |(at, room)| Some((at, refuses(constraints, room, demand)?));
    by_name(rooms, rooms.iter().enumerate().filter_map(refused))
}

/// Refusals as a plan lists them.
pub(crate) fn named(rooms: &[Room<'_>], refused: Refused) -> Vec<Refusal> {
    by_name(rooms, refused.into_iter().map(|((position, _), reason)| (position, reason)))
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
