//! `shoal set cluster`: how a cluster heals by itself from now on.

use clap::Args;
use clap_complete::ArgValueCandidates;
use shoal_types::ClusterName;

use super::healing_args::HealingArgs;
use crate::{
    args::Global, complete, config::HealingOverrides, connect::Session, error::CliError, escape, exit::Exit,
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
}

impl SetCluster {
    pub(super) async fn run(self, global: &Global, interrupt: &Interrupt) -> Result<Exit, CliError> {
        let HealingOverrides { policy, after } = self.healing.overrides();
        if policy.is_none() && after.is_none() {
            let hint = "use --healing POLICY or --heal-after DURATION".to_owned();
            return Err(CliError::usage("nothing of the cluster is to be changed", hint));
        }
        let realm = global.realm(None)?;
        let cluster = Session::within(global, interrupt, async |client| {
            Ok(client.update_cluster(&realm, &self.name, policy, after.map(|after| after.0)).await?)
        })
        .await?;
        let line = format!("{}: healing is {}", escape::line(&cluster.name), cluster.healing);
        global.screen().named(&cluster, [cluster.name.clone()], |_, _| line)?;
        Ok(Exit::Ok)
    }
}
