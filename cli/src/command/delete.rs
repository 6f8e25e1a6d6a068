//! `shoal delete cluster`: clusters and everything of them.

use clap::{Args, Subcommand};
use clap_complete::ArgValueCandidates;
use shoal_api::{Client, DeleteStep, Deleted};
use shoal_types::{ClusterName, RealmName};

use super::ssh_config;
use crate::{
    args::Global,
    complete,
    connect::Session,
    error::CliError,
    exit::Exit,
    interrupt::Interrupt,
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
        let realm = global.realm(None)?;
        let subject = match all {
            true => "all clusters".to_owned(),
            false => names.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "),
        };
        let mut progress = Progress::start(progress, global.screen(), Task::Delete, subject)?;
        let session = Session::open(global).await?;
        let names = (!all).then_some(&*names);
        let result = tokio::select! {
            result = delete(session.client(), &realm, names, &mut progress) => result,
            () = interrupt.asked() => Err(CliError::Interrupted),
        };
        if session.is_served() && matches!(result, Err(CliError::Interrupted)) {
            progress.note("no longer looking: the server goes on with the delete")?;
            progress.clear();
        }
        if let Ok(result) = &result {
            ssh_config::keep_current(session.client(), global, &realm, &result.deleted).await;
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
    client: &Client,
    realm: &RealmName,
    names: Option<&[ClusterName]>,
    progress: &mut Progress,
) -> Result<Deleted, CliError> {
    let mut result = Deleted::default();
    let mut steps = client.delete_clusters(realm, names).await?;
    while let Some(step) = steps.next().await? {
        match step {
            DeleteStep::Event(event) => progress.event(&event)?,
            DeleteStep::Placed(placed) => progress.placed(placed),
            DeleteStep::Deleted(name) => result.deleted.push(name),
        }
    }
    Ok(result)
}
