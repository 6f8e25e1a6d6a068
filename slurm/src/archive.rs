//! A tar archive in memory whose bytes depend on its entries alone: no clock, no names of users, and a prefix that can be shared.

use tar::{EntryType, Header};

use crate::Owner;

/// A tar record and the unit everything is padded to (POSIX ustar).
const BLOCK: usize = 512;
/// Longest path of an entry: the header's field, kept one short so that it ends in NUL.
const MAX_PATH: usize = 99;

/// An archive being written; cloning one that holds what nodes share is how each gets its own.
#[derive(Debug, Clone, Default)]
pub(crate) struct Archive(Vec<u8>);

impl Archive {
    /// A directory of root's. It is made or, where the image has it, gets this mode.
    pub(crate) fn dir(&mut self, path: &str, mode: u32) {
        self.entry(EntryType::Directory, path, mode, Owner::ROOT, "", &[]);
    }

    /// The same, of somebody else's.
    pub(crate) fn dir_of(&mut self, path: &str, mode: u32, owner: Owner) {
        self.entry(EntryType::Directory, path, mode, owner, "", &[]);
    }

    /// A file; its directory must be in the image or come before it.
    pub(crate) fn file(&mut self, path: &str, mode: u32, owner: Owner, content: impl AsRef<[u8]>) {
        self.entry(EntryType::Regular, path, mode, owner, "", content.as_ref());
    }

    /// A symbolic link of root's.
    pub(crate) fn link(&mut self, path: &str, target: &str) {
        self.entry(EntryType::Symlink, path, 0o777, Owner::ROOT, target, &[]);
    }

    /// The whole archive.
    pub(crate) fn finish(mut self) -> Vec<u8> {
        self.0.resize(self.0.len() + 2 * BLOCK, 0);
        self.0
    }

    fn entry(&mut self, kind: EntryType, path: &str, mode: u32, owner: Owner, target: &str, content: &[u8]) {
        debug_assert!(path.len().max(target.len()) <= MAX_PATH && !path.starts_with('/'), "{path}");
        let mut header = Header::new_ustar();
        header.set_entry_type(kind);
        header.set_mode(mode);
        header.set_uid(owner.uid.into());
        header.set_gid(owner.gid.into());
        header.set_mtime(0);
        header.set_size(content.len() as u64);
        let old = header.as_old_mut();
        write(&mut old.name[..MAX_PATH], path);
        write(&mut old.linkname[..MAX_PATH], target);
        header.set_cksum();
        self.0.extend_from_slice(header.as_bytes());
        self.0.extend_from_slice(content);
        self.0.resize(self.0.len().next_multiple_of(BLOCK), 0);
    }
}

fn write(field: &mut [u8], text: &str) {
    field.iter_mut().zip(text.bytes()).for_each(|(byte, value)| *byte = value);
}
