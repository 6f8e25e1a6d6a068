//! `shoal enter`: a shell where one works with a cluster.

use clap::Args;
use clap_complete::ArgValueCandidates;
use shoal_api::ExecOpen;
use shoal_types::{ClusterName, NodeName};

use super::inside;
use crate::{
    args::Global, complete, error::CliError, exit::Exit, interrupt::Interrupt, parse::word, terminal,
};

/// A login shell in root's home: bash where the image has it.
const SHELL: &str = r#"cd; exec "$(command -v bash || command -v sh)" -l"#;

/// Arguments of `enter`.
#[derive(Debug, Args)]
pub(crate) struct Enter {
    /// The cluster
    #[arg(default_value_t, value_parser = word::<ClusterName>, add = ArgValueCandidates::new(complete::clusters))]
    cluster: ClusterName,
    /// Enter this node [default: the submitter, else the controller]
    #[arg(long, value_name = "NODE", value_parser = word::<NodeName>)]
    node: Option<NodeName>,
}

impl Enter {
    pub(super) async fn run(self, global: &Global, interrupt: &Interrupt) -> Result<Exit, CliError> {
        // From a pipe it reads commands, as a shell does.
        let with_terminal = terminal::is_there();
        let open = ExecOpen {
            realm: global.realm(None)?,
            cluster: self.cluster,
            command: ["sh", "-c", SHELL].map(String::from).into(),
            node: self.node,
            terminal: with_terminal.then(terminal::size),
            term: if with_terminal { terminal::kind() } else { String::new() },
        };
        inside::attached(open, global, interrupt).await
    }
}
