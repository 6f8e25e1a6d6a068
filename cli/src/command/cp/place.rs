//! Moves a whole transfer into place: to a free name, or into an existing directory.

use std::{
    fs, io,
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

/// Moves `from` to `to`. A directory is merged with one that is there; a file replaces a file; one never replaces the other.
/// Symbolic links on the way are never followed.
///
/// # Errors
/// A directory would replace something else, or something else a directory; the disk.
pub(super) fn place(from: &Path, to: &Path) -> io::Result<()> {
    let there = match fs::symlink_metadata(to) {
        Ok(there) => there,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return fs::rename(from, to),
        Err(error) => return Err(error),
    };
    let here = fs::symlink_metadata(from)?;
    let wrong = |kind, what: &str| Err(io::Error::new(kind, format!("{} {what}", to.display())));
    match (here.is_dir(), there.is_dir()) {
        (false, false) => fs::rename(from, to),
        (false, true) => wrong(io::ErrorKind::IsADirectory, "is a directory"),
        (true, false) => wrong(io::ErrorKind::NotADirectory, "is no directory"),
        (true, true) => {
            for entry in fs::read_dir(from)? {
                let entry = entry?;
                place(&entry.path(), &to.join(entry.file_name()))?;
            }
            fs::set_permissions(to, here.permissions())
        }
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
