//! The words every other floor speaks: faults, names and labels of what is on hosts, what agents are told and say, randomness.
//!
//! The lowest floor: it uses no other folder of this crate.

pub(crate) mod agent;
pub(crate) mod entropy;
pub(crate) mod fault;
pub(crate) mod naming;

/// Largest gRPC message: an event list or a cluster of 10,000 nodes is a few MiB.
pub(crate) const MESSAGE_LIMIT: usize = 64 << 20;
