//! Lines of JSON, as they come: events, and the steps of a pull or load.

use bytes::{Buf as _, Bytes, BytesMut};
use futures_util::{Stream, StreamExt as _, stream};
use serde::de::DeserializeOwned;

use super::bounds::{Excess, LINE};

/// What has come of lines, each looked at once.
#[derive(Debug, Default)]
struct Lines {
    held: BytesMut,
    /// No line ends before here.
    looked: usize,
}

impl Lines {
    /// The next line that has ended, without its end.
    fn next(&mut self) -> Result<Option<Bytes>, Excess> {
        match self.held[self.looked..].iter().position(|byte| *byte == b'\n') {
            Some(at) => {
                let line = self.held.split_to(self.looked + at).freeze();
                self.held.advance(1);
                self.looked = 0;
                if line.len() > LINE { Err(Excess::Line) } else { Ok(Some(line)) }
            }
            None if self.held.len() > LINE => Err(Excess::Line),
            None => {
                self.looked = self.held.len();
                Ok(None)
            }
        }
    }
}

/// The values in a body, a line each; the last need not end in a line's end.
pub(super) fn values<T, S, E>(body: S) -> impl Stream<Item = Result<T, bollard::errors::Error>>
where
    T: DeserializeOwned,
    S: Stream<Item = Result<Bytes, E>> + Unpin,
    bollard::errors::Error: From<E>,
{
    let begin = (body, Lines::default(), false);
    stream::try_unfold(begin, |(mut body, mut lines, mut ended)| async move {
        loop {
            let line = match lines.next()? {
                Some(line) => line,
                None if ended => return Ok(None),
                None => match body.next().await.transpose()? {
                    Some(piece) => {
                        lines.held.extend_from_slice(&piece);
                        continue;
                    }
                    None => {
                        ended = true;
                        std::mem::take(&mut lines).held.freeze()
                    }
                },
            };
            if !line.trim_ascii().is_empty() {
                let value = serde_json::from_slice(&line)?;
                return Ok(Some((value, (body, lines, ended))));
            }
        }
    })
}

#[cfg(test)]
mod tests {
    use std::io;

    use futures_util::TryStreamExt as _;

    use super::*;

    async fn read(pieces: Vec<Vec<u8>>) -> Result<Vec<u32>, String> {
        let body = stream::iter(pieces).map(|piece| Ok::<_, io::Error>(Bytes::from(piece)));
        values::<u32, _, _>(body).try_collect().await.map_err(|error| error.to_string())
    }

    #[tokio::test]
    async fn values_come_a_line_each_wherever_the_pieces_end() {
        let sent = b"1\r\n22\n\n333\n4444";
        for size in 1..=sent.len() {
            let read = read(sent.chunks(size).map(<[u8]>::to_vec).collect()).await;
            assert_eq!(read.unwrap(), [1, 22, 333, 4444], "pieces of {size}");
        }
        assert_eq!(read(vec![]).await.unwrap(), [0_u32; 0]);
        read(vec![b"1\nx\n".to_vec()]).await.unwrap_err();
    }

    #[tokio::test]
    async fn a_line_has_a_limit() {
        let full = [vec![b' '; LINE - 1], b"7\n8".to_vec()].concat();
        assert_eq!(read(vec![full]).await.unwrap(), [7, 8]);
        let said = "a line of more than 1048576 bytes";
        assert_eq!(read(vec![vec![b' '; LINE / 2]; 3]).await.unwrap_err(), said);
        assert_eq!(read(vec![[vec![b' '; LINE], b"7\n".to_vec()].concat()]).await.unwrap_err(), said);
    }
}
