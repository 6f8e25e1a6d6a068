//! From a configuration and the command line to a cluster's specification: flags before configuration before defaults.

use std::{collections::BTreeSet, num::NonZeroU32};

use shoal_types::{
    Bytes, ClusterMtu, ClusterName, ClusterSpec, DEFAULT_TMP_SIZE, Gres, HealingChange, LabelExpr, MilliCpu,
    NodeGroup, Profile, RealmName, Role, SchedulerName, SshPublicKey,
};

use super::{
    ConfigError, Document,
    document::Defaults,
    node::Node,
    placing::PlacingOverrides,
    ttl::Ttl,
    value::{Constraint, Count, Cpus, Size},
};

/// What the command line says of a cluster.
#[derive(Debug, Default, Clone)]
pub(crate) struct Overrides {
    /// Instead of `name`.
    pub(crate) name: Option<ClusterName>,
    /// Instead of the count of the one group of workers.
    pub(crate) workers: Option<NonZeroU32>,
    /// Instead of the workers' `cpus`.
    pub(crate) cpus: Option<MilliCpu>,
    /// Instead of the workers' `memory`.
    pub(crate) memory: Option<Bytes>,
    /// Instead of `mtu`.
    pub(crate) mtu: Option<ClusterMtu>,
    /// Instead of `defaults.image`.
    pub(crate) image: Option<String>,
    /// Instead of `scheduler`.
    pub(crate) scheduler: Option<SchedulerName>,
    /// Besides, or instead of, `placing`.
    pub(crate) placing: PlacingOverrides,
    /// Instead of `healing`.
    pub(crate) healing: HealingChange,
    /// Instead of `ttl`.
    pub(crate) ttl: Option<Ttl>,
    /// Besides `constraints`: all of them hold.
    pub(crate) constraints: Vec<LabelExpr>,
    /// Besides `sshKeys`.
    pub(crate) ssh_keys: Vec<SshPublicKey>,
}

/// The cluster that `document`, called `source` in messages, and the command line ask for.
///
/// # Errors
/// [`ConfigError::Workers`]: `--workers` is ambiguous. [`ConfigError::Spec`], [`ConfigError::Slurm`]: there can be
/// no such cluster.
pub(crate) fn cluster_spec(
    source: &str,
    document: Document,
    overrides: Overrides,
    realm: RealmName,
    default_image: &str,
) -> Result<ClusterSpec, ConfigError> {
    let defaults = document.defaults.unwrap_or_default();
    let mut nodes = document.nodes.filter(|nodes| !nodes.is_empty()).unwrap_or_else(|| {
        vec![Node::new(Role::Controller, Count::ONE), Node::new(Role::Worker, Count::ONE)]
    });
    if let Some(workers) = overrides.workers {
        let mut groups: Vec<_> = nodes.iter_mut().filter(|node| node.role == Role::Worker).collect();
        match groups.as_mut_slice() {
            [only] => only.count = Count(workers),
            several => return Err(ConfigError::Workers { name: source.into(), groups: several.len() }),
        }
    }
    let mut workers = 0_u32;
    for node in nodes.iter_mut().filter(|node| node.role == Role::Worker) {
        workers = workers.saturating_add(node.count.0.get());
        node.cpus = overrides.cpus.map(Cpus).or(node.cpus);
        node.memory = overrides.memory.map(Size).or(node.memory);
    }
    let slurm = document.slurm.unwrap_or_default();
    let gres = slurm.gres_of_each();
    let spec = ClusterSpec {
        realm,
        name: overrides.name.or(document.name).unwrap_or_default(),
        image: overrides.image.or(defaults.image.clone()).unwrap_or_else(|| default_image.to_owned()),
        profile: Profile::System,
        scheduler: overrides.scheduler.or(document.scheduler.map(|word| word.0)).unwrap_or_default(),
        placing: document.placing.unwrap_or_default().with(overrides.placing),
        constraints: document
            .constraints
            .into_iter()
            .flatten()
            .map(|c| c.0)
            .chain(overrides.constraints)
            .collect(),
        groups: nodes.into_iter().map(|node| group(node, &defaults, workers, gres)).collect(),
        slurm: document.told,
        ssh_keys: once_each(
            document.ssh_keys.into_iter().flatten().map(|key| key.0).chain(overrides.ssh_keys),
        ),
        mtu: overrides.mtu.or(document.mtu.map(|mtu| mtu.0)),
        healing: document.healing.unwrap_or_default().with(overrides.healing),
        ttl: overrides.ttl.or(document.ttl.map(|word| word.0)).map(|ttl| ttl.0),
    };
    spec.check().map_err(|error| ConfigError::Spec { name: source.into(), source: error })?;
    shoal_slurm::check(&spec).map_err(ConfigError::Slurm)?;
    Ok(spec)
}

/// In the order given; a key that is given twice counts once.
fn once_each(keys: impl Iterator<Item = SshPublicKey>) -> Vec<SshPublicKey> {
    let mut seen = BTreeSet::new();
    keys.filter(|key| seen.insert(key.clone())).collect()
}

fn group(node: Node, defaults: &Defaults, workers: u32, gres: &[Gres]) -> NodeGroup {
    let cpus = node.cpus.or(defaults.cpus).map(|c| c.0);
    let memory = node.memory.or(defaults.memory).map(|m| m.0);
    let count = node.count.0.get();
    let sized = match node.role {
        Role::Controller => NodeGroup { count, ..NodeGroup::controller(workers, cpus, memory) },
        role @ (Role::Submitter | Role::Api | Role::Worker) => NodeGroup::new(role, count, cpus, memory),
    };
    // Only workers are nodes of Slurm's; what a group of others says of itself there is refused.
    let gres = if node.role == Role::Worker { gres } else { &[] };
    NodeGroup {
        slurm: node.slurm.unwrap_or_default().told(gres),
        tmp_size: node.tmp_size.or(defaults.tmp_size).map_or(DEFAULT_TMP_SIZE, |s| s.0),
        shm_size: node.shm_size.or(defaults.shm_size).map(|s| s.0),
        constraints: node.constraints.into_iter().map(|Constraint(expr)| expr).collect(),
        ..sized
    }
}
