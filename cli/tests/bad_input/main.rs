//! Bad input, as one table: each row is a command that must end with one exit status and one message, without a panic, a
//! secret or anything half applied. Snapshots hold what a person reads; a bed compares store and files after every row.
//!
//! | file | what is wrong |
//! |---|---|
//! | `tls.rs` | certificates, keys and authorities |
//! | `contexts.rs` | contexts of Docker's client |
//! | `endpoints.rs` | what answers where an engine should |
//! | `engines.rs` | engines that answer and cannot be used |
//! | `names.rs` | names that cannot be, and names of nothing |
//! | `amounts.rs` | counts and sizes |
//! | `yaml.rs` | configurations |
//! | `state.rs` | state directories, stores and keys |
//! | `mounts.rs` | the same on file systems that are full or read-only |

#![expect(clippy::unwrap_used, reason = "a test that cannot go on says where")]

mod amounts;
mod authority;
mod bed;
mod contexts;
mod endpoints;
mod engines;
mod mounts;
mod names;
mod state;
mod stub;
mod tls;
mod yaml;
