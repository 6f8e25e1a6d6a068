//! A cluster as Shoal tells of it, and its nodes as their engines run them.

use std::net::Ipv4Addr;

use anyhow::{Context, bail};
use serde_json::Value;

use crate::{
    call::Ended,
    json::{list, text},
    machine::Machine,
};

/// A cluster.
#[derive(Debug, Clone)]
pub struct Cluster {
    /// Its id: the label of all its objects.
    pub id: String,
    /// Its name.
    pub name: String,
    /// Its subnet, as `a.b.c.d/n`.
    pub subnet: String,
    /// Its nodes, in the order Shoal lists them.
    pub nodes: Vec<Node>,
}

/// A node.
#[derive(Debug, Clone)]
pub struct Node {
    /// Its id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// `controller`, `submitter`, `worker`.
    pub role: String,
    /// `name.cluster.realm.shoal.internal`.
    pub fqdn: String,
    /// Its address.
    pub address: Ipv4Addr,
    /// Its state.
    pub state: String,
    /// Its host.
    pub machine: Machine,
}

impl Cluster {
    pub(crate) fn read(cluster: &Value, machines: &[Machine]) -> anyhow::Result<Self> {
        let nodes = list(&cluster["nodes"])?.iter().map(|node| Node::read(node, machines));
        Ok(Self {
            id: text(cluster, "id")?,
            name: text(cluster, "name")?,
            subnet: text(&cluster["network"], "subnet")?,
            nodes: nodes.collect::<anyhow::Result<_>>()?,
        })
    }

    /// The node of this name.
    ///
    /// # Errors
    /// There is none.
    pub fn node(&self, name: &str) -> anyhow::Result<&Node> {
        self.nodes.iter().find(|node| node.name == name).with_context(|| format!("no node {name}"))
    }

    /// Its workers.
    pub fn workers(&self) -> impl Iterator<Item = &Node> {
        self.nodes.iter().filter(|node| node.role == "worker")
    }

    /// One worker of every host that has some, and these hosts differ.
    #[must_use]
    pub fn one_worker_per_host(&self) -> Vec<&Node> {
        let mut found: Vec<&Node> = Vec::new();
        for worker in self.workers() {
            if found.iter().all(|node| node.machine.name() != worker.machine.name()) {
                found.push(worker);
            }
        }
        found
    }
}

impl Node {
    fn read(node: &Value, machines: &[Machine]) -> anyhow::Result<Self> {
        let host = text(node, "host")?;
        let machine = machines.iter().find(|machine| machine.name() == host);
        Ok(Self {
            id: text(node, "id")?,
            name: text(node, "name")?,
            role: text(node, "role")?,
            fqdn: text(node, "fqdn")?,
            address: text(node, "address")?.parse()?,
            state: text(node, "state")?,
            machine: machine.cloned().with_context(|| format!("no host {host} in the lab"))?,
        })
    }

    /// Its container, as its engine has it.
    ///
    /// # Errors
    /// There is none, or more than one.
    pub fn container(&self) -> anyhow::Result<String> {
        let found = self.machine.labelled("container", &format!("shoal.node={}", self.id))?;
        match found.as_slice() {
            [one] => Ok(one.clone()),
            other => bail!("{} has the containers {other:?} on {}", self.name, self.machine.name()),
        }
    }

    /// Runs a command in it.
    ///
    /// # Errors
    /// It has no container.
    pub fn exec(&self, words: &[&str]) -> anyhow::Result<Ended> {
        self.machine.exec(&self.container()?, words)
    }

    /// Runs a line of shell in it.
    ///
    /// # Errors
    /// It has no container.
    pub fn shell(&self, line: &str) -> anyhow::Result<Ended> {
        self.exec(&["sh", "-c", line])
    }
}
