//! Names: one DNS server per network, on the bridge's gateway address, the same answers on every host.
//!
//! ```text
//! node -- gateway:53 --> handler -- a name of the network? --> zone (memory) --> answer, authoritative
//!                           |------ any other name --------> forward (the host's resolvers) --> answer
//! ```
//!
//! The zone is made from the whole network, so it does not matter on which host a node asks, and neither coordinator nor
//! other hosts are needed to answer. A new revision replaces the zone below the open sockets.

mod forward;
mod handler;
mod server;
mod servers;
mod tcp;
mod zone;

pub(crate) use server::DnsError;
pub(crate) use servers::Servers;
