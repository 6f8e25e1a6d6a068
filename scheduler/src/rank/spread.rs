//! `spread`: a cluster's nodes apart, hosts evenly filled.
//!
//! Hosts of one size get equal numbers of a cluster's nodes. Where sizes differ, numbers follow them without giving up
//! distance: a host counts as many *shares* as the smallest usable host fits into it, and a *round* is over once every
//! host has as many nodes as shares. Within a round the host with the fewest nodes is next.
//!
//! ```text
//! shares   a: 4, b: 1, c: 1
//! order    a b c a a a | b c a a a a | ...      3 nodes: 1 1 1     6 nodes: 4 1 1     12 nodes: 8 2 2
//! ```
//! Among hosts with as many nodes of the cluster, the one that ends up least full wins: so small clusters even out too.

use std::cmp::Ordering;

use shoal_types::Resources;

use super::{Ranking, nodes, percent};
use crate::{
    class::Demand,
    room::{Room, of_each_size},
};

/// The order of `spread`.
#[derive(Debug)]
pub(crate) struct Spread {
    reserve: Resources,
    /// Shares of a host, by the number of its size, at least 1.
    shares: Vec<u32>,
}

/// How much a host has; the order of the fields is their priority.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct SpreadScore {
    /// Rounds it has behind it.
    pub(crate) round: u32,
    /// Nodes of the cluster on it.
    pub(crate) cluster_nodes: u32,
    /// How full it would be, in millionths.
    pub(crate) fill: u64,
}

impl Spread {
    /// Shares of this host.
    pub(crate) fn shares(&self, room: &Room<'_>) -> u32 {
        self.shares[room.size]
    }
}

impl Ranking for Spread {
    type Score = SpreadScore;

    /// A host of each size, by position.
    type Shape = Vec<usize>;

    fn shape(rooms: &[Room<'_>], _demand: Demand<'_>) -> Vec<usize> {
        of_each_size(rooms)
    }

    fn new(each: &Vec<usize>, rooms: &[Room<'_>], usable: &[usize], demand: Demand<'_>) -> Self {
        let reserve = demand.node.reserve;
        let sizes: Vec<u64> = each.iter().map(|position| rooms[*position].holds(reserve)).collect();
        let least = usable.iter().map(|at| sizes[rooms[*at].size]).min().unwrap_or(1).max(1);
        let share = |size: u64| {
            // Rounded, so that hosts sold as equal count as equal; sizes fit 32 bits, being at most the node slots.
            let times = (2 * size + least) / (2 * least);
            u32::try_from(times).unwrap_or(u32::MAX).max(1)
        };
        Self { reserve, shares: sizes.into_iter().map(share).collect() }
    }

    fn score(&self, _position: usize, room: &Room<'_>) -> SpreadScore {
        SpreadScore {
            round: room.cluster_nodes / self.shares[room.size],
            cluster_nodes: room.cluster_nodes,
            fill: room.fill_with(self.reserve),
        }
    }

    fn score_below(&self, position: usize, room: &Room<'_>, best: SpreadScore) -> Option<SpreadScore> {
        let round = room.cluster_nodes / self.shares[room.size];
        match (round, room.cluster_nodes).cmp(&(best.round, best.cluster_nodes)) {
            Ordering::Less => Some(self.score(position, room)),
            Ordering::Equal if room.fills_to(self.reserve, best.fill) => None,
            Ordering::Equal => Some(self.score(position, room)),
            Ordering::Greater => None,
        }
    }

    fn say(score: SpreadScore) -> String {
        format!("has {}, would be {} full", nodes(score.cluster_nodes), percent(score.fill))
    }
}
