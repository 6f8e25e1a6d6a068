//! Who can change what the store rests on: its directory and its key, looked at as ssh looks at its own.
//!
//! What is looked at is an open file, so that nobody exchanges it between the look and the use; links are followed, as ssh does.

use std::{
    fs::{File, Metadata, OpenOptions},
    io,
    os::unix::fs::{MetadataExt as _, OpenOptionsExt as _},
    path::Path,
};

use nix::{fcntl::OFlag, unistd::geteuid};

/// Bits of a mode that let group or others write.
const WRITABLE: u32 = 0o022;
/// Bits of a mode that let group or others do anything.
const OPEN: u32 = 0o077;

/// Why a file or directory is not one's own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotOwn {
    /// It belongs to somebody who is neither root nor the user.
    #[error("it belongs to user {owner}, who could change it; take it over: chown {user}")]
    Owner {
        /// Whose it is.
        owner: u32,
        /// Whose it should be.
        user: u32,
    },
    /// Its group or everyone can write it.
    #[error("others can write it (mode {mode:04o}); keep them out: chmod go-w")]
    Writable {
        /// Its permission bits.
        mode: u32,
    },
    /// Its group or everyone can read or write it.
    #[error("it is open to others (mode {mode:04o}); make it private: chmod 600")]
    Open {
        /// Its permission bits.
        mode: u32,
    },
}

/// What a file or directory is.
enum Kind {
    /// Others may look into it.
    Directory,
    /// Nobody else may read it.
    Secret,
}

/// Opens what may be anything, without waiting for somebody at the other end of a FIFO.
fn open(path: &Path) -> io::Result<(File, Metadata)> {
    let file = OpenOptions::new().read(true).custom_flags(OFlag::O_NONBLOCK.bits()).open(path)?;
    let meta = file.metadata()?;
    Ok((file, meta))
}

/// Opens a file with a secret; the second is why it must not be used.
pub(crate) fn secret(path: &Path) -> io::Result<(File, Option<NotOwn>)> {
    let (file, meta) = open(path)?;
    if !meta.is_file() {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    let bad = judged(&Kind::Secret, &meta, geteuid().as_raw());
    Ok((file, bad))
}

/// Whether a directory is the user's or root's, and nobody else can write there: why not.
///
/// # Errors
/// It cannot be looked at.
pub fn foreign_directory(path: &Path) -> io::Result<Option<NotOwn>> {
    let (_, meta) = open(path)?;
    if !meta.is_dir() {
        return Err(io::ErrorKind::NotADirectory.into());
    }
    Ok(judged(&Kind::Directory, &meta, geteuid().as_raw()))
}

fn judged(kind: &Kind, meta: &Metadata, user: u32) -> Option<NotOwn> {
    judge(kind, (meta.uid(), meta.mode() & 0o7777), user)
}

fn judge(kind: &Kind, (owner, mode): (u32, u32), user: u32) -> Option<NotOwn> {
    if owner != user && owner != 0 {
        return Some(NotOwn::Owner { owner, user });
    }
    match kind {
        Kind::Directory if mode & WRITABLE != 0 => Some(NotOwn::Writable { mode }),
        Kind::Secret if mode & OPEN != 0 => Some(NotOwn::Open { mode }),
        Kind::Directory | Kind::Secret => None,
    }
}

#[cfg(test)]
mod tests {
    use std::{
        fs::{self, Permissions},
        os::unix::fs::{PermissionsExt as _, chown, symlink},
    };

    use super::*;

    #[test]
    fn what_is_neither_the_users_nor_roots_is_nobodys() {
        for user in [0, 1000] {
            for owner in [0, user] {
                assert_eq!(judge(&Kind::Directory, (owner, 0o755), user), None);
                assert_eq!(judge(&Kind::Secret, (owner, 0o600), user), None);
            }
            let foreign = Some(NotOwn::Owner { owner: 1001, user });
            assert_eq!(judge(&Kind::Directory, (1001, 0o700), user), foreign);
            assert_eq!(judge(&Kind::Secret, (1001, 0o600), user), foreign);
        }
        for mode in [0o775, 0o757, 0o1777] {
            assert_eq!(judge(&Kind::Directory, (0, mode), 0), Some(NotOwn::Writable { mode }));
        }
    }

    #[test]
    fn a_directory_is_looked_at_behind_a_link() {
        let home = tempfile::tempdir().unwrap();
        let (dir, link) = (home.path().join("dir"), home.path().join("link"));
        fs::create_dir(&dir).unwrap();
        symlink(&dir, &link).unwrap();
        let set = |mode| fs::set_permissions(&dir, Permissions::from_mode(mode)).unwrap();
        set(0o755);
        assert_eq!(foreign_directory(&link).unwrap(), None);
        set(0o770);
        assert_eq!(foreign_directory(&link).unwrap(), Some(NotOwn::Writable { mode: 0o770 }));
        // Only root can give a directory away.
        if geteuid().is_root() {
            set(0o700);
            chown(&dir, Some(4242), None).unwrap();
            let foreign = NotOwn::Owner { owner: 4242, user: 0 };
            assert_eq!(foreign_directory(&link).unwrap(), Some(foreign));
        }
    }

    #[test]
    fn a_fifo_is_not_waited_for() {
        let home = tempfile::tempdir().unwrap();
        let fifo = home.path().join("fifo");
        nix::unistd::mkfifo(&fifo, nix::sys::stat::Mode::S_IRWXU).unwrap();
        assert_eq!(secret(&fifo).unwrap_err().kind(), io::ErrorKind::InvalidInput);
        assert_eq!(foreign_directory(&fifo).unwrap_err().kind(), io::ErrorKind::NotADirectory);
    }
}
