//! Placing as it is described, host by host and node by node, with every score computed by dividing: slow, and without any of
//! the short cuts the scheduler takes. Both must make the same plan.

use std::{cmp::Reverse, collections::BTreeMap};

use rand_chacha::{
    ChaCha8Rng,
    rand_core::{RngCore as _, SeedableRng as _},
};
use shoal_scheduler::{HostView, NodeRequest, Request};
use shoal_types::{HostId, Role, Strategy};

use crate::oracle::takes;

/// A host, and what the plan has made of it.
struct Seat {
    host: HostView,
    turns: i128,
    /// When its turn comes in a round.
    place: i128,
}

/// CPU, memory and slots.
type Amounts = [u128; 3];

fn reserve(node: &NodeRequest) -> Amounts {
    [node.reserve.cpu.0.into(), node.reserve.memory.0.into(), 1]
}

fn whole(host: &HostView) -> Amounts {
    let all = host.allocatable();
    [all.cpu.0.into(), all.memory.0.into(), all.node_slots.into()]
}

/// How full `whole` is with `part`, in millionths of what is scarcest.
fn fill(part: Amounts, whole: Amounts) -> u128 {
    let of = |(part, whole): (u128, u128)| match (part * 1_000_000).checked_div(whole) {
        Some(millionths) => millionths.min(u64::MAX.into()),
        None if part == 0 => 0,
        None => u64::MAX.into(),
    };
    part.into_iter().zip(whole).map(of).max().unwrap_or(0)
}

fn full_with(host: &HostView, node: &NodeRequest) -> i128 {
    let reserved = host.reserved;
    let taken = [reserved.cpu.0.into(), reserved.memory.0.into(), u128::from(reserved.node_slots)];
    let most: Amounts = [u64::MAX.into(), u64::MAX.into(), u32::MAX.into()];
    let mut part = reserve(node);
    for ((part, taken), most) in part.iter_mut().zip(taken).zip(most) {
        *part = (*part + taken).min(most);
    }
    fill(part, whole(host)) as i128
}

/// How many such nodes an empty host would hold.
fn holds(host: &HostView, node: &NodeRequest) -> u128 {
    let times = |(whole, need): (u128, u128)| whole.checked_div(need).unwrap_or(u128::MAX);
    whole(host).into_iter().zip(reserve(node)).map(times).min().unwrap_or(0)
}

/// How good a host is for a node, the lower the better; `least` is what the smallest usable host would hold.
fn score(strategy: Strategy, seat: &Seat, request: &Request, node: &NodeRequest, least: u128) -> Vec<i128> {
    let host = &seat.host;
    let spread = || {
        let shares = ((2 * holds(host, node) + least) / (2 * least)).clamp(1, u32::MAX.into());
        let there = i128::from(host.cluster_nodes);
        vec![there / shares as i128, there, full_with(host, node)]
    };
    match strategy {
        Strategy::Spread => spread(),
        Strategy::RoundRobin => vec![seat.turns, seat.place],
        Strategy::Metadata => {
            let exprs = request.constraints.iter().chain(&node.constraints);
            let failed = exprs.filter(|e| !e.matches(&host.labels)).count() as i128;
            [failed].into_iter().chain(spread()).collect()
        }
        Strategy::Binpack => {
            let empty = host.reserved.node_slots == 0;
            let holds = if empty { holds(host, node) as i128 } else { 0 };
            vec![empty.into(), -holds, -full_with(host, node)]
        }
        Strategy::Random => unreachable!("urns decide"),
    }
}

/// What `random` draws from: the usable hosts of a class with one group and one wish.
struct Urn {
    key: (Option<String>, u32),
    seats: Vec<usize>,
    rng: ChaCha8Rng,
    lot: u64,
}

/// The urns of a class, in the order of groups and wishes, whose numbers they draw from.
fn urns(keys: BTreeMap<(Option<String>, u32), Vec<usize>>, seed: u64, class: usize) -> Vec<Urn> {
    let urn = |(number, (key, seats)): (u64, (_, Vec<usize>))| {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        rng.set_stream(((class as u64) << 32) | number);
        let lot = rng.next_u64();
        Urn { key, seats, rng, lot }
    };
    (0..).zip(keys).map(urn).collect()
}

impl Urn {
    fn draw(&mut self, below: usize) -> usize {
        usize::try_from((u128::from(self.rng.next_u64()) * below as u128) >> 64).unwrap()
    }

    /// Where in `seats` the emptier of two drawn hosts is.
    fn choose(&mut self, full: impl Fn(usize) -> i128) -> usize {
        let count = self.seats.len();
        let mut one = 0;
        if count > 1 {
            let first = self.draw(count);
            let other = self.draw(count - 1);
            let other = if other >= first { other + 1 } else { other };
            let key = |at: usize| (full(self.seats[at]), self.seats[at]);
            one = if key(other) < key(first) { other } else { first };
        }
        self.lot = self.rng.next_u64();
        one
    }
}

/// The urn of the next node: of every group the one with the least wish against it, of these that of the group with the
/// fewest nodes, then by lot.
fn next(urns: &[Urn], nodes: &BTreeMap<Option<String>, u64>) -> Option<usize> {
    let mut of_group: BTreeMap<_, usize> = BTreeMap::new();
    for (number, urn) in urns.iter().enumerate().filter(|(_, urn)| !urn.seats.is_empty()) {
        of_group.entry(&urn.key.0).or_insert(number);
    }
    let best = of_group.into_iter().min_by_key(|(group, number)| {
        let urn = &urns[*number];
        (nodes[*group], urn.key.1, urn.lot, *number)
    });
    best.map(|(_, number)| number)
}

fn seats(hosts: &[HostView]) -> Vec<Seat> {
    let mut hosts = hosts.to_vec();
    hosts.sort_by_key(|host| host.id);
    let mut names: Vec<_> = hosts.iter().map(|host| host.name.clone()).collect();
    names.sort();
    let nodes: u64 = hosts.iter().map(|host| u64::from(host.reserved.node_slots)).sum();
    if !names.is_empty() {
        let first = usize::try_from(nodes).unwrap() % names.len();
        names.rotate_left(first);
    }
    let seat = |host: HostView| {
        let place = names.iter().position(|name| *name == host.name).unwrap() as i128;
        Seat { host, turns: 0, place }
    };
    hosts.into_iter().map(seat).collect()
}

/// The host of every node, in the order of the request; how many were placed before one had none, otherwise.
pub(crate) fn plan(strategy: Strategy, hosts: &[HostView], request: &Request) -> Result<Vec<HostId>, usize> {
    let mut seats = seats(hosts);
    let rules = &request.rules;
    let by_role = hosts.iter().any(|h| !h.claimed.is_empty())
        || !rules.apart.is_empty()
        || !rules.prefer_apart.is_empty();
    let mut classes: Vec<Vec<usize>> = Vec::new();
    for (at, node) in request.nodes.iter().enumerate() {
        let same = |class: &&mut Vec<usize>| {
            let first = &request.nodes[class[0]];
            first.reserve == node.reserve
                && first.constraints == node.constraints
                && first.pin == node.pin
                && (first.role == node.role || !by_role)
        };
        match classes.iter_mut().find(same) {
            Some(class) => class.push(at),
            None => classes.push(vec![at]),
        }
    }
    let most: Amounts = [u64::MAX.into(), u64::MAX.into(), u32::MAX.into()];
    let mut all = [0; 3];
    for seat in &seats {
        for ((sum, part), most) in all.iter_mut().zip(whole(&seat.host)).zip(most) {
            *sum = (*sum + part).min(most);
        }
    }
    classes.sort_by_key(|class| {
        let node = &request.nodes[class[0]];
        let usable = seats.iter().filter(|seat| takes(strategy, &seat.host, request, node) > 0).count();
        (usable, Reverse(fill(reserve(node), all)), class[0])
    });

    let mut plan = vec![None; request.nodes.len()];
    let mut placed = 0;
    for class in classes {
        let fits = |seat: &&Seat| takes(strategy, &seat.host, request, &request.nodes[class[0]]) > 0;
        let least = seats.iter().filter(fits).map(|seat| holds(&seat.host, &request.nodes[class[0]])).min();
        let least = least.unwrap_or(1).max(1);
        let group = |host: &HostView| {
            rules.spread_over.as_ref().and_then(|label| host.labels.get(label).map(ToString::to_string))
        };
        let unwished = |host: &HostView, role: Role| {
            let wished = rules.prefer_apart.contains(&role);
            if wished { host.others.get(&role).copied().unwrap_or(0) } else { 0 }
        };
        let role = request.nodes[class[0]].role;
        let mut keys: BTreeMap<_, Vec<usize>> = BTreeMap::new();
        for (at, seat) in seats.iter().enumerate().filter(|(_, seat)| fits(seat)) {
            keys.entry((group(&seat.host), unwished(&seat.host, role))).or_default().push(at);
        }
        let mut urns = urns(keys, request.seed, class[0]);
        for at in class {
            let node = &request.nodes[at];
            let mut nodes: BTreeMap<_, u64> = BTreeMap::new();
            for seat in &seats {
                *nodes.entry(group(&seat.host)).or_default() += u64::from(seat.host.cluster_nodes);
            }
            let chosen = if strategy == Strategy::Random {
                let next = next(&urns, &nodes);
                next.map(|urn| {
                    let drawn = urns[urn].choose(|seat| full_with(&seats[seat].host, node));
                    (urns[urn].seats[drawn], Some((urn, drawn)))
                })
            } else {
                let open =
                    seats.iter().enumerate().filter(|(_, s)| takes(strategy, &s.host, request, node) > 0);
                let best = open.min_by_key(|(at, seat)| {
                    let (nodes, wish) = (nodes[&group(&seat.host)], unwished(&seat.host, role));
                    (nodes, wish, score(strategy, seat, request, node, least), *at)
                });
                best.map(|(seat, _)| (seat, None))
            };
            let Some((chosen, drawn)) = chosen else { return Err(placed) };
            let best = &mut seats[chosen];
            let reserved = &mut best.host.reserved;
            reserved.cpu.0 += node.reserve.cpu.0;
            reserved.memory.0 += node.reserve.memory.0;
            reserved.node_slots += 1;
            best.host.cluster_nodes += 1;
            best.turns += 1;
            if let Some((number, drawn)) = drawn
                && takes(strategy, &best.host, request, node) == 0
            {
                urns[number].seats.swap_remove(drawn);
            }
            plan[at] = Some(best.host.id);
            placed += 1;
        }
    }
    Ok(plan.into_iter().flatten().collect())
}
