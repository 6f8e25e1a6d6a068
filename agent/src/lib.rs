//! The agent: what Shoal runs on each host, in a container in the host's network namespace.
//!
//! ```text
//! coordinator == docker exec ==> connect --unix socket--> serve
//!                                                          |- reconciler: networks on disk, one task that owns them
//!                                                          |    |- firewall: who may send tunnel packets (nftables)
//!                                                          |    |- mesh: VXLAN devices, entries, neighbours (netlink)
//!                                                          |    '- dns: a name server per network
//!                                                          |- tunnel: byte streams to nodes of this host
//!                                                          |- probe, nodes: what runs and listens in nodes
//!                                                          |- facts, health: what the host offers, and how it is
//!                                                          '- path_probe: whether tunnel packets arrive
//! ```
//!
//! It is told whole states and follows the last one by itself, across its own restart and the host's. It needs the
//! capabilities `NET_ADMIN` and `NET_BIND_SERVICE` and the host's process ids; it never touches Docker.
//! One thread is enough: its work is small, and what waits for a disk or walks over processes is done elsewhere.

mod connect;
mod diversion;
mod dns;
mod error;
mod facts;
mod firewall;
mod health;
mod mesh;
mod network;
mod nodes;
mod path_probe;
mod probe;
mod reconciler;
mod serve;
mod service;
mod state;
mod tunnel;

pub use connect::connect;
pub use error::AgentError;
pub use serve::{Config, serve};
pub use state::StateError;
