//! `shoal repair`: ready clusters brought back to what they should be.

use clap::Args;
use clap_complete::ArgValueCandidates;
use jiff::tz::TimeZone;
use shoal_api::{Repair as Repaired, RepairStep};
use shoal_types::{ClusterName, natural};

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

/// Arguments of `repair`.
#[derive(Debug, Args)]
pub(crate) struct Repair {
    /// The clusters [default: every ready cluster of the realm]
    #[arg(value_parser = word::<ClusterName>, add = ArgValueCandidates::new(complete::clusters))]
    clusters: Vec<ClusterName>,
    /// Show what would be done and do nothing
    #[arg(long)]
    dry_run: bool,
    /// Nobody waits for it, as when a timer runs it: leave clusters alone whose healing is none, and restart nodes that end again and
    /// again ever less often
    #[arg(long)]
    unattended: bool,
    /// Time limit for each cluster; 0 for no limit
    #[arg(long, value_name = "DURATION", default_value = "5m", value_parser = word::<Wait>)]
    wait: Wait,
}

impl Repair {
    pub(super) async fn run(self, global: &Global, interrupt: &Interrupt) -> Result<Exit, CliError> {
        let realm = global.realm(None)?;
        let Self { clusters, dry_run, unattended, wait } = self;
        let (screen, zone) = (global.screen(), TimeZone::system());
        let result = Session::within(global, interrupt, async |client| {
            let mut result = Repaired { dry_run, ..Repaired::default() };
            let mut steps = client.repair(&realm, &clusters, dry_run, unattended, wait.as_millis()).await?;
            while let Some(step) = steps.next().await? {
                match step {
                    RepairStep::Event(event) => screen.progress(&event_line(&event, &zone))?,
                    RepairStep::Cluster(cluster) => result.clusters.push(cluster),
                }
            }
            result.clusters.sort_by(|a, b| natural::cmp(&a.name, &b.name));
            Ok(result)
        })
        .await?;
        let names = result.clusters.iter().map(|cluster| cluster.name.clone());
        screen.named(&result, names, |width, _| repair_text(width, &result))?;
        Ok(if result.is_well() { Exit::Ok } else { Exit::Failure })
    }
}
