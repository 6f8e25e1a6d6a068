//! Evening out: a node goes where its cluster's strategy would place it now, if that is better by enough.
//!
//! ```text
//! nodes of a cluster   a: 5  b: 4  c: 0 (it came back)      from the worst host on:   a>c b>c a>c, then 3 3 3
//! ```

use std::collections::BTreeMap;

use super::Step;
use crate::{
    Request,
    class::{Class, classes},
    filter::lack,
    place::lasting,
    queue::unwished,
    rank::{Constraints, Ranking as _, Spread, SpreadScore},
    room::{Room, of_each_size},
    shape::groups,
};

/// What a move must gain, in millionths of what its host carries: a move costs a node its uptime, and of 20 nodes one more or less
/// is no load.
pub(crate) const LEAST_GAIN: u64 = 50_000;

const MILLION: u128 = 1_000_000;

/// What is to be even.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum By {
    /// The cluster's nodes by the sizes of hosts, then the load.
    Spread,
    /// The same among hosts that fail as few expressions.
    Metadata,
    /// The cluster's nodes, whatever the sizes of hosts.
    Number,
    /// The load, whoever causes it.
    Load,
}

impl By {
    fn constraints(self) -> Constraints {
        match self {
            Self::Metadata => Constraints::Preferred,
            Self::Spread | Self::Number | Self::Load => Constraints::Required,
        }
    }
}

/// How bad a host is for one more node; the order of the fields is their priority, that of a queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Level {
    /// Nodes of the cluster in its group.
    group: u64,
    /// Nodes of other clusters that had better be apart.
    unwished: u32,
    /// Expressions it fails.
    failed: usize,
    spread: SpreadScore,
}

/// Nodes that ask for the same.
struct Kind<'a> {
    class: Class<'a>,
    /// Position -> whether such a node may be there, if there is room.
    allowed: Vec<bool>,
    /// Position -> expressions it fails.
    failed: Vec<usize>,
    spread: Spread,
    /// Position -> its nodes that may still move, by number; from the last on.
    left: BTreeMap<usize, Vec<usize>>,
}

struct Evening<'a, 'h> {
    by: By,
    rooms: &'a mut [Room<'h>],
    /// Position -> number of its group.
    groups: Vec<usize>,
    /// Nodes of the cluster in each group.
    counts: Vec<u64>,
}

pub(super) fn moves(
    by: By,
    rooms: &mut [Room<'_>],
    request: &Request,
    at: &[Option<usize>],
    most: usize,
) -> Vec<Step> {
    let claimed = rooms.iter().any(|room| !room.host.claimed.is_empty());
    let classes = classes(request, claimed);
    let Some(first) = classes.first() else { return vec![] };
    let groups = groups(rooms, first.demand);
    let mut counts = vec![0; groups.iter().max().map_or(0, |last| last + 1)];
    for (room, group) in rooms.iter().zip(&groups) {
        counts[*group] += u64::from(room.cluster_nodes);
    }
    let mut kinds: Vec<Kind<'_>> =
        classes.into_iter().map(|class| Kind::new(by.constraints(), rooms, class, at)).collect();
    let mut evening = Evening { by, rooms, groups, counts };
    let mut steps = Vec::new();
    while steps.len() < most {
        let found = kinds.iter().enumerate().filter_map(|(number, kind)| {
            let (gain, from, to) = evening.next(kind)?;
            Some((std::cmp::Reverse(gain), number, from, to))
        });
        let Some((_, number, from, to)) = found.collect::<Vec<_>>().into_iter().min() else { break };
        let kind = &mut kinds[number];
        let Some(node) = kind.left.get_mut(&from).and_then(Vec::pop) else { break };
        kind.left.retain(|_, nodes| !nodes.is_empty());
        let reserve = kind.class.demand.node.reserve;
        evening.rooms[from].give_back(reserve);
        evening.rooms[to].take(reserve);
        evening.counts[evening.groups[from]] = evening.counts[evening.groups[from]].saturating_sub(1);
        evening.counts[evening.groups[to]] += 1;
        steps.push((node, from, to));
    }
    steps
}

impl<'a> Kind<'a> {
    fn new(constraints: Constraints, rooms: &[Room<'_>], class: Class<'a>, at: &[Option<usize>]) -> Self {
        let demand = class.demand;
        let allowed: Vec<bool> =
            rooms.iter().map(|room| lasting(constraints, room.host, demand).is_none()).collect();
        let usable: Vec<usize> = (0..rooms.len()).filter(|at| allowed[*at]).collect();
        let fails = |room: &Room<'_>| demand.exprs().filter(|e| !e.matches(&room.host.labels)).count();
        let mut left: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
        for node in &class.nodes {
            if let Some(at) = at.get(*node).copied().flatten() {
                left.entry(at).or_default().push(*node);
            }
        }
        Self {
            failed: rooms.iter().map(fails).collect(),
            spread: Spread::new(&of_each_size(rooms), rooms, &usable, demand),
            class,
            allowed,
            left,
        }
    }
}

impl Evening<'_, '_> {
    /// The move of such a node from the worst host on that is worth it: gain, from, to.
    fn next(&mut self, kind: &Kind<'_>) -> Option<(u64, usize, usize)> {
        let demand = kind.class.demand;
        let own = |from: &usize| (self.without(kind, *from, |own| own.level(kind, *from, *from)), *from);
        let mut sources: Vec<(Level, usize)> = kind.left.keys().map(own).collect();
        // The worst first, a tie by position.
        sources.sort_by(|a, b| b.0.cmp(&a.0).then(a.1.cmp(&b.1)));
        sources.into_iter().find_map(|(own, from)| {
            let takes =
                |at: &usize| *at != from && kind.allowed[*at] && lack(&self.rooms[*at], demand).is_none();
            let targets = (0..self.rooms.len()).filter(takes);
            let (to, at) = targets.map(|at| (self.level(kind, at, from), at)).min()?;
            let gain = if to < own { self.gain(kind, (own, from), (to, at)) } else { 0 };
            (gain >= LEAST_GAIN).then_some((gain, from, at))
        })
    }

    /// What is seen while one node of `from` is gone.
    fn without<T>(&mut self, kind: &Kind<'_>, from: usize, seen: impl FnOnce(&Self) -> T) -> T {
        let before = self.rooms[from].standing();
        self.rooms[from].give_back(kind.class.demand.node.reserve);
        let seen = seen(self);
        self.rooms[from].set_standing(before);
        seen
    }

    /// How bad `at` is for a node that comes from `from`.
    fn level(&self, kind: &Kind<'_>, at: usize, from: usize) -> Level {
        let room = &self.rooms[at];
        let own = u64::from(self.groups[at] == self.groups[from]);
        let spread = kind.spread.score(at, room);
        let spread = match self.by {
            By::Spread | By::Metadata => spread,
            By::Number => SpreadScore { round: 0, fill: 0, ..spread },
            By::Load => SpreadScore { round: 0, cluster_nodes: 0, ..spread },
        };
        Level {
            group: self.counts[self.groups[at]].saturating_sub(own),
            unwished: unwished(room, kind.class.demand),
            failed: match self.by {
                By::Metadata => kind.failed[at],
                By::Spread | By::Number | By::Load => 0,
            },
            spread,
        }
    }

    /// How much better it is to be at `to` than at `from`, in millionths: of what differs first.
    fn gain(&self, kind: &Kind<'_>, (own, from): (Level, usize), (there, to): (Level, usize)) -> u64 {
        let less = |of: u128, than: u128| {
            let part = than.saturating_sub(of) * MILLION / than.max(1);
            u64::try_from(part).unwrap_or(u64::MAX)
        };
        if own.group != there.group {
            return less(u128::from(there.group) + 1, u128::from(own.group) + 1);
        }
        if (own.unwished, own.failed) != (there.unwished, there.failed) {
            return less(0, 1);
        }
        let share = |at: usize| match self.by {
            By::Spread | By::Metadata => u128::from(kind.spread.shares(&self.rooms[at])),
            By::Number | By::Load => 1,
        };
        if (own.spread.round, own.spread.cluster_nodes) != (there.spread.round, there.spread.cluster_nodes) {
            let nodes = |level: Level| u128::from(level.spread.cluster_nodes) + 1;
            return less(nodes(there) * share(from), nodes(own) * share(to));
        }
        less(there.spread.fill.into(), own.spread.fill.into())
    }
}
