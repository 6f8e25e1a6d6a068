//! Edits of intent: decided on a snapshot without touching a host, committed in one transaction, decided anew if somebody
//! else committed first. Uses `observe/` and the floors below.
//!
//! ```text
//! an Edit (admission.rs, relocation.rs)          commit.rs
//!   decide: Basis -> ChangeSet  <-------  read --> decide --> write, one transaction
//!                                            ^                   |
//!                                            `--- stale: again --'
//! ```
//! An edit is a value: what it changes is data, so one function writes all of them.

pub(crate) mod addressing;
pub(crate) mod admission;
pub(crate) mod commit;
pub(crate) mod network;
pub(crate) mod placing;
pub(crate) mod rebalancing;
pub(crate) mod relocation;
