//! What a node sends, unpacked. The node may be anybody's: nothing is written outside the directory, whatever names come.

use std::{
    fs,
    io::{self, Read},
    path::{Component, Path},
};

use tar::{Archive, EntryType};

use super::pack::{END, ROOT};

/// What came.
#[derive(Debug, Default)]
pub(super) struct Unpacked {
    /// The archive had its last entry: nothing is missing at its end.
    pub(super) whole: bool,
    /// What was left out, a line each.
    pub(super) left_out: Vec<String>,
}

/// Unpacks an archive of [`ROOT`], and of nothing else, into `directory`, which nobody else writes to. Permissions are kept,
/// without set-user-id and its kin; owners are not; devices are left out.
///
/// # Errors
/// It is no archive, is cut, has anything beside the root, or a name that leads out of the directory; the disk.
pub(super) fn unpack(archive: impl Read, directory: &Path) -> io::Result<Unpacked> {
    let mut archive = Archive::new(archive);
    let (mut directories, mut unpacked) = (Vec::new(), Unpacked::default());
    for entry in archive.entries()? {
        let mut entry = entry?;
        let path = entry.path()?.into_owned();
        if path == Path::new(END) {
            unpacked.whole = true;
            continue;
        }
        let wrong = |what: &str| {
            io::Error::new(io::ErrorKind::InvalidData, format!("the node sent {}, {what}", path.display()))
        };
        let mut parts = path.components().filter(|part| *part != Component::CurDir);
        if parts.next() != Some(Component::Normal(ROOT.as_ref())) {
            return Err(wrong("which was not asked for"));
        }
        if parts.any(|part| !matches!(part, Component::Normal(_))) {
            return Err(wrong("which leads out of what was asked for"));
        }
        #[expect(clippy::wildcard_enum_match_arm, reason = "tar's enum, open to additions")]
        match entry.header().entry_type() {
            // Later, so that one without write permission can be filled.
            EntryType::Directory => directories.push(entry),
            EntryType::Regular
            | EntryType::Continuous
            | EntryType::GNUSparse
            | EntryType::Symlink
            | EntryType::Link => {
                if !entry.unpack_in(directory)? {
                    return Err(wrong("which leads out of what was asked for"));
                }
            }
            EntryType::Fifo => pipe(directory, &path, entry.header().mode()?)?,
            _ => unpacked.left_out.push(format!(
                "{}: no file, directory, link or pipe",
                crate::escape::line(&path.display().to_string())
            )),
        }
    }
    directories.sort_by(|a, b| b.path_bytes().cmp(&a.path_bytes()));
    for mut entry in directories {
        if !entry.unpack_in(directory)? {
            return Err(io::Error::new(
                io::ErrorKind::InvalidData,
                "a directory leads out of what was asked for",
            ));
        }
    }
    Ok(unpacked)
}

/// Makes a named pipe below `directory`, if no link is on the way.
fn pipe(directory: &Path, path: &Path, mode: u32) -> io::Result<()> {
    let mut place = directory.to_owned();
    for part in path.components().filter(|part| *part != Component::CurDir) {
        match fs::symlink_metadata(&place) {
            Ok(found) if !found.is_dir() => {
                return Err(io::Error::new(
                    io::ErrorKind::InvalidData,
                    "a pipe leads out of what was asked for",
                ));
            }
            // Its directory comes later, or never.
            Err(error) if error.kind() == io::ErrorKind::NotFound => fs::create_dir(&place)?,
            Ok(_) => {}
            Err(error) => return Err(error),
        }
        place.push(part);
    }
    Ok(nix::unistd::mkfifo(&place, nix::sys::stat::Mode::from_bits_truncate(mode & 0o777))?)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use proptest::prelude::*;
    use tar::{Builder, Header};

    use super::*;

    /// An archive of entries: kind, name as the bytes are, link target, mode.
    fn archive(entries: &[(EntryType, &str, &str, u32)]) -> Vec<u8> {
        let mut builder = Builder::new(Vec::new());
        for (kind, name, link, mode) in entries {
            let mut header = Header::new_gnu();
            // Past the library's own checks, which are for honest writers.
            let field = &mut header.as_old_mut().name;
            field[..name.len()].copy_from_slice(name.as_bytes());
            header.as_old_mut().linkname[..link.len()].copy_from_slice(link.as_bytes());
            header.set_entry_type(*kind);
            header.set_mode(*mode);
            let content: &[u8] = if *kind == EntryType::Regular { b"content" } else { b"" };
            header.set_size(content.len() as u64);
            header.set_cksum();
            builder.append(&header, content).unwrap();
        }
        builder.into_inner().unwrap()
    }

    const FILE: EntryType = EntryType::Regular;
    const DIR: EntryType = EntryType::Directory;
    const SYMLINK: EntryType = EntryType::Symlink;
    const LINK: EntryType = EntryType::Link;

    /// A directory to unpack into, with a neighbour that nothing may touch.
    struct Bed {
        home: tempfile::TempDir,
    }

    impl Bed {
        fn new() -> Self {
            let home = tempfile::tempdir().unwrap();
            fs::create_dir(home.path().join("into")).unwrap();
            fs::write(home.path().join("secret"), "mine").unwrap();
            Self { home }
        }

        fn unpack(&self, entries: &[(EntryType, &str, &str, u32)]) -> io::Result<Unpacked> {
            unpack(archive(entries).as_slice(), &self.home.path().join("into"))
        }

        /// What is beside the directory: nothing new, nothing changed.
        fn is_untouched(&self) -> bool {
            let names = fs::read_dir(self.home.path()).unwrap().count();
            names == 2 && fs::read_to_string(self.home.path().join("secret")).unwrap() == "mine"
        }
    }

    #[test]
    fn modes_links_and_directories_are_kept() {
        let bed = Bed::new();
        let unpacked = bed.unpack(&[
            (DIR, "./c/", "", 0o555),
            (FILE, "./c/run", "", 0o4751),
            (SYMLINK, "./c/link", "/etc/passwd", 0o777),
            (LINK, "./c/same", "./c/run", 0o751),
            (EntryType::Fifo, "./c/pipe", "", 0o640),
            (EntryType::Char, "./c/null", "", 0o666),
            (FILE, "end", "", 0o600),
        ]);
        let unpacked = unpacked.unwrap();
        assert!(unpacked.whole);
        assert_eq!(unpacked.left_out, ["./c/null: no file, directory, link or pipe"]);
        let a = bed.home.path().join("into/c");
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o7777;
        assert_eq!((mode(&a), mode(&a.join("run"))), (0o555, 0o751));
        assert_eq!(fs::read_link(a.join("link")).unwrap(), Path::new("/etc/passwd"));
        assert_eq!(fs::read_to_string(a.join("same")).unwrap(), "content");
        use std::os::unix::fs::FileTypeExt;
        assert!(fs::metadata(a.join("pipe")).unwrap().file_type().is_fifo());
        assert!(!a.join("null").exists());
        fs::set_permissions(&a, fs::Permissions::from_mode(0o755)).unwrap();
    }

    #[test]
    fn nothing_gets_out() {
        for entries in [
            &[(FILE, "../secret", "", 0o644)][..],
            &[(FILE, "./../secret", "", 0o644)],
            &[(FILE, "c/../../secret", "", 0o644)],
            &[(FILE, "/tmp/c", "", 0o644)],
            &[(FILE, "b", "", 0o644)],
            &[(DIR, "..", "", 0o755)],
            &[(SYMLINK, "c", "..", 0o777), (FILE, "c/secret", "", 0o644)],
            &[(DIR, "c", "", 0o755), (SYMLINK, "c/up", "../..", 0o777), (FILE, "c/up/secret", "", 0o644)],
            &[(DIR, "c", "", 0o755), (LINK, "c/b", "../secret", 0o644)],
            &[(DIR, "c", "", 0o755), (SYMLINK, "c/up", "../..", 0o777), (DIR, "c/up/new", "", 0o755)],
            &[
                (DIR, "c", "", 0o755),
                (SYMLINK, "c/up", "../..", 0o777),
                (EntryType::Fifo, "c/up/pipe", "", 0o644),
            ],
            &[(EntryType::Fifo, "c/../pipe", "", 0o644)],
        ] {
            let bed = Bed::new();
            assert!(bed.unpack(entries).is_err(), "{entries:?}");
            assert!(bed.is_untouched(), "{entries:?}");
        }
    }

    #[test]
    fn half_an_archive_is_none() {
        let whole = archive(&[(FILE, "c", "", 0o644)]);
        let bed = Bed::new();
        assert!(unpack(&whole[..600], &bed.home.path().join("into")).is_err());
        assert!(unpack(&b"no archive"[..], &bed.home.path().join("into")).is_err());
        assert!(!bed.unpack(&[(FILE, "c", "", 0o644)]).unwrap().whole);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(256))]
        /// Whatever entries come, in whatever order, the neighbourhood stays as it is.
        #[test]
        fn no_entries_get_out(entries in prop::collection::vec(
            (0..5_usize, "(\\./)?(c|b|\\.\\.|/)(/(x|y|\\.\\.|\\.)){0,3}", "(/|\\.\\./){0,3}(c|x|secret|tmp)"), 0..6
        )) {
            let bed = Bed::new();
            let entries: Vec<_> = entries
                .iter()
                .map(|(kind, name, link)| ([FILE, DIR, SYMLINK, LINK, EntryType::Fifo][*kind], name.as_str(), link.as_str(), 0o755))
                .collect();
            let _either = bed.unpack(&entries);
            prop_assert!(bed.is_untouched());
        }
    }
}
