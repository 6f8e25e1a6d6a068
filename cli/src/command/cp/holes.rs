//! A file with holes in an archive: where its data is, and the data.
//!
//! ```text
//! data | hole | data  ->  header: where data is, up to four | more of these, 21 in a block | data data
//! ```
//! Where data is was found before it is read: what is gone by then is filled up.

use std::{
    fs::File,
    io::{self, Read},
    os::unix::fs::FileExt,
    vec,
};

use nix::{
    errno::Errno,
    unistd::{Whence, lseek},
};
use tar::{GnuExtSparseHeader, GnuSparseHeader, Header};

/// Data from an offset on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Piece {
    at: u64,
    length: u64,
}

/// Where a file of this size has data, and last where it ends.
///
/// # Errors
/// It cannot be looked at.
pub(super) fn pieces(file: &File, size: u64) -> io::Result<Vec<Piece>> {
    let mut pieces = Vec::new();
    let mut at = 0;
    while at < size {
        // ENXIO: no more of it.
        let data = match lseek(file, at.cast_signed(), Whence::SeekData) {
            Ok(data) => data.cast_unsigned(),
            Err(Errno::ENXIO) => break,
            Err(error) => return Err(error.into()),
        };
        let hole = match lseek(file, data.cast_signed(), Whence::SeekHole) {
            Ok(hole) => hole.cast_unsigned().min(size),
            Err(Errno::ENXIO) => break,
            Err(error) => return Err(error.into()),
        };
        if hole <= data {
            break;
        }
        pieces.push(Piece { at: data, length: hole - data });
        at = hole;
    }
    pieces.push(Piece { at: size, length: 0 });
    Ok(pieces)
}

/// How much data there is.
pub(super) fn length(pieces: &[Piece]) -> u64 {
    pieces.iter().map(|piece| piece.length).sum()
}

/// Writes where data is into a file's header; the blocks that follow it.
pub(super) fn describe(header: &mut Header, pieces: &[Piece], size: u64) -> Vec<u8> {
    let mut blocks = Vec::new();
    let Some(header) = header.as_gnu_mut() else { return blocks };
    header.set_real_size(size);
    let mut rest = fill(&mut header.sparse, pieces);
    header.set_is_extended(!rest.is_empty());
    while !rest.is_empty() {
        let mut block = GnuExtSparseHeader::new();
        rest = fill(block.sparse_mut(), rest);
        block.set_is_extended(!rest.is_empty());
        blocks.extend_from_slice(block.as_bytes());
    }
    blocks
}

/// The pieces that found no room.
fn fill<'p>(room: &mut [GnuSparseHeader], pieces: &'p [Piece]) -> &'p [Piece] {
    for (slot, piece) in room.iter_mut().zip(pieces) {
        slot.set_offset(piece.at);
        slot.set_length(piece.length);
    }
    pieces.get(room.len()..).unwrap_or_default()
}

/// Reads all data of a file, as much as there was; where the file ends by now, the rest is filled up.
pub(super) struct Data<'f> {
    file: &'f File,
    piece: Piece,
    waiting: vec::IntoIter<Piece>,
    /// Where the file ended too early.
    pub(super) end: Option<u64>,
}

impl<'f> Data<'f> {
    pub(super) fn new(file: &'f File, pieces: Vec<Piece>) -> Self {
        Self { file, piece: Piece { at: 0, length: 0 }, waiting: pieces.into_iter(), end: None }
    }
}

impl Read for Data<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.piece.length == 0 {
            let Some(next) = self.waiting.next() else { return Ok(0) };
            self.piece = next;
        }
        let most = usize::try_from(self.piece.length).unwrap_or(usize::MAX).min(buffer.len());
        let buffer = &mut buffer[..most];
        let mut read = if self.end.is_none() { self.file.read_at(buffer, self.piece.at)? } else { 0 };
        if read == 0 {
            self.end.get_or_insert(self.piece.at);
            buffer.fill(0);
            read = buffer.len();
        }
        self.piece.at += read as u64;
        self.piece.length -= read as u64;
        Ok(read)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A file with data at these offsets, a page each, of a size.
    fn file(offsets: &[u64], size: u64) -> File {
        let file = tempfile::tempfile().unwrap();
        file.set_len(size).unwrap();
        for at in offsets {
            file.write_all_at(&[b'x'; 4096], *at).unwrap();
        }
        file
    }

    #[test]
    fn where_data_is() {
        let piece = |at, length| Piece { at, length };
        let end = piece(1 << 20, 0);
        for (offsets, expected) in [
            (vec![], vec![end]),
            (vec![1 << 16], vec![piece(1 << 16, 4096), end]),
            (vec![0, 1 << 18], vec![piece(0, 4096), piece(1 << 18, 4096), end]),
            (vec![(1 << 20) - 4096], vec![piece((1 << 20) - 4096, 4096), end]),
        ] {
            assert_eq!(pieces(&file(&offsets, 1 << 20), 1 << 20).unwrap(), expected);
        }
    }

    #[test]
    fn what_is_gone_is_filled_up() {
        let file = file(&[0, 1 << 16, 1 << 18], 1 << 20);
        let pieces = pieces(&file, 1 << 20).unwrap();
        assert_eq!(length(&pieces), 3 * 4096);
        file.set_len((1 << 16) + 6).unwrap();
        let mut data = Data::new(&file, pieces);
        let mut read = Vec::new();
        data.read_to_end(&mut read).unwrap();
        assert_eq!((read.len(), data.end), (3 * 4096, Some((1 << 16) + 6)));
        let xs = read.iter().filter(|byte| **byte == b'x').count();
        assert_eq!((xs, &read[4096..4103]), (4096 + 6, &b"xxxxxx\0"[..]));
    }
}
