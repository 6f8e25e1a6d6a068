//! A command in a node with the streams of this process, for `exec`, `enter` and whoever else runs something there.
//!
//! ```text
//! without a terminal:  stdin ... end  -->  command  --> stdout, stderr, status
//! with one:            keys, sizes    -->  command  --> screen, status; the terminal is raw as long as it runs
//! ```

use std::io;

use shoal_api::{Answers, Client, ExecFrame, ExecOpen, ExecOutput};
use tokio::{
    io::{AsyncWriteExt, empty, stderr, stdin},
    signal::unix::{Signal, SignalKind, signal},
    sync::mpsc,
};
use tokio_stream::wrappers::ReceiverStream;

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

/// What a command reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Input {
    /// Standard input of this process.
    Passed,
    /// Nothing; standard input of this process stays for others.
    Empty,
}

/// Runs it, to its own status.
///
/// # Errors
/// Those of the coordinator; [`CliError::Terminal`], [`CliError::Stdin`], [`CliError::Stdout`]; [`CliError::Interrupted`]: it is
/// ended in the node too.
pub(super) async fn attached(
    open: ExecOpen,
    input: Input,
    global: &Global,
    interrupt: &Interrupt,
) -> Result<Exit, CliError> {
    let with_terminal = open.terminal.is_some();
    Session::within(global, interrupt, async |client| {
        let (sender, answers) = begin(client, open).await?;
        // Who ends this process from now on leaves the terminal as it was.
        let signals = with_terminal.then(Signals::listen).transpose().map_err(CliError::Terminal)?;
        // Not before it runs: until then Ctrl-C is for this process.
        let _raw = with_terminal.then(Raw::enter).transpose().map_err(CliError::Terminal)?;
        let pump = match input {
            Input::Passed => Pump::feed(sender.clone(), stdin(), ExecFrame::Stdin),
            Input::Empty => Pump::feed(sender.clone(), empty(), ExecFrame::Stdin),
        };
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
    client: &Client,
    open: ExecOpen,
) -> Result<(mpsc::Sender<ExecFrame>, Answers<ExecOutput>), CliError> {
    let (sender, frames) = mpsc::channel(AHEAD);
    // There is room: it is the first.
    let _ = sender.try_send(ExecFrame::Open(open));
    let answers = client.exec(ReceiverStream::new(frames)).await?;
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
async fn tell_sizes(mut signals: Signals, sender: mpsc::Sender<ExecFrame>) -> CliError {
    loop {
        tokio::select! {
            _ = signals.changed.recv() => {}
            // Keys of a raw terminal send no signals: these come from others, and the terminal must be restored.
            _ = signals.hangup.recv() => return CliError::Interrupted,
            _ = signals.quit.recv() => return CliError::Interrupted,
        }
        if sender.send(ExecFrame::Resize(terminal::size())).await.is_err() {
            // The command has ended; its status is on the way.
            std::future::pending::<()>().await;
        }
    }
}

/// Writes what the command writes until it has ended.
async fn pass_on(mut answers: Answers<ExecOutput>) -> Result<Exit, CliError> {
    let (mut stdout, mut stderr) = (Sink::stdout()?, stderr());
    while let Some(output) = answers.next().await? {
        match output {
            ExecOutput::Stdout(bytes) => stdout.write(bytes).await?,
            ExecOutput::Stderr(bytes) => {
                // A closed standard error is the user's choice and no reason to end the command.
                let _ = stderr.write_all(&bytes).await;
                let _ = stderr.flush().await;
            }
            ExecOutput::ExitStatus(status) => {
                stdout.finish().await?;
                return Ok(inner(status));
            }
        }
    }
    Err(CliError::Answer { missing: "the command's exit status" })
}

/// A status is one byte; anything else is no success.
fn inner(status: i32) -> Exit {
    Exit::Inner(u8::try_from(status).unwrap_or(u8::MAX))
}
