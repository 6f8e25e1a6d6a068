//! `shoal` with a state of its own, called as a user calls it.

use std::{
    env,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use anyhow::Context;
use serde_json::Value;
use shoal_lab::Lab;
use tempfile::TempDir;

use crate::{
    call::{Call, Ended},
    cluster::Cluster,
    json::{list, text},
    log::Log,
    machine::Machine,
    proxy::Proxy,
    stage::Means,
};

/// The variable that says where `shoal` keeps its state.
pub const STATE_DIR: &str = "SHOAL_STATE_DIR";
/// Variables of whoever runs the tests that would lead to another store.
const ELSEWHERE: [&str; 4] = ["SHOAL_STORE", "SHOAL_REALM", "SHOAL_KEY_FILE", "SHOAL_SOCKET"];

/// A call of a `shoal` on the state in a directory, not yet made, without a limit on its time.
#[must_use]
pub fn shoal(program: &Path, state: &Path, words: &[&str]) -> Command {
    let mut command = Command::new(program);
    command.args(words).env(STATE_DIR, state);
    for variable in ELSEWHERE {
        command.env_remove(variable);
    }
    command
}

/// A `shoal` and where it keeps its state.
#[derive(Debug)]
pub struct Installation {
    shoal: PathBuf,
    state: TempDir,
    store: Option<String>,
}

impl Installation {
    /// A new one: on an SQLite file in its state directory, or on the store of this URL.
    ///
    /// # Errors
    /// There is no room for its state directory.
    pub fn new(means: &Means, store: Option<String>) -> anyhow::Result<Self> {
        Ok(Self { shoal: means.shoal.clone(), state: tempfile::tempdir()?, store })
    }

    /// A call, not yet made.
    #[must_use]
    pub fn call(&self, words: &[&str]) -> Call {
        self.with_state(Call::new(&self.shoal).words(words))
    }

    /// The same call where `shoal` is found by name and has this state.
    #[must_use]
    pub fn beside(&self, call: Call) -> Call {
        let here = self.shoal.parent().map(Path::to_owned);
        let path = env::var_os("PATH").unwrap_or_default();
        let places = here.into_iter().chain(env::split_paths(&path));
        // A directory with a colon in its name cannot be in PATH: then `shoal` is not found.
        self.with_state(call.env("PATH", env::join_paths(places).unwrap_or(path.clone())))
    }

    fn with_state(&self, call: Call) -> Call {
        let call = call.without(ELSEWHERE).env(STATE_DIR, self.state.path());
        match &self.store {
            Some(store) => call.env("SHOAL_STORE", store),
            None => call,
        }
    }

    /// Makes a call.
    ///
    /// # Errors
    /// It cannot be started.
    pub fn run(&self, words: &[&str]) -> anyhow::Result<Ended> {
        self.call(words).end()
    }

    /// Where its state is.
    #[must_use]
    pub fn state_dir(&self) -> &Path {
        self.state.path()
    }

    /// A call, not yet made, without a limit on its time.
    #[must_use]
    pub fn command(&self, words: &[&str]) -> Command {
        let mut command = shoal(&self.shoal, self.state.path(), words);
        command.envs(self.store.iter().map(|store| ("SHOAL_STORE", store)));
        command
    }

    /// Begins a call and leaves it running, its standard output to be read.
    ///
    /// # Errors
    /// It cannot be started.
    pub fn begin(&self, words: &[&str]) -> anyhow::Result<Child> {
        let mut command = self.command(words);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
        command.spawn().with_context(|| format!("shoal {}", words.join(" ")))
    }

    /// Makes a call that must succeed; its answer as JSON.
    ///
    /// # Errors
    /// It fails, or does not answer with JSON.
    pub fn json(&self, words: &[&str]) -> anyhow::Result<Value> {
        let answer = self.run(&[words, &["-o", "json"]].concat())?.ok()?;
        serde_json::from_str(&answer).with_context(|| format!("shoal {}: {answer}", words.join(" ")))
    }

    /// Registers hosts over TLS, labelled with the kind of their engine: `engine=system`, `engine=28`.
    ///
    /// # Errors
    /// One is refused.
    pub fn register(&self, machines: &[Machine]) -> anyhow::Result<()> {
        for machine in machines {
            let (name, label) = (machine.name(), format!("engine={}", machine.engine()));
            let tls = machine.host().tls_dir.display().to_string();
            let endpoint = &machine.host().endpoint;
            self.run(&["register", &name, "--docker", endpoint, "--tls-dir", &tls, "--label", &label])?
                .ok()?;
        }
        Ok(())
    }

    /// Registers the same hosts by SSH, with the lab's key.
    ///
    /// # Errors
    /// One is refused, or has no sshd.
    pub fn register_by_ssh(&self, lab: &Lab, machines: &[Machine]) -> anyhow::Result<()> {
        for machine in machines {
            let door = lab.open_ssh(machine.host().name)?;
            let (name, label) = (machine.name(), format!("engine={}", machine.engine()));
            let (key, known) = (door.key.display().to_string(), door.known_hosts.display().to_string());
            let words = ["register", &name, "--docker", &door.endpoint, "--label", &label];
            let keys = ["--ssh-key", &key, "--ssh-known-hosts", &known];
            self.run(&[&words[..], &keys].concat())?.ok()?;
        }
        Ok(())
    }

    /// Registers a host that is reached through a proxy.
    ///
    /// # Errors
    /// It is refused.
    pub fn register_through(&self, proxy: &Proxy, machine: &Machine) -> anyhow::Result<()> {
        let (name, underlay) = (machine.name(), machine.host().address.to_string());
        let words = ["register", &name, "--docker", &proxy.endpoint(), "--underlay", &underlay];
        self.run(&words)?.ok().map(drop)
    }

    /// Its log from here on, if its store is an SQLite file.
    ///
    /// # Errors
    /// It is not, or no command has made it yet.
    pub fn log(&self) -> anyhow::Result<Log> {
        Log::open(self.state.path())
    }

    /// Every file of its state directory.
    ///
    /// # Errors
    /// It cannot be listed.
    pub fn files(&self) -> anyhow::Result<Vec<PathBuf>> {
        let mut files = Vec::new();
        let mut directories = vec![self.state.path().to_owned()];
        while let Some(directory) = directories.pop() {
            for entry in std::fs::read_dir(directory)? {
                let entry = entry?;
                match entry.file_type()? {
                    kind if kind.is_dir() => directories.push(entry.path()),
                    kind if kind.is_file() => files.push(entry.path()),
                    _ => {}
                }
            }
        }
        Ok(files)
    }

    /// The phase of a cluster as shown; `None` if there is none of this name.
    ///
    /// # Errors
    /// Clusters cannot be listed.
    pub fn phase(&self, cluster: &str) -> anyhow::Result<Option<String>> {
        let clusters = self.json(&["get", "clusters"])?;
        let found = list(&clusters)?.iter().find(|shown| shown["name"] == cluster);
        found.map(|shown| text(shown, "phase")).transpose()
    }

    /// Loads an image into every host.
    ///
    /// # Errors
    /// One does not take it.
    pub fn load(&self, archive: &Path) -> anyhow::Result<()> {
        self.run(&["load", "image", &archive.display().to_string()])?.ok().map(drop)
    }

    /// A cluster that is there.
    ///
    /// # Errors
    /// It is not.
    pub fn cluster(&self, name: &str, machines: &[Machine]) -> anyhow::Result<Cluster> {
        Cluster::read(&self.json(&["get", "cluster", name])?, machines)
    }
}
