//! The agent of a host: brought there, and spoken with in types.
//!
//! ```text
//! seat.rs    brings it, and opens a channel to it through `docker exec`
//! client.rs  a method per call: words/agent.rs in and out, one limit of time, one error
//! message.rs messages of the protocol from and to those types
//! ```
//! `client.rs` and `message.rs` are the only files below `server/`, beside that of the scheduler program, that name messages.

mod client;
mod message;
mod seat;

pub(crate) use self::{
    client::{Agent, Arrivals},
    seat::{Seat, Which},
};
