//! What tar(1) in a node says of what it packs: what it left out, and what its archive has wrong. A file that shrank, or that could
//! not be read to its end, is in the archive filled up with zeros: it must be cut, or removed.

use std::{
    ffi::OsString,
    fs::{self, File},
    io,
    os::unix::ffi::OsStringExt,
    path::{Component, Path, PathBuf},
};

/// What the messages mean.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Said {
    /// Lines for a person: what was left out.
    pub(super) left_out: Vec<String>,
    /// Lines for a person: what changed while it was read.
    pub(super) changed: Vec<String>,
    /// Files with zeros at their end, below what was copied, and how many.
    cut: Vec<(PathBuf, u64)>,
    /// Files that were not read to their end.
    gone: Vec<PathBuf>,
}

impl Said {
    /// Reads messages of GNU tar in the locale C; what is none of its forms was left out, whatever it is.
    pub(super) fn read(said: &str) -> Self {
        let mut read = Self::default();
        for line in said.lines() {
            let line = line.strip_prefix("tar: ").unwrap_or(line);
            let shown = crate::escape::line(line);
            if line == "Exiting with failure status due to previous errors" {
            } else if line.ends_with(": file changed as we read it") {
                read.changed.push(shown);
            } else if let Some((name, zeros)) = shrunk(line) {
                read.changed.push(shown);
                read.cut.extend(below(name).map(|path| (path, zeros)));
            } else {
                if let Some((name, _)) = line.rsplit_once(": Read error at byte ") {
                    read.gone.extend(below(name));
                }
                read.left_out.push(shown);
            }
        }
        read
    }

    /// Makes the unpacked files what was read of them. The node may be anybody's: nothing outside `root` is touched.
    ///
    /// # Errors
    /// A name leads elsewhere; the disk.
    pub(super) fn apply(&self, root: &Path) -> io::Result<()> {
        for (path, zeros) in &self.cut {
            let path = inside(root, path)?;
            let file = File::options().write(true).open(path)?;
            file.set_len(file.metadata()?.len().saturating_sub(*zeros))?;
        }
        for path in &self.gone {
            fs::remove_file(inside(root, path)?)?;
        }
        Ok(())
    }
}

/// The name of a file that shrank, and by how much. A name may hold what a message does: what tar adds to it is at the end.
fn shrunk(line: &str) -> Option<(&str, u64)> {
    let (name, by) = line.strip_suffix("; padding with zeros")?.rsplit_once(": File shrank by ")?;
    Some((name, by.split_once(' ')?.0.parse().ok()?))
}

/// The path of `./NAME/REST` below NAME, as tar quotes it: `\n` and its kin, and bytes as three octal digits.
fn below(quoted: &str) -> Option<PathBuf> {
    let mut bytes = Vec::new();
    let mut rest = quoted.strip_prefix("./")?.bytes();
    while let Some(byte) = rest.next() {
        let unquoted = match byte {
            b'\\' => match rest.next()? {
                b'n' => b'\n',
                b't' => b'\t',
                b'r' => b'\r',
                b'a' => 7,
                b'b' => 8,
                b'v' => 11,
                b'f' => 12,
                digit @ b'0'..=b'3' => {
                    let low = [rest.next()?, rest.next()?].map(|b| b.wrapping_sub(b'0'));
                    low.iter().all(|d| *d < 8).then_some((digit - b'0') * 64 + low[0] * 8 + low[1])?
                }
                other => other,
            },
            byte => byte,
        };
        bytes.push(unquoted);
    }
    let path = PathBuf::from(OsString::from_vec(bytes));
    let mut parts = path.components();
    parts.next()?;
    Some(parts.as_path().to_owned())
}

/// A plain file below `root`, on whose way there is no link.
fn inside(root: &Path, path: &Path) -> io::Result<PathBuf> {
    let mut place = root.to_owned();
    for part in path.components() {
        match part {
            Component::Normal(name) if fs::symlink_metadata(&place)?.is_dir() => place.push(name),
            Component::Normal(_)
            | Component::Prefix(_)
            | Component::RootDir
            | Component::CurDir
            | Component::ParentDir => return Err(elsewhere()),
        }
    }
    match fs::symlink_metadata(&place)?.is_file() {
        true => Ok(place),
        false => Err(elsewhere()),
    }
}

fn elsewhere() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "the node named a file that it has not sent")
}

#[cfg(test)]
mod tests {
    use super::*;

    const SAID: &str = "tar: ./src/sock: socket ignored
tar: ./src/log: file changed as we read it
tar: ./src/it\\303\\244 a\\\\b: File shrank by 3 bytes; padding with zeros
tar: ./src/bad: Read error at byte 4096, while reading 512 bytes: Input/output error
tar: ./src/no\u{1b}: Cannot open: Permission denied
cat: ./x/kmsg: Operation not permitted
tar: Exiting with failure status due to previous errors
";

    #[test]
    fn every_form() {
        let read = Said::read(SAID);
        assert_eq!(read.changed.len(), 2, "{read:?}");
        assert_eq!(
            read.left_out,
            [
                "./src/sock: socket ignored",
                "./src/bad: Read error at byte 4096, while reading 512 bytes: Input/output error",
                "./src/no\\u{1b}: Cannot open: Permission denied",
                "cat: ./x/kmsg: Operation not permitted",
            ]
        );
        assert_eq!(read.cut, [(PathBuf::from("it\u{e4} a\\b"), 3)]);
        assert_eq!(read.gone, [PathBuf::from("bad")]);
        assert_eq!(
            Said::read("tar: ./one: File shrank by 1 byte; padding with zeros\n").cut,
            [("".into(), 1)]
        );
        assert_eq!(Said::read(""), Said::default());
    }

    #[test]
    fn a_name_may_hold_what_tar_says() {
        let name = "a: b: File shrank by 9 bytes; padding with zeros: Read error at byte 1";
        let read = |what: &str| Said::read(&format!("tar: ./src/{name}: {what}\n"));
        assert_eq!(read("File shrank by 3 bytes; padding with zeros").cut, [(name.into(), 3)]);
        let failed = read("Read error at byte 0, while reading 512 bytes: Input/output error");
        assert_eq!((failed.gone, failed.left_out.len()), (vec![name.into()], 1));
        assert_eq!(read("file changed as we read it").changed.len(), 1);
        let socket = Said::read("tar: ./a: File shrank by 9 bytes; padding with zeros: socket ignored\n");
        assert_eq!((socket.cut, socket.left_out.len()), (vec![], 1));
    }

    #[test]
    fn only_what_was_copied_is_cut_or_removed() {
        let home = tempfile::tempdir().unwrap();
        let root = home.path().join("c");
        fs::create_dir(&root).unwrap();
        for (name, text) in [("it\u{e4} a\\b", "abc\0\0\0"), ("bad", "half\0")] {
            fs::write(root.join(name), text).unwrap();
        }
        Said::read(SAID).apply(&root).unwrap();
        assert_eq!(fs::read_to_string(root.join("it\u{e4} a\\b")).unwrap(), "abc");
        assert!(!root.join("bad").exists());

        fs::write(home.path().join("secret"), "mine").unwrap();
        std::os::unix::fs::symlink("../secret", root.join("link")).unwrap();
        std::os::unix::fs::symlink("..", root.join("up")).unwrap();
        for name in ["link", "up/secret", "../secret", "nothing", "/etc/passwd"] {
            for line in
                ["File shrank by 2 bytes; padding with zeros", "Read error at byte 0, while reading 1"]
            {
                let said = Said::read(&format!("tar: ./src/{name}: {line}\n"));
                assert!(said.apply(&root).is_err(), "{name}");
            }
        }
        assert_eq!(fs::read_to_string(home.path().join("secret")).unwrap(), "mine");
        // One file is itself what was copied.
        let one = home.path().join("one");
        fs::write(&one, "ab\0").unwrap();
        Said::read("tar: ./one: File shrank by 1 byte; padding with zeros").apply(&one).unwrap();
        assert_eq!(fs::read_to_string(&one).unwrap(), "ab");
    }
}
