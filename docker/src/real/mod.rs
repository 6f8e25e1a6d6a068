//! The real engine: bollard's requests over a transport of our own.
//!
//! ```text
//! containers.rs networks.rs volumes.rs images.rs exec.rs facts.rs   one file per noun
//!        \         |          |          |        |       /
//!         +------- call.rs: limit of the class, subject checked ----+
//!                  |
//!                  transport.rs: pool, TCP_NODELAY, keepalive, TLS  --- fault.rs: every error becomes an EngineError
//! ```

mod call;
mod connect;
mod containers;
mod create;
mod engine;
mod events;
mod exec;
mod facts;
mod fault;
mod images;
mod networks;
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
    heard: transport::Heard,
}
