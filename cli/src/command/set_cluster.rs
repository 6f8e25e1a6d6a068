//! `shoal set cluster`: how a cluster heals by itself from now on, and how long it lives.

use clap::Args;
use clap_complete::ArgValueCandidates;
use shoal_types::{ClusterName, HealingChange};

use super::healing_args::HealingArgs;
use crate::{
    args::Global, complete, config::TtlSetting, connect::Session, error::CliError, escape, exit::Exit,
    interrupt::Interrupt, parse::word,
};

/// Arguments of `set cluster`.
#[derive(Debug, Args)]
pub(super) struct SetCluster {
    /// The cluster
    #[arg(value_parser = word::<ClusterName>, add = ArgValueCandidates::new(complete::clusters))]
    name: ClusterName,
    #[command(flatten)]
    healing: HealingArgs,
    /// How long it lives from now on, from 1m to 365d, or none: it stays
    #[arg(long, value_name = "DURATION", value_parser = word::<TtlSetting>)]
    ttl: Option<TtlSetting>,
}

impl SetCluster {
    pub(super) async fn run(self, global: &Global, interrupt: &Interrupt) -> Result<Exit, CliError> {
        let change = self.healing.change();
        if change == HealingChange::default() && self.ttl.is_none() {
            let hint =
                "use --healing POLICY, --heal-after DURATION, --state-copies DURATION or --ttl DURATION"
                    .to_owned();
            return Err(CliError::usage("nothing of the cluster is to be changed", hint));
        }
        let realm = global.realm(None)?;
        let cluster = Session::within(global, interrupt, async |client| {
            Ok(client.update_cluster(&realm, &self.name, change, self.ttl.map(|ttl| ttl.0)).await?)
        })
        .await?;
        let end = match (&self.ttl, &cluster.expires) {
            (None, _) => String::new(),
            (Some(_), Some(at)) => format!("; it will be deleted at {at}"),
            (Some(_), None) => "; it stays until somebody deletes it".to_owned(),
        };
        let line = format!("{}: healing is {}{end}", escape::line(&cluster.name), cluster.healing);
        global.screen().named(&cluster, [cluster.name.clone()], |_, _| line)?;
        Ok(Exit::Ok)
    }
}
