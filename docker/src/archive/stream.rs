//! From a blocking writer to a stream of chunks, with a bounded number of chunks in flight.

use std::io::{self, BufWriter, Write};

use bytes::Bytes;
use futures_util::{StreamExt as _, stream};
use tokio::sync::mpsc::{self, Sender};

use crate::UploadStream;

/// Size of a chunk in bytes, and how many may wait for the reader.
const CHUNK: usize = 256 << 10;
const WAITING: usize = 4;

/// Runs `write` on a blocking thread; what it writes is the stream, and its error the stream's last item.
pub(super) fn of(write: impl FnOnce(&mut dyn Write) -> io::Result<()> + Send + 'static) -> UploadStream {
    let (sender, receiver) = mpsc::channel(WAITING);
    tokio::task::spawn_blocking(move || {
        let mut out = BufWriter::with_capacity(CHUNK, Chunks { sender: sender.clone() });
        if let Err(error) = write(&mut out).and_then(|()| out.flush()) {
            // Nobody listens any more if the reader is gone, which is then the error itself.
            drop(sender.blocking_send(Err(error)));
        }
    });
    stream::unfold(
        receiver,
        |mut receiver| async move { receiver.recv().await.map(|chunk| (chunk, receiver)) },
    )
    .boxed()
}

struct Chunks {
    sender: Sender<io::Result<Bytes>>,
}

impl Write for Chunks {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        let buf = &buf[..buf.len().min(CHUNK)];
        let chunk = Bytes::copy_from_slice(buf);
        self.sender.blocking_send(Ok(chunk)).map_err(|_| io::Error::from(io::ErrorKind::BrokenPipe))?;
        Ok(buf.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
