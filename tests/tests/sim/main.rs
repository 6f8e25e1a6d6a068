//! The coordinator in simulated worlds: crashed at every effect, beset by faults, with hosts that fail.
//!
//! Needs nothing but this program; a failing run prints its seed or point and how to see it again.

mod effects;
mod once;
mod schedules;
