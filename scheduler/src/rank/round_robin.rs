//! `round-robin`: one host after the other in order of their names, whatever they hold; a host without room loses its turn.
//!
//! The first turn is that of the host after the one the previous request ended on, told from the number of nodes that
//! exist: no counter to keep, and a dry run begins where the real one will.

use std::rc::Rc;

use super::Ranking;
use crate::{class::Demand, room::Room};

/// The order of `round-robin`.
#[derive(Debug)]
pub(crate) struct RoundRobin {
    /// Host -> when its turn comes in a round, by position.
    turn: Rc<[usize]>,
}

/// When a host is next; the order of the fields is their priority.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Turn {
    /// Turns it has had in this plan.
    had: u32,
    /// Its place in a round.
    place: usize,
}

impl Ranking for RoundRobin {
    type Score = Turn;

    /// `turn`.
    type Shape = Rc<[usize]>;

    fn shape(rooms: &[Room<'_>], _demand: Demand<'_>) -> Rc<[usize]> {
        let mut by_name: Vec<usize> = (0..rooms.len()).collect();
        by_name.sort_by_key(|position| &rooms[*position].host.name);
        let nodes: u64 = rooms.iter().map(|room| u64::from(room.host.reserved.node_slots)).sum();
        let first = usize::try_from(nodes).unwrap_or(usize::MAX).checked_rem(rooms.len()).unwrap_or(0);
        let mut turn = vec![0; rooms.len()];
        by_name.rotate_left(first);
        for (place, position) in by_name.into_iter().enumerate() {
            turn[position] = place;
        }
        turn.into()
    }

    fn new(turn: &Rc<[usize]>, _rooms: &[Room<'_>], _usable: &[usize], _demand: Demand<'_>) -> Self {
        Self { turn: Rc::clone(turn) }
    }

    fn score(&self, position: usize, room: &Room<'_>) -> Turn {
        Turn { had: room.turns, place: self.turn[position] }
    }

    fn say(turn: Turn) -> String {
        format!("has had {} turns, is number {} of a round", turn.had, turn.place + 1)
    }
}
