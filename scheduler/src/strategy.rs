//! Schedulers: a trait at the seam to the coordinator, and the strategies built in.

use shoal_types::{NodeName, Strategy};

use crate::{
    Account, Plan, Request, Snapshot, Unplaceable,
    choice::{Best, Random},
    place::{account, place},
    rank::{Binpack, Metadata, RoundRobin, Spread},
};

/// Decides where nodes go.
pub trait Scheduler {
    /// A host for every node of `request`, or for none.
    ///
    /// # Errors
    /// [`Unplaceable`]: no host can take some node once the ones before it are placed.
    fn place(&self, snapshot: &Snapshot, request: &Request) -> Result<Plan, Unplaceable>;
}

impl Scheduler for Strategy {
    fn place(&self, snapshot: &Snapshot, request: &Request) -> Result<Plan, Unplaceable> {
        match self {
            Self::Spread => place::<Best<Spread>>(snapshot, request),
            Self::RoundRobin => place::<Best<RoundRobin>>(snapshot, request),
            Self::Metadata => place::<Best<Metadata>>(snapshot, request),
            Self::Binpack => place::<Best<Binpack>>(snapshot, request),
            Self::Random => place::<Random>(snapshot, request),
        }
    }
}

/// Why a strategy puts a node where it does, from the same snapshot and request; `None` if the request has no such node, or
/// does not fit so far.
#[must_use]
pub fn explain(
    strategy: Strategy,
    snapshot: &Snapshot,
    request: &Request,
    node: &NodeName,
) -> Option<Account> {
    let watched = request.nodes.iter().position(|asked| asked.name == *node)?;
    match strategy {
        Strategy::Spread => account::<Best<Spread>>(snapshot, request, watched),
        Strategy::RoundRobin => account::<Best<RoundRobin>>(snapshot, request, watched),
        Strategy::Metadata => account::<Best<Metadata>>(snapshot, request, watched),
        Strategy::Binpack => account::<Best<Binpack>>(snapshot, request, watched),
        Strategy::Random => account::<Random>(snapshot, request, watched),
    }
}
