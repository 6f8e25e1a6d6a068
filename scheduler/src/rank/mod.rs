//! Rankings: which of the hosts that fit is best for the next node. One file per strategy.

mod binpack;
mod metadata;
mod round_robin;
mod spread;

pub(crate) use binpack::Binpack;
pub(crate) use metadata::Metadata;
pub(crate) use round_robin::RoundRobin;
pub(crate) use spread::{Spread, SpreadScore};

use crate::{class::Demand, room::Room};

/// What label expressions do under a strategy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Constraints {
    /// A host that fails one is refused.
    Required,
    /// A host that fails one comes later.
    Preferred,
}

/// The order of hosts for the nodes of one class.
pub(crate) trait Ranking {
    /// Lower is better; derive `Ord` on a struct whose fields are in order of priority.
    type Score: Ord + Copy;

    /// What label expressions do.
    const CONSTRAINTS: Constraints = Constraints::Required;

    /// What is the same for all classes that differ in size alone.
    type Shape;

    /// Computes it, before anything is placed.
    fn shape(rooms: &[Room<'_>], demand: Demand<'_>) -> Self::Shape;

    /// What does not change while the class is placed. `usable` are the positions in `rooms` of the hosts that can take a
    /// node of the class, each once.
    fn new(shape: &Self::Shape, rooms: &[Room<'_>], usable: &[usize], demand: Demand<'_>) -> Self;

    /// How good the host at `position` is for the next node; nothing but its own room may change it.
    fn score(&self, position: usize, room: &Room<'_>) -> Self::Score;

    /// The score, if it is lower than `best`. Asked of every host for every class of a few nodes: a ranking whose score
    /// takes a division had better find out without it.
    fn score_below(&self, position: usize, room: &Room<'_>, best: Self::Score) -> Option<Self::Score> {
        Some(self.score(position, room)).filter(|score| *score < best)
    }

    /// A score in words, as what follows the host's name.
    fn say(score: Self::Score) -> String;
}

/// Millionths as a person reads them: `12.3 %`.
pub(crate) fn percent(millionths: u64) -> String {
    format!("{}.{} %", millionths / 10_000, millionths % 10_000 / 1_000)
}

/// A number of nodes of the cluster.
fn nodes(count: u32) -> String {
    match count {
        0 => "no node of the cluster".into(),
        1 => "1 node of the cluster".into(),
        n => format!("{n} nodes of the cluster"),
    }
}
