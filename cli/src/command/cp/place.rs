//! Moves a whole transfer into place: to a free name, or into an existing directory.

use std::{
    fs::{self, Metadata},
    io,
    path::{Path, PathBuf},
};

/// Where something called `name` goes when `to` is asked for: a directory to work in, on the same file system, and the place.
///
/// # Errors
/// `to` cannot be looked at, ends in a slash and is no directory, or has no directory.
pub(super) fn target(to: &Path, name: &str) -> io::Result<(PathBuf, PathBuf)> {
    match fs::metadata(to) {
        Ok(found) if found.is_dir() => return Ok((to.to_owned(), to.join(name))),
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        Ok(_) | Err(_) if to.as_os_str().as_encoded_bytes().ends_with(b"/") => {
            return Err(io::Error::new(io::ErrorKind::NotADirectory, "it is no directory"));
        }
        Ok(_) | Err(_) => {}
    }
    let parent = to.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    match to.file_name() {
        Some(_) => Ok((parent.to_owned(), to.to_owned())),
        None => Err(io::Error::new(io::ErrorKind::NotFound, "it has no name")),
    }
}

/// Moves `from` to `to`. A directory is merged with one that is there; a file replaces a file; one never replaces the other: if one
/// would anywhere, nothing is moved. Symbolic links on the way are never followed.
///
/// # Errors
/// A directory would replace something else, or something else a directory; the disk.
pub(super) fn place(from: &Path, to: &Path) -> io::Result<()> {
    fits(from, to)?;
    put(from, to)
}

/// Whether nothing in `from` would replace something of another kind.
fn fits(from: &Path, to: &Path) -> io::Result<()> {
    let Some(there) = there(to)? else { return Ok(()) };
    let wrong = |kind, what: &str| Err(io::Error::new(kind, format!("{} {what}", to.display())));
    match (fs::symlink_metadata(from)?.is_dir(), there.is_dir()) {
        (false, false) => Ok(()),
        (false, true) => wrong(io::ErrorKind::IsADirectory, "is a directory"),
        (true, false) => wrong(io::ErrorKind::NotADirectory, "is no directory"),
        (true, true) => fs::read_dir(from)?.try_for_each(|entry| {
            let entry = entry?;
            fits(&entry.path(), &to.join(entry.file_name()))
        }),
    }
}

fn put(from: &Path, to: &Path) -> io::Result<()> {
    let here = fs::symlink_metadata(from)?;
    if there(to)?.is_none() || !here.is_dir() {
        return fs::rename(from, to);
    }
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        put(&entry.path(), &to.join(entry.file_name()))?;
    }
    fs::set_permissions(to, here.permissions())
}

/// What is there, if anything.
fn there(path: &Path) -> io::Result<Option<Metadata>> {
    match fs::symlink_metadata(path) {
        Ok(there) => Ok(Some(there)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn into_a_directory_or_under_a_name() {
        let home = tempfile::tempdir().unwrap();
        let home = home.path();
        fs::write(home.join("file"), "").unwrap();
        assert_eq!(target(home, "a").unwrap(), (home.into(), home.join("a")));
        assert_eq!(target(&home.join("new"), "a").unwrap(), (home.into(), home.join("new")));
        assert_eq!(target(&home.join("file"), "a").unwrap(), (home.into(), home.join("file")));
        assert_eq!(target(Path::new("new"), "a").unwrap(), (".".into(), "new".into()));
        assert!(target(&home.join("new/"), "a").is_err());
        assert!(target(&home.join("file/"), "a").is_err());
        assert!(target(Path::new(".."), "a").is_ok());
    }

    #[test]
    fn a_conflict_anywhere_moves_nothing() {
        let home = tempfile::tempdir().unwrap();
        let path = |name: &str| home.path().join(name);
        for dir in ["from/b/c", "from/new", "to/b"] {
            fs::create_dir_all(path(dir)).unwrap();
        }
        for n in 0..20 {
            fs::write(path(&format!("from/{n}")), "").unwrap();
        }
        // A file where a directory comes; a link to one is none.
        fs::write(path("to/b/c"), "stays").unwrap();
        for _ in 0..2 {
            let error = place(&path("from"), &path("to")).unwrap_err();
            assert!(error.to_string().ends_with("to/b/c is no directory"), "{error}");
            assert_eq!(fs::read_dir(path("to")).unwrap().count(), 1);
            assert_eq!(fs::read_dir(path("from")).unwrap().count(), 22);
            fs::remove_file(path("to/b/c")).unwrap();
            std::os::unix::fs::symlink(home.path(), path("to/b/c")).unwrap();
        }
    }

    #[test]
    fn directories_are_merged_and_kinds_never_change() {
        let home = tempfile::tempdir().unwrap();
        let path = |name: &str| home.path().join(name);
        for dir in ["from/sub", "to/sub", "elsewhere"] {
            fs::create_dir_all(path(dir)).unwrap();
        }
        for (file, text) in
            [("from/sub/new", "1"), ("from/sub/old", "2"), ("to/sub/old", "0"), ("to/sub/stays", "3")]
        {
            fs::write(path(file), text).unwrap();
        }
        place(&path("from"), &path("to")).unwrap();
        let text = |name: &str| fs::read_to_string(path(name)).unwrap();
        assert_eq!([text("to/sub/new"), text("to/sub/old"), text("to/sub/stays")], ["1", "2", "3"]);
        assert!(place(&path("to/sub/new"), &path("to/sub")).is_err());
        assert!(place(&path("to/sub"), &path("to/sub/new")).is_err());
        // A link that was there leads nowhere.
        std::os::unix::fs::symlink(path("elsewhere"), path("link")).unwrap();
        assert!(place(&path("to"), &path("link")).is_err());
        assert_eq!(fs::read_dir(path("elsewhere")).unwrap().count(), 0);
    }
}
