//! `shoal explain`: why things are as they are.

use clap::{Args, Subcommand};
use clap_complete::ArgValueCandidates;
use shoal_proto::v1::ExplainPlacementRequest;

use crate::{
    args::Global,
    complete,
    connect::Session,
    error::CliError,
    exit::Exit,
    interrupt::Interrupt,
    output::{PlacementReasonJson, placement_reason_text},
    parse::word,
    target::Target,
};

/// Arguments of `explain`.
#[derive(Debug, Args)]
pub(crate) struct Explain {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Say why a node is on the host it is on
    ///
    /// Tells which strategy or program placed the node and when, what it saw in that host and in the next best ones at that
    /// moment, which hosts could not take the node and why, and whether the node was placed anew since.
    Placement {
        /// The node; of the cluster `default` if none is named
        #[arg(value_name = "NODE[.CLUSTER]", value_parser = word::<Target>, add = ArgValueCandidates::new(complete::nodes))]
        target: Target,
    },
}

impl Explain {
    pub(super) async fn run(self, global: &Global, interrupt: &Interrupt) -> Result<Exit, CliError> {
        let What::Placement { target } = self.what;
        let request = ExplainPlacementRequest {
            realm: global.realm(None)?.to_string(),
            cluster: target.cluster.to_string(),
            node: target.node.to_string(),
        };
        let reason = Session::within(global, interrupt, async |session| {
            Ok(session.clusters().explain_placement(request).await?.into_inner())
        })
        .await?;
        let json = PlacementReasonJson::from(reason.clone());
        global.screen().result(&json, |width| placement_reason_text(width, &reason))?;
        Ok(Exit::Ok)
    }
}
