//! One session with the agent: what `docker exec -i AGENT shoal agent connect` runs.
//!
//! ```text
//! coordinator == Docker API ==> stdin  --> socket
//!                               stdout <-- socket
//! ```
//!
//! An exec answers before its process runs, and its failure arrives as text on standard output. So the first bytes here
//! are a greeting; who reads anything else has read an error. A session must not outlive its coordinator (one that
//! does not read its input stays for ever) nor its agent: it ends when the input ends and the agent has closed,
//! and at once when the agent closes.

use std::{io, os::fd::AsFd, path::Path, time::Duration};

use shoal_proto::GREETING_PREFIX;
use tokio::{
    io::{AsyncRead, AsyncWrite, AsyncWriteExt, BufReader, copy_buf},
    net::{UnixStream, unix::pipe},
    time::{Instant, sleep, timeout},
};

use crate::AgentError;

/// How long an agent that has just been started has to open its socket.
const AGENT_START: Duration = Duration::from_secs(5);
/// How often to look for the socket until then.
const RETRY: Duration = Duration::from_millis(50);
/// Bytes read at once: as many as a pipe holds (pipe(7)).
const PIECE: usize = 64 << 10;
/// How long the agent has to close after the input has ended.
const LAST_WORDS: Duration = Duration::from_secs(5);

/// Greets as `version`, then copies standard input and output to and from the agent's socket, each way until its end.
///
/// # Errors
/// [`AgentError::Stdio`]: standard input or output is not a pipe. [`AgentError::Socket`]: no agent listens there.
/// [`AgentError::Session`]: a copy failed.
pub async fn connect(socket: &Path, version: &str) -> Result<(), AgentError> {
    let error = |stream| move |source| AgentError::Stdio { stream, source };
    let input = std::io::stdin().as_fd().try_clone_to_owned().and_then(pipe::Receiver::from_owned_fd);
    let output = std::io::stdout().as_fd().try_clone_to_owned().and_then(pipe::Sender::from_owned_fd);
    let (input, output) =
        (input.map_err(error("standard input"))?, output.map_err(error("standard output"))?);
    let agent = dial(socket).await.map_err(|source| AgentError::Socket { path: socket.into(), source })?;
    relay(agent, input, output, version, LAST_WORDS).await.map_err(AgentError::Session)
}

async fn dial(socket: &Path) -> io::Result<UnixStream> {
    let deadline = Instant::now() + AGENT_START;
    loop {
        match UnixStream::connect(socket).await {
            Err(error) if is_starting(&error) && Instant::now() < deadline => sleep(RETRY).await,
            answer => return answer,
        }
    }
}

fn is_starting(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused)
}

async fn relay(
    agent: UnixStream,
    input: impl AsyncRead + Unpin,
    mut output: impl AsyncWrite + Unpin,
    version: &str,
    last_words: Duration,
) -> io::Result<()> {
    output.write_all(format!("{GREETING_PREFIX}{version}\n").as_bytes()).await?;
    let (from_agent, mut to_agent) = agent.into_split();
    let up = async {
        copy_buf(&mut BufReader::with_capacity(PIECE, input), &mut to_agent).await?;
        to_agent.shutdown().await
    };
    let mut down = std::pin::pin!(async {
        copy_buf(&mut BufReader::with_capacity(PIECE, from_agent), &mut output).await?;
        output.shutdown().await
    });
    let ended = tokio::select! {
        ended = &mut down => ended,
        ended = up => match ended {
            Ok(()) => timeout(last_words, down).await.unwrap_or(Ok(())),
            Err(error) => Err(error),
        },
    };
    match ended {
        // One side has gone while the other still spoke: that is how a session ends.
        Err(error) if matches!(error.kind(), io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset) => {
            Ok(())
        }
        ended => ended,
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, duplex};

    use super::*;

    #[tokio::test]
    async fn greets_then_copies_and_half_closes_each_way() {
        let (agent, mut session) = UnixStream::pair().unwrap();
        let (mut stdin, input) = duplex(64);
        let (output, mut stdout) = duplex(64);
        let relay = tokio::spawn(relay(agent, input, output, "9.9", LAST_WORDS));
        stdin.write_all(b"question").await.unwrap();
        stdin.shutdown().await.unwrap();
        let mut asked = String::new();
        session.read_to_string(&mut asked).await.unwrap();
        assert_eq!(asked, "question");
        session.write_all(b"answer").await.unwrap();
        drop(session);
        let mut seen = String::new();
        stdout.read_to_string(&mut seen).await.unwrap();
        assert_eq!(seen, "SHOAL/1 9.9\nanswer");
        relay.await.unwrap().unwrap();
    }

    #[tokio::test]
    async fn ends_with_the_agent_though_the_input_stays_open() {
        let (agent, session) = UnixStream::pair().unwrap();
        let (_stdin, input) = duplex(64);
        let (output, _stdout) = duplex(64);
        drop(session);
        relay(agent, input, output, "9.9", LAST_WORDS).await.unwrap();
    }

    #[tokio::test]
    async fn a_caller_that_has_gone_is_no_error() {
        let (agent, mut session) = UnixStream::pair().unwrap();
        let (_stdin, input) = duplex(64);
        let (output, mut stdout) = duplex(64);
        let relay = tokio::spawn(relay(agent, input, output, "9.9", LAST_WORDS));
        stdout.read_exact(&mut [0; 12]).await.unwrap();
        drop(stdout);
        session.write_all(b"goodbye").await.unwrap();
        relay.await.unwrap().unwrap();
    }

    #[tokio::test]
    async fn does_not_outlive_its_input_though_the_agent_hangs() {
        let (agent, _session) = UnixStream::pair().unwrap();
        let (stdin, input) = duplex(64);
        let (output, _stdout) = duplex(64);
        drop(stdin);
        relay(agent, input, output, "9.9", Duration::from_millis(1)).await.unwrap();
    }
}
