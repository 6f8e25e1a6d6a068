//! `shoal proxy`: standard input and output connected to a port of a node. What `ssh` is given as `ProxyCommand`.

use std::{fs::File, io};

use clap::Args;
use shoal_api::{Answers, ProxyFrame, ProxyOpen, ProxyOutput};
use tokio::io::stdin;

use super::{frames::Pump, sink::Sink};
use crate::{
    args::Global, connect::Session, error::CliError, exit::Exit, interrupt::Interrupt, node_ref::NodeRef,
    parse::word,
};

/// Arguments of `proxy`.
#[derive(Debug, Args)]
pub(crate) struct Proxy {
    /// The node
    #[arg(value_name = "NODE[.CLUSTER]", value_parser = word::<NodeRef>)]
    target: NodeRef,
    /// TCP port of the node
    #[arg(long, default_value_t = 22, value_parser = clap::value_parser!(u16).range(1..))]
    port: u16,
}

impl Proxy {
    pub(super) async fn run(self, global: &Global, interrupt: &Interrupt) -> Result<Exit, CliError> {
        let open = ProxyOpen {
            realm: self.target.realm(global)?,
            cluster: self.target.cluster,
            node: self.target.node,
            port: self.port,
        };
        Session::within(global, interrupt, async |client| {
            // The end of standard input ends the request stream, which half-closes the connection.
            let (frames, pump) = Pump::start(ProxyFrame::Open(open), stdin(), ProxyFrame::Data);
            let work = async { receive(client.proxy(frames).await?).await };
            pump.during(work, CliError::Stdin).await
        })
        .await?;
        Ok(Exit::Ok)
    }
}

async fn receive(mut answers: Answers<ProxyOutput>) -> Result<(), CliError> {
    let mut stdout = Some(Sink::stdout()?);
    while let Some(output) = answers.next().await? {
        match output {
            ProxyOutput::Data(bytes) => match &mut stdout {
                Some(stdout) => stdout.write(bytes).await?,
                None => return Err(CliError::Answer { missing: "an order: data came after the end" }),
            },
            // The other way stays open: a reader must see this end now, and not when the process goes.
            ProxyOutput::End => {
                if let Some(stdout) = stdout.take() {
                    stdout.finish().await?;
                }
                close_stdout().map_err(CliError::Stdout)?;
            }
            ProxyOutput::Opened => {}
        }
    }
    match stdout {
        Some(stdout) => stdout.finish().await,
        None => Ok(()),
    }
}

/// Standard output cannot be closed, only made to be something else: whoever reads the pipe sees its end.
fn close_stdout() -> io::Result<()> {
    nix::unistd::dup2_stdout(File::options().write(true).open("/dev/null")?)?;
    Ok(())
}
