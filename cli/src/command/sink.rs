//! Standard output written by a thread of its own: what comes next is received while this is written, and nothing is copied.
//!
//! A reader that stops blocks the thread, then fills the queue, then stops whoever sends: memory does not grow.

use std::{fs::File, io, io::Write, os::fd::AsFd};

use bytes::Bytes;
use tokio::{
    sync::mpsc,
    task::{JoinError, JoinHandle},
};

use crate::error::CliError;

/// Pieces that wait to be written, of at most 64 KiB each.
const QUEUE: usize = 4;

/// Standard output.
#[derive(Debug)]
pub(super) struct Sink {
    pieces: mpsc::Sender<Bytes>,
    writer: JoinHandle<io::Result<()>>,
}

impl Sink {
    /// Standard output of this process.
    ///
    /// # Errors
    /// [`CliError::Stdout`]: it is closed.
    pub(super) fn stdout() -> Result<Self, CliError> {
        // Past the buffer of `io::stdout`, which waits for line ends.
        let own = io::stdout().as_fd().try_clone_to_owned().map_err(CliError::Stdout)?;
        Ok(Self::start(File::from(own)))
    }

    /// Another place, whose errors are told as standard output's.
    pub(super) fn start(mut to: impl Write + Send + 'static) -> Self {
        let (pieces, mut queue) = mpsc::channel::<Bytes>(QUEUE);
        let writer = tokio::task::spawn_blocking(move || {
            while let Some(piece) = queue.blocking_recv() {
                to.write_all(&piece)?;
            }
            to.flush()
        });
        Self { pieces, writer }
    }

    /// Hands on a piece; waits while too many wait already.
    ///
    /// # Errors
    /// [`CliError::Stdout`]: an earlier piece could not be written.
    pub(super) async fn write(&mut self, piece: Bytes) -> Result<(), CliError> {
        match self.pieces.send(piece).await {
            Ok(()) => Ok(()),
            // Only a failed writer stops taking pieces.
            Err(_) => Err(CliError::Stdout(why(&mut self.writer).await)),
        }
    }

    /// Waits until everything is written.
    ///
    /// # Errors
    /// [`CliError::Stdout`]: it could not be.
    pub(super) async fn finish(self) -> Result<(), CliError> {
        drop(self.pieces);
        self.writer.await.unwrap_or_else(|error| Err(lost(error))).map_err(CliError::Stdout)
    }
}

async fn why(writer: &mut JoinHandle<io::Result<()>>) -> io::Error {
    match writer.await {
        Ok(Err(error)) => error,
        Ok(Ok(())) => io::ErrorKind::BrokenPipe.into(),
        Err(error) => lost(error),
    }
}

fn lost(error: JoinError) -> io::Error {
    io::Error::other(error)
}

#[cfg(test)]
mod tests {
    use std::{io::Read, os::unix::net::UnixStream, time::Duration};

    use super::*;

    #[tokio::test]
    async fn a_reader_that_stops_stops_the_sender() {
        let (mut reader, writer) = UnixStream::pair().unwrap();
        let mut sink = Sink::start(writer);
        let piece = Bytes::from(vec![7; 64 << 10]);
        let mut sent = 0;
        // The socket's buffer and the queue fill, and no more is taken.
        while tokio::time::timeout(Duration::from_millis(300), sink.write(piece.clone())).await.is_ok() {
            sent += 1;
            assert!(sent < 100, "{sent} pieces were taken and nobody reads");
        }
        let read = tokio::task::spawn_blocking(move || {
            let mut all = Vec::new();
            reader.read_to_end(&mut all).map(|_| all.len())
        });
        sink.finish().await.unwrap();
        assert_eq!(read.await.unwrap().unwrap(), sent * (64 << 10));
    }

    #[tokio::test]
    async fn a_reader_that_went_is_an_error() {
        let (reader, writer) = UnixStream::pair().unwrap();
        drop(reader);
        let mut sink = Sink::start(writer);
        // The first pieces wait in the queue.
        let mut wrote = Ok(());
        for _ in 0..QUEUE + 2 {
            wrote = sink.write(Bytes::from_static(b"x")).await;
            if wrote.is_err() {
                break;
            }
        }
        let Err(CliError::Stdout(error)) = wrote else { panic!("{wrote:?}") };
        assert_eq!(error.kind(), io::ErrorKind::BrokenPipe);
    }
}
