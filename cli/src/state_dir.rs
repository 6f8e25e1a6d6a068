//! Where the store, its key and the SSH client's files are.
//!
//! `--state-dir`, else `SHOAL_STATE_DIR`, else `$XDG_STATE_HOME/shoal`, else `~/.local/state/shoal`: the same for every
//! user, root too, because a state directory belongs to whoever runs `shoal` with it.

use std::{ffi::OsString, path::PathBuf};

/// No place for the state directory can be derived.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum StateDirError {
    /// Neither `XDG_STATE_HOME` nor `HOME` is an absolute path.
    #[error("no state directory: neither XDG_STATE_HOME nor HOME is an absolute path")]
    NoHome,
}

/// The state directory: `given` if there is one, else from `env`, the environment as a function.
///
/// # Errors
/// [`StateDirError::NoHome`]: nothing says where.
pub(crate) fn locate(
    given: Option<PathBuf>,
    env: impl Fn(&str) -> Option<OsString>,
) -> Result<PathBuf, StateDirError> {
    // The XDG base directory specification has relative paths ignored.
    let absolute = |key: &str| env(key).map(PathBuf::from).filter(|path| path.is_absolute());
    given
        .or_else(|| absolute("XDG_STATE_HOME").map(|dir| dir.join("shoal")))
        .or_else(|| absolute("HOME").map(|home| home.join(".local/state/shoal")))
        .ok_or(StateDirError::NoHome)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn order() {
        let env = |vars: &'static [(&str, &str)]| {
            move |key: &str| vars.iter().find(|(k, _)| *k == key).map(|(_, v)| OsString::from(v))
        };
        let both = env(&[("XDG_STATE_HOME", "/x"), ("HOME", "/h")]);
        assert_eq!(locate(Some("rel".into()), both), Ok("rel".into()));
        assert_eq!(locate(None, env(&[("XDG_STATE_HOME", "/x"), ("HOME", "/h")])), Ok("/x/shoal".into()));
        assert_eq!(
            locate(None, env(&[("XDG_STATE_HOME", "x"), ("HOME", "/h")])),
            Ok("/h/.local/state/shoal".into())
        );
        assert_eq!(locate(None, env(&[("HOME", "")])), Err(StateDirError::NoHome));
    }
}
