//! `metadata`: label expressions choose. Hosts that satisfy more of them are filled first; among equals, as `spread`.
//!
//! Here an expression is a wish: the hosts that fail it are used once those that satisfy it are full.

use std::{cmp::Ordering, rc::Rc};

use super::{Constraints, Ranking, Spread, SpreadScore};
use crate::{class::Demand, room::Room};

/// The order of `metadata`.
#[derive(Debug)]
pub(crate) struct Metadata {
    /// Host -> expressions it fails, by position.
    failed: Rc<[usize]>,
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

    /// `failed`, and what `spread` knows.
    type Shape = (Rc<[usize]>, <Spread as Ranking>::Shape);

    fn shape(rooms: &[Room<'_>], demand: Demand<'_>) -> Self::Shape {
        let fails = |room: &Room<'_>| demand.exprs().filter(|e| !e.matches(&room.host.labels)).count();
        (rooms.iter().map(fails).collect(), Spread::shape(rooms, demand))
    }

    fn new((failed, sizes): &Self::Shape, rooms: &[Room<'_>], usable: &[usize], demand: Demand<'_>) -> Self {
        Self { failed: Rc::clone(failed), spread: Spread::new(sizes, rooms, usable, demand) }
    }

    fn score(&self, position: usize, room: &Room<'_>) -> MetadataScore {
        MetadataScore { failed: self.failed[position], spread: self.spread.score(position, room) }
    }

    fn score_below(&self, position: usize, room: &Room<'_>, best: MetadataScore) -> Option<MetadataScore> {
        let failed = self.failed[position];
        let spread = match failed.cmp(&best.failed) {
            Ordering::Less => self.spread.score(position, room),
            Ordering::Equal => self.spread.score_below(position, room, best.spread)?,
            Ordering::Greater => return None,
        };
        Some(MetadataScore { failed, spread })
    }

    fn say(score: MetadataScore) -> String {
        format!("fails {} of the expressions, {}", score.failed, Spread::say(score.spread))
    }
}
