//! The layer of an image: a tar of files given one by one, or a tar that is there already.

use std::{
    fs::File,
    io::{self, Read, Seek as _, SeekFrom, Write},
    path::{Path, PathBuf},
};

use bytes::Bytes;

use super::{ArchiveError, unwritten};

/// tar works in records of this size (POSIX.1-2017 pax, "ustar Interchange Format").
const RECORD: u64 = 512;

/// A layer.
#[derive(Debug, Clone)]
pub enum Layer {
    /// These files, in this order; parents first.
    Files(Vec<ImageFile>),
    /// An uncompressed tar of a root file system.
    Tar(PathBuf),
}

/// A file or directory of a layer, owned by root, dated 1970.
#[derive(Debug, Clone)]
pub struct ImageFile {
    /// Path without leading slash, at most 100 bytes.
    pub path: String,
    /// Permission bits, such as `0o755`.
    pub mode: u32,
    /// What it is.
    pub content: FileContent,
}

/// What a file of a layer holds.
#[derive(Debug, Clone)]
pub enum FileContent {
    /// It is a directory.
    Directory,
    /// These bytes.
    Bytes(Bytes),
    /// What this file of our machine holds.
    File(PathBuf),
}

impl Layer {
    /// Writes the layer's tar.
    pub(super) fn write(&self, out: &mut impl Write) -> Result<(), ArchiveError> {
        match self {
            Self::Files(files) => {
                files.iter().try_for_each(|file| file.write(out))?;
                end(out)
            }
            Self::Tar(path) => {
                let (mut file, size) = open(path)?;
                if let Some(how) = compression(&mut file).map_err(|source| unread(path, source))? {
                    return Err(ArchiveError::Compressed { path: path.clone(), how });
                }
                copy(path, file, size, out)
            }
        }
    }
}

impl ImageFile {
    fn write(&self, out: &mut impl Write) -> Result<(), ArchiveError> {
        match &self.content {
            FileContent::Directory => header(out, &format!("{}/", self.path), 0, self.mode),
            FileContent::Bytes(bytes) => {
                let size = bytes.len() as u64;
                header(out, &self.path, size, self.mode)?;
                out.write_all(bytes).map_err(unwritten)?;
                pad(out, size)
            }
            FileContent::File(path) => {
                let (file, size) = open(path)?;
                header(out, &self.path, size, self.mode)?;
                copy(path, file, size, out)?;
                pad(out, size)
            }
        }
    }
}

/// Writes a header; a directory's path ends in a slash.
pub(super) fn header(out: &mut impl Write, path: &str, size: u64, mode: u32) -> Result<(), ArchiveError> {
    let mut header = tar::Header::new_ustar();
    header.set_path(path).map_err(|source| unread(Path::new(path), source))?;
    header.set_entry_type(if path.ends_with('/') {
        tar::EntryType::Directory
    } else {
        tar::EntryType::Regular
    });
    header.set_size(size);
    header.set_mode(mode);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(0);
    header.set_cksum();
    out.write_all(header.as_bytes()).map_err(unwritten)
}

/// Fills up the last record of a file of `size` bytes.
pub(super) fn pad(out: &mut impl Write, size: u64) -> Result<(), ArchiveError> {
    let missing = (RECORD - size % RECORD) % RECORD;
    io::copy(&mut io::repeat(0).take(missing), out).map_err(unwritten).map(drop)
}

/// Writes the end of a tar: two empty records.
pub(super) fn end(out: &mut impl Write) -> Result<(), ArchiveError> {
    io::copy(&mut io::repeat(0).take(2 * RECORD), out).map_err(unwritten).map(drop)
}

fn open(path: &Path) -> Result<(File, u64), ArchiveError> {
    let file = File::open(path).map_err(|source| unread(path, source))?;
    let size = file.metadata().map_err(|source| unread(path, source))?.len();
    Ok((file, size))
}

/// Exactly `size` bytes, so that a file that grows or shrinks meanwhile cannot break the archive's records unnoticed.
fn copy(path: &Path, file: File, size: u64, out: &mut impl Write) -> Result<(), ArchiveError> {
    let copied = io::copy(&mut file.take(size), out).map_err(|source| unread(path, source))?;
    if copied == size { Ok(()) } else { Err(ArchiveError::Changed) }
}

fn compression(file: &mut File) -> io::Result<Option<&'static str>> {
    let mut start = Vec::new();
    file.take(6).read_to_end(&mut start)?;
    file.seek(SeekFrom::Start(0))?;
    let known: [(&[u8], &str); 3] = [
        (&[0x1f, 0x8b], "gzip"),
        (&[0xfd, b'7', b'z', b'X', b'Z', 0], "xz"),
        (&[0x28, 0xb5, 0x2f, 0xfd], "zstd"),
    ];
    Ok(known.iter().find(|(magic, _)| start.starts_with(magic)).map(|(_, how)| *how))
}

fn unread(path: &Path, source: io::Error) -> ArchiveError {
    ArchiveError::Io { path: Some(path.to_owned()), source }
}
