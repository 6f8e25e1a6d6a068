//! Commands as a transcript: each is shown as `$ ...` before it runs, so that a person can repeat the run by hand.

use std::{
    borrow::Cow,
    ffi::OsStr,
    io::{BufRead, BufReader},
    path::Path,
    process::{Command, ExitStatus, Stdio},
};

use anyhow::{Context, bail};

/// Shows a command and runs it on this terminal.
///
/// # Errors
/// It cannot be started, or does not succeed.
pub(crate) fn run(command: &mut Command) -> anyhow::Result<()> {
    show(command);
    succeed(command)
}

/// Shows a command and runs it on this terminal; how it ended.
///
/// # Errors
/// It cannot be started.
pub(crate) fn status(command: &mut Command) -> anyhow::Result<ExitStatus> {
    show(command);
    command.status().with_context(|| format!("cannot run {}", line(command)))
}

/// Runs a command on this terminal without showing it first.
///
/// # Errors
/// It cannot be started, or does not succeed.
pub(crate) fn succeed(command: &mut Command) -> anyhow::Result<()> {
    let status = command.status().with_context(|| format!("cannot run {}", line(command)))?;
    if !status.success() {
        bail!("{} ended with {status}", line(command));
    }
    Ok(())
}

/// Runs a command unseen and returns its standard output; its standard error is seen.
///
/// # Errors
/// It cannot be started, does not succeed, or does not write UTF-8.
pub(crate) fn output(command: &mut Command) -> anyhow::Result<String> {
    command.stderr(Stdio::inherit());
    let output = command.output().with_context(|| format!("cannot run {}", line(command)))?;
    if !output.status.success() {
        bail!("{} ended with {}", line(command), output.status);
    }
    String::from_utf8(output.stdout).with_context(|| format!("{} writes no UTF-8", line(command)))
}

/// Does a command succeed? Nothing of it is seen.
pub(crate) fn succeeds(command: &mut Command) -> bool {
    command.stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok_and(|status| status.success())
}

/// Shows a command, runs it, passes its standard output on and hands every line of it to `each`.
///
/// # Errors
/// It cannot be started or read.
pub(crate) fn follow(command: &mut Command, mut each: impl FnMut(&str)) -> anyhow::Result<ExitStatus> {
    show(command);
    let mut child =
        command.stdout(Stdio::piped()).spawn().with_context(|| format!("cannot run {}", line(command)))?;
    if let Some(stdout) = child.stdout.take() {
        for text in BufReader::new(stdout).split(b'\n') {
            let text = text?;
            let text = String::from_utf8_lossy(&text);
            println!("{text}");
            each(&text);
        }
    }
    Ok(child.wait()?)
}

/// Writes `$ ...`.
pub(crate) fn show(command: &Command) {
    println!("$ {}", line(command));
}

/// A command as a shell takes it: its variables, its program, its arguments.
pub(crate) fn line(command: &Command) -> String {
    let set = command.get_envs().filter_map(|(key, value)| {
        Some(format!("{}={}", key.to_string_lossy(), word(&value?.to_string_lossy())))
    });
    let program = Path::new(command.get_program()).file_name().unwrap_or(command.get_program());
    let words = std::iter::once(program).chain(command.get_args()).map(OsStr::to_string_lossy);
    set.chain(words.map(|text| word(&text).into_owned())).collect::<Vec<_>>().join(" ")
}

/// One word for a POSIX shell; a command has no NUL.
fn word(text: &str) -> Cow<'_, str> {
    shlex::try_quote(text).unwrap_or(Cow::Borrowed(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_can_be_pasted() {
        let mut command = Command::new("/usr/bin/shoal");
        command.env("SHOAL_REALM", "a b").args(["exec", "dev", "--", "sh", "-c", "echo 'x'"]);
        assert_eq!(line(&command), "SHOAL_REALM='a b' shoal exec dev -- sh -c \"echo 'x'\"");
    }

    #[test]
    fn lines_are_handed_on_and_the_status_too() {
        let mut lines = Vec::new();
        let mut command = Command::new("sh");
        command.args(["-c", "echo one; printf two; exit 3"]);
        let status = follow(&mut command, |text| lines.push(text.to_owned())).unwrap();
        assert_eq!((lines, status.code()), (vec!["one".to_owned(), "two".to_owned()], Some(3)));
    }

    #[test]
    fn a_command_that_fails_is_named() {
        let failed = run(Command::new("sh").args(["-c", "exit 3"])).unwrap_err().to_string();
        assert!(failed.starts_with("sh -c 'exit 3' ended with exit status: 3"), "{failed}");
        assert!(run(&mut Command::new("/no/such/program")).is_err());
    }
}
