//! The coordinator in simulated worlds: crashed at every effect, beset by faults, with hosts that fail.
//!
//! Needs nothing but this program; a failing run prints its seed or point and how to see it again.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on says where")]

mod concurrent;
mod copies;
mod drain;
mod effects;
mod failing;
mod heal;
mod hosts;
mod images;
mod insight;
mod lifecycle;
mod mtu;
mod placing;
mod programs;
mod rebalance;
mod repair;
mod rotate;
mod schedules;
mod serve;
mod served;
mod servers;
mod slurm;
mod ttl;
mod ways;
