//! The coordinator: drives hosts to what the store says.
//!
//! Intent is in the store, observation is by label on the hosts, and work is the difference between the two. The folders
//! are floors; calls go down only, and the gate reads the imports:
//!
//! ```text
//! server/    gRPC services: conversions at the edge
//! drive/     whole commands: create with its deadline and rollback, delete, sweep, doctor, hosts, images; upkeep
//! pass/      one pass over the hosts of a cluster: image, plan, actions, readiness, recording
//! edit/      intent + snapshot -> change of intent, in one transaction: admission, relocation
//! observe/   one look at a host, an image, a cluster; the store's intent; events as they come
//! fleet/     one link per host = engine + agent over `docker exec`; leases; what is done to engines
//! words/     faults with classes and hints, names and labels
//! ```
//! One process owns a cluster at a time by a lease (`fleet/lease.rs`), and everything it does is an event.

mod drive;
mod edit;
mod embedded;
mod fleet;
mod observe;
mod pass;
mod remote;
mod serve;
mod server;
mod socket;
mod store_file;
mod words;

pub use drive::upkeep::KeepEvents;
pub use embedded::{Embedded, Options, embedded, embedded_in};
pub use fleet::{Connect, RealEngines, coordinator::Surroundings};
pub use remote::{RemoteCredentials, RemoteError, UserKey, is_address, reach_elsewhere};
pub use serve::{Elsewhere, Server, serve};
pub use shoal_storage::{TransferError, Transferred};
pub use socket::{SocketError, reach};
pub use store_file::{export_store, import_store};
pub use words::{
    entropy::{Entropy, SystemEntropy},
    fault::{
        After, AgentError, BinaryError, ClusterFault, CoordinatorError, Fault, HostFault, ImageFault,
        LostWay, LostWays, NoAddress, NoPlan, NotReady, PlacementFault, ProgramError, StuckNode, Unreadable,
        UserFault,
    },
};
