//! `shoal create --follow`: another process's create, shown as that process shows it. The create goes on when the view ends.

use shoal_proto::v1::{Cluster, FollowClusterRequest, FollowClusterResponse, follow_cluster_response::Step};

use super::bring_up::finish;
use crate::{
    args::Global,
    connect::Session,
    error::CliError,
    interrupt::Interrupt,
    progress::{Progress, ProgressArgs, Task},
};

/// Shows a create from its admission to its end.
///
/// # Errors
/// [`CliError::Status`]: there is no such cluster, or it did not become ready. [`CliError::Interrupted`]: the user ended the view.
pub(super) async fn follow_create(
    realm: String,
    name: String,
    mode: ProgressArgs,
    global: &Global,
    interrupt: &Interrupt,
) -> Result<(), CliError> {
    let mut progress = Progress::start(mode, global.screen(), Task::Create, &name)?;
    let request = FollowClusterRequest { realm, name: name.clone() };
    let session = Session::open(global).await?;
    let ready = tokio::select! {
        ready = until_ready(&session, request, &mut progress) => Some(ready),
        () = interrupt.asked() => None,
    };
    session.close().await;
    match ready {
        Some(ready) => finish(progress, ready?, None),
        None => {
            progress.note(&format!(
                "no longer looking: the create of {name} goes on; `shoal create --follow {name}` shows it again"
            ))?;
            progress.clear();
            Err(CliError::Interrupted)
        }
    }
}

async fn until_ready(
    session: &Session,
    request: FollowClusterRequest,
    progress: &mut Progress,
) -> Result<Cluster, CliError> {
    let mut steps = session.clusters().follow_cluster(request).await?.into_inner();
    while let Some(FollowClusterResponse { step }) = steps.message().await? {
        match step {
            Some(Step::Event(event)) => progress.event(&event)?,
            Some(Step::Placed(placed)) => progress.placed(placed),
            Some(Step::Ready(cluster)) => return Ok(cluster),
            None => {}
        }
    }
    Err(CliError::Answer { missing: "the end of the create" })
}
