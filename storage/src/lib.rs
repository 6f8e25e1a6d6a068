//! The store: what is intended, what was last observed, and who may write it. SQLite by default, PostgreSQL by URL.
//!
//! ```text
//! StoreUrl + SealingKey --Store::open--> Store --begin--> Transaction --guard(lease)--> OwnerTransaction --commit
//!                                          `----read---> Snapshot
//! ```
//! One transaction object is one unit of work; repositories ([`Hosts`], [`Clusters`], ...) are borrowed from it, and what
//! it may do is in its type: a [`Snapshot`] only reads, a [`Transaction`] edits intent, an [`OwnerTransaction`] holds the
//! lease of what it writes and may also record what was done. Dropping one rolls it back.
//!
//! Both databases run the same SQL text (`$1` binds; integers, text and bytes only) and keep the same promise: **one
//! writer at a time**, so that a transaction sees everything committed before it began and nothing after. SQLite gives
//! that by `BEGIN IMMEDIATE`, PostgreSQL by an advisory lock taken first; see `session.rs` for why that is enough.

mod admission;
mod cluster;
mod column;
mod conflict;
mod connection;
mod decision;
mod error;
mod event;
mod failpoint;
mod fault;
mod guard;
mod holder;
mod host;
mod image;
mod key;
mod lease;
mod migrations;
mod network;
mod node;
mod pool;
mod postgres;
mod query;
mod registry;
mod remnant;
mod reservation;
mod row;
mod seal;
mod secret;
mod session;
mod sqlite;
mod state_copy;
mod store;
mod transfer;
mod upgrade;
mod url;
mod user;

pub use cluster::{Cluster, Clusters};
pub use conflict::Conflict;
pub use decision::{Decision, Decisions};
pub use error::StoreError;
pub use event::{EventFilter, Events};
#[cfg(feature = "failpoints")]
pub use failpoint::{Fate, Moment, Probe};
pub use guard::{NotOwn, foreign_directory};
pub use holder::{Holder, HolderError};
pub use host::{Host, HostAgent, HostHealth, HostSettings, Hosts, LastError, Usage};
pub use image::{AccountIds, ImageFacts, ImageOnHost, Images};
pub use key::{KeyError, Rng, SealingKey};
pub use lease::{Acquired, Lease, Leases, Resource};
pub use network::{Network, Networks};
pub use node::{Crowd, Node, NodeReport, Nodes};
pub use registry::{Registries, Registry, RegistryCredentials};
pub use remnant::{NewRemnant, Remnant, Remnants};
pub use reservation::{Reservation, ReservationOwner, Reservations};
pub use secret::{SecretKind, Secrets};
pub use session::{Mode, Owner, OwnerTransaction, Read, Session, Snapshot, Transaction, Write, Writes};
pub use state_copy::{KeptState, PackedState, StateCopies, StateCopy, StateSource};
pub use store::Store;
pub use transfer::{Import, TransferError, Transferred};
pub use url::{StoreUrl, StoreUrlError};
pub use user::{User, Users};
