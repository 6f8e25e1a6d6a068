//! A `shoal` with a state directory of its own, called as a user would.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::Context;
use serde_json::Value;
use shoal_lab::Host;

use crate::shell;

/// The program and where it keeps its state.
#[derive(Debug, Clone)]
pub(crate) struct Shoal {
    program: PathBuf,
    state_dir: PathBuf,
}

impl Shoal {
    pub(crate) fn new(program: &Path, state_dir: &Path) -> Self {
        Self { program: program.to_owned(), state_dir: state_dir.to_owned() }
    }

    /// A call, not yet made.
    pub(crate) fn command(&self, words: &[&str]) -> Command {
        shoal_tests::shoal(&self.program, &self.state_dir, words)
    }

    /// Shows a call and makes it.
    ///
    /// # Errors
    /// It does not succeed.
    pub(crate) fn run(&self, words: &[&str]) -> anyhow::Result<()> {
        let mut shown = Command::new("shoal");
        shell::show(shown.args(words));
        shell::succeed(&mut self.command(words))
    }

    /// Makes a call unseen; what it answers.
    ///
    /// # Errors
    /// It does not succeed, or its answer is no JSON.
    pub(crate) fn json(&self, words: &[&str]) -> anyhow::Result<Value> {
        let answer = shell::output(&mut self.command(&[words, &["-o", "json"]].concat()))?;
        serde_json::from_str(&answer).with_context(|| format!("the answer to shoal {}", words.join(" ")))
    }

    /// Makes a call unseen; whether it succeeds.
    pub(crate) fn succeeds(&self, words: &[&str]) -> bool {
        shell::succeeds(&mut self.command(words))
    }

    /// Registers the hosts that are not yet, and gives the others their present certificates.
    ///
    /// # Errors
    /// One of them is refused.
    pub(crate) fn register(&self, hosts: &[Host]) -> anyhow::Result<()> {
        let known = self.json(&["get", "hosts"])?;
        for host in hosts {
            let (name, tls) = (host.name.to_string(), host.tls_dir.display().to_string());
            let is_known = entries(&known).any(|entry| entry["name"] == name);
            let verb: &[&str] = if is_known { &["set", "host"] } else { &["register"] };
            let words = [verb, &[&name, "--docker", &host.endpoint, "--tls-dir", &tls]].concat();
            self.run(&words)?;
        }
        Ok(())
    }
}

/// The entries of a list; none if it is not one.
pub(crate) fn entries(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}
