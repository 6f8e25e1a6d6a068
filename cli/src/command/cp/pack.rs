//! What is here, as the archive that a node unpacks. One root, called [`ROOT`]; last an entry called [`END`].
//!
//! ```text
//! directories, files, links, pipes -> entries            what has none is passed over and named: sockets, devices, what cannot be read
//! a file grows while it is read    -> as long as it was, or as read if it is small
//! it shrinks                       -> filled up, and cut in the node: its path is in [`CUT`]
//! reading it fails half-way        -> filled up, and removed in the node: its path is in [`GONE`]
//! ```

use std::{
    collections::HashMap,
    fs::{self, File, Metadata},
    io::{self, Read, Seek, SeekFrom, Write},
    os::unix::{
        ffi::OsStrExt,
        fs::{FileTypeExt, MetadataExt, OpenOptionsExt},
    },
    path::{Path, PathBuf},
};

use nix::{
    fcntl::OFlag,
    unistd::{Whence, lseek},
};
use tar::{Builder, EntryType, Header};

use super::holes;

/// What is copied, in the archive.
pub(super) const ROOT: &str = "c";
/// NUL-ended pairs of a length and a path.
pub(super) const CUT: &str = "cut";
/// NUL-ended paths.
pub(super) const GONE: &str = "gone";
/// The last entry: an archive without it is not whole.
pub(super) const END: &str = "end";

/// A file up to this is read whole before it is announced: its length is then what was read. Files of /proc have no length before.
const SMALL: u64 = 1 << 20;

/// What of a tree is not in its archive as it was: a line each, path and reason.
#[derive(Debug, Default)]
pub(super) struct Left {
    /// Not in it at all.
    pub(super) out: Vec<String>,
    /// In it as it was read, while somebody wrote.
    pub(super) changed: Vec<String>,
}

/// Writes the archive of a path; a symbolic link is copied as such, but for the path itself.
///
/// # Errors
/// Those of `to`.
pub(super) fn pack(path: &Path, to: impl Write) -> io::Result<Left> {
    let mut packer = Packer {
        archive: Builder::new(to),
        links: HashMap::new(),
        cut: vec![],
        gone: vec![],
        left: Left::default(),
    };
    packer.archive.follow_symlinks(false);
    let root = PathBuf::from(ROOT);
    // One that leads nowhere, or in a circle, is itself all there is.
    let found = fs::metadata(path).or_else(|_| fs::symlink_metadata(path));
    let mut waiting = vec![];
    packer.add(path, &root, found, &mut waiting)?;
    while let Some((path, name)) = waiting.pop() {
        let found = fs::symlink_metadata(&path);
        packer.add(&path, &name, found, &mut waiting)?;
    }
    packer.finish()
}

struct Packer<W: Write> {
    archive: Builder<W>,
    /// Files with several names: device and number -> the name in the archive.
    links: HashMap<(u64, u64), PathBuf>,
    cut: Vec<u8>,
    gone: Vec<u8>,
    left: Left,
}

impl<W: Write> Packer<W> {
    /// Adds one thing; what is in a directory waits.
    fn add(
        &mut self,
        path: &Path,
        name: &Path,
        found: io::Result<Metadata>,
        waiting: &mut Vec<(PathBuf, PathBuf)>,
    ) -> io::Result<()> {
        let meta = match found {
            Ok(meta) => meta,
            Err(error) => return self.leave_out(path, &error),
        };
        let kind = meta.file_type();
        if kind.is_dir() {
            let entries = fs::read_dir(path).and_then(Iterator::collect::<io::Result<Vec<_>>>);
            match entries {
                Ok(entries) => {
                    waiting.extend(entries.into_iter().map(|e| (e.path(), name.join(e.file_name()))))
                }
                Err(error) => return self.leave_out(path, &error),
            }
            self.archive.append_data(&mut header(&meta, EntryType::Directory, 0), name, io::empty())
        } else if kind.is_symlink() {
            match fs::read_link(path) {
                Ok(to) => self.archive.append_link(&mut header(&meta, EntryType::Symlink, 0), name, to),
                Err(error) => self.leave_out(path, &error),
            }
        } else if kind.is_file() {
            self.file(path, name, &meta)
        } else if kind.is_fifo() {
            self.archive.append_data(&mut header(&meta, EntryType::Fifo, 0), name, io::empty())
        } else {
            let what = if kind.is_socket() { "a socket" } else { "a device" };
            self.leave_out(path, &what)
        }
    }

    fn file(&mut self, path: &Path, name: &Path, meta: &Metadata) -> io::Result<()> {
        let id = (meta.dev(), meta.ino());
        if let Some(first) = self.links.get(&id) {
            return self.archive.append_link(&mut header(meta, EntryType::Link, 0), name, first);
        }
        // It may have become a pipe meanwhile, which must not be waited for.
        let opened = File::options().read(true).custom_flags(OFlag::O_NONBLOCK.bits()).open(path);
        let read = opened.and_then(|mut file| {
            let hole = lseek(&file, 0, Whence::SeekHole).is_ok_and(|at| at < meta.size().cast_signed());
            file.rewind()?;
            let mut head = Vec::new();
            if !hole {
                (&mut file).take(SMALL + 1).read_to_end(&mut head)?;
            }
            Ok((file, head, hole))
        });
        let (file, head, hole) = match read {
            Ok(read) => read,
            Err(error) => return self.leave_out(path, &error),
        };
        if meta.nlink() > 1 {
            self.links.insert(id, name.to_owned());
        }
        let read = head.len() as u64;
        if hole {
            self.holed(path, name, meta, &file)
        } else if read <= SMALL {
            self.archive.append_data(&mut header(meta, EntryType::Regular, read), name, head.as_slice())
        } else if meta.size() == 0 {
            match spool(head.chain(file)) {
                Ok((size, file)) => {
                    self.archive.append_data(&mut header(meta, EntryType::Regular, size), name, file)
                }
                Err(error) => self.leave_out(path, &error),
            }
        } else {
            let size = meta.size().max(read);
            let mut exactly = Exactly { from: head.chain(file), left: size, read: 0, failed: None };
            self.archive.append_data(&mut header(meta, EntryType::Regular, size), name, &mut exactly)?;
            let Exactly { read, failed, .. } = exactly;
            self.changed(path, name, meta, failed, (read < size).then_some(read))
        }
    }

    /// A file with holes: only its data.
    fn holed(&mut self, path: &Path, name: &Path, meta: &Metadata, file: &File) -> io::Result<()> {
        // It may have changed since.
        let found = file.metadata().and_then(|meta| Ok((meta.size(), holes::pieces(file, meta.size())?)));
        let (size, pieces) = match found {
            Ok(found) => found,
            Err(error) => {
                self.links.remove(&(meta.dev(), meta.ino()));
                return self.leave_out(path, &error);
            }
        };
        let left = holes::length(&pieces);
        let mut header = header(meta, EntryType::GNUSparse, left);
        let blocks = holes::describe(&mut header, &pieces, size);
        let data = holes::Data::new(file, pieces);
        let mut exactly = Exactly { from: data, left, read: 0, failed: None };
        self.archive.append_data(&mut header, name, blocks.as_slice().chain(&mut exactly))?;
        let Exactly { from, failed, .. } = exactly;
        self.changed(path, name, meta, failed, from.end)
    }

    /// Notes what is wrong with a file in the archive: reading it failed, or it ended early.
    fn changed(
        &mut self,
        path: &Path,
        name: &Path,
        meta: &Metadata,
        failed: Option<io::Error>,
        end: Option<u64>,
    ) -> io::Result<()> {
        if let Some(error) = failed {
            push(&mut self.gone, name.as_os_str().as_bytes());
            self.links.remove(&(meta.dev(), meta.ino()));
            return self.leave_out(path, &error);
        }
        if let Some(end) = end {
            push(&mut self.cut, end.to_string().as_bytes());
            push(&mut self.cut, name.as_os_str().as_bytes());
            self.left.changed.push(format!("{}: it shrank while it was read", shown(path)));
        }
        Ok(())
    }

    #[expect(clippy::unnecessary_wraps, reason = "the end of a branch whose other ends write")]
    fn leave_out(&mut self, path: &Path, reason: &dyn std::fmt::Display) -> io::Result<()> {
        self.left.out.push(format!("{}: {reason}", shown(path)));
        Ok(())
    }

    fn finish(mut self) -> io::Result<Left> {
        for (name, content) in [(CUT, &self.cut), (GONE, &self.gone), (END, &Vec::new())] {
            let mut last = Header::new_gnu();
            last.set_size(content.len() as u64);
            last.set_mode(0o600);
            self.archive.append_data(&mut last, name, content.as_slice())?;
        }
        self.archive.into_inner()?.flush()?;
        Ok(self.left)
    }
}

fn header(meta: &Metadata, kind: EntryType, size: u64) -> Header {
    let mut header = Header::new_gnu();
    header.set_metadata(meta);
    header.set_entry_type(kind);
    header.set_size(size);
    header
}

fn shown(path: &Path) -> String {
    crate::escape::line(&path.display().to_string())
}

fn push(list: &mut Vec<u8>, word: &[u8]) {
    list.extend_from_slice(word);
    list.push(0);
}

/// All of it in a file without a name, whose length is then known.
fn spool(mut from: impl Read) -> io::Result<(u64, File)> {
    let mut file = tempfile::tempfile()?;
    let size = io::copy(&mut from, &mut file)?;
    file.seek(SeekFrom::Start(0))?;
    Ok((size, file))
}

/// As many bytes as were announced: what is missing is filled up, what is more is left.
struct Exactly<R> {
    from: R,
    left: u64,
    read: u64,
    failed: Option<io::Error>,
}

impl<R: Read> Read for Exactly<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let most = usize::try_from(self.left).unwrap_or(usize::MAX).min(buffer.len());
        let buffer = &mut buffer[..most];
        let whole = self.failed.is_none();
        let read = match if whole { self.from.read(buffer) } else { Ok(0) } {
            Ok(read) => read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => return Err(error),
            Err(error) => {
                self.failed = Some(error);
                0
            }
        };
        self.read += read as u64;
        let given = if read == 0 {
            buffer.fill(0);
            buffer.len()
        } else {
            read
        };
        self.left -= given as u64;
        Ok(given)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entries(archive: &[u8]) -> Vec<(EntryType, PathBuf, Vec<u8>)> {
        let mut archive = tar::Archive::new(archive);
        let read = |entry: io::Result<tar::Entry<'_, _>>| {
            let mut entry = entry.unwrap();
            let mut content = Vec::new();
            entry.read_to_end(&mut content).unwrap();
            (entry.header().entry_type(), entry.path().unwrap().into_owned(), content)
        };
        archive.entries().unwrap().map(read).collect()
    }

    /// One whose length is not what it says: as long as `read`, then the end or a failure.
    struct Odd(Option<io::Error>);

    impl Read for Odd {
        fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
            self.0.take().map_or(Ok(0), Err)
        }
    }

    #[test]
    fn exactly_what_was_announced() {
        for (from, failed) in [(Odd(None), false), (Odd(Some(io::ErrorKind::Other.into())), true)] {
            let mut exactly = Exactly { from: b"abc".chain(from), left: 10, read: 0, failed: None };
            let mut all = Vec::new();
            exactly.read_to_end(&mut all).unwrap();
            assert_eq!(all, b"abc\0\0\0\0\0\0\0");
            assert_eq!((exactly.read, exactly.failed.is_some()), (3, failed));
        }
        let mut exactly = Exactly { from: &b"abcdef"[..], left: 4, read: 0, failed: None };
        let mut all = Vec::new();
        exactly.read_to_end(&mut all).unwrap();
        assert_eq!((all.as_slice(), exactly.read), (&b"abcd"[..], 4), "what was added is left");
    }

    /// Gives a file another length as soon as something about it is written.
    struct Meanwhile<'f> {
        archive: Vec<u8>,
        file: &'f File,
        length: u64,
    }

    impl Write for Meanwhile<'_> {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.file.set_len(self.length)?;
            self.archive.write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_file_with_holes_that_shrinks_spoils_nothing() {
        use std::{os::unix::fs::FileExt, process::Command};
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("file");
        let file = File::create(&path).unwrap();
        file.set_len(1 << 40).unwrap();
        for n in 0..30 {
            file.write_all_at(&[b'x'; 4096], n << 20).unwrap();
        }
        // As it was, and shorter than what was found.
        for (now, warns) in [(1 << 40, 0), ((20 << 20) + 5, 1)] {
            let mut meanwhile = Meanwhile { archive: vec![], file: &file, length: now };
            let left = pack(&path, &mut meanwhile).unwrap();
            let archive = meanwhile.archive;
            assert_eq!((left.out.len(), left.changed.len()), (0, warns), "{now}");
            let to = tempfile::tempdir().unwrap();
            fs::write(to.path().join("archive"), &archive).unwrap();
            let tar = Command::new("tar").args(["-xf", "archive"]).current_dir(to.path()).output().unwrap();
            assert!(tar.status.success(), "{tar:?}");
            assert!(to.path().join(END).exists());
            let copy = File::open(to.path().join(ROOT)).unwrap();
            let mut text = [0; 4098];
            copy.read_exact_at(&mut text, (20 << 20) - 1).unwrap();
            assert_eq!(text.iter().filter(|byte| **byte == b'x').count(), if warns == 0 { 4096 } else { 5 });
            assert!(archive.len() < 1 << 20, "{} bytes", archive.len());
        }
    }

    #[test]
    fn files_of_no_length_are_read_to_their_end() {
        let mut archive = Vec::new();
        let left = pack(Path::new("/proc/self/status"), &mut archive).unwrap();
        assert!(left.out.is_empty() && left.changed.is_empty(), "{left:?}");
        let entries = entries(&archive);
        assert!(String::from_utf8_lossy(&entries[0].2).contains("VmRSS:"), "{entries:?}");
        let names: Vec<_> = entries.iter().map(|entry| entry.1.to_str().unwrap()).collect();
        assert_eq!(names, [ROOT, CUT, GONE, END]);
        // Longer than what is read before it is announced.
        let mut long = Vec::new();
        pack(Path::new("/proc/kallsyms"), &mut long).unwrap();
        let whole = fs::read("/proc/kallsyms").unwrap();
        assert_eq!(self::entries(&long)[0].2.len(), whole.len());
    }

    #[test]
    fn what_cannot_be_copied_is_named_and_all_else_copied() {
        use std::os::unix::{ffi::OsStringExt, fs::symlink, net::UnixListener};
        let home = tempfile::tempdir().unwrap();
        let path = |name: &str| home.path().join("tree").join(name);
        fs::create_dir_all(path("sub")).unwrap();
        fs::write(path("file"), "x").unwrap();
        fs::hard_link(path("file"), path("sub/same")).unwrap();
        symlink("loop", path("loop")).unwrap();
        let odd = std::ffi::OsString::from_vec(b"no\xfftext".to_vec());
        fs::write(home.path().join("tree").join(&odd), "odd").unwrap();
        nix::unistd::mkfifo(&path("pipe"), nix::sys::stat::Mode::S_IRWXU).unwrap();
        let _listens = UnixListener::bind(path("sock")).unwrap();
        File::create(path("holes")).unwrap().set_len(1 << 40).unwrap();
        let mut archive = Vec::new();
        let left = pack(&home.path().join("tree"), &mut archive).unwrap();
        assert_eq!(left.out, [format!("{}: a socket", path("sock").display())]);
        assert!(archive.len() < 100_000, "{} bytes for a file of holes", archive.len());
        let mut kinds = std::collections::BTreeMap::new();
        for entry in tar::Archive::new(archive.as_slice()).entries().unwrap() {
            let entry = entry.unwrap();
            kinds.insert(entry.path().unwrap().into_owned(), entry.header().entry_type());
        }
        for (name, kind) in [
            ("sub", EntryType::Directory),
            ("loop", EntryType::Symlink),
            ("pipe", EntryType::Fifo),
            ("holes", EntryType::GNUSparse),
        ] {
            assert_eq!(kinds[&Path::new(ROOT).join(name)], kind, "{name}");
        }
        assert!(kinds.contains_key(&Path::new(ROOT).join(odd)));
        let two = [kinds[Path::new("c/file")], kinds[Path::new("c/sub/same")]];
        assert!(two.contains(&EntryType::Regular) && two.contains(&EntryType::Link), "{two:?}");
    }
}
