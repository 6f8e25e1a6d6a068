//! Which way progress is shown.

use std::{env, io::IsTerminal};

use clap::{Args, ValueEnum};

use crate::error::CliError;

/// As the user asks for it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Mode {
    /// A live view on a terminal, else lines.
    #[default]
    Auto,
    /// A live view, which needs a terminal.
    Live,
    /// A line for each event, with its time.
    Plain,
    /// A JSON object for each event, one a line, as in `shoal get events -o json`.
    Json,
}

/// What every command with progress takes.
#[derive(Debug, Clone, Copy, Args)]
pub(crate) struct ProgressArgs {
    /// Form of progress
    ///
    /// Progress goes to standard output, or to standard error if `-o` gives standard output to a result for programs. `auto` is
    /// a live view on a terminal, and plain lines in a pipe or with TERM=dumb. `plain` is one line for each event, with its
    /// time. `json` is one JSON object for each event, one a line, in the shape of the elements of `shoal get events -o json`,
    /// without the summary for people. `--quiet` shows no progress.
    #[arg(long, value_name = "MODE", value_enum, default_value_t)]
    progress: Mode,
}

/// Where progress goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stream {
    Stdout,
    Stderr,
}

/// How it goes there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Way {
    Quiet,
    Live,
    Plain,
    Json,
}

impl ProgressArgs {
    /// The way, as things are.
    ///
    /// # Errors
    /// [`CliError::Usage`]: a live view cannot be.
    pub(super) fn way(self, quiet: bool, stream: Stream) -> Result<Way, CliError> {
        let terminal = match stream {
            Stream::Stdout => std::io::stdout().is_terminal(),
            Stream::Stderr => std::io::stderr().is_terminal(),
        };
        decide(self.progress, quiet, terminal && env::var_os("TERM").is_some_and(|term| moves(&term)))
    }
}

/// Whether a terminal of this kind can move its cursor.
fn moves(term: &std::ffi::OsStr) -> bool {
    !term.is_empty() && term != "dumb"
}

fn decide(mode: Mode, quiet: bool, can_draw: bool) -> Result<Way, CliError> {
    match mode {
        _ if quiet => Ok(Way::Quiet),
        Mode::Auto | Mode::Live if can_draw => Ok(Way::Live),
        Mode::Auto | Mode::Plain => Ok(Way::Plain),
        Mode::Json => Ok(Way::Json),
        Mode::Live => Err(CliError::usage(
            "--progress live needs a terminal that can move its cursor",
            Some("use --progress plain, or leave the flag out".to_owned()),
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ways() {
        let way = |mode, quiet, can_draw| decide(mode, quiet, can_draw).ok();
        assert_eq!(way(Mode::Auto, false, true), Some(Way::Live));
        assert_eq!(way(Mode::Auto, false, false), Some(Way::Plain));
        assert_eq!(way(Mode::Live, false, true), Some(Way::Live));
        assert_eq!(way(Mode::Live, false, false), None);
        assert_eq!(way(Mode::Plain, false, true), Some(Way::Plain));
        assert_eq!(way(Mode::Json, false, true), Some(Way::Json));
        for mode in [Mode::Auto, Mode::Live, Mode::Plain, Mode::Json] {
            assert_eq!(way(mode, true, true), Some(Way::Quiet));
        }
        for (term, can) in [("xterm", true), ("dumb", false), ("", false)] {
            assert_eq!(moves(term.as_ref()), can, "{term}");
        }
    }
}
