//! `shoal explain`: why things are as they are.

use clap::{Args, Subcommand};
use clap_complete::ArgValueCandidates;

use crate::{
    args::Global, complete, connect::Session, error::CliError, exit::Exit, interrupt::Interrupt,
    node_ref::NodeRef, output::placement_reason_text, parse::word,
};

/// Arguments of `explain`.
#[derive(Debug, Args)]
pub(crate) struct Explain {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Explain why a node is on its host
    ///
    /// Shows the strategy or program that placed the node and the time, the host and the next best hosts as they were at that
    /// moment, the hosts that could not take the node with their reasons, and any later move of the node.
    Placement {
        /// The node; of the cluster `default` if none is named
        #[arg(value_name = "NODE[.CLUSTER]", value_parser = word::<NodeRef>, add = ArgValueCandidates::new(complete::nodes))]
        target: NodeRef,
    },
}

impl Explain {
    pub(super) async fn run(self, global: &Global, interrupt: &Interrupt) -> Result<Exit, CliError> {
        let What::Placement { target } = self.what;
        let realm = target.realm(global)?;
        let reason = Session::within(global, interrupt, async |client| {
            Ok(client.explain_placement(&realm, &target.cluster, &target.node).await?)
        })
        .await?;
        global.screen().result(&reason, |width| placement_reason_text(width, &reason))?;
        Ok(Exit::Ok)
    }
}
