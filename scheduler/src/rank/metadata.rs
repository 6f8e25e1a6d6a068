//! `metadata`: label expressions choose. Hosts that satisfy more of them are filled first; among equals, as `spread`.
//!
//! Here an expression is a wish: the hosts that fail it are used once those that satisfy it are full.

use super::{Constraints, Ranking, Spread, spread::SpreadScore};
use crate::{class::Demand, room::Room};

/// The order of `metadata`.
#[derive(Debug)]
pub(crate) struct Metadata {
    /// Host -> expressions it fails, by position.
    failed: Vec<usize>,
    spread: Spread,
}

/// How far a host is from what was wished; the order of the fields is their priority.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct MetadataScore {
    /// Expressions it fails.
    failed: usize,
    /// Among hosts that fail as many.
    spread: SpreadScore,
}

impl Ranking for Metadata {
    type Score = MetadataScore;

    const CONSTRAINTS: Constraints = Constraints::Preferred;

    fn new(rooms: &[Room<'_>], usable: &[usize], demand: Demand<'_>) -> Self {
        let fails = |room: &Room<'_>| demand.exprs().filter(|e| !e.matches(&room.host.labels)).count();
        Self { failed: rooms.iter().map(fails).collect(), spread: Spread::new(rooms, usable, demand) }
    }

    fn score(&self, position: usize, room: &Room<'_>) -> MetadataScore {
        MetadataScore { failed: self.failed[position], spread: self.spread.score(position, room) }
    }

    fn say(score: MetadataScore) -> String {
        format!("fails {} of the expressions, {}", score.failed, Spread::say(score.spread))
    }
}
