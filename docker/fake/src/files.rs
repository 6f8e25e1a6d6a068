//! Files as an engine keeps them: a tree by absolute path, filled from tar archives and read back as one.

use std::collections::BTreeMap;

use bytes::Bytes;

/// A file system tree: absolute path without trailing slash -> entry; `/` itself is always there.
#[derive(Debug, Clone, Default)]
pub(crate) struct Files {
    entries: BTreeMap<String, Entry>,
    /// How often something was put there.
    changes: u64,
}

/// A file or directory.
#[derive(Debug, Clone)]
pub(crate) struct Entry {
    pub(crate) mode: u32,
    pub(crate) uid: u64,
    pub(crate) gid: u64,
    /// `None`: a directory.
    pub(crate) content: Option<Bytes>,
}

impl Entry {
    fn directory() -> Self {
        Self { mode: 0o755, uid: 0, gid: 0, content: None }
    }
}

/// Why a tar cannot be unpacked, in the engine's words.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Unpackable {
    #[error("archive/tar: {0}")]
    NotTar(std::io::Error),
    #[error("cannot overwrite directory \"{0}\" with non-directory")]
    DirectoryThere(String),
}

/// `path` below `base`, without `.`, `..` and doubled or trailing slashes; `/` for the root.
pub(crate) fn join(base: &str, path: &str) -> String {
    let mut parts: Vec<&str> = Vec::new();
    for part in base.split('/').chain(path.split('/')) {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    format!("/{}", parts.join("/"))
}

/// The entries of a tar, each at its place below `base`. File contents share the tar's memory.
pub(crate) fn entries(base: &str, tar: &Bytes) -> Result<Vec<(String, Entry)>, Unpackable> {
    let mut archive = tar::Archive::new(&tar[..]);
    let mut found = Vec::new();
    for entry in archive.entries().map_err(Unpackable::NotTar)? {
        let entry = entry.map_err(Unpackable::NotTar)?;
        let header = entry.header();
        let path = entry.path().map_err(Unpackable::NotTar)?;
        let place = join(base, &path.to_string_lossy());
        let content = if header.entry_type().is_dir() {
            None
        } else {
            let start = usize::try_from(entry.raw_file_position()).unwrap_or(usize::MAX);
            let size = usize::try_from(entry.size()).unwrap_or(usize::MAX);
            let end = start.saturating_add(size);
            if end > tar.len() {
                return Err(Unpackable::NotTar(std::io::ErrorKind::UnexpectedEof.into()));
            }
            Some(tar.slice(start..end))
        };
        // Engines take an empty field for zero.
        let fields = header.as_old();
        let empty = |field: &[u8]| field.iter().all(|byte| matches!(byte, 0 | b' '));
        let number = |field: &[u8], value: std::io::Result<u64>| {
            if empty(field) { Ok(0) } else { value.map_err(Unpackable::NotTar) }
        };
        let mode = if empty(&fields.mode) { 0 } else { header.mode().map_err(Unpackable::NotTar)? };
        let uid = number(&fields.uid, header.uid())?;
        let gid = number(&fields.gid, header.gid())?;
        found.push((place, Entry { mode, uid, gid, content }));
    }
    Ok(found)
}

impl Files {
    /// Puts an entry at its place; directories above it are made.
    pub(crate) fn insert(&mut self, path: &str, entry: Entry) -> Result<(), Unpackable> {
        if path == "/" {
            return Ok(());
        }
        if entry.content.is_some() && self.entries.get(path).is_some_and(|there| there.content.is_none()) {
            return Err(Unpackable::DirectoryThere(path.to_owned()));
        }
        let mut above = path;
        while let Some((parent, _)) = above.rsplit_once('/').filter(|(parent, _)| !parent.is_empty()) {
            if self.entries.contains_key(parent) {
                break;
            }
            self.entries.insert(parent.to_owned(), Entry::directory());
            above = parent;
        }
        self.entries.insert(path.to_owned(), entry);
        self.changes += 1;
        Ok(())
    }

    /// Another number whenever something has changed.
    pub(crate) fn changes(&self) -> u64 {
        self.changes
    }

    pub(crate) fn get(&self, path: &str) -> Option<&Entry> {
        self.entries.get(path)
    }

    pub(crate) fn is_directory(&self, path: &str) -> bool {
        path == "/" || self.get(path).is_some_and(|entry| entry.content.is_none())
    }

    /// What lies below a directory, in order of paths.
    pub(crate) fn below(&self, path: &str) -> impl Iterator<Item = (&String, &Entry)> {
        let prefix = if path == "/" { "/".to_owned() } else { format!("{path}/") };
        let from = prefix.clone();
        self.entries.range(from..).take_while(move |(place, _)| place.starts_with(&prefix))
    }
}

/// A tar of entries by their names in it.
pub(crate) fn tar_of<'a>(entries: impl Iterator<Item = (String, &'a Entry)>) -> std::io::Result<Bytes> {
    let mut tar = tar::Builder::new(Vec::new());
    for (name, entry) in entries {
        let mut header = tar::Header::new_gnu();
        header.set_mode(entry.mode);
        header.set_uid(entry.uid);
        header.set_gid(entry.gid);
        let content = entry.content.as_deref();
        header.set_entry_type(if content.is_some() {
            tar::EntryType::Regular
        } else {
            tar::EntryType::Directory
        });
        let content = content.unwrap_or_default();
        header.set_size(content.len() as u64);
        tar.append_data(&mut header, name, content)?;
    }
    tar.into_inner().map(Bytes::from)
}

/// One file of a tar.
pub(crate) fn file_of(tar: &Bytes, name: &str) -> std::io::Result<Option<Bytes>> {
    let mut archive = tar::Archive::new(&tar[..]);
    for entry in archive.entries()? {
        let entry = entry?;
        if entry.path()?.to_string_lossy() == name {
            let start = usize::try_from(entry.raw_file_position()).unwrap_or(usize::MAX);
            let end = start.saturating_add(usize::try_from(entry.size()).unwrap_or(usize::MAX));
            if end <= tar.len() {
                return Ok(Some(tar.slice(start..end)));
            }
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(text: &'static str) -> Entry {
        Entry { mode: 0o600, uid: 1, gid: 2, content: Some(Bytes::from_static(text.as_bytes())) }
    }

    #[test]
    fn paths_are_joined() {
        assert_eq!(join("/", "./etc//x/"), "/etc/x");
        assert_eq!(join("/a/b", "../c"), "/a/c");
        assert_eq!(join("/", "../.."), "/");
    }

    #[test]
    fn a_tree_goes_through_a_tar() {
        let mut files = Files::default();
        files.insert("/etc/a", file("one")).unwrap();
        files.insert("/etc/b/c", file("two")).unwrap();
        assert!(files.is_directory("/etc/b") && !files.is_directory("/etc/a"));
        let tar = tar_of(files.below("/").map(|(path, entry)| (path[1..].to_owned(), entry))).unwrap();
        let mut again = Files::default();
        for (path, entry) in entries("/", &tar).unwrap() {
            again.insert(&path, entry).unwrap();
        }
        assert_eq!(again.get("/etc/b/c").unwrap().content.as_deref(), Some(&b"two"[..]));
        assert_eq!(again.get("/etc/a").unwrap().gid, 2);
        assert_eq!(file_of(&tar, "etc/a").unwrap().as_deref(), Some(&b"one"[..]));
        assert!(matches!(files.insert("/etc", file("x")), Err(Unpackable::DirectoryThere(_))));
        assert!(entries("/", &tar.slice(..600)).is_err(), "cut short");
    }
}
