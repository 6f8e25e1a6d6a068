//! The mesh on this host: the kernel's part of each network.
//!
//! ```text
//!   Network (intent) --+
//!                      +--> plan (pure) --> Plan --> apply --> kernel
//!   Snapshot (dump) ---+                                        |
//!        ^------------------------------------------------------+
//! ```
//!
//! A network is a VXLAN device that is a port of Docker's bridge. It neither learns nor floods: for each node of another
//! host there are three entries, and all three are needed.
//!
//! | entry | on | says | without it |
//! |---|---|---|---|
//! | tunnel: FDB `self` | device | this MAC is behind that host | the frame is dropped |
//! | port: FDB `master static sticky` | bridge, device as port | this MAC is behind the device | suppression does not answer, or a local frame steals it |
//! | neighbour, permanent | bridge | this address is that MAC | an ARP request is flooded |
//!
//! With them the bridge answers ARP itself (`neigh_suppress`). Nodes of this host need none: the bridge learns them from
//! their own ports. Entries of ours are recognised by where they are (everything on our device, permanent neighbours of the
//! subnet on the bridge), so what is stale is found without a record of it.

mod apply;
mod connection;
mod error;
mod events;
mod fdb;
mod link;
mod neigh;
mod plan;
mod remove;
mod snapshot;

pub(crate) use apply::converge;
pub(crate) use connection::connect;
pub(crate) use error::{MeshError, io_error};
pub(crate) use events::{Events, Interest};
pub(crate) use fdb::learned;
pub(crate) use remove::remove;
pub(crate) use snapshot::{Kind, Link, Snapshot, links};
