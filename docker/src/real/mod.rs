//! The real engine: bollard's requests over a transport of our own.
//!
//! ```text
//! containers.rs networks.rs volumes.rs images.rs exec.rs facts.rs   one file per noun
//!        \         |          |          |        |       /
//!         +------- call.rs: limit of the class, subject checked ----+
//!                  |
//!                  request.rs: streams and lists, through frames.rs and lines.rs; all else is bollard's
//!                  |
//!                  transport.rs: pool, TCP_NODELAY, keepalive, TLS, ssh/  --- fault.rs: every error becomes an EngineError
//!                  |
//!                  bounds.rs: how much of an answer is taken
//! ```

mod bounds;
mod call;
mod connect;
mod containers;
mod create;
mod engine;
mod events;
mod exec;
mod facts;
mod fault;
mod frames;
mod images;
mod lines;
mod networks;
mod request;
mod ssh;
mod transport;
mod volumes;

pub use connect::{connect, server_expiry};

use std::sync::Arc;

use crate::{Endpoint, Timeouts};

/// A Docker engine, connected.
#[derive(Debug, Clone)]
pub(crate) struct Docker {
    endpoint: Arc<Endpoint>,
    api_version: Arc<str>,
    timeouts: Timeouts,
    bollard: bollard::Docker,
    transport: transport::Transport,
}
