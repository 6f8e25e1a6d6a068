//! `shoal exec`: a command in a cluster, as if it ran here: its input, its outputs or its terminal, its status.

use clap::Args;
use clap_complete::ArgValueCandidates;
use shoal_api::ExecOpen;
use shoal_types::{ClusterName, NodeName};

use super::inside;
use crate::{
    args::Global, complete, error::CliError, exit::Exit, interrupt::Interrupt, parse::word, terminal,
};

/// Arguments of `exec`.
#[derive(Debug, Args)]
pub(crate) struct Exec {
    /// The cluster
    #[arg(value_parser = word::<ClusterName>, add = ArgValueCandidates::new(complete::clusters))]
    cluster: ClusterName,
    /// Run the command in this node [default: the submitter, else the controller]
    #[arg(long, value_name = "NODE", value_parser = word::<NodeName>)]
    node: Option<NodeName>,
    /// Pass standard input on; always so, and accepted as `docker exec` accepts it
    #[arg(short, long)]
    interactive: bool,
    /// Give the command the terminal that `shoal exec` runs on
    #[arg(short, long)]
    tty: bool,
    /// The command and its arguments
    #[arg(last = true, required = true, value_name = "CMD")]
    command: Vec<String>,
}

impl Exec {
    pub(super) async fn run(self, global: &Global, interrupt: &Interrupt) -> Result<Exit, CliError> {
        if self.tty && !terminal::is_there() {
            return Err(CliError::usage(
                "--tty needs a terminal as standard input and output",
                "leave the flag out in pipes and scripts".to_owned(),
            ));
        }
        let open = ExecOpen {
            realm: global.realm(None)?,
            cluster: self.cluster,
            command: self.command,
            node: self.node,
            terminal: self.tty.then(terminal::size),
            term: if self.tty { terminal::kind() } else { String::new() },
        };
        inside::attached(open, global, interrupt).await
    }
}
