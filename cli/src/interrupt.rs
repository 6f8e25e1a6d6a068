//! Ctrl-C and SIGTERM: the first asks a command to stop and clean up, the second ends the process at once.

use std::io::{self, Write};

use tokio::{
    signal::unix::{SignalKind, signal},
    task::JoinSet,
};
use tokio_util::sync::CancellationToken;

use crate::{exit::Exit, progress::restore_terminal, terminal};

/// What is said when a command is ended where it stands.
const CUT: &str =
    "error: interrupted twice: the next command, or `shoal resume`, finishes what was under way";

/// Whether the user asked to stop.
#[derive(Debug)]
pub(crate) struct Interrupt {
    asked: CancellationToken,
    // Owns the listener: it ends with this.
    _listener: JoinSet<()>,
}

impl Interrupt {
    /// Listens from now on.
    ///
    /// # Errors
    /// The signal handlers cannot be installed.
    pub(crate) fn listen() -> io::Result<Self> {
        let mut interrupt = signal(SignalKind::interrupt())?;
        let mut terminate = signal(SignalKind::terminate())?;
        let asked = CancellationToken::new();
        let ask = asked.clone();
        let mut listener = JoinSet::new();
        listener.spawn(async move {
            let mut either = async || {
                tokio::select! { _ = interrupt.recv() => (), _ = terminate.recv() => () }
            };
            either().await;
            ask.cancel();
            either().await;
            restore_terminal();
            terminal::restore();
            // Who does not read it is gone.
            drop(writeln!(io::stderr(), "{CUT}"));
            std::process::exit(i32::from(Exit::Interrupted.code()));
        });
        Ok(Self { asked, _listener: listener })
    }

    /// The same as a token, for what stops by itself when asked.
    pub(crate) fn token(&self) -> CancellationToken {
        self.asked.clone()
    }

    /// Returns when the user has asked to stop.
    pub(crate) async fn asked(&self) {
        self.asked.cancelled().await;
    }
}
