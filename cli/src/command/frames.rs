//! A reader's bytes as the frames of a request stream, after a first one that opens it.
//!
//! The end of the reader ends the stream. A failure does not: the far side would take half for whole. It is reported to
//! the caller, who drops the call.

use std::io;

use bytes::{BufMut, Bytes, BytesMut};
use shoal_api::FRAME_BYTES;
use tokio::{
    io::{AsyncRead, AsyncReadExt},
    sync::{mpsc, oneshot},
    task::JoinSet,
};
use tokio_stream::wrappers::ReceiverStream;

/// Frames read ahead of the network.
pub(super) const AHEAD: usize = 4;

/// Reads until dropped, ended or failed.
#[derive(Debug)]
pub(super) struct Pump {
    failed: oneshot::Receiver<io::Error>,
    // Owns the reading task.
    _task: JoinSet<()>,
}

impl Pump {
    /// Starts to read: the frames, `open` first, and what keeps them coming.
    pub(super) fn start<T: Send + 'static>(
        open: T,
        reader: impl AsyncRead + Unpin + Send + 'static,
        frame: fn(Bytes) -> T,
    ) -> (ReceiverStream<T>, Self) {
        let (sender, frames) = mpsc::channel(AHEAD);
        // There is room: it is the first.
        let _ = sender.try_send(open);
        (ReceiverStream::new(frames), Self::feed(sender, reader, frame))
    }

    /// Starts to read into a stream that is open already; others may send there too.
    pub(super) fn feed<T: Send + 'static>(
        sender: mpsc::Sender<T>,
        reader: impl AsyncRead + Unpin + Send + 'static,
        frame: fn(Bytes) -> T,
    ) -> Self {
        let (report, failed) = oneshot::channel();
        let mut task = JoinSet::new();
        task.spawn(async move {
            if let Err(error) = copy(reader, frame, &sender).await {
                // If nobody listens, nobody takes half for whole either.
                let _ = report.send(error);
                sender.closed().await;
            }
        });
        Self { failed, _task: task }
    }

    /// Does `work` while the reader is read.
    ///
    /// # Errors
    /// What `failure` makes of the reader's error; those of `work`.
    pub(super) async fn during<T, E>(
        mut self,
        work: impl Future<Output = Result<T, E>>,
        failure: impl FnOnce(io::Error) -> E,
    ) -> Result<T, E> {
        tokio::select! {
            result = work => result,
            Ok(error) = &mut self.failed => Err(failure(error)),
        }
    }
}

async fn copy<T>(
    mut reader: impl AsyncRead + Unpin,
    frame: fn(Bytes) -> T,
    sender: &mpsc::Sender<T>,
) -> io::Result<()> {
    let mut buffer = BytesMut::new();
    loop {
        buffer.reserve(FRAME_BYTES);
        if reader.read_buf(&mut (&mut buffer).limit(FRAME_BYTES)).await? == 0 {
            return Ok(());
        }
        // A closed channel means that the call is over: nothing more is wanted.
        if sender.send(frame(buffer.split().freeze())).await.is_err() {
            return Ok(());
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{
        pin::Pin,
        task::{Context, Poll},
    };

    use tokio::io::ReadBuf;
    use tokio_stream::StreamExt;

    use super::*;

    struct Broken;

    impl AsyncRead for Broken {
        fn poll_read(self: Pin<&mut Self>, _: &mut Context<'_>, _: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Err(io::ErrorKind::Other.into()))
        }
    }

    #[tokio::test]
    async fn everything_arrives_and_then_the_end() {
        let data: Vec<u8> = (0..=255).cycle().take(3 * FRAME_BYTES + 7).collect();
        let (frames, pump) = Pump::start(Bytes::new(), io::Cursor::new(data.clone()), |bytes| bytes);
        let got: Result<Vec<Bytes>, io::Error> =
            pump.during(async { Ok(frames.collect().await) }, |error| error).await;
        let got = got.unwrap();
        assert!(got.iter().all(|frame| frame.len() <= FRAME_BYTES));
        assert_eq!(got.concat(), data);
    }

    #[tokio::test]
    async fn a_failure_is_no_end() {
        let (frames, pump) = Pump::start(Bytes::new(), Broken, |bytes| bytes);
        let work = async {
            let whole: Vec<Bytes> = frames.collect().await;
            Ok(whole)
        };
        let result: Result<Vec<Bytes>, io::Error> = pump.during(work, |error| error).await;
        assert_eq!(result.unwrap_err().kind(), io::ErrorKind::Other);
    }
}
