//! `shoal exec`: a command in a cluster, as if it ran here: its input, both its outputs, its status.

use clap::Args;
use clap_complete::ArgValueCandidates;
use shoal_proto::v1::{ExecOpen, ExecRequest, ExecResponse, exec_request, exec_response};
use shoal_types::ClusterName;
use tokio::io::{AsyncWriteExt, stderr, stdin, stdout};
use tonic::Streaming;

use super::frames::Pump;
use crate::{
    args::Global, complete, connect::Session, error::CliError, exit::Exit, interrupt::Interrupt, parse::word,
};

/// Arguments of `exec`.
#[derive(Debug, Args)]
pub(crate) struct Exec {
    /// The cluster
    #[arg(value_parser = word::<ClusterName>, add = ArgValueCandidates::new(complete::clusters))]
    cluster: ClusterName,
    /// The command and its arguments
    #[arg(last = true, required = true, value_name = "CMD")]
    command: Vec<String>,
}

impl Exec {
    pub(super) async fn run(self, global: &Global, interrupt: &Interrupt) -> Result<Exit, CliError> {
        let open = ExecOpen {
            realm: global.realm(None)?.to_string(),
            cluster: self.cluster.to_string(),
            command: self.command,
            node: String::new(),
        };
        Session::within(global, interrupt, async |session| {
            let open = ExecRequest { frame: Some(exec_request::Frame::Open(open)) };
            let (frames, pump) = Pump::start(open, stdin(), |bytes| ExecRequest {
                frame: Some(exec_request::Frame::Stdin(bytes)),
            });
            let work = async { pass_on(session.access().exec(frames).await?.into_inner()).await };
            pump.during(work, CliError::Stdin).await
        })
        .await
    }
}

/// Writes what the command writes until it has ended.
async fn pass_on(mut answers: Streaming<ExecResponse>) -> Result<Exit, CliError> {
    let (mut stdout, mut stderr) = (stdout(), stderr());
    while let Some(ExecResponse { frame }) = answers.message().await? {
        match frame {
            Some(exec_response::Frame::Stdout(bytes)) => {
                stdout.write_all(&bytes).await.map_err(CliError::Stdout)?;
                stdout.flush().await.map_err(CliError::Stdout)?;
            }
            Some(exec_response::Frame::Stderr(bytes)) => {
                // A closed standard error is the user's choice and no reason to end the command.
                let _ = stderr.write_all(&bytes).await;
                let _ = stderr.flush().await;
            }
            Some(exec_response::Frame::ExitStatus(status)) => {
                // A status is one byte; anything else is no success.
                return Ok(Exit::Inner(u8::try_from(status).unwrap_or(u8::MAX)));
            }
            None => {}
        }
    }
    Err(CliError::Answer { missing: "the command's exit status" })
}
