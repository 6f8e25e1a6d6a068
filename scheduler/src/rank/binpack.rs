//! `binpack`: as few hosts as possible. Hosts in use come before empty ones, the fullest of them first; of empty ones the
//! largest, so that fewer are opened.
//!
//! ```text
//! in use   a: 70 %, b: 20 %     empty   c: 4 slots, d: 9 slots          order   a until full, then b, then d, then c
//! ```

use std::cmp::{Ordering, Reverse};

use shoal_types::Resources;

use super::{Ranking, percent};
use crate::{
    class::Demand,
    room::{Room, of_each_size},
};

/// The order of `binpack`.
#[derive(Debug)]
pub(crate) struct Binpack {
    reserve: Resources,
    /// How many nodes of the class an empty host would hold, by the number of its size.
    holds: Vec<u64>,
}

/// How little is lost by using a host; the order of the fields is their priority.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct BinpackScore {
    /// It has no node at all.
    empty: bool,
    /// How many such nodes an empty host would hold; 0 for one in use.
    holds: Reverse<u64>,
    /// How full it would be, in millionths.
    fill: Reverse<u64>,
}

impl Ranking for Binpack {
    type Score = BinpackScore;

    /// A host of each size, by position.
    type Shape = Vec<usize>;

    fn shape(rooms: &[Room<'_>], _demand: Demand<'_>) -> Vec<usize> {
        of_each_size(rooms)
    }

    fn new(each: &Vec<usize>, rooms: &[Room<'_>], _usable: &[usize], demand: Demand<'_>) -> Self {
        let reserve = demand.node.reserve;
        Self { reserve, holds: each.iter().map(|position| rooms[*position].holds(reserve)).collect() }
    }

    fn score(&self, _position: usize, room: &Room<'_>) -> BinpackScore {
        let empty = room.nodes() == 0;
        BinpackScore {
            empty,
            holds: Reverse(if empty { self.holds[room.size] } else { 0 }),
            fill: Reverse(room.fill_with(self.reserve)),
        }
    }

    fn score_below(&self, position: usize, room: &Room<'_>, best: BinpackScore) -> Option<BinpackScore> {
        let empty = room.nodes() == 0;
        let holds = Reverse(if empty { self.holds[room.size] } else { 0 });
        let fuller = || best.fill.0.checked_add(1).is_some_and(|fill| room.fills_to(self.reserve, fill));
        match (empty, holds).cmp(&(best.empty, best.holds)) {
            Ordering::Less => Some(self.score(position, room)),
            Ordering::Equal => fuller().then(|| self.score(position, room)),
            Ordering::Greater => None,
        }
    }

    fn say(score: BinpackScore) -> String {
        let now = if score.empty { "is empty" } else { "is in use" };
        format!("{now}, would be {} full", percent(score.fill.0))
    }
}
