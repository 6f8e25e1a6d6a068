//! The one place where results leave the process.

use std::io::{self, Write};

use serde::Serialize;

use super::{Detail, Format, Width, data};
use crate::error::CliError;

/// Where a command's results and progress go.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Screen {
    /// How results are written, if it was said.
    pub(crate) asked: Option<Format>,
    /// Whether only the result is wanted.
    pub(crate) quiet: bool,
}

impl Screen {
    /// The result of a command that has no names: `value` as data, or what `human` makes of a terminal's width.
    ///
    /// # Errors
    /// [`CliError::Usage`]: names were asked for. [`CliError::Stdout`]: nobody takes it.
    pub(crate) fn result<T: Serialize>(
        self,
        value: &T,
        human: impl FnOnce(Width) -> String,
    ) -> Result<(), CliError> {
        match self.asked.unwrap_or_default() {
            Format::Human | Format::Wide => write_text(&human(Width::of_stdout())),
            Format::Json => write_text(&data::json(value)?),
            Format::Yaml => write_text(&data::yaml(value)?),
            Format::Name => Err(CliError::usage(
                "the result of this command has no names",
                Some("use -o human, -o json or -o yaml".to_owned()),
            )),
        }
    }

    /// The result of a command that has names, one a line in a form that other commands take. They are also what a quiet
    /// command prints of it.
    ///
    /// # Errors
    /// [`CliError::Stdout`]: nobody takes it.
    pub(crate) fn named<T: Serialize>(
        self,
        value: &T,
        names: impl IntoIterator<Item = String>,
        human: impl FnOnce(Width, Detail) -> String,
    ) -> Result<(), CliError> {
        let usual = if self.quiet { Format::Name } else { Format::Human };
        match self.asked.unwrap_or(usual) {
            Format::Human => write_text(&human(Width::of_stdout(), Detail::Usual)),
            Format::Wide => write_text(&human(Width::of_stdout(), Detail::Wide)),
            Format::Json => write_text(&data::json(value)?),
            Format::Yaml => write_text(&data::yaml(value)?),
            Format::Name => raw(data::names(names).as_bytes()),
        }
    }

    /// Whether standard output is for people, who read progress there too; for programs it carries the result alone.
    pub(crate) fn is_for_people(self) -> bool {
        match self.asked.unwrap_or_default() {
            Format::Human | Format::Wide => true,
            Format::Json | Format::Yaml | Format::Name => false,
        }
    }

    /// A line of progress: on standard output for people, beside it when that carries a result for programs.
    ///
    /// # Errors
    /// [`CliError::Stdout`]: nobody takes it.
    pub(crate) fn progress(self, line: &str) -> Result<(), CliError> {
        if self.quiet {
            return Ok(());
        }
        if self.is_for_people() {
            return write_text(line);
        }
        // Who closed standard error does not want to know.
        let _ = writeln!(io::stderr().lock(), "{line}");
        Ok(())
    }
}

/// Text as it is, on standard output.
pub(crate) fn raw(bytes: &[u8]) -> Result<(), CliError> {
    let mut out = io::stdout().lock();
    out.write_all(bytes).and_then(|()| out.flush()).map_err(CliError::Stdout)
}

/// Text that ends with one line end. Its colours are left out where standard output is no terminal, or nobody wants them
/// (`NO_COLOR`, `TERM=dumb`).
fn write_text(text: &str) -> Result<(), CliError> {
    let mut out = anstream::AutoStream::auto(io::stdout().lock());
    writeln!(out, "{}", text.trim_end_matches('\n')).and_then(|()| out.flush()).map_err(CliError::Stdout)
}
