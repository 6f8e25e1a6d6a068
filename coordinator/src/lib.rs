//! The coordinator: drives hosts to what the store says.
//!
//! ```text
//! gRPC request --> server/ --> operation --> survey     look at the hosts            survey.rs
//!                                  |-------> admission  place, address, one commit   admission.rs, placing/, addressing.rs, image.rs
//!                                  `-------> reconcile  bring up, settle, take down  reconcile/
//!                                                |
//!                          fleet/: one link per host = engine + agent over `docker exec`
//! ```
//! Intent is in the store, observation is by label on the hosts, and work is the difference between the two: see
//! `reconcile/mod.rs`. One process owns a cluster at a time by a lease (`lease.rs`), and everything it does is an event.

mod addressing;
mod admission;
mod capacity;
mod coordinator;
mod doctor;
mod embedded;
mod entropy;
mod error;
mod fleet;
mod hint;
mod hosts;
mod image;
mod lease;
mod naming;
mod operation;
mod placing;
mod reconcile;
mod render;
mod server;
mod status;
mod supply;
mod survey;
mod sweep;
mod unregister;

pub use addressing::NoAddress;
pub use coordinator::Surroundings;
pub use embedded::{Embedded, Options, embedded, embedded_in};
pub use entropy::{Entropy, SystemEntropy};
pub use error::{After, CoordinatorError, Fault};
pub use fleet::{AgentError, BinaryError, Connect, RealEngines};
pub use hint::hint_of;
pub use placing::{NoPlan, ProgramError, Unreadable};
pub use reconcile::{NotReady, StuckNode};
