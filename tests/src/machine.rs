//! A host of the lab, asked past Shoal: its engine through docker(1), its kernel through ip(8) and bridge(8).

use std::fs;

use anyhow::Context;
use serde_json::Value;
use shoal_lab::{EngineKind, Host};

use crate::{
    call::{Call, Ended},
    json::{list, text},
};

/// A host of the lab.
#[derive(Debug, Clone)]
pub struct Machine {
    host: Host,
}

impl Machine {
    /// This host.
    #[must_use]
    pub fn new(host: &Host) -> Self {
        Self { host: host.clone() }
    }

    /// Its name, in the lab and in Shoal.
    #[must_use]
    pub fn name(&self) -> String {
        self.host.name.to_string()
    }

    /// Which engine it runs.
    #[must_use]
    pub fn engine(&self) -> EngineKind {
        self.host.engine
    }

    /// The host as the lab tells.
    #[must_use]
    pub fn host(&self) -> &Host {
        &self.host
    }

    /// A call of docker(1) on its engine, not yet made.
    #[must_use]
    pub fn call(&self, words: &[&str]) -> Call {
        let socket = format!("unix://{}", self.host.socket.display());
        Call::new("docker").words(["-H", &socket]).words(words)
    }

    /// A call of docker(1) on its engine.
    ///
    /// # Errors
    /// There is no docker(1).
    pub fn docker(&self, words: &[&str]) -> anyhow::Result<Ended> {
        self.call(words).end()
    }

    /// Ids of what carries a label `KEY=VALUE`; `kind` is `container`, `network` or `volume`.
    ///
    /// # Errors
    /// The engine does not answer.
    pub fn labelled(&self, kind: &str, label: &str) -> anyhow::Result<Vec<String>> {
        let filter = format!("label={label}");
        let mut words = vec![kind, "ls", "--quiet", "--filter", &filter];
        match kind {
            "container" => words.extend(["--all", "--no-trunc"]),
            "network" => words.push("--no-trunc"),
            _ => {}
        }
        let ids = self.docker(&words)?.ok()?;
        Ok(ids.lines().map(str::to_owned).collect())
    }

    /// Runs a command in a container.
    ///
    /// # Errors
    /// There is no docker(1).
    pub fn exec(&self, container: &str, words: &[&str]) -> anyhow::Result<Ended> {
        self.docker(&[&["exec", container], words].concat())
    }

    /// What the largest process of Shoal's agents here has allocated, in KiB: its resident memory without what it maps from files,
    /// which is its own code and depends on how that was compiled.
    ///
    /// # Errors
    /// There is none, or the engine does not answer.
    pub fn agent_memory_kib(&self) -> anyhow::Result<u64> {
        let agents = self.labelled("container", "shoal.role=agent")?;
        let is_agent = |pid: u32| {
            // Engines name a container's control group for it; a process that ends meanwhile is none of them.
            let groups = fs::read_to_string(format!("/proc/{pid}/cgroup")).unwrap_or_default();
            agents.iter().any(|agent| groups.contains(agent.as_str()))
        };
        let processes = fs::read_dir("/proc")?.flatten();
        let pids = processes.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
        let largest = pids.filter(|pid| is_agent(*pid)).filter_map(|pid| allocated_kib(pid).ok()).max();
        largest.with_context(|| format!("no agent on {}", self.name()))
    }

    /// Every container's name, running or not.
    pub(crate) fn containers(&self) -> anyhow::Result<Vec<String>> {
        let names = self.docker(&["ps", "--all", "--format", "{{.Names}}"])?.ok()?;
        Ok(names.lines().map(str::to_owned).collect())
    }

    /// Every network's name.
    pub(crate) fn networks(&self) -> anyhow::Result<Vec<String>> {
        let names = self.docker(&["network", "ls", "--format", "{{.Name}}"])?.ok()?;
        Ok(names.lines().map(str::to_owned).collect())
    }

    /// Every volume's name.
    pub(crate) fn volumes(&self) -> anyhow::Result<Vec<String>> {
        let names = self.docker(&["volume", "ls", "--format", "{{.Name}}"])?.ok()?;
        Ok(names.lines().map(str::to_owned).collect())
    }

    /// Names of its VXLAN devices and bridges.
    pub(crate) fn devices(&self) -> anyhow::Result<Vec<String>> {
        let mut names = Vec::new();
        for kind in ["vxlan", "bridge"] {
            let links = self.kernel("ip", &["link", "show", "type", kind])?;
            for link in list(&links)? {
                names.push(text(link, "ifname")?);
            }
        }
        Ok(names)
    }

    /// Static forwarding entries: the ones to other hosts, and placeholders.
    pub(crate) fn forwarding(&self) -> anyhow::Result<Vec<String>> {
        let entries = self.kernel("bridge", &["fdb", "show"])?;
        let made = |entry: &&Value| {
            entry["dst"].is_string()
                || list(&entry["flags"]).is_ok_and(|flags| flags.contains(&"sticky".into()))
        };
        let entries = list(&entries)?.iter().filter(made);
        entries.map(|entry| Ok(format!("{} on {}", text(entry, "mac")?, text(entry, "ifname")?))).collect()
    }

    /// Neighbours that somebody made: permanent ones.
    pub(crate) fn neighbours(&self) -> anyhow::Result<Vec<String>> {
        let entries = self.kernel("ip", &["-4", "neigh", "show", "nud", "permanent"])?;
        list(&entries)?
            .iter()
            .map(|entry| Ok(format!("{} on {}", text(entry, "dst")?, text(entry, "dev")?)))
            .collect()
    }

    /// What ip(8) or bridge(8) say in its network namespace.
    ///
    /// # Errors
    /// The host is off, or what is said is no JSON.
    pub fn kernel(&self, program: &str, words: &[&str]) -> anyhow::Result<Value> {
        let said =
            Call::new(program).words(["-netns", &self.host.netns, "-json"]).words(words).end()?.ok()?;
        match said.trim() {
            "" => Ok(Value::Array(Vec::new())),
            said => serde_json::from_str(said).with_context(|| format!("{program} {}", words.join(" "))),
        }
    }
}

/// What a process has allocated, in KiB: its resident memory without what it maps from files.
///
/// # Errors
/// It has ended.
pub fn allocated_kib(pid: u32) -> anyhow::Result<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:")).context("no RssAnon")?;
    Ok(line.trim().trim_end_matches(" kB").parse()?)
}
