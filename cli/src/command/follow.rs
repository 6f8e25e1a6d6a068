//! `shoal create --follow`: another process's create, shown as that process shows it. The create goes on when the view ends.

use shoal_api::Followed;
use shoal_types::{ClusterName, RealmName};

use super::bring_up::{finish, until_ready};
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
    realm: RealmName,
    name: ClusterName,
    mode: ProgressArgs,
    global: &Global,
    interrupt: &Interrupt,
) -> Result<(), CliError> {
    let mut progress = Progress::start(mode, global.screen(), Task::Create, name.to_string())?;
    let session = Session::open(global).await?;
    let mut seq = 0;
    let ready = tokio::select! {
        ready = until_ready(session.client(), (&realm, &name), Followed::Any, &mut progress, &mut seq) => Some(ready),
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
