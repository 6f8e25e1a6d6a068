//! What a node sends, unpacked. The node may be anybody's: nothing is written outside the directory, whatever names come.

use std::{
    fs,
    io::{self, Read},
    path::{Component, Path},
};

use tar::{Archive, EntryType};

/// Unpacks an archive of `name`, and of nothing else, into `directory`, which nobody else writes to. Permissions are kept,
/// without set-user-id and its kin; owners are not; devices, pipes and sockets are left out.
///
/// # Errors
/// It is no archive, is cut, has anything beside `name`, or a name that leads out of the directory; the disk.
pub(super) fn unpack(archive: impl Read, directory: &Path, name: &str) -> io::Result<()> {
    let mut archive = Archive::new(archive);
    let mut directories = Vec::new();
    for entry in archive.entries()? {
        let mut entry = entry?;
        let path = entry.path()?.into_owned();
        let wrong = |what: &str| {
            io::Error::new(io::ErrorKind::InvalidData, format!("the node sent {}, {what}", path.display()))
        };
        let mut parts = path.components().filter(|part| *part != Component::CurDir);
        if parts.next() != Some(Component::Normal(name.as_ref())) {
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
            _ => eprintln!(
                "warning: left out {}: no file, directory or link",
                crate::escape::line(&path.display().to_string())
            ),
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
    match fs::symlink_metadata(directory.join(name)) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            Err(io::Error::new(io::ErrorKind::InvalidData, format!("the node sent no {name}")))
        }
        found => found.map(drop),
    }
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

        fn unpack(&self, entries: &[(EntryType, &str, &str, u32)]) -> io::Result<()> {
            unpack(archive(entries).as_slice(), &self.home.path().join("into"), "a")
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
        bed.unpack(&[
            (DIR, "./a/", "", 0o555),
            (FILE, "./a/run", "", 0o4751),
            (SYMLINK, "./a/link", "/etc/passwd", 0o777),
            (LINK, "./a/same", "./a/run", 0o751),
            (EntryType::Fifo, "./a/pipe", "", 0o644),
        ])
        .unwrap();
        let a = bed.home.path().join("into/a");
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o7777;
        assert_eq!((mode(&a), mode(&a.join("run"))), (0o555, 0o751));
        assert_eq!(fs::read_link(a.join("link")).unwrap(), Path::new("/etc/passwd"));
        assert_eq!(fs::read_to_string(a.join("same")).unwrap(), "content");
        assert!(!a.join("pipe").exists());
        fs::set_permissions(&a, fs::Permissions::from_mode(0o755)).unwrap();
    }

    #[test]
    fn nothing_gets_out() {
        for entries in [
            &[(FILE, "../secret", "", 0o644)][..],
            &[(FILE, "./../secret", "", 0o644)],
            &[(FILE, "a/../../secret", "", 0o644)],
            &[(FILE, "/tmp/a", "", 0o644)],
            &[(FILE, "b", "", 0o644)],
            &[(DIR, "..", "", 0o755)],
            &[(SYMLINK, "a", "..", 0o777), (FILE, "a/secret", "", 0o644)],
            &[(DIR, "a", "", 0o755), (SYMLINK, "a/up", "../..", 0o777), (FILE, "a/up/secret", "", 0o644)],
            &[(DIR, "a", "", 0o755), (LINK, "a/b", "../secret", 0o644)],
            &[(DIR, "a", "", 0o755), (SYMLINK, "a/up", "../..", 0o777), (DIR, "a/up/new", "", 0o755)],
            &[],
        ] {
            let bed = Bed::new();
            assert!(bed.unpack(entries).is_err(), "{entries:?}");
            assert!(bed.is_untouched(), "{entries:?}");
        }
    }

    #[test]
    fn half_an_archive_is_none() {
        let whole = archive(&[(FILE, "a", "", 0o644)]);
        let bed = Bed::new();
        assert!(unpack(&whole[..600], &bed.home.path().join("into"), "a").is_err());
        assert!(unpack(&b"no archive"[..], &bed.home.path().join("into"), "a").is_err());
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(256))]
        /// Whatever entries come, in whatever order, the neighbourhood stays as it is.
        #[test]
        fn no_entries_get_out(entries in prop::collection::vec(
            (0..4_usize, "(\\./)?(a|b|\\.\\.|/)(/(x|y|\\.\\.|\\.)){0,3}", "(/|\\.\\./){0,3}(a|x|secret|tmp)"), 0..6
        )) {
            let bed = Bed::new();
            let entries: Vec<_> = entries
                .iter()
                .map(|(kind, name, link)| ([FILE, DIR, SYMLINK, LINK][*kind], name.as_str(), link.as_str(), 0o755))
                .collect();
            let _either = bed.unpack(&entries);
            prop_assert!(bed.is_untouched());
        }
    }
}
