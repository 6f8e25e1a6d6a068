//! Contexts of servers elsewhere: where a server is, and who one is there. Nothing of Docker's own contexts, which name engines
//! (`register --context`).
//!
//! ```text
//! --server-context, SHOAL_CONTEXT > a socket, store or state directory that is named > the current context > this machine
//!
//! $XDG_CONFIG_HOME/shoal or ~/.config/shoal
//!   contexts/NAME.json   as `shoal create user` wrote it, 0600
//!   context              the name of the current one
//! ```

mod file;
mod shelf;

use std::{env, path::PathBuf};

use shoal_types::ContextName;

use crate::args::Global;

pub(crate) use self::{
    file::ContextFile,
    shelf::{Shelf, ShelfError},
};

/// The word for no context: this machine.
pub(crate) const LOCAL: &str = "local";

/// Which coordinator a command is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Choice {
    /// The one of this machine: a server on its socket, else one in this process.
    Here,
    /// A server elsewhere.
    Elsewhere {
        /// The context.
        name: ContextName,
        /// What named it, for a person.
        because: &'static str,
    },
}

/// Why it is not known which.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ChoiceError {
    /// A server elsewhere is named, and one here.
    #[error(
        "--server-context (or SHOAL_CONTEXT) names a server elsewhere, and {other} something of this machine"
    )]
    Both {
        /// What names something here.
        other: &'static str,
    },
    /// The contexts cannot be read.
    #[error(transparent)]
    Shelf(#[from] ShelfError),
    /// It is no name.
    #[error("SHOAL_CONTEXT: {0}")]
    Name(shoal_types::NameError),
}

impl ChoiceError {
    /// What to do next.
    pub(crate) fn hint(&self) -> String {
        match self {
            Self::Both { .. } => "leave one of them out".into(),
            Self::Shelf(error) => error.hint(),
            Self::Name(_) => "`shoal context list` lists them; `local` is this machine".into(),
        }
    }
}

/// Decides which coordinator is meant.
///
/// # Errors
/// [`ChoiceError`].
pub(crate) fn choose(global: &Global) -> Result<Choice, ChoiceError> {
    let asked = global.server_context.as_deref().filter(|name| !name.is_empty());
    match asked {
        Some(LOCAL) => return Ok(Choice::Here),
        Some(name) => {
            let here = [("--socket", global.socket.is_some()), ("--store", global.store.is_some())];
            if let Some((other, _)) = here.into_iter().find(|(_, is_named)| *is_named) {
                return Err(ChoiceError::Both { other });
            }
            let name = name.parse().map_err(ChoiceError::Name)?;
            return Ok(Choice::Elsewhere { name, because: "--server-context or SHOAL_CONTEXT" });
        }
        None => {}
    }
    if global.socket.is_some() || global.store.is_some() || global.state_dir.is_some() {
        return Ok(Choice::Here);
    }
    let current = match Shelf::locate(|key| env::var_os(key)) {
        Ok(shelf) => shelf.current()?,
        // Without a home there is no context, and nothing else wrong with that.
        Err(_) => None,
    };
    Ok(current.map_or(Choice::Here, |name| Choice::Elsewhere { name, because: "`shoal context use`" }))
}

/// The directory of files that commands keep for a coordinator, below the state directory.
pub(crate) fn files_dir(state_dir: PathBuf, choice: &Choice) -> PathBuf {
    match choice {
        Choice::Here => state_dir,
        Choice::Elsewhere { name, .. } => state_dir.join("contexts").join(name.as_str()),
    }
}
