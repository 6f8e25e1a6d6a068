//! `binpack`: as few hosts as possible. Hosts in use come before empty ones, the fullest of them first; of empty ones the
//! largest, so that fewer are opened.
//!
//! ```text
//! in use   a: 70 %, b: 20 %     empty   c: 4 slots, d: 9 slots          order   a until full, then b, then d, then c
//! ```

use std::cmp::Reverse;

use shoal_types::Resources;

use super::{Ranking, percent};
use crate::{class::Demand, room::Room};

/// The order of `binpack`.
#[derive(Debug)]
pub(crate) struct Binpack {
    reserve: Resources,
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

    fn new(_rooms: &[Room<'_>], _usable: &[usize], demand: Demand<'_>) -> Self {
        Self { reserve: demand.node.reserve }
    }

    fn score(&self, _position: usize, room: &Room<'_>) -> BinpackScore {
        let empty = room.nodes() == 0;
        BinpackScore {
            empty,
            holds: Reverse(if empty { room.holds(self.reserve) } else { 0 }),
            fill: Reverse(room.fill_with(self.reserve)),
        }
    }

    fn say(score: BinpackScore) -> String {
        let now = if score.empty { "is empty" } else { "is in use" };
        format!("{now}, would be {} full", percent(score.fill.0))
    }
}
