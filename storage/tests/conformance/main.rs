//! What the store promises, checked on both databases: every test runs once on SQLite in a temporary directory and once on
//! a real PostgreSQL server that this process starts on a socket in a temporary directory, and there once more through PgBouncer, which
//! gives each transaction another connection.
//!
//! Without an installed server the PostgreSQL half fails and says so; `SHOAL_TEST_POSTGRES=off` leaves it out, and says so
//! too. What is particular to one database is in `opening.rs`, `elsewhere.rs` and `lost_disk.rs`.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on says where")]

mod admission;
mod bed;
mod clusters;
mod decisions;
mod elsewhere;
mod events;
mod hosts;
mod images;
mod leases;
mod lost_disk;
mod make;
mod networks;
mod nodes;
mod opening;
mod pools;
mod registries;
mod remnants;
mod reservations;
mod secrets;
mod session;
mod state_copies;
mod transfer;
mod upgrade;
mod users;
