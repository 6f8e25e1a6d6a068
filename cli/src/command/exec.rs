//! `shoal exec`: a command in a cluster, as if it ran here: its input, its outputs or its terminal, its status.

use clap::Args;
use clap_complete::ArgValueCandidates;
use shoal_api::ExecOpen;
use shoal_types::ClusterName;

use super::inside::{self, Input};
use crate::{
    args::Global,
    complete,
    error::CliError,
    exit::Exit,
    interrupt::Interrupt,
    node_ref::{NodeArg, NodeRef},
    parse::word,
    terminal,
};

/// Arguments of `exec`.
#[derive(Debug, Args)]
pub(crate) struct Exec {
    /// The cluster
    #[arg(value_parser = word::<ClusterName>, add = ArgValueCandidates::new(complete::clusters))]
    cluster: ClusterName,
    /// Run the command in this node, as root or as USER [default: the submitter, else the controller]
    #[arg(long, value_name = "[USER@]NODE", value_parser = word::<NodeArg>)]
    node: Option<NodeArg>,
    /// Pass standard input on; always so without -n, and accepted as `docker exec` accepts it
    #[arg(short, long)]
    interactive: bool,
    /// Leave standard input alone: the command's is empty
    ///
    /// As `ssh -n`. In a loop such as `while read node; do shoal exec dev -n --node $node -- CMD; done < list`, a command
    /// without -n is given the rest of the list as its input, and the loop ends after one turn.
    #[arg(short = 'n', long, conflicts_with_all = ["interactive", "tty"])]
    no_input: bool,
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
        let node = self.node.map(|node| node.of(&self.cluster)).transpose()?;
        let open = ExecOpen {
            realm: node.as_ref().map_or_else(|| global.realm(None), |node| node.realm(global))?,
            cluster: self.cluster,
            command: self.command,
            user: node.as_ref().map(NodeRef::account).unwrap_or_default(),
            node: node.map(|node| node.node),
            terminal: self.tty.then(terminal::size),
            term: if self.tty { terminal::kind() } else { String::new() },
        };
        let input = if self.no_input { Input::Empty } else { Input::Passed };
        inside::attached(open, input, global, interrupt).await
    }
}
