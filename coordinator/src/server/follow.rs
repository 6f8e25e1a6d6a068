//! Work that is followed while it has a task of its own.

use tokio::task::JoinHandle;
use tonic::Status;

use crate::words::fault::Fault;

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
