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

use std::{
    fs::File,
    io::{self, Write},
    net::Shutdown,
    os::{fd::AsFd, unix::net::UnixStream as Socket},
    path::Path,
    thread,
    time::Duration,
};

use rustix::{
    event::{PollFd, PollFlags, poll},
    fs::{FileType, fstat},
    io::Errno,
    pipe::{SpliceFlags, fcntl_setpipe_size, splice},
};
use shoal_proto::GREETING_PREFIX;
use tokio::{
    net::UnixStream,
    sync::oneshot,
    time::{Instant, sleep, timeout},
};

use crate::AgentError;

/// How long an agent that has just been started has to open its socket.
const AGENT_START: Duration = Duration::from_secs(5);
/// How often to look for the socket until then.
const RETRY: Duration = Duration::from_millis(50);
/// Bytes a pipe is to hold, and most that are moved at once. A user's pipes together may hold 64 MiB (pipe(7),
/// `pipe-user-pages-soft`), and those of root are the engine's, the nodes' and ours.
const PIPE_BYTES: usize = 256 << 10;
/// How long the agent has to close after the input has ended.
const LAST_WORDS: Duration = Duration::from_secs(5);

/// Greets as `version`, then moves bytes from standard input to the agent's socket and from there to standard output, each way
/// until its end.
///
/// # Errors
/// [`AgentError::Stdio`]: standard input or output is not a pipe. [`AgentError::Socket`]: no agent listens there.
/// [`AgentError::Session`]: a move failed.
pub async fn connect(socket: &Path, version: &str) -> Result<(), AgentError> {
    let input =
        pipe(std::io::stdin()).map_err(|source| AgentError::Stdio { stream: "standard input", source })?;
    let output =
        pipe(std::io::stdout()).map_err(|source| AgentError::Stdio { stream: "standard output", source })?;
    let agent = dial(socket).await.map_err(|source| AgentError::Socket { path: socket.into(), source })?;
    let agent = agent.into_std().map_err(AgentError::Session)?;
    relay(agent, input, output, version, LAST_WORDS).await.map_err(AgentError::Session)
}

/// A pipe of this process, as large as it may be.
fn pipe(stream: impl AsFd) -> io::Result<File> {
    if FileType::from_raw_mode(fstat(&stream)?.st_mode) != FileType::Fifo {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "not a pipe"));
    }
    // A smaller one is slower, and nothing else.
    let _ = fcntl_setpipe_size(&stream, PIPE_BYTES);
    Ok(File::from(stream.as_fd().try_clone_to_owned()?))
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
    agent: Socket,
    input: File,
    mut output: File,
    version: &str,
    last_words: Duration,
) -> io::Result<()> {
    // Who waits does so in `carry`.
    agent.set_nonblocking(true)?;
    output.write_all(format!("{GREETING_PREFIX}{version}\n").as_bytes())?;
    let to_agent = agent.try_clone()?;
    let mut down = beside(move || carry(&agent, &output))?;
    let up = beside(move || {
        carry(&input, &to_agent)?;
        to_agent.shutdown(Shutdown::Write)
    })?;
    let lost = |_| Err(io::ErrorKind::Interrupted.into());
    tokio::select! {
        ended = &mut down => expected(ended.unwrap_or_else(lost)),
        ended = up => {
            expected(ended.unwrap_or_else(lost))?;
            // What the agent has said arrives, whoever went first.
            expected(timeout(last_words, down).await.unwrap_or(Ok(Ok(()))).unwrap_or_else(lost))
        }
    }
}

/// One side has gone while the other still spoke: that is how a session ends.
fn expected(ended: io::Result<()>) -> io::Result<()> {
    match ended {
        Err(error) if matches!(error.kind(), io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset) => {
            Ok(())
        }
        ended => ended,
    }
}

/// Does `work` in a thread, which lives as long as the work or the process; its outcome.
///
/// # Errors
/// There is no thread to be had.
fn beside<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> io::Result<oneshot::Receiver<T>> {
    let (sender, outcome) = oneshot::channel();
    // Nobody may wait any more.
    thread::Builder::new().spawn(move || drop(sender.send(work())))?;
    Ok(outcome)
}

/// Moves bytes from a pipe or to one until they end. The kernel moves them, from buffer to buffer. It holds the pipe meanwhile:
/// one that waited there would keep the pipe's other end from being read or written, so the wait is outside.
fn carry(from: impl AsFd, to: impl AsFd) -> io::Result<()> {
    let ready = |stream: &_, event| loop {
        match poll(&mut [PollFd::from_borrowed_fd(*stream, event)], None) {
            Err(Errno::INTR) => {}
            answer => return answer.map(drop),
        }
    };
    let (from, to) = (from.as_fd(), to.as_fd());
    loop {
        match splice(from, None, to, None, PIPE_BYTES, SpliceFlags::MOVE | SpliceFlags::NONBLOCK) {
            Ok(0) => return Ok(()),
            Ok(_) | Err(Errno::INTR) => {}
            Err(Errno::AGAIN) => {
                ready(&from, PollFlags::IN)?;
                ready(&to, PollFlags::OUT)?;
            }
            Err(error) => return Err(error.into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::{PipeReader, PipeWriter, Read};

    use super::*;

    /// A session, and the far ends of its streams: agent, input, output.
    struct Ends {
        agent: Socket,
        stdin: PipeWriter,
        stdout: PipeReader,
        relay: tokio::task::JoinHandle<io::Result<()>>,
    }

    fn session(last_words: Duration) -> Ends {
        let (near, agent) = Socket::pair().unwrap();
        let (input, stdin) = io::pipe().unwrap();
        let (stdout, output) = io::pipe().unwrap();
        let file = |stream: &dyn AsFd| pipe(stream.as_fd()).unwrap();
        let (input, output) = (file(&input), file(&output));
        let relay = tokio::spawn(relay(near, input, output, "9.9", last_words));
        Ends { agent, stdin, stdout, relay }
    }

    /// Waits in a thread of its own: the session is carried by this one.
    async fn all(mut from: impl Read + Send + 'static) -> Vec<u8> {
        let read = move || {
            let mut text = Vec::new();
            from.read_to_end(&mut text).map(|_| text)
        };
        beside(read).unwrap().await.unwrap().unwrap()
    }

    #[tokio::test]
    async fn greets_then_carries_and_half_closes_each_way() {
        let Ends { mut agent, mut stdin, stdout, relay } = session(LAST_WORDS);
        stdin.write_all(b"question").unwrap();
        drop(stdin);
        assert_eq!(all(agent.try_clone().unwrap()).await, b"question");
        agent.write_all(b"answer").unwrap();
        drop(agent);
        assert_eq!(all(stdout).await, b"SHOAL/1 9.9\nanswer");
        relay.await.unwrap().unwrap();
    }

    /// More than all buffers hold, both ways at once.
    #[tokio::test]
    async fn what_is_carried_is_whole() {
        let bytes: Vec<u8> = (0..=250).cycle().take(5 << 20).collect();
        let Ends { agent, mut stdin, stdout, relay } = session(LAST_WORDS);
        let (up, down, mut answers) = (bytes.clone(), bytes.clone(), agent.try_clone().unwrap());
        let sent = beside(move || stdin.write_all(&up)).unwrap();
        let answered = beside(move || {
            answers.write_all(&down)?;
            answers.shutdown(Shutdown::Write)
        })
        .unwrap();
        let (heard, said) = tokio::join!(all(agent), all(stdout));
        assert!(heard == bytes && said.strip_prefix(b"SHOAL/1 9.9\n") == Some(&bytes[..]));
        sent.await.unwrap().unwrap();
        answered.await.unwrap().unwrap();
        relay.await.unwrap().unwrap();
    }

    #[tokio::test]
    async fn ends_with_the_agent_though_the_input_stays_open() {
        let Ends { agent, stdin: _stdin, stdout: _stdout, relay } = session(LAST_WORDS);
        drop(agent);
        relay.await.unwrap().unwrap();
    }

    #[tokio::test]
    async fn a_caller_that_has_gone_is_no_error() {
        let Ends { mut agent, stdin: _stdin, mut stdout, relay } = session(LAST_WORDS);
        beside(move || stdout.read_exact(&mut [0; 12])).unwrap().await.unwrap().unwrap();
        agent.write_all(b"goodbye").unwrap();
        relay.await.unwrap().unwrap();
    }

    #[tokio::test]
    async fn does_not_outlive_its_input_though_the_agent_hangs() {
        let Ends { agent: _agent, stdin, stdout: _stdout, relay } = session(Duration::from_millis(1));
        drop(stdin);
        relay.await.unwrap().unwrap();
    }

    #[test]
    fn only_pipes_are_taken() {
        assert!(pipe(File::open("/dev/null").unwrap()).is_err());
        let (reader, _writer) = io::pipe().unwrap();
        pipe(reader).unwrap();
    }
}
