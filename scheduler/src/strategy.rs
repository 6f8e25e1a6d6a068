//! Schedulers: a trait at the seam to the coordinator, and the strategies built in.

use shoal_types::Strategy;

use crate::{
    Plan, Request, Snapshot, Unplaceable,
    place::place,
    rank::{Metadata, RoundRobin, Spread},
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
            Self::Spread => place::<Spread>(snapshot, request),
            Self::RoundRobin => place::<RoundRobin>(snapshot, request),
            Self::Metadata => place::<Metadata>(snapshot, request),
        }
    }
}
