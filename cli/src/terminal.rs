//! The user's terminal given to a program elsewhere: every key goes there, and afterwards it is as it was.
//!
//! What is to be restored is kept for the whole process, so that an end without unwinding restores it too. SIGKILL does not:
//! then `reset` or `stty sane` does.

use std::{
    env, io,
    os::fd::AsFd,
    sync::{Mutex, PoisonError},
};

use nix::sys::termios::{SetArg, Termios, cfmakeraw, tcgetattr, tcsetattr};
use shoal_api::TerminalSize;
use terminal_size::terminal_size_of;

/// How the terminal was, while it is not.
static BEFORE: Mutex<Option<Termios>> = Mutex::new(None);

/// A terminal in raw mode; as before when dropped.
#[derive(Debug)]
pub(crate) struct Raw(());

impl Raw {
    /// Hands on every key from now on: Ctrl-C too.
    ///
    /// # Errors
    /// Standard input is no terminal.
    pub(crate) fn enter() -> io::Result<Self> {
        let stdin = io::stdin();
        let before = tcgetattr(stdin.as_fd())?;
        let mut raw = before.clone();
        cfmakeraw(&mut raw);
        BEFORE.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(before);
        tcsetattr(stdin.as_fd(), SetArg::TCSADRAIN, &raw)?;
        Ok(Self(()))
    }
}

impl Drop for Raw {
    fn drop(&mut self) {
        restore();
    }
}

/// Restores the terminal as before [`Raw::enter`]; does nothing the second time.
pub(crate) fn restore() {
    if let Some(before) = BEFORE.lock().unwrap_or_else(PoisonError::into_inner).take() {
        // A terminal that is gone needs nothing.
        let _ = tcsetattr(io::stdin().as_fd(), SetArg::TCSADRAIN, &before);
    }
}

/// Its size; 24 lines of 80 characters if it does not know.
pub(crate) fn size() -> TerminalSize {
    let known = terminal_size_of(io::stdout()).or_else(|| terminal_size_of(io::stdin()));
    let (columns, rows) = known.map_or((80, 24), |(columns, rows)| (columns.0, rows.0));
    TerminalSize { rows, columns }
}

/// What kind it is, for TERM there.
pub(crate) fn kind() -> String {
    env::var("TERM").unwrap_or_default()
}

/// Whether both standard input and output are one.
pub(crate) fn is_there() -> bool {
    io::IsTerminal::is_terminal(&io::stdin()) && io::IsTerminal::is_terminal(&io::stdout())
}
