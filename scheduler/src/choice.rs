//! How the next host is chosen among those that can take a node: by a ranking, or by chance.

use std::{
    cmp::Reverse,
    collections::{BinaryHeap, binary_heap::PeekMut},
};

use rand_chacha::{
    ChaCha8Rng,
    rand_core::{RngCore, SeedableRng},
};

use crate::{
    class::{Class, Demand},
    filter::lack,
    rank::{Constraints, Ranking, percent},
    room::Room,
};

/// Most nodes of a class for which the best host is looked for node by node: a look compares hosts and scores few of them,
/// where a heap begins by scoring all, which takes three divisions each.
const LOOKS: usize = 8;

/// A way to choose hosts for the nodes of one class.
pub(crate) trait Choice {
    /// What label expressions do.
    const CONSTRAINTS: Constraints;

    /// As [`Ranking::Shape`].
    type Shape;

    /// Hosts to choose from, by position; all of them can take a node.
    type Pool;

    /// How good a pool's next host is: lower is better.
    type Key: Ord;

    /// As [`Ranking::shape`].
    fn shape(rooms: &[Room<'_>], demand: Demand<'_>) -> Self::Shape;

    /// What does not change while the class is placed; `usable` as in [`Ranking::new`].
    fn new(shape: &Self::Shape, rooms: &[Room<'_>], usable: &[usize], class: &Class<'_>) -> Self;

    /// The pool of these hosts, ascending; `number` tells it from the class's others.
    fn pool(&self, number: usize, rooms: &[Room<'_>], members: Vec<usize>) -> Self::Pool;

    /// How good its next host is; `None` if it has none.
    fn key(pool: &Self::Pool) -> Option<Self::Key>;

    /// Reserves room for a node on its next host; that host's position.
    fn take(&self, pool: &mut Self::Pool, rooms: &mut [Room<'_>], demand: Demand<'_>) -> Option<usize>;

    /// Puts hosts in the order in which they would be chosen, each with its score in words.
    fn order(&self, rooms: &[Room<'_>], hosts: &mut Vec<usize>) -> Vec<String>;
}

/// Whether a host that has just taken a node can take another.
fn has_room(room: &Room<'_>, demand: Demand<'_>) -> bool {
    lack(room, demand).is_none()
}

/// The best by a ranking.
#[derive(Debug)]
pub(crate) struct Best<R> {
    ranking: R,
    /// Nodes of the class.
    nodes: usize,
}

/// Hosts to choose the best of, as (score, position): the position follows the host's id, so it settles ties.
#[derive(Debug)]
pub(crate) enum Contest<S> {
    /// For few nodes: all hosts are looked at for each, and few of them scored.
    Looks {
        /// Positions, ascending.
        hosts: Vec<usize>,
        /// The best of them; `None` also once no node is left.
        best: Option<(S, usize)>,
        /// Nodes of the class that may still be placed.
        left: usize,
    },
    /// For many: all hosts are scored once, and then one for each node.
    Heap(BinaryHeap<Reverse<(S, usize)>>),
}

impl<R: Ranking> Best<R> {
    fn best(&self, rooms: &[Room<'_>], hosts: &[usize]) -> Option<(R::Score, usize)> {
        let (first, others) = hosts.split_first()?;
        let mut best = (self.ranking.score(*first, &rooms[*first]), *first);
        for at in others {
            // Positions ascend, so a tie goes to the one that is there.
            if let Some(score) = self.ranking.score_below(*at, &rooms[*at], best.0) {
                best = (score, *at);
            }
        }
        Some(best)
    }
}

impl<R: Ranking> Choice for Best<R> {
    const CONSTRAINTS: Constraints = R::CONSTRAINTS;

    type Shape = R::Shape;
    type Pool = Contest<R::Score>;
    type Key = (R::Score, usize);

    fn shape(rooms: &[Room<'_>], demand: Demand<'_>) -> R::Shape {
        R::shape(rooms, demand)
    }

    fn new(shape: &R::Shape, rooms: &[Room<'_>], usable: &[usize], class: &Class<'_>) -> Self {
        Self { ranking: R::new(shape, rooms, usable, class.demand), nodes: class.nodes.len() }
    }

    fn pool(&self, _number: usize, rooms: &[Room<'_>], members: Vec<usize>) -> Self::Pool {
        if self.nodes <= LOOKS {
            let best = self.best(rooms, &members);
            return Contest::Looks { hosts: members, best, left: self.nodes };
        }
        let score = |at: usize| Reverse((self.ranking.score(at, &rooms[at]), at));
        Contest::Heap(members.into_iter().map(score).collect())
    }

    fn key(pool: &Self::Pool) -> Option<Self::Key> {
        match pool {
            Contest::Looks { best, .. } => *best,
            Contest::Heap(heap) => heap.peek().map(|best| best.0),
        }
    }

    fn take(&self, pool: &mut Self::Pool, rooms: &mut [Room<'_>], demand: Demand<'_>) -> Option<usize> {
        match pool {
            Contest::Looks { hosts, best, left } => {
                let (_, position) = (*best)?;
                rooms[position].take(demand.node.reserve);
                if !has_room(&rooms[position], demand)
                    && let Ok(at) = hosts.binary_search(&position)
                {
                    hosts.remove(at);
                }
                *left = left.saturating_sub(1);
                *best = if *left == 0 { None } else { self.best(rooms, hosts) };
                Some(position)
            }
            Contest::Heap(heap) => {
                let mut best = heap.peek_mut()?;
                let position = best.0.1;
                let room = &mut rooms[position];
                room.take(demand.node.reserve);
                if has_room(room, demand) {
                    best.0.0 = self.ranking.score(position, room);
                } else {
                    PeekMut::pop(best);
                }
                Some(position)
            }
        }
    }

    fn order(&self, rooms: &[Room<'_>], hosts: &mut Vec<usize>) -> Vec<String> {
        let mut scored: Vec<_> = hosts.iter().map(|at| (self.ranking.score(*at, &rooms[*at]), *at)).collect();
        scored.sort_unstable();
        *hosts = scored.iter().map(|(_, at)| *at).collect();
        scored.into_iter().map(|(score, _)| R::say(score)).collect()
    }
}

/// `random`: the emptier of two hosts drawn by chance (the power of two choices: loads stay close without looking at all
/// hosts; Mitzenmacher, IEEE TPDS 12(10), 2001).
#[derive(Debug)]
pub(crate) struct Random {
    seed: u64,
    class: u64,
    reserve: shoal_types::Resources,
}

/// Hosts to draw from, and the chance that is left.
#[derive(Debug)]
pub(crate) struct Urn {
    hosts: Vec<usize>,
    rng: ChaCha8Rng,
    /// Which of several pools is next, where nothing else says it.
    lot: u64,
}

impl Urn {
    /// A number below `below`, each as likely: the product's high half is off by less than one in 2^32 hosts.
    fn draw(&mut self, below: usize) -> usize {
        let wide = u128::from(self.rng.next_u64()) * below as u128;
        usize::try_from(wide >> 64).unwrap_or(0)
    }
}

impl Choice for Random {
    const CONSTRAINTS: Constraints = Constraints::Required;

    type Shape = ();
    type Pool = Urn;
    type Key = u64;

    fn shape(_rooms: &[Room<'_>], _demand: Demand<'_>) {}

    fn new((): &(), _rooms: &[Room<'_>], _usable: &[usize], class: &Class<'_>) -> Self {
        let demand = class.demand;
        let seed = demand.request.seed;
        Self { seed, class: demand.first as u64, reserve: demand.node.reserve }
    }

    fn pool(&self, number: usize, _rooms: &[Room<'_>], members: Vec<usize>) -> Urn {
        let mut rng = ChaCha8Rng::seed_from_u64(self.seed);
        // Pools share a seed and no numbers.
        rng.set_stream((self.class << 32) | number as u64);
        let lot = rng.next_u64();
        Urn { hosts: members, rng, lot }
    }

    fn key(urn: &Urn) -> Option<u64> {
        (!urn.hosts.is_empty()).then_some(urn.lot)
    }

    fn take(&self, urn: &mut Urn, rooms: &mut [Room<'_>], demand: Demand<'_>) -> Option<usize> {
        let count = urn.hosts.len();
        let one = match count {
            0 => return None,
            1 => 0,
            _ => {
                let first = urn.draw(count);
                let other = urn.draw(count - 1);
                let other = if other >= first { other + 1 } else { other };
                let full = |at: usize| (rooms[urn.hosts[at]].fill_with(self.reserve), urn.hosts[at]);
                if full(other) < full(first) { other } else { first }
            }
        };
        let position = urn.hosts[one];
        urn.lot = urn.rng.next_u64();
        rooms[position].take(demand.node.reserve);
        if !has_room(&rooms[position], demand) {
            urn.hosts.swap_remove(one);
        }
        Some(position)
    }

    fn order(&self, rooms: &[Room<'_>], hosts: &mut Vec<usize>) -> Vec<String> {
        let fill = |at: &usize| rooms[*at].fill_with(self.reserve);
        hosts.sort_by_key(|at| (fill(at), *at));
        hosts.iter().map(|at| format!("would be {} full", percent(fill(at)))).collect()
    }
}
