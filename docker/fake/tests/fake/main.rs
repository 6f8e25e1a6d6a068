//! The fake engine's own tests: what a simulation counts on beyond what engines do by themselves.

#![expect(clippy::unwrap_used, reason = "a test: a panic is its failure")]

mod bed;
mod conditions;
mod crash;
mod faults;
mod replay;
mod rules;
mod scale;
mod sessions;
mod violations;
