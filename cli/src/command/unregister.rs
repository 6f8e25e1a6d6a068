//! `shoal unregister`: one host less.

use clap::Args;
use clap_complete::ArgValueCandidates;
use shoal_api::Unregistered;
use shoal_types::HostName;

use crate::{
    args::Global, complete, connect::Session, error::CliError, escape, exit::Exit, interrupt::Interrupt,
    parse::word,
};

/// Arguments of `unregister`.
#[derive(Debug, Args)]
pub(crate) struct Unregister {
    /// The host
    #[arg(value_parser = word::<HostName>, add = ArgValueCandidates::new(complete::hosts))]
    name: HostName,
    /// Unregister a host that has nodes or cannot be reached
    #[arg(long)]
    force: bool,
}

impl Unregister {
    pub(super) async fn run(self, global: &Global, interrupt: &Interrupt) -> Result<Exit, CliError> {
        let result = Session::within(global, interrupt, async |client| {
            Ok(client.unregister_host(&self.name, self.force).await?)
        })
        .await?;
        global.screen().named(&result, [result.name.clone()], |_, _| text(&result))?;
        Ok(Exit::Ok)
    }
}

fn text(result: &Unregistered) -> String {
    let mut lines = vec![match result.forgotten_nodes {
        0 => format!("unregistered {}", result.name),
        nodes => format!("unregistered {}, and forgot {nodes} nodes on it", result.name),
    }];
    lines.extend(result.left_behind.iter().map(|what| format!("left on the host: {}", escape::line(what))));
    lines.join("\n")
}
