//! A command in a node with the streams of this process, for `exec`, `enter` and whoever else runs something there.
//!
//! ```text
//! without a terminal:  stdin ... end  -->  command  --> stdout, stderr, status
//! with one:            keys, sizes    -->  command  --> screen, status; the terminal is raw as long as it runs
//! ```

use std::io;

use shoal_proto::v1::{ExecOpen, ExecRequest, ExecResponse, exec_request, exec_response};
use tokio::{
    io::{AsyncWriteExt, stderr, stdin},
    signal::unix::{Signal, SignalKind, signal},
    sync::mpsc,
};
use tokio_stream::wrappers::ReceiverStream;
use tonic::Streaming;

use super::{
    frames::{AHEAD, Pump},
    sink::Sink,
};
use crate::{
    args::Global,
    connect::Session,
    error::CliError,
    exit::Exit,
    interrupt::Interrupt,
    terminal::{self, Raw},
};

/// Runs it, to its own status.
///
/// # Errors
/// Those of the coordinator; [`CliError::Terminal`], [`CliError::Stdin`], [`CliError::Stdout`]; [`CliError::Interrupted`]: it is
/// ended in the node too.
pub(super) async fn attached(
    open: ExecOpen,
    global: &Global,
    interrupt: &Interrupt,
) -> Result<Exit, CliError> {
    let with_terminal = open.terminal.is_some();
    Session::within(global, interrupt, async |session| {
        let (sender, answers) = begin(session, open).await?;
        // Who ends this process from now on leaves the terminal as it was.
        let signals = with_terminal.then(Signals::listen).transpose().map_err(CliError::Terminal)?;
        // Not before it runs: until then Ctrl-C is for this process.
        let _raw = with_terminal.then(Raw::enter).transpose().map_err(CliError::Terminal)?;
        let pump = Pump::feed(sender.clone(), stdin(), |bytes| ExecRequest {
            frame: Some(exec_request::Frame::Stdin(bytes)),
        });
        let sizes = async move {
            match signals {
                Some(signals) => tell_sizes(signals, sender).await,
                None => {
                    // The end of standard input is the end of the requests.
                    drop(sender);
                    std::future::pending().await
                }
            }
        };
        tokio::select! {
            result = pump.during(pass_on(answers), CliError::Stdin) => result,
            ended = sizes => Err(ended),
        }
    })
    .await
}

/// Starts a command; returns the sender of its input and the stream of its output.
///
/// # Errors
/// Those of the coordinator.
pub(super) async fn begin(
    session: &Session,
    open: ExecOpen,
) -> Result<(mpsc::Sender<ExecRequest>, Streaming<ExecResponse>), CliError> {
    let (sender, frames) = mpsc::channel(AHEAD);
    // There is room: it is the first.
    let _ = sender.try_send(ExecRequest { frame: Some(exec_request::Frame::Open(open)) });
    let answers = session.access().exec(ReceiverStream::new(frames)).await?.into_inner();
    Ok((sender, answers))
}

/// What is heard of while a command has the terminal.
struct Signals {
    changed: Signal,
    hangup: Signal,
    quit: Signal,
}

impl Signals {
    fn listen() -> io::Result<Self> {
        Ok(Self {
            changed: signal(SignalKind::window_change())?,
            hangup: signal(SignalKind::hangup())?,
            quit: signal(SignalKind::quit())?,
        })
    }
}

/// Tells every new size of the terminal, until the terminal is gone or somebody ends this process.
async fn tell_sizes(mut signals: Signals, sender: mpsc::Sender<ExecRequest>) -> CliError {
    loop {
        tokio::select! {
            _ = signals.changed.recv() => {}
            // Keys of a raw terminal send no signals: these come from others, and the terminal must be restored.
            _ = signals.hangup.recv() => return CliError::Interrupted,
            _ = signals.quit.recv() => return CliError::Interrupted,
        }
        let resize = exec_request::Frame::Resize(terminal::size());
        if sender.send(ExecRequest { frame: Some(resize) }).await.is_err() {
            // The command has ended; its status is on the way.
            std::future::pending::<()>().await;
        }
    }
}

/// Writes what the command writes until it has ended.
async fn pass_on(mut answers: Streaming<ExecResponse>) -> Result<Exit, CliError> {
    let (mut stdout, mut stderr) = (Sink::stdout()?, stderr());
    while let Some(ExecResponse { frame }) = answers.message().await? {
        match frame {
            Some(exec_response::Frame::Stdout(bytes)) => stdout.write(bytes).await?,
            Some(exec_response::Frame::Stderr(bytes)) => {
                // A closed standard error is the user's choice and no reason to end the command.
                let _ = stderr.write_all(&bytes).await;
                let _ = stderr.flush().await;
            }
            Some(exec_response::Frame::ExitStatus(status)) => {
                stdout.finish().await?;
                return Ok(inner(status));
            }
            None => {}
        }
    }
    Err(CliError::Answer { missing: "the command's exit status" })
}

/// A status is one byte; anything else is no success.
fn inner(status: i32) -> Exit {
    Exit::Inner(u8::try_from(status).unwrap_or(u8::MAX))
}
