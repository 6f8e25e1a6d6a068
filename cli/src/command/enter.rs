//! `shoal enter`: a shell where one works with a cluster.

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

/// A login shell in the account's home: bash where the image has it.
const SHELL: &str = r#"cd; exec "$(command -v bash || command -v sh)" -l"#;

/// Arguments of `enter`.
#[derive(Debug, Args)]
pub(crate) struct Enter {
    /// The cluster
    #[arg(default_value_t, value_parser = word::<ClusterName>, add = ArgValueCandidates::new(complete::clusters))]
    cluster: ClusterName,
    /// Enter this node, as root or as USER [default: the submitter, else the controller]
    #[arg(long, value_name = "[USER@]NODE", value_parser = word::<NodeArg>)]
    node: Option<NodeArg>,
}

impl Enter {
    pub(super) async fn run(self, global: &Global, interrupt: &Interrupt) -> Result<Exit, CliError> {
        // From a pipe it reads commands, as a shell does.
        let with_terminal = terminal::is_there();
        let node = self.node.map(|node| node.of(&self.cluster)).transpose()?;
        let open = ExecOpen {
            realm: node.as_ref().map_or_else(|| global.realm(None), |node| node.realm(global))?,
            cluster: self.cluster,
            command: ["sh", "-c", SHELL].map(String::from).into(),
            user: node.as_ref().map(NodeRef::account).unwrap_or_default(),
            node: node.map(|node| node.node),
            terminal: with_terminal.then(terminal::size),
            term: if with_terminal { terminal::kind() } else { String::new() },
        };
        inside::attached(open, Input::Passed, global, interrupt).await
    }
}
