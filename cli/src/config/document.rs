//! The configuration as written: one struct per section, unknown keys refused, nothing filled in yet.
//!
//! ```yaml
//! kind: Cluster
//! name: dev
//! realm: default
//! mtu: 1400
//! defaults: { image: shoal-node:bookworm, cpus: 1, memory: 512m, tmpSize: 256m }
//! scheduler: spread
//! constraints: ['rack in (a,b)']
//! healing: { policy: restart, after: 2m }
//! ttl: 4h
//! placing: { apart: [controller], maxPerHost: 4, spreadOver: rack, pins: ['controller=host1'] }
//! nodes:
//!   - controller
//!   - worker: 3
//!   - { role: worker, count: 2, memory: 1g, constraints: [gpu] }
//! sshKeys: [ssh-ed25519 AAAA... me@desk]
//! slurm: { cpus: 64, memory: 256g, main: { limits: "MaxJobCount=100\n" } }
//! ```

use serde::Deserialize;
use shoal_types::{ClusterName, RealmName, SchedulerName, SlurmSpec};

use super::{
    ConfigError, Source, explain,
    healing::HealingSection,
    node::Node,
    placing::PlacingSection,
    slurm::Slurm,
    ttl::Ttl,
    value::{Constraint, Cpus, Mtu, Size, SshKey, Word},
};

/// Deepest nesting of a configuration; sind's goes to 4.
const MAX_DEPTH: usize = 16;
/// Most nodes of the YAML tree: every node of the largest cluster listed as an object.
const MAX_NODES: usize = 250_000;
/// Most nodes of the tree that aliases may stand for; more is an attack or a mistake.
const MAX_REPLAYED: usize = 10_000;

/// A whole configuration.
#[derive(Debug, Default, Clone, PartialEq, Eq, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Document {
    /// `Cluster`.
    kind: Kind,
    /// Name of the cluster; `default` if left out.
    #[cfg_attr(test, schemars(with = "Option<String>"))]
    pub(super) name: Option<ClusterName>,
    /// Realm of the cluster.
    #[cfg_attr(test, schemars(with = "Option<String>"))]
    pub(crate) realm: Option<RealmName>,
    /// MTU of the nodes' interfaces, in bytes; the most that their hosts leave if left out. It does not change afterwards.
    pub(super) mtu: Option<Mtu>,
    /// Values for every node without its own.
    pub(super) defaults: Option<Defaults>,
    /// The nodes; a controller and a worker if left out.
    pub(super) nodes: Option<Vec<Node>>,
    /// Settings of Slurm.
    pub(super) slurm: Option<Slurm>,
    /// Strategy or program that chooses hosts.
    pub(super) scheduler: Option<Word<SchedulerName>>,
    /// Rules on where nodes go.
    pub(super) placing: Option<PlacingSection>,
    /// What is done by itself for nodes that are down.
    pub(super) healing: Option<HealingSection>,
    /// How long the cluster lives, from 1m to 365d; then a server deletes it. It stays if left out.
    pub(super) ttl: Option<Word<Ttl>>,
    /// Conditions on the hosts of all nodes.
    pub(super) constraints: Option<Vec<Constraint>>,
    /// SSH public keys that open root's account on every node.
    pub(super) ssh_keys: Option<Vec<SshKey>>,
    /// What the section `slurm` comes to, with the files that it names.
    #[serde(skip)]
    pub(super) told: SlurmSpec,
}

/// What a configuration describes.
#[derive(Debug, Default, Clone, PartialEq, Eq, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(inline))]
enum Kind {
    /// A cluster.
    #[default]
    Cluster,
}

/// `defaults`: values for every node without its own.
#[derive(Debug, Default, Clone, PartialEq, Eq, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Defaults {
    /// Image reference.
    pub(super) image: Option<String>,
    /// CPUs.
    pub(super) cpus: Option<Cpus>,
    /// Memory.
    pub(super) memory: Option<Size>,
    /// Size of `/tmp`.
    pub(super) tmp_size: Option<Size>,
    /// Size of `/dev/shm`; half of the memory if left out.
    pub(super) shm_size: Option<Size>,
}

impl Document {
    /// Reads a configuration from `source`.
    ///
    /// # Errors
    /// [`ConfigError`]: it cannot be read, or is not a configuration.
    pub(crate) fn load(source: &Source) -> Result<Self, ConfigError> {
        Self::parse(source, &source.read()?)
    }

    /// Reads the configuration in `text`, which is from `source`.
    ///
    /// # Errors
    /// [`ConfigError`]: it is not a configuration, or names a file that cannot be read, and where.
    pub(super) fn parse(source: &Source, text: &str) -> Result<Self, ConfigError> {
        let name = &source.name();
        if text.lines().all(|line| line.trim_start().is_empty() || line.trim_start().starts_with('#')) {
            return Err(ConfigError::Empty { name: name.into() });
        }
        let options = serde_saphyr::options! {
            budget: serde_saphyr::budget! {
                max_depth: MAX_DEPTH,
                flow_nesting_limit: MAX_DEPTH,
                max_nodes: MAX_NODES,
            },
            alias_limits: serde_saphyr::alias_limits! { max_total_replayed_events: MAX_REPLAYED },
            duplicate_keys: serde_saphyr::DuplicateKeyPolicy::Error,
            with_snippet: false,
        };
        let read = serde_saphyr::from_str_with_options::<Self>(text, options);
        let mut document = read.map_err(|error| explain::explain(name, &error))?;
        if let Some(slurm) = &document.slurm {
            document.told = slurm.clone().told(source, text)?;
        }
        Ok(document)
    }
}
