//! What is followed, as messages.

use shoal_proto::v1;
use tokio::task::JoinHandle;
use tonic::Status;

use crate::{observe::follow::Placed, words::fault::Fault};

impl From<Placed> for v1::Placed {
    fn from(Placed { cluster, placements }: Placed) -> Self {
        let placement = |(node, host)| v1::Placement {
            node: ToString::to_string(&node),
            host: ToString::to_string(&host),
        };
        Self { cluster: cluster.to_string(), placements: placements.into_iter().map(placement).collect() }
    }
}

/// Waits for work that has a task of its own.
///
/// # Errors
/// The status of its fault.
pub(super) async fn joined<T>(work: JoinHandle<Result<T, Fault>>) -> Result<T, Status> {
    match work.await {
        Ok(outcome) => outcome.map_err(Status::from),
        Err(join) => Err(Status::internal(format!("the work ended unexpectedly: {join}"))),
    }
}
