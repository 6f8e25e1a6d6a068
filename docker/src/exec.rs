//! Commands run inside containers: to their end with bounded output, or attached for as long as they last.
//!
//! ```text
//!   stdin  ---->  +---------+  ---> output: Stdout(bytes) | Stderr(bytes)
//!   shutdown() =  | command |  ---> exit: its status, once it has ended
//!   end of input  +---------+
//! ```

use std::{
    fmt, io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use bytes::{Buf, Bytes};
use futures_util::{Stream, future::BoxFuture, stream::BoxStream};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::EngineError;

/// A command to run inside a container.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ExecSpec {
    /// Program and arguments.
    pub cmd: Vec<String>,
    /// Environment `NAME=value`, added to the container's.
    pub env: Vec<String>,
    /// User name or number; the container's own if `None`.
    pub user: Option<String>,
    /// Working directory; the container's own if `None`.
    pub dir: Option<String>,
    /// With a terminal of this size: one output instead of two, and signals by keys. Only for an attached command.
    pub tty: Option<TtySize>,
    /// It lasts as long as its client and says little at a time: it is given a small buffer.
    pub lasting: bool,
}

/// Size of a terminal, in characters.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct TtySize {
    /// Lines.
    pub rows: u16,
    /// Characters of a line.
    pub columns: u16,
}

/// Gives a command's terminal a new size.
pub type Resize = Arc<dyn Fn(TtySize) -> BoxFuture<'static, Result<(), EngineError>> + Send + Sync>;

impl ExecSpec {
    /// This program with these arguments, as the container's own user.
    pub fn new(cmd: impl IntoIterator<Item = impl Into<String>>) -> Self {
        Self { cmd: cmd.into_iter().map(Into::into).collect(), ..Self::default() }
    }
}

/// What a command that ended left behind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExecOutput {
    /// Exit status, 0 to 255; 126 or 127 if it could not be run (the reason is in one of the outputs).
    pub status: i64,
    /// Its output, up to the limit.
    pub stdout: Bytes,
    /// Its errors, up to the limit.
    pub stderr: Bytes,
    /// More came than the limit let through.
    pub truncated: bool,
}

/// A piece of output.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ExecChunk {
    /// From its standard output. An engine reports here too why a command could not be run.
    Stdout(Bytes),
    /// From its standard error.
    Stderr(Bytes),
}

/// A running command with its streams attached. Dropping it closes the command's input and output; one that reads
/// neither lives on.
pub struct ExecSession {
    /// Its input; `shutdown` ends it and leaves the output open.
    pub stdin: Pin<Box<dyn AsyncWrite + Send>>,
    /// Its output, until it has closed both of its streams.
    pub output: BoxStream<'static, Result<ExecChunk, EngineError>>,
    /// Changes the size of its terminal; `None` if it has none.
    pub resize: Option<Resize>,
    /// Its exit status; resolves only after it has ended, whether or not the output was read.
    pub exit: BoxFuture<'static, Result<i64, EngineError>>,
}

impl fmt::Debug for ExecSession {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ExecSession").finish_non_exhaustive()
    }
}

impl ExecSession {
    /// Input and output as one byte stream; what the command writes to its standard error goes to the log under `name`.
    #[must_use]
    pub fn into_duplex(self, name: impl Into<String>) -> ExecDuplex {
        ExecDuplex { stdin: self.stdin, output: self.output, chunk: Bytes::new(), name: name.into() }
    }
}

/// A command's standard input and output as one byte stream: what gRPC runs over.
pub struct ExecDuplex {
    stdin: Pin<Box<dyn AsyncWrite + Send>>,
    output: BoxStream<'static, Result<ExecChunk, EngineError>>,
    chunk: Bytes,
    name: String,
}

impl fmt::Debug for ExecDuplex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ExecDuplex").field("name", &self.name).finish_non_exhaustive()
    }
}

impl AsyncRead for ExecDuplex {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        while self.chunk.is_empty() {
            match ready!(Pin::new(&mut self.output).poll_next(cx)) {
                None => return Poll::Ready(Ok(())),
                Some(Err(error)) => return Poll::Ready(Err(io::Error::other(error))),
                Some(Ok(ExecChunk::Stdout(bytes))) => self.chunk = bytes,
                Some(Ok(ExecChunk::Stderr(bytes))) => {
                    for line in String::from_utf8_lossy(&bytes).lines() {
                        tracing::info!(exec.name = %self.name, "{line}");
                    }
                }
            }
        }
        let n = self.chunk.len().min(buf.remaining());
        buf.put_slice(&self.chunk[..n]);
        self.chunk.advance(n);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for ExecDuplex {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.stdin.as_mut().poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.stdin.as_mut().poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.stdin.as_mut().poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use futures_util::{StreamExt as _, stream};
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    use super::*;
    use crate::{Endpoint, Subject};

    fn session(chunks: Vec<Result<ExecChunk, EngineError>>) -> (ExecDuplex, tokio::io::DuplexStream) {
        let (stdin, far_end) = tokio::io::duplex(100);
        let output = stream::iter(chunks).boxed();
        let session =
            ExecSession { stdin: Box::pin(stdin), output, resize: None, exit: Box::pin(async { Ok(0) }) };
        (session.into_duplex("test"), far_end)
    }

    #[tokio::test]
    async fn the_duplex_reads_output_alone_and_writes_input() {
        let chunk = |text: &'static str| Bytes::from_static(text.as_bytes());
        let (mut duplex, mut far_end) = session(vec![
            Ok(ExecChunk::Stdout(chunk("ab"))),
            Ok(ExecChunk::Stderr(chunk("a warning\n"))),
            Ok(ExecChunk::Stdout(chunk(""))),
            Ok(ExecChunk::Stdout(chunk("cde"))),
        ]);
        let mut read = String::new();
        duplex.read_to_string(&mut read).await.unwrap();
        assert_eq!(read, "abcde");
        duplex.write_all(b"in").await.unwrap();
        duplex.shutdown().await.unwrap();
        let mut written = Vec::new();
        drop(duplex);
        far_end.read_to_end(&mut written).await.unwrap();
        assert_eq!(written, b"in");
    }

    #[tokio::test]
    async fn the_engines_error_is_the_reads() {
        let gone =
            EngineError::NotFound { endpoint: Endpoint::local(), subject: Subject::Container("n1".into()) };
        let (mut duplex, _far_end) = session(vec![Err(gone)]);
        let error = duplex.read_u8().await.unwrap_err();
        assert_eq!(error.to_string(), "unix:///var/run/docker.sock: no such container n1");
    }
}
