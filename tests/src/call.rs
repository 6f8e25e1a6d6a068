//! One call of a program: its arguments and input, and its end.

use std::{
    ffi::OsStr,
    fmt,
    io::Write,
    os::unix::process::CommandExt,
    path::Path,
    process::{Child, Command, Stdio},
    thread,
};

use anyhow::{Context, ensure};

/// No call takes longer, in seconds: one that hangs is ended, with status 124 (timeout(1)).
const LIMIT: &str = "420";

/// A call, not yet made.
#[derive(Debug)]
pub struct Call {
    command: Command,
    input: Vec<u8>,
}

/// A call that ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ended {
    /// Program and arguments.
    pub line: String,
    /// Its exit status; `None` if a signal ended it.
    pub code: Option<i32>,
    /// What it wrote to standard output.
    pub stdout: String,
    /// What it wrote to standard error.
    pub stderr: String,
}

impl Call {
    /// A call of `program`.
    pub fn new(program: impl AsRef<Path>) -> Self {
        let mut command = Command::new("timeout");
        command.args(["--kill-after=5", LIMIT]).arg(program.as_ref());
        Self { command, input: Vec::new() }
    }

    /// With these arguments.
    #[must_use]
    pub fn words<I: IntoIterator<Item: AsRef<OsStr>>>(mut self, words: I) -> Self {
        self.command.args(words);
        self
    }

    /// With this variable.
    #[must_use]
    pub fn env(mut self, key: &str, value: impl AsRef<OsStr>) -> Self {
        self.command.env(key, value);
        self
    }

    /// Without these variables.
    #[must_use]
    pub fn without<const N: usize>(mut self, variables: [&str; N]) -> Self {
        for variable in variables {
            self.command.env_remove(variable);
        }
        self
    }

    /// With this on standard input; nothing if not said.
    #[must_use]
    pub fn input(mut self, input: impl Into<Vec<u8>>) -> Self {
        self.input = input.into();
        self
    }

    /// Makes the call and waits for its end.
    ///
    /// # Errors
    /// It cannot be started.
    pub fn end(mut self) -> anyhow::Result<Ended> {
        let line = self.line();
        let piped = self.command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = piped.spawn().with_context(|| format!("cannot run {line}"))?;
        let stdin = child.stdin.take();
        let writer = thread::spawn(move || {
            // Who does not read its input breaks the pipe; that is its choice.
            stdin.map(|mut stdin| stdin.write_all(&self.input))
        });
        let output = child.wait_with_output().with_context(|| line.clone())?;
        drop(writer.join());
        Ok(Ended {
            line,
            code: output.status.code(),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        })
    }

    /// Begins the call in a process group of its own and leaves it running, its standard output to be read.
    ///
    /// # Errors
    /// It cannot be started.
    pub fn begin(mut self) -> anyhow::Result<Child> {
        let line = self.line();
        let command = self.command.stdin(Stdio::null()).stdout(Stdio::piped()).process_group(0);
        command.spawn().with_context(|| format!("cannot run {line}"))
    }

    fn line(&self) -> String {
        let words = self.command.get_args().skip(2).map(OsStr::to_string_lossy);
        words.collect::<Vec<_>>().join(" ")
    }
}

impl Ended {
    /// Itself, if it ended with this status.
    ///
    /// # Errors
    /// It did not; all it said is in the error.
    pub fn with(self, code: i32) -> anyhow::Result<Self> {
        ensure!(self.code == Some(code), "expected status {code}: {self}");
        Ok(self)
    }

    /// Its output, if it succeeded.
    ///
    /// # Errors
    /// It did not.
    pub fn ok(self) -> anyhow::Result<String> {
        self.with(0).map(|ended| ended.stdout)
    }
}

impl fmt::Display for Ended {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { line, code, stdout, stderr } = self;
        match code {
            Some(code) => writeln!(f, "`{line}` ended with status {code}")?,
            None => writeln!(f, "`{line}` was ended by a signal")?,
        }
        write!(f, "--- stdout ---\n{stdout}--- stderr ---\n{stderr}---")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn input_outputs_and_status() {
        let call = Call::new("sh").words(["-c", "cat; echo no >&2; exit 3"]).input("in");
        let ended = call.end().unwrap();
        assert_eq!((ended.code, ended.stdout.as_str(), ended.stderr.as_str()), (Some(3), "in", "no\n"));
        assert_eq!(ended.line, "sh -c cat; echo no >&2; exit 3");
        assert!(ended.clone().with(3).is_ok());
        let refused = ended.ok().unwrap_err().to_string();
        assert!(refused.contains("status 3") && refused.contains("no"), "{refused}");
    }
}
