//! `shoal rotate keys`: other keys for a cluster.

use clap::{Args, Subcommand};
use clap_complete::ArgValueCandidates;
use jiff::tz::TimeZone;
use shoal_api::{Repair as Repaired, RepairStep};
use shoal_types::ClusterName;

use super::ssh_config;
use crate::{
    args::Global,
    complete,
    connect::Session,
    duration::Wait,
    error::CliError,
    exit::Exit,
    interrupt::Interrupt,
    output::{event_line, repair_text},
    parse::word,
};

/// Arguments of `rotate`.
#[derive(Debug, Args)]
pub(crate) struct Rotate {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Give a ready cluster new munge and SSH keys, and make its nodes anew with them
    ///
    /// For a cluster whose keys were stolen: the old ones open nothing any more, and whoever is in a node goes with its container. Nodes
    /// keep their hosts, names and addresses, and the controller keeps its queue. Files outside of volumes are lost. While nodes
    /// have jobs nothing is done, unless --now is given. On a host that does not answer, the next `shoal repair` makes the
    /// nodes. Exit status 0: every node is as it should be; 1: some are not.
    Keys(Keys),
}

#[derive(Debug, Args)]
struct Keys {
    /// The cluster
    #[arg(value_parser = word::<ClusterName>, add = ArgValueCandidates::new(complete::clusters))]
    cluster: ClusterName,
    /// Do not wait for jobs: those of workers go back to the queue, or end if they may not be run twice
    #[arg(long)]
    now: bool,
    /// Time limit; 0 for no limit
    #[arg(long, value_name = "DURATION", default_value = "5m", value_parser = word::<Wait>)]
    wait: Wait,
}

impl Rotate {
    pub(super) async fn run(self, global: &Global, interrupt: &Interrupt) -> Result<Exit, CliError> {
        let What::Keys(Keys { cluster, now, wait }) = self.what;
        let realm = global.realm(None)?;
        let (screen, zone) = (global.screen(), TimeZone::system());
        let result = Session::within(global, interrupt, async |client| {
            let mut result = Repaired::default();
            let mut steps = client.rotate_keys(&realm, &cluster, now, wait.as_millis()).await?;
            while let Some(step) = steps.next().await? {
                match step {
                    RepairStep::Event(event) => screen.progress(&event_line(&event, &zone))?,
                    RepairStep::Cluster(cluster) => result.clusters.push(cluster),
                }
            }
            ssh_config::keep_current(client, global, &realm, &[]).await;
            Ok(result)
        })
        .await?;
        let names = result.clusters.iter().map(|cluster| cluster.name.clone());
        screen.named(&result, names, |width, _| repair_text(width, &result))?;
        Ok(if result.is_well() { Exit::Ok } else { Exit::Failure })
    }
}
