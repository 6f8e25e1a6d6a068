//! Where nodes go: a pure function from what the hosts have to a plan, with a reason for every host that was refused.
//!
//! No clock, no network, no store: the coordinator takes a [`Snapshot`], asks a [`Scheduler`], and writes the [`Plan`] in
//! the same transaction that checks the snapshot still holds. A dry run is the same call without the transaction.
//!
//! ```text
//! Snapshot (hosts, what they have and have promised)        Request (nodes, image, constraints)
//!     |                                                        |
//!     v                                                        v
//!  one Room per host, in order of the ids          classes: nodes that ask for the same; shapes: whatever their size
//!     |                                                        |
//!     +-----------------------+--------------------------------+
//!                             v          scarcest class first
//!     filter   state > privilege > excluded > architecture > profile > mtu > image > pinned > constraint
//!                             |          > spread-over > apart > cpu > memory > node-slots > max-per-host; the first that refuses a host gives its Reason
//!     group    the value of the label nodes are spread over that has the fewest; there, hosts wished for first
//!                             |
//!     choose   a strategy's Choice: the least score, a tie goes to the lower host id; or by chance
//!                             |
//!     reserve  the Room shrinks, the host goes back into its pool as it is now
//!                             v
//!     Ok(Plan): a host for every node, and the refusals    Err(Unplaceable): none, and why
//! ```
//!
//! All or nothing: a request is placed whole or not at all. Placing is greedy. Classes that fewer hosts can take go
//! first, larger nodes before smaller ones, so a request of one class is refused only if it cannot fit; a tight mix of
//! sizes may be refused although some packing of it exists.
//!
//! The same snapshot and request always give the same plan, in whatever order the hosts are listed.
//!
//! # Capacity
//! Allocatable = total x overcommit - kept back, per resource; node slots are never overcommitted. Integers throughout,
//! saturating: an absurd number makes a host full or huge, never a panic.
//!
//! # Adding a strategy
//! 1. A variant in [`shoal_types::Strategy`] with its word.
//! 2. A file in `rank/` with a type that implements `Ranking`: `shape` computes what does not depend on sizes either, `new`
//!    once per class what does not change while nodes are placed, `score` says how good a host is now. Let the score be a struct that derives `Ord`: the order of
//!    its fields is their priority. It may depend on that host alone, because only the host just used is scored again.
//!    Chance enters as a seed in a new field of [`Request`], never from the machine.
//!    A strategy that does not order hosts, as `random`, implements `Choice` instead.
//! 3. An arm in the `Scheduler` implementation in `strategy.rs`, and one below it to explain: the compiler asks for both.
//! 4. A readable example in `tests/placement/strategies.rs`. The properties there (never over capacity, never on a filtered
//!    host, deterministic, ...) run over `Strategy::ALL`, and so over the new one too.
//!
//! A condition on hosts is a filter instead: a variant of [`Filter`] and of [`Reason`], and the arms the compiler asks for.

mod account;
mod candidates;
mod check;
mod choice;
mod class;
mod filter;
mod place;
mod plan;
mod queue;
mod rank;
mod reason;
mod rebalance;
mod request;
mod room;
mod shape;
mod snapshot;
mod strategy;

pub use account::{Account, Candidate, Group};
pub use candidates::{candidates, refusal_of};
pub use check::{Wrong, check};
pub use filter::Filter;
pub use plan::{Placement, Plan, Unplaceable};
pub use reason::{Reason, Refusal};
pub use rebalance::{Move, rebalance};
pub use request::{NodeRequest, Request, Rules};
pub use snapshot::{HostView, ImageState, Snapshot};
pub use strategy::{Scheduler, explain};
