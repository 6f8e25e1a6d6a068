//! Finding the program `shoal-lab`, which becomes the first process of every host.
//!
//! The command line tool is it; a test that uses the library has it beside its own executable.

use std::path::{Path, PathBuf};

use crate::error::Error;

const NAME: &str = "shoal-lab";

/// The environment variable that names the program.
const VARIABLE: &str = "SHOAL_LAB";

/// The program: the one given, the one `SHOAL_LAB` names, this one, or the one that was built with it.
///
/// # Errors
/// [`Error::NoProgram`].
pub(crate) fn find(given: Option<&Path>) -> Result<PathBuf, Error> {
    let this = std::env::current_exe().map_err(crate::error::file("find", Path::new("/proc/self/exe")))?;
    let named = given.map(Path::to_owned).or_else(|| std::env::var_os(VARIABLE).map(PathBuf::from));
    match named {
        Some(path) if path.is_file() => Ok(path),
        Some(path) => Err(Error::NoProgram(path)),
        None => beside(&this).ok_or_else(|| Error::NoProgram(this.with_file_name(NAME))),
    }
}

/// The program, seen from an executable that is it or was built with it (`target/<profile>/`,
/// `target/<profile>/deps/`).
fn beside(this: &Path) -> Option<PathBuf> {
    let dir = this.parent()?;
    let dir = if dir.ends_with("deps") { dir.parent()? } else { dir };
    Some(dir.join(NAME)).filter(|path| path.is_file())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_found_from_itself_and_from_a_test() {
        let dir = tempfile::tempdir().unwrap();
        let program = dir.path().join(NAME);
        assert_eq!(beside(&program), None);
        std::fs::write(&program, "").unwrap();
        assert_eq!(beside(&program), Some(program.clone()));
        assert_eq!(beside(&dir.path().join("deps/e2e-0123")), Some(program));
    }

    #[test]
    fn a_named_one_must_be_there() {
        let missing = Path::new("/no/such/shoal-lab");
        assert!(matches!(find(Some(missing)), Err(Error::NoProgram(path)) if path == missing));
    }
}
