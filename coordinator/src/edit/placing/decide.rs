//! Who is asked where nodes go: a strategy, or a program and, where that is wanted, a strategy in its place.

use std::{collections::BTreeMap, time::Duration};

use shoal_scheduler::{Plan, Request, Scheduler, Snapshot};
use shoal_types::{ClusterSpec, NodeName, SCHEDULER_TIMEOUT_MS, SchedulerName, Strategy, chain};

use crate::{
    edit::placing::program,
    words::fault::{Fault, NoPlan, PlacementFault, ProgramError},
};

/// A plan, and who made it.
#[derive(Debug)]
pub(crate) struct PlacementDecision {
    pub(crate) plan: Plan,
    /// Who made it: not whom the specification names, if that one could not.
    pub(crate) by: SchedulerName,
    /// Why the one the specification names did not.
    pub(crate) fallback: Option<String>,
    /// What a program said of nodes.
    pub(crate) notes: BTreeMap<NodeName, String>,
}

/// Asks the specification's scheduler.
///
/// # Errors
/// [`PlacementFault::Program`]: it is a program, it could not answer, and no strategy is to place in its stead.
pub(crate) async fn decide(
    spec: &ClusterSpec,
    snapshot: &Snapshot,
    request: &Request,
) -> Result<Result<PlacementDecision, NoPlan>, Fault> {
    let address = match &spec.scheduler {
        SchedulerName::Strategy(strategy) => return Ok(by_strategy(*strategy, snapshot, request, None)),
        SchedulerName::Program(address) => address,
    };
    let ms = spec.placing.scheduler_timeout_ms.unwrap_or(SCHEDULER_TIMEOUT_MS);
    let limit = Duration::from_millis(ms.into());
    let error = match program::ask(address, limit, spec, snapshot, request).await {
        Ok((plan, notes)) => {
            return Ok(Ok(PlacementDecision { plan, by: spec.scheduler.clone(), fallback: None, notes }));
        }
        Err(ProgramError::Refused { reason }) => {
            return Ok(Err(NoPlan::Refused { address: address.clone(), reason }));
        }
        Err(error) => error,
    };
    match spec.placing.scheduler_fallback {
        Some(strategy) => {
            let why = format!("the scheduler at {address} {}", chain(&error));
            tracing::warn!(%address, error = chain(&error), fallback = %strategy, "scheduler could not be used");
            Ok(by_strategy(strategy, snapshot, request, Some(why)))
        }
        None => Err(Fault::Placement(PlacementFault::Program {
            address: address.clone(),
            source: Box::new(error),
        })),
    }
}

fn by_strategy(
    strategy: Strategy,
    snapshot: &Snapshot,
    request: &Request,
    fallback: Option<String>,
) -> Result<PlacementDecision, NoPlan> {
    let plan = strategy.place(snapshot, request)?;
    Ok(PlacementDecision { plan, by: strategy.into(), fallback, notes: BTreeMap::new() })
}
