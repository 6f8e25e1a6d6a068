//! What an engine, or a program in one of its containers, may make this process hold.
//!
//! ```text
//! connection -- Metered: bytes of one answer <= ANSWER --> hyper --> bollard: answers that are held whole
//!                                                            |
//!                                                            +--> request.rs: streams, read piece by piece
//!                                                                  frames.rs: a frame <= FRAME    lines.rs: a line <= LINE
//! ```
//! bollard hands on hyper's own body type, so an answer that bollard collects can only be limited below hyper: the
//! connection counts. Streams are as long as they like, and nothing of them is held but the piece at hand.

use std::{
    io,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    task::{Context, Poll, ready},
};

use hyper_util::client::legacy::connect::{Connected, Connection};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// Most bytes of an answer that is held whole. The largest is a list of containers, with some 3 KB each: 5,000 of them.
/// Parsed text takes several times its size, so more would bound nothing.
pub(super) const ANSWER: u64 = 16 << 20;
/// Most bytes of an answer's head. hyper takes 408 KiB.
const HEAD: u64 = 1 << 20;
/// Most bytes of the answer to a ping, which is `OK`, and of an error's text.
pub(super) const WORDS: usize = 64 << 10;
/// Most bytes of a line of JSON: an event or a step of a pull. Engines write some 1 KB.
pub(super) const LINE: usize = 1 << 20;
/// Most bytes of a frame of output. moby copies 32 KiB at a time.
pub(super) const FRAME: usize = 1 << 20;

/// More than an engine may send, or frames that are none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum Excess {
    #[error("more than {0} bytes in one answer")]
    Answer(u64),
    #[error("a line of more than {LINE} bytes")]
    Line,
    #[error("a frame of {0} bytes, where at most {FRAME} are taken")]
    Frame(usize),
    #[error("a frame of the unknown stream {0}")]
    Stream(u8),
}

impl From<Excess> for bollard::errors::Error {
    fn from(excess: Excess) -> Self {
        io::Error::other(excess).into()
    }
}

/// Marks a request whose answer is read piece by piece: only an error's text is limited by the connection.
#[derive(Debug, Clone, Copy)]
pub(super) struct Endless;

/// How many bytes a connection may still bring before its next request. Clones are of the same connection.
#[derive(Debug, Clone)]
pub(super) struct Meter(Arc<AtomicU64>);

impl Meter {
    /// The head of an answer has come, and this is how long its body may be.
    pub(super) fn answer(&self, limit: Option<u64>) {
        self.0.store(limit.unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    /// Takes note of bytes that came.
    fn came(&self, bytes: u64) -> Result<(), Excess> {
        let left = self.0.load(Ordering::Relaxed);
        if left == u64::MAX {
            return Ok(());
        }
        let rest = left.checked_sub(bytes);
        self.0.store(rest.unwrap_or(0), Ordering::Relaxed);
        rest.map(drop).ok_or(Excess::Answer(ANSWER))
    }

    /// A request is being sent. What bollard collects answers of are small requests, whole before an answer begins.
    fn asked(&self) {
        self.0.fetch_max(HEAD, Ordering::Relaxed);
    }
}

/// A connection that counts what comes.
#[derive(Debug)]
pub(super) struct Metered<T> {
    stream: T,
    meter: Meter,
}

impl<T> Metered<T> {
    pub(super) fn new(stream: T) -> Self {
        Self { stream, meter: Meter(Arc::new(AtomicU64::new(HEAD))) }
    }
}

impl<T: Connection> Connection for Metered<T> {
    fn connected(&self) -> Connected {
        self.stream.connected().extra(self.meter.clone())
    }
}

impl<T: AsyncRead + Unpin> AsyncRead for Metered<T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        ready!(Pin::new(&mut self.stream).poll_read(cx, buf))?;
        let came = buf.filled().len() - before;
        Poll::Ready(self.meter.came(came as u64).map_err(io::Error::other))
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for Metered<T> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.meter.asked();
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.meter.asked();
        Pin::new(&mut self.stream).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
