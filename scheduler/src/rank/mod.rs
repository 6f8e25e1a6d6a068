//! Rankings: which of the hosts that fit is best for the next node. One file per strategy.

mod metadata;
mod round_robin;
mod spread;

pub(crate) use metadata::Metadata;
pub(crate) use round_robin::RoundRobin;
pub(crate) use spread::Spread;

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
    type Score: Ord;

    /// What label expressions do.
    const CONSTRAINTS: Constraints = Constraints::Required;

    /// What does not change while the class is placed. `usable` are the positions in `rooms`, ascending, of the hosts
    /// that can take a node of the class.
    fn new(rooms: &[Room<'_>], usable: &[usize], demand: Demand<'_>) -> Self;

    /// How good the host at `position` is for the next node; nothing but its own room may change it.
    fn score(&self, position: usize, room: &Room<'_>) -> Self::Score;
}
