//! `shoal rebalance`: idle workers go to hosts that carry less.

use std::num::NonZeroU32;

use clap::Args;
use clap_complete::ArgValueCandidates;
use jiff::tz::TimeZone;
use shoal_api::{Rebalance as Rebalanced, RebalanceStep};
use shoal_types::{ClusterName, natural};

use crate::{
    args::Global,
    complete,
    connect::Session,
    error::CliError,
    exit::Exit,
    interrupt::Interrupt,
    output::{event_line, rebalance_plan_text, rebalance_text},
    parse::word,
};

/// Arguments of `rebalance`.
#[derive(Debug, Args)]
pub(crate) struct Rebalance {
    /// The cluster [default: every ready cluster of the realm]
    #[arg(value_parser = word::<ClusterName>, add = ArgValueCandidates::new(complete::clusters))]
    cluster: Option<ClusterName>,
    /// Show the plan and do nothing
    #[arg(long)]
    dry_run: bool,
    /// Most nodes to move
    #[arg(long, value_name = "NUMBER")]
    max_moves: Option<NonZeroU32>,
}

impl Rebalance {
    pub(super) async fn run(self, global: &Global, interrupt: &Interrupt) -> Result<Exit, CliError> {
        let realm = global.realm(None)?;
        let Self { cluster, dry_run, max_moves } = self;
        let (screen, zone) = (global.screen(), TimeZone::system());
        let names: Vec<ClusterName> = cluster.into_iter().collect();
        let result = Session::within(global, interrupt, async |client| {
            let mut result = Rebalanced { dry_run, ..Rebalanced::default() };
            let most = max_moves.map_or(0, NonZeroU32::get);
            let mut steps = client.rebalance(&realm, &names, dry_run, most).await?;
            while let Some(step) = steps.next().await? {
                match step {
                    RebalanceStep::Event(event) => screen.progress(&event_line(&event, &zone))?,
                    RebalanceStep::Plan { hosts, clusters } if dry_run => {
                        (result.hosts, result.clusters) = (hosts, clusters);
                    }
                    RebalanceStep::Plan { hosts, clusters } => {
                        let plan = Rebalanced { dry_run: true, hosts, clusters };
                        if let Some(text) = rebalance_plan_text(&plan) {
                            screen.progress(&text)?;
                        }
                    }
                    RebalanceStep::Cluster(cluster) => result.clusters.push(cluster),
                    RebalanceStep::Ended(hosts) => result.hosts = hosts,
                }
            }
            result.clusters.sort_by(|a, b| natural::cmp(&a.name, &b.name));
            result.hosts.sort_by(|a, b| natural::cmp(&a.name, &b.name));
            Ok(result)
        })
        .await?;
        let names = result.clusters.iter().map(|cluster| cluster.name.clone());
        screen.named(&result, names, |width, _| rebalance_text(width, &result))?;
        Ok(if result.is_well() { Exit::Ok } else { Exit::Failure })
    }
}
