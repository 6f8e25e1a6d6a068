//! Output of commands and containers, as engines send it.
//!
//! ```text
//! with a terminal     every byte is output
//! without             | stream | 0 0 0 | length, big-endian | bytes ... |   one frame after another
//! ```
//! (docs.docker.com, API reference, "Attach to a container", stream format.) The bytes of a frame are handed on as they come,
//! so that what is held is one read, however long the frame.

use std::io;

use bytes::{Buf as _, Bytes, BytesMut};
use futures_util::{Stream, stream};
use tokio::io::{AsyncRead, AsyncReadExt as _};

use super::bounds::{Excess, FRAME};
use crate::ExecChunk;

/// Bytes of a frame's header.
const HEADER: usize = 8;
/// moby's numbers of streams; the last is the engine's own word on why it cannot go on.
const STDIN: u8 = 0;
const STDOUT: u8 = 1;
const STDERR: u8 = 2;
const SYSTEM: u8 = 3;

/// Where in its output a program is.
#[derive(Debug)]
pub(super) enum Output {
    /// Before the first byte: an engine that fails before it has a stream to frame says so as it is.
    Start,
    /// Unframed to its end.
    Raw,
    /// So much of a header has come.
    Header { bytes: [u8; HEADER], had: usize },
    /// So much of a frame of this stream is still to come.
    Frame { stream: u8, left: usize },
}

impl Output {
    pub(super) fn of(terminal: bool) -> Self {
        if terminal { Self::Raw } else { Self::Start }
    }

    /// The next piece of output in what has come, which is taken from it. `None`: nothing is left.
    pub(super) fn next(&mut self, came: &mut Bytes) -> Result<Option<ExecChunk>, Excess> {
        while let Some(&first) = came.first() {
            match self {
                Self::Start if first > SYSTEM => *self = Self::Raw,
                Self::Start => *self = Self::Header { bytes: [0; HEADER], had: 0 },
                Self::Raw => return Ok(Some(ExecChunk::Stdout(came.split_off(0)))),
                Self::Header { bytes, had } => {
                    let n = came.len().min(HEADER - *had);
                    came.copy_to_slice(&mut bytes[*had..*had + n]);
                    *had += n;
                    if *had == HEADER {
                        *self = Self::framed(*bytes)?;
                    }
                }
                Self::Frame { left: 0, .. } => *self = Self::Header { bytes: [0; HEADER], had: 0 },
                Self::Frame { stream, left } => {
                    let bytes = came.split_to(came.len().min(*left));
                    *left -= bytes.len();
                    match *stream {
                        STDOUT => return Ok(Some(ExecChunk::Stdout(bytes))),
                        // The command's own input, which no engine sends.
                        STDIN => {}
                        STDERR | SYSTEM => return Ok(Some(ExecChunk::Stderr(bytes))),
                        other => return Err(Excess::Stream(other)),
                    }
                }
            }
        }
        Ok(None)
    }

    fn framed([stream, _, _, _, length @ ..]: [u8; HEADER]) -> Result<Self, Excess> {
        let length = u32::from_be_bytes(length) as usize;
        match length {
            _ if stream > SYSTEM => Err(Excess::Stream(stream)),
            0..=FRAME => Ok(Self::Frame { stream, left: length }),
            _ => Err(Excess::Frame(length)),
        }
    }
}

/// Bytes of the buffer of output that comes a little at a time: a session of an agent is quiet most of the time, and there is
/// one for every host.
const QUIET: usize = 1 << 10;

/// Output read from a connection that was HTTP's, through a buffer of [`QUIET`] bytes, or of `capacity` while reads fill it.
pub(super) fn output<R>(
    reader: R,
    terminal: bool,
    capacity: usize,
) -> impl Stream<Item = Result<ExecChunk, bollard::errors::Error>>
where
    R: AsyncRead + Unpin,
{
    let begin = (reader, Output::of(terminal), Buffer { bytes: BytesMut::new(), size: QUIET }, Bytes::new());
    stream::try_unfold(begin, move |(mut reader, mut output, mut buffer, mut came)| async move {
        loop {
            if let Some(chunk) = output.next(&mut came)? {
                return Ok(Some((chunk, (reader, output, buffer, came))));
            }
            came = buffer.read(&mut reader, capacity).await?;
            if came.is_empty() {
                return Ok(None);
            }
        }
    })
}

/// What output is read into.
struct Buffer {
    bytes: BytesMut,
    /// How much room is made once most of it is used.
    size: usize,
}

impl Buffer {
    /// One read; nothing at the end.
    async fn read(&mut self, reader: &mut (impl AsyncRead + Unpin), capacity: usize) -> io::Result<Bytes> {
        if self.bytes.capacity() < self.size / 4 {
            self.bytes.reserve(self.size);
        }
        let room = self.bytes.capacity();
        let came = reader.read_buf(&mut self.bytes).await?;
        let piece = self.bytes.split().freeze();
        if came == room {
            self.size = capacity;
        } else if came < QUIET && self.size > QUIET {
            *self = Self { bytes: BytesMut::new(), size: QUIET };
        }
        Ok(piece)
    }
}

#[cfg(test)]
mod tests {
    use futures_util::TryStreamExt as _;

    use super::*;

    /// Output and errors of what comes in these pieces.
    fn read(terminal: bool, pieces: impl IntoIterator<Item = Vec<u8>>) -> Result<(Vec<u8>, Vec<u8>), Excess> {
        let (mut output, mut out, mut err) = (Output::of(terminal), vec![], vec![]);
        for piece in pieces {
            let mut came = Bytes::from(piece);
            while let Some(chunk) = output.next(&mut came)? {
                match chunk {
                    ExecChunk::Stdout(bytes) => out.extend_from_slice(&bytes),
                    ExecChunk::Stderr(bytes) => err.extend_from_slice(&bytes),
                }
            }
        }
        Ok((out, err))
    }

    fn frame(stream: u8, bytes: &[u8]) -> Vec<u8> {
        let length = u32::try_from(bytes.len()).unwrap().to_be_bytes();
        [&[stream, 0, 0, 0], &length[..], bytes].concat()
    }

    #[test]
    fn a_terminals_bytes_are_output_whatever_they_begin_with() {
        for first in 0..=4 {
            let said = [&[first, 0, 0, 0, 255, 255, 255, 255][..], b"and more"].concat();
            for split in 1..said.len() {
                let pieces = [said[..split].to_vec(), said[split..].to_vec()];
                assert_eq!(read(true, pieces).unwrap(), (said.clone(), vec![]), "split at {split}");
            }
        }
    }

    #[test]
    fn frames_are_told_apart_wherever_they_are_cut() {
        let sent =
            [frame(1, b"one"), frame(2, b""), frame(2, b"two"), frame(0, b"in"), frame(1, b"\x01three")];
        let sent = sent.concat();
        for size in 1..=sent.len() {
            let (out, err) = read(false, sent.chunks(size).map(<[u8]>::to_vec)).unwrap();
            assert_eq!((&out[..], &err[..]), (&b"one\x01three"[..], &b"two"[..]), "pieces of {size}");
        }
    }

    #[tokio::test]
    async fn the_buffer_follows_what_comes() {
        let mut buffer = Buffer { bytes: BytesMut::new(), size: QUIET };
        let (capacity, much) = (16 * QUIET, vec![7; 40 * QUIET]);
        let (mut reader, mut said, mut largest) = (&much[..], 0, 0);
        loop {
            let piece = buffer.read(&mut reader, capacity).await.unwrap();
            if piece.is_empty() {
                break;
            }
            (said, largest) = (said + piece.len(), largest.max(piece.len()));
        }
        assert_eq!(said, much.len());
        assert!(largest > QUIET && largest <= capacity + QUIET, "{largest}");
        buffer.read(&mut &b"a word"[..], capacity).await.unwrap();
        assert!(buffer.size == QUIET && buffer.bytes.capacity() < QUIET, "it stays large");
    }

    #[test]
    fn an_engines_own_words_are_output() {
        let (out, err) = read(false, [b"OCI runtime ".to_vec(), b"exec failed".to_vec()]).unwrap();
        assert_eq!((&out[..], &err[..]), (&b"OCI runtime exec failed"[..], &b""[..]));
        assert_eq!(read(false, [frame(3, b"no log")]).unwrap().1, b"no log");
    }

    #[test]
    fn a_frame_has_a_limit_and_a_known_stream() {
        assert_eq!(read(false, [frame(1, &vec![0; FRAME])]).unwrap().0.len(), FRAME);
        assert_eq!(read(false, [frame(1, &vec![0; FRAME + 1])]), Err(Excess::Frame(FRAME + 1)));
        assert_eq!(
            read(false, [vec![1, 0, 0, 0, 255, 255, 255, 255]]),
            Err(Excess::Frame(u32::MAX as usize))
        );
        assert_eq!(read(false, [frame(1, b"x"), frame(9, b"y")]), Err(Excess::Stream(9)));
    }

    #[tokio::test]
    async fn what_is_read_arrives_whole_through_a_small_buffer() {
        let sent: Vec<u8> = (0..300_000_u32).map(|n| n.to_le_bytes()[1]).collect();
        let framed: Vec<u8> = sent.chunks(32 << 10).flat_map(|piece| frame(1, piece)).collect();
        for (terminal, bytes) in [(true, &sent), (false, &framed)] {
            let mut stream = std::pin::pin!(output(&bytes[..], terminal, 1000));
            let mut got = Vec::new();
            while let Some(chunk) = stream.try_next().await.unwrap() {
                let ExecChunk::Stdout(bytes) = chunk else { panic!("{chunk:?}") };
                assert!(bytes.len() <= 2000, "{} bytes at once", bytes.len());
                got.extend_from_slice(&bytes);
            }
            assert!(got == sent, "{} of {} bytes", got.len(), sent.len());
        }
    }
}
