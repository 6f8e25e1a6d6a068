//! Running the machine's own tools (`ip`, `apt-get`, `mmdebstrap`) and telling their failures.

use std::ffi::OsStr;
use std::process::{Command, Stdio};

/// A tool that did not do its work.
#[derive(Debug, thiserror::Error)]
pub enum CommandError {
    /// It is not installed, or may not be run.
    #[error("cannot run {program}")]
    Start {
        /// The tool.
        program: String,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// It ran and failed.
    #[error("`{line}` failed ({status}): {stderr}")]
    Failed {
        /// The command line.
        line: String,
        /// Its exit status.
        status: std::process::ExitStatus,
        /// The end of what it printed on its error output.
        stderr: String,
    },
    /// It ran and printed something else than expected.
    #[error("`{line}` printed unreadable output")]
    Output {
        /// The command line.
        line: String,
        /// What is wrong with it.
        #[source]
        source: serde_json::Error,
    },
}

/// Runs a tool to its end and returns what it printed.
///
/// # Errors
/// [`CommandError::Start`] and [`CommandError::Failed`].
pub(crate) fn run<S: AsRef<OsStr>>(program: &str, args: &[S]) -> Result<String, CommandError> {
    run_command(Command::new(program).args(args))
}

/// Runs a prepared command to its end and returns what it printed.
///
/// # Errors
/// [`CommandError::Start`] and [`CommandError::Failed`].
pub(crate) fn run_command(command: &mut Command) -> Result<String, CommandError> {
    let output = command.stdin(Stdio::null()).output().map_err(|source| CommandError::Start {
        program: command.get_program().to_string_lossy().into_owned(),
        source,
    })?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let stderr = String::from_utf8_lossy(&output.stderr);
    Err(CommandError::Failed { line: line(command), status: output.status, stderr: last_lines(&stderr, 12) })
}

/// Runs a tool and reads the JSON it prints.
///
/// # Errors
/// All of [`CommandError`].
pub(crate) fn run_json<T: serde::de::DeserializeOwned>(
    program: &str,
    args: &[&str],
) -> Result<T, CommandError> {
    let mut command = Command::new(program);
    let printed = run_command(command.args(args))?;
    // `ip -j` prints nothing at all for an empty list.
    let text = if printed.trim().is_empty() { "[]" } else { printed.trim() };
    serde_json::from_str(text).map_err(|source| CommandError::Output { line: line(&command), source })
}

/// The last `count` lines of a text, without trailing white space.
pub(crate) fn last_lines(text: &str, count: usize) -> String {
    let lines: Vec<&str> = text.trim_end().lines().collect();
    lines[lines.len().saturating_sub(count)..].join("\n")
}

fn line(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    words.map(|word| word.to_string_lossy()).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn output_is_returned_and_failures_are_told() {
        assert_eq!(run("echo", &["a", "b"]).unwrap(), "a b\n");
        let failed = run("ls", &["/no/such/path"]).unwrap_err().to_string();
        assert!(failed.contains("ls /no/such/path") && failed.contains("No such file"), "{failed}");
        assert!(matches!(run::<&str>("no-such-tool", &[]), Err(CommandError::Start { .. })));
    }

    #[test]
    fn nothing_printed_is_an_empty_list() {
        assert_eq!(run_json::<Vec<u8>>("true", &[]).unwrap(), Vec::<u8>::new());
        assert!(matches!(run_json::<Vec<u8>>("echo", &["{"]), Err(CommandError::Output { .. })));
    }

    #[test]
    fn only_the_last_lines_are_kept() {
        assert_eq!(last_lines("a\nb\nc\n\n", 2), "b\nc");
        assert_eq!(last_lines("", 2), "");
    }
}
