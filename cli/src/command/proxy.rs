//! `shoal proxy`: standard input and output connected to a port of a node. What `ssh` is given as `ProxyCommand`.

use std::{fs::File, io};

use clap::Args;
use shoal_proto::v1::{ProxyOpen, ProxyRequest, ProxyResponse, proxy_request, proxy_response};
use tokio::io::stdin;
use tonic::Streaming;

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
            realm: global.realm(None)?.to_string(),
            cluster: self.target.cluster.to_string(),
            node: self.target.node.to_string(),
            port: self.port.into(),
        };
        Session::within(global, interrupt, async |session| {
            let open = ProxyRequest { frame: Some(proxy_request::Frame::Open(open)) };
            // The end of standard input ends the request stream, which half-closes the connection.
            let (frames, pump) = Pump::start(open, stdin(), |bytes| ProxyRequest {
                frame: Some(proxy_request::Frame::Data(bytes)),
            });
            let work = async { receive(session.access().proxy(frames).await?.into_inner()).await };
            pump.during(work, CliError::Stdin).await
        })
        .await?;
        Ok(Exit::Ok)
    }
}

async fn receive(mut answers: Streaming<ProxyResponse>) -> Result<(), CliError> {
    let mut stdout = Some(Sink::stdout()?);
    while let Some(ProxyResponse { frame }) = answers.message().await? {
        match frame {
            Some(proxy_response::Frame::Data(bytes)) => match &mut stdout {
                Some(stdout) => stdout.write(bytes).await?,
                None => return Err(CliError::Answer { missing: "an order: data came after the end" }),
            },
            // The other way stays open: a reader must see this end now, and not when the process goes.
            Some(proxy_response::Frame::End(_)) => {
                if let Some(stdout) = stdout.take() {
                    stdout.finish().await?;
                }
                close_stdout().map_err(CliError::Stdout)?;
            }
            Some(proxy_response::Frame::Opened(_)) | None => {}
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
