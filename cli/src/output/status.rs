//! How a cluster is: a headline, its nodes one a row, then what is not as it should be.

use std::collections::BTreeMap;

use serde::Serialize;
use shoal_proto::v1;
use shoal_types::{natural, nodeset};

use super::{NetworkJson, Width, hosts::age, table};
use crate::{error::CliError, escape};

/// How a cluster is.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct StatusJson {
    /// Its name.
    name: String,
    /// Its realm.
    realm: String,
    /// creating, ready, failed, deleting, interrupted
    phase: String,
    /// Whether it is ready and nothing is wrong with any node, host or Slurm.
    well: bool,
    /// Why it failed; null if it did not.
    failure: Option<String>,
    /// Its nodes, in natural order of their names.
    nodes: Vec<NodeStatusJson>,
    /// The hosts that have nodes of it, in natural order of their names.
    hosts: Vec<HostStatusJson>,
    /// Its network.
    network: Option<NetworkJson>,
    /// The image its nodes run.
    image: ImageJson,
    /// Its Slurm.
    slurm: SlurmJson,
    /// How long the answer took, in milliseconds.
    elapsed_ms: u64,
}

/// How a node is.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
struct NodeStatusJson {
    name: String,
    role: String,
    host: Option<String>,
    address: String,
    /// running, paused, restarting, created, exited, dead, removing, absent, unknown
    container: String,
    /// running, degraded, starting, stopped, unknown
    systemd: String,
    /// up, down, unknown
    munge: String,
    /// up, down, unknown
    sshd: String,
    /// slurmctld or slurmd: up, down, unknown; null for a submitter
    daemon: Option<String>,
    /// As Slurm says it, with its flags, such as `idle` or `down*`; null for a node that is none of Slurm's
    slurm: Option<String>,
    /// Why it is down or drained, as Slurm knows it.
    slurm_reason: Option<String>,
    /// How old what is told of the container is, in milliseconds.
    age_ms: u64,
    /// What is not as it should be.
    troubles: Vec<String>,
}

/// How a host of the cluster is.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
struct HostStatusJson {
    name: String,
    /// Nodes of the cluster there.
    nodes: u32,
    engine_version: Option<String>,
    /// Null if its agent does not answer.
    agent_version: Option<String>,
    /// Its part of the network: ok, trouble, absent, unknown
    network: String,
    network_trouble: Option<String>,
    /// Why its engine could not be asked.
    error: Option<String>,
    /// Why its agent could not be asked.
    agent_error: Option<String>,
    /// How long ago its engine was heard, in milliseconds.
    age_ms: u64,
}

/// The image of a cluster.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
struct ImageJson {
    reference: String,
    digest: String,
}

/// Slurm of a cluster.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
struct SlurmJson {
    version: Option<String>,
    /// Why it was not heard.
    error: Option<String>,
    /// State -> number of workers in it.
    workers: BTreeMap<String, usize>,
}

fn known(text: String) -> Option<String> {
    (!text.is_empty()).then_some(text)
}

impl TryFrom<v1::GetStatusResponse> for StatusJson {
    type Error = CliError;

    fn try_from(answer: v1::GetStatusResponse) -> Result<Self, CliError> {
        let cluster = answer.cluster.ok_or(CliError::Answer { missing: "the cluster" })?;
        let mut workers = BTreeMap::new();
        for node in answer.nodes.iter().filter(|n| !n.slurm.is_empty()) {
            *workers.entry(node.slurm.clone()).or_default() += 1;
        }
        let mut status = Self {
            name: cluster.name,
            realm: cluster.realm,
            phase: cluster.phase,
            well: false,
            failure: known(cluster.failure),
            nodes: answer.nodes.into_iter().map(Into::into).collect(),
            hosts: answer.hosts.into_iter().map(Into::into).collect(),
            network: cluster.network.map(Into::into),
            image: ImageJson { reference: cluster.image, digest: answer.image_id },
            slurm: SlurmJson {
                version: known(cluster.slurm_version),
                error: known(answer.slurm_error),
                workers,
            },
            elapsed_ms: answer.elapsed_ms,
        };
        status.well = status.phase == "ready"
            && status.slurm.error.is_none()
            && status.nodes.iter().all(|n| n.troubles.is_empty())
            && status.hosts.iter().all(|h| h.error.is_none() && h.agent_error.is_none() && h.network == "ok");
        Ok(status)
    }
}

impl From<v1::NodeStatus> for NodeStatusJson {
    fn from(node: v1::NodeStatus) -> Self {
        Self {
            name: node.name,
            role: node.role,
            host: known(node.host),
            address: node.address,
            container: node.container,
            systemd: node.systemd,
            munge: node.munge,
            sshd: node.sshd,
            daemon: known(node.daemon),
            slurm: known(node.slurm),
            slurm_reason: known(node.slurm_reason),
            age_ms: node.age_ms,
            troubles: node.troubles,
        }
    }
}

impl From<v1::HostStatus> for HostStatusJson {
    fn from(host: v1::HostStatus) -> Self {
        Self {
            name: host.name,
            nodes: host.nodes,
            engine_version: known(host.engine_version),
            agent_version: known(host.agent_version),
            network: host.network,
            network_trouble: known(host.network_trouble),
            error: known(host.error),
            agent_error: known(host.agent_error),
            age_ms: host.age_ms,
        }
    }
}

impl StatusJson {
    /// Whether it is ready and nothing is wrong.
    pub(crate) fn is_well(&self) -> bool {
        self.well
    }

    /// `dev is ready: 17 of 17 nodes are well; workers: 16 idle`.
    fn headline(&self) -> String {
        let well = self.nodes.iter().filter(|n| n.troubles.is_empty()).count();
        let but = if self.phase == "ready" && !self.well { ", but not well" } else { "" };
        let states: Vec<_> =
            self.slurm.workers.iter().map(|(state, count)| format!("{count} {state}")).collect();
        let workers =
            if states.is_empty() { String::new() } else { format!("; workers: {}", states.join(", ")) };
        let line = format!(
            "{} is {}{but}: {well} of {} nodes are well{workers}",
            self.name,
            self.phase,
            self.nodes.len()
        );
        escape::line(&line)
    }

    /// The lines below the headline, as `name: value`.
    fn facts(&self) -> Vec<(&'static str, String)> {
        let mut facts = vec![("slurm", self.slurm.version.clone().unwrap_or_else(|| "unknown".into()))];
        facts.push((
            "image",
            match self.image.digest.as_str() {
                "" => self.image.reference.clone(),
                digest => {
                    format!("{} ({})", self.image.reference, digest.chars().take(19).collect::<String>())
                }
            },
        ));
        facts.extend(self.network.as_ref().map(|network| ("network", network.to_string())));
        for host in &self.hosts {
            let of = |version: &Option<String>| version.clone().unwrap_or_else(|| "unknown".into());
            facts.push((
                "host",
                format!(
                    "{}: {} {}, engine {}, agent {}, network {}",
                    host.name,
                    host.nodes,
                    if host.nodes == 1 { "node" } else { "nodes" },
                    of(&host.engine_version),
                    of(&host.agent_version),
                    host.network
                ),
            ));
        }
        facts
    }

    /// One line for each thing that is wrong: nodes with the same trouble together.
    fn troubles(&self) -> Vec<String> {
        let mut lines = Vec::new();
        lines.extend(self.failure.iter().map(|why| format!("{}: {why}", self.name)));
        lines.extend(self.slurm.error.iter().map(|why| format!("Slurm does not answer: {why}")));
        for host in &self.hosts {
            let heard = if host.age_ms == 0 {
                String::new()
            } else {
                format!(" (last heard {} ago)", age(host.age_ms))
            };
            let bare = |why: &String| super::without_host(&host.name, why).to_owned();
            lines.extend(host.error.iter().map(|why| format!("{}: {}{heard}", host.name, bare(why))));
            lines.extend(
                host.agent_error.iter().map(|why| format!("{}: its agent: {}", host.name, bare(why))),
            );
            lines.extend(host.network_trouble.iter().map(|why| format!("{}: its network: {why}", host.name)));
        }
        let mut alike: Vec<(&str, Vec<&str>)> = Vec::new();
        for node in &self.nodes {
            for trouble in &node.troubles {
                match alike.iter_mut().find(|(known, _)| known == trouble) {
                    Some((_, nodes)) => nodes.push(&node.name),
                    None => alike.push((trouble, vec![&node.name])),
                }
            }
        }
        alike.sort_by(|a, b| natural::cmp(a.1[0], b.1[0]));
        lines.extend(
            alike
                .iter()
                .map(|(trouble, nodes)| format!("{}: {trouble}", nodeset::compress(nodes.iter().copied()))),
        );
        lines.iter().map(|line| escape::line(line)).collect()
    }
}

/// The whole, for people.
pub(crate) fn status_text(width: Width, status: &StatusJson) -> String {
    let or = |text: &Option<String>, none: &str| text.clone().unwrap_or_else(|| none.into());
    let rows = status.nodes.iter().map(|node| {
        [
            node.name.clone(),
            node.container.clone(),
            node.systemd.clone(),
            node.munge.clone(),
            node.sshd.clone(),
            or(&node.slurm, "-"),
            or(&node.host, "-"),
            node.address.clone(),
            if node.age_ms == 0 { "now".into() } else { age(node.age_ms) },
        ]
    });
    let header = ["NAME", "CONTAINER", "SYSTEMD", "MUNGE", "SSHD", "SLURM", "HOST", "ADDRESS", "SEEN"];
    let mut text = status.headline();
    for (what, that) in status.facts() {
        text += &format!("\n{:<9}{}", format!("{what}:"), escape::line(&that));
    }
    text += &format!("\n\n{}", table(width, header, 7, rows, "no nodes"));
    let troubles = status.troubles();
    if !troubles.is_empty() {
        text += &format!("\n\n{}", troubles.join("\n"));
    }
    text
}

#[cfg(test)]
mod tests;
