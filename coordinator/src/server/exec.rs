//! A command in a node: what a client asks for as the engine takes it, and its streams until it ends.
//!
//! ```text
//! client: open, stdin | resize ..., (its stream ends) --> input, end of input
//! client: stdout | stderr ..., exit status            <-- output, status
//! ```
//! A client that goes away before the command has ended takes the command with it: see [`super::lifeline`]. So does the coordinator's
//! end.

use futures_util::StreamExt;
use shoal_api::ExecOutput;
use shoal_docker::{ExecChunk, ExecSession, ExecSpec, Resize, TtySize};
use shoal_proto::{
    FieldError,
    v1::{self, exec_request},
};
use shoal_slurm::within_limits;
use shoal_types::chain;
use tokio::{io::AsyncWriteExt, sync::mpsc};
use tokio_util::sync::CancellationToken;
use tonic::{Status, Streaming};

use crate::fleet::lifeline::{Lifeline, Mark};

/// Longest kind of terminal; names of terminfo(5) are far shorter.
const MAX_TERM: usize = 64;
/// Longest name of an account.
const MAX_USER: usize = 32;

/// The command as an engine takes it.
///
/// # Errors
/// [`FieldError`]: there is no command, or its terminal cannot be.
pub(super) fn spec(open: &v1::ExecOpen, mark: &Mark) -> Result<ExecSpec, FieldError> {
    if open.command.is_empty() {
        return Err(FieldError::new("command", "must not be empty"));
    }
    if open.command.iter().any(|word| word.contains('\0')) {
        return Err(FieldError::new("command", "must not have a NUL"));
    }
    let mut env = vec![mark.variable()];
    let tty = open.terminal.as_ref().map(size).transpose()?;
    if tty.is_some() && !open.term.is_empty() {
        if open.term.len() > MAX_TERM || !open.term.bytes().all(|b| b.is_ascii_graphic()) {
            return Err(FieldError::new("term", "not a kind of terminal"));
        }
        env.push(format!("TERM={}", open.term));
    }
    // No colon: what an engine takes for a group is not asked for.
    if open.user.len() > MAX_USER || !open.user.bytes().all(|b| b.is_ascii_graphic() && b != b':') {
        return Err(FieldError::new("user", "not an account's name"));
    }
    let user = (!open.user.is_empty()).then(|| open.user.clone());
    Ok(ExecSpec { env, tty, user, ..ExecSpec::new(within_limits(&open.command)) })
}

fn size(size: &v1::TerminalSize) -> Result<TtySize, FieldError> {
    let fits = |n: u32| u16::try_from(n).map_err(|_| FieldError::new("terminal", "larger than any terminal"));
    Ok(TtySize { rows: fits(size.rows)?, columns: fits(size.columns)? })
}

/// Carries a command's streams until it ends, then its status.
pub(super) async fn run(
    command: ExecSession,
    lifeline: Lifeline,
    mut input: Streaming<v1::ExecRequest>,
    out: mpsc::Sender<Result<v1::ExecResponse, Status>>,
    stop: CancellationToken,
) {
    let ExecSession { mut stdin, mut output, resize, exit } = command;
    let feed = async {
        while let Ok(Some(message)) = input.message().await {
            match message.frame {
                // A command that has closed its input does not read it; that is no error of ours, and sizes still count.
                Some(exec_request::Frame::Stdin(data)) => {
                    if stdin.write_all(&data).await.is_ok() {
                        drop(stdin.flush().await);
                    }
                }
                Some(exec_request::Frame::Resize(to)) => change(resize.as_ref(), &to).await,
                Some(exec_request::Frame::Open(_)) | None => {}
            }
        }
        drop(stdin.shutdown().await);
        std::future::pending::<bool>().await
    };
    let drain = async {
        while let Some(chunk) = output.next().await {
            let sent = match chunk {
                Ok(ExecChunk::Stdout(data)) => out.send(Ok(ExecOutput::Stdout(data).into())).await,
                Ok(ExecChunk::Stderr(data)) => out.send(Ok(ExecOutput::Stderr(data).into())).await,
                Err(error) => out.send(Err(Status::unavailable(chain(&error)))).await,
            };
            if sent.is_err() {
                return false;
            }
        }
        let (ended, last) = match exit.await {
            Ok(status) => (true, Ok(ExecOutput::ExitStatus(i32::try_from(status).unwrap_or(255)).into())),
            Err(error) => (false, Err(Status::unavailable(chain(&error)))),
        };
        drop(out.send(last).await);
        ended
    };
    let ended = tokio::select! {
        ended = feed => ended,
        ended = drain => ended,
        () = out.closed() => false,
        () = stop.cancelled() => false,
    };
    if ended {
        lifeline.not_needed().await;
    }
}

/// Gives the terminal a new size. A size that cannot be, or comes too late, changes nothing.
async fn change(resize: Option<&Resize>, to: &v1::TerminalSize) {
    let (Some(resize), Ok(to)) = (resize, size(to)) else { return };
    if let Err(error) = resize(to).await {
        tracing::debug!(%error, "a terminal keeps its size");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn open(rows: u32, term: &str) -> v1::ExecOpen {
        v1::ExecOpen {
            command: vec!["sh".into()],
            terminal: Some(v1::TerminalSize { rows, columns: 80 }),
            term: term.into(),
            ..v1::ExecOpen::default()
        }
    }

    #[test]
    fn a_terminal_is_told_its_size_and_kind() {
        let mark = Mark::of("0a");
        let made = spec(&open(24, "xterm-256color"), &mark).unwrap();
        assert_eq!(made.tty, Some(TtySize { rows: 24, columns: 80 }));
        assert_eq!(made.env, [mark.variable(), "TERM=xterm-256color".into()]);
        let without = spec(&v1::ExecOpen { terminal: None, ..open(24, "xterm") }, &mark).unwrap();
        assert_eq!((without.tty, without.env), (None, vec![mark.variable()]));
    }

    #[test]
    fn what_no_terminal_is_is_refused() {
        let refused = |open: &v1::ExecOpen| spec(open, &Mark::of("0a")).unwrap_err().field;
        assert_eq!(refused(&open(70_000, "xterm")), "terminal");
        assert_eq!(refused(&open(24, "a b")), "term");
        assert_eq!(refused(&open(24, &"x".repeat(65))), "term");
        assert_eq!(refused(&v1::ExecOpen { command: vec![], ..open(24, "") }), "command");
        assert_eq!(refused(&v1::ExecOpen { command: vec!["a\0b".into()], ..open(24, "") }), "command");
        for user in ["a b", "a:root", "\u{e4}", &"x".repeat(33)] {
            assert_eq!(refused(&v1::ExecOpen { user: user.into(), ..open(24, "") }), "user", "{user}");
        }
        let made = spec(&v1::ExecOpen { user: "alice".into(), ..open(24, "") }, &Mark::of("0a")).unwrap();
        assert_eq!(made.user.as_deref(), Some("alice"));
    }
}
