//! `shoal delete cluster`: clusters and everything of them.

use clap::{Args, Subcommand};
use clap_complete::ArgValueCandidates;
use shoal_proto::v1::{DeleteClusterRequest, DeleteClusterResponse, delete_cluster_response};
use shoal_types::ClusterName;

use super::ssh_config;
use crate::{
    args::Global,
    complete,
    connect::Session,
    error::CliError,
    exit::Exit,
    interrupt::Interrupt,
    output::DeletedJson,
    parse::word,
    progress::{Progress, ProgressArgs, Task},
};

/// Arguments of `delete`.
#[derive(Debug, Args)]
pub(crate) struct Delete {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Delete clusters with everything of them
    Cluster(DeleteCluster),
}

#[derive(Debug, Args)]
struct DeleteCluster {
    /// The clusters
    #[arg(value_name = "NAME", required_unless_present = "all", value_parser = word::<ClusterName>, add = ArgValueCandidates::new(complete::clusters))]
    names: Vec<ClusterName>,
    /// Every cluster of the realm
    #[arg(long, conflicts_with = "names")]
    all: bool,
    #[command(flatten)]
    progress: ProgressArgs,
}

impl Delete {
    pub(super) async fn run(self, global: &Global, interrupt: &Interrupt) -> Result<Exit, CliError> {
        let What::Cluster(DeleteCluster { names, all, progress }) = self.what;
        let request = DeleteClusterRequest {
            realm: global.realm(None)?.to_string(),
            names: names.iter().map(ToString::to_string).collect(),
            all,
        };
        let subject = if all { "all clusters".to_owned() } else { request.names.join(", ") };
        let realm = request.realm.clone();
        let mut progress = Progress::start(progress, global.screen(), Task::Delete, subject)?;
        let session = Session::open(global).await?;
        let result = tokio::select! {
            result = delete(&session, request, &mut progress) => result,
            () = interrupt.asked() => Err(CliError::Interrupted),
        };
        if let Ok(result) = &result {
            ssh_config::keep_current(&session, global, &realm, &result.deleted).await;
        }
        session.close().await;
        let result = result?;
        progress.result(&result, result.deleted.clone(), |_, _| match result.deleted.as_slice() {
            [] => "no clusters to delete".to_owned(),
            names => format!("deleted {}", names.join(", ")),
        })?;
        Ok(Exit::Ok)
    }
}

async fn delete(
    session: &Session,
    request: DeleteClusterRequest,
    progress: &mut Progress,
) -> Result<DeletedJson, CliError> {
    let mut result = DeletedJson::default();
    let mut steps = session.clusters().delete_cluster(request).await?.into_inner();
    while let Some(DeleteClusterResponse { step }) = steps.message().await? {
        match step {
            Some(delete_cluster_response::Step::Event(event)) => progress.event(&event)?,
            Some(delete_cluster_response::Step::Placed(placed)) => progress.placed(placed),
            Some(delete_cluster_response::Step::Deleted(name)) => result.deleted.push(name),
            None => {}
        }
    }
    Ok(result)
}
