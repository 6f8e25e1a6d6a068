//! What a user asks for: a cluster of groups of nodes, how they are placed, and what Slurm is told.

use std::{collections::BTreeMap, fmt};

use serde::{Deserialize, Serialize};

use crate::{
    Bytes, ClusterMtu, ClusterName, Healing, ImageRef, LabelExpr, NodeName, NodeSlurm, NodeSlurmError,
    Placing, PlacingError, RealmName, Resources, Role, RoleCount, SchedulerName, SshPublicKey, Ttl,
};

/// Most nodes of one cluster: a /16 holds no more with room for Docker's own range.
const MAX_NODES: u32 = 10_000;

/// What runs as PID 1 of a node.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Profile {
    /// systemd: the node behaves like a machine.
    #[default]
    System,
}

impl Profile {
    /// Every profile.
    pub const ALL: [Self; 1] = [Self::System];

    /// The word, as given in a specification.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::System => "system",
        }
    }
}

impl fmt::Display for Profile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// Some nodes of one role and size.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeGroup {
    /// What they do.
    pub role: Role,
    /// How many.
    pub count: u32,
    /// What each reserves of its host.
    pub reserve: Resources,
    /// What each may use at most; no CPU limit if `None`.
    pub cpu_limit: Option<crate::MilliCpu>,
    /// Memory each may use at most, in bytes.
    pub memory_limit: Bytes,
    /// Size of `/tmp`, in bytes.
    pub tmp_size: Bytes,
    /// Size of `/dev/shm`, in bytes; half of the memory limit if `None`.
    #[serde(default)]
    pub shm_size: Option<Bytes>,
    /// Conditions on hosts, besides the cluster's.
    pub constraints: Vec<LabelExpr>,
    /// What Slurm is told of each.
    #[serde(default, skip_serializing_if = "NodeSlurm::is_empty")]
    pub slurm: NodeSlurm,
}

/// What a node that names no CPU size reserves: simulated nodes are idle most of the time.
pub const DEFAULT_RESERVED_CPU: crate::MilliCpu = crate::MilliCpu(50);
/// What a node that names no memory size reserves: an idle systemd node with slurmd is resident in about 40 MiB.
pub const DEFAULT_RESERVED_MEMORY: Bytes = Bytes::mib(64);
/// What a node that names no memory size may use.
pub const DEFAULT_MEMORY_LIMIT: Bytes = Bytes::mib(512);
/// Workers beyond which a controller's defaults grow with each: slurmctld has a record, and at the start a connection, of every
/// worker.
const SMALL_CLUSTER: u32 = 64;
/// What a controller reserves more for each of these.
const RESERVED_CPU_PER_WORKER: crate::MilliCpu = crate::MilliCpu(1);
/// The same of memory.
const RESERVED_MEMORY_PER_WORKER: Bytes = Bytes(128 << 10);
/// How much more memory it may use for each.
const MEMORY_LIMIT_PER_WORKER: Bytes = Bytes(512 << 10);
/// Size of a node's `/tmp` if none is named.
pub const DEFAULT_TMP_SIZE: Bytes = Bytes::mib(256);

impl NodeGroup {
    /// `count` nodes of this role. A named size is both reserved and the limit; without one, little is reserved.
    #[must_use]
    pub fn new(role: Role, count: u32, cpus: Option<crate::MilliCpu>, memory: Option<Bytes>) -> Self {
        Self {
            role,
            count,
            reserve: Resources {
                cpu: cpus.unwrap_or(DEFAULT_RESERVED_CPU),
                memory: memory.unwrap_or(DEFAULT_RESERVED_MEMORY),
            },
            cpu_limit: cpus,
            memory_limit: memory.unwrap_or(DEFAULT_MEMORY_LIMIT),
            tmp_size: DEFAULT_TMP_SIZE,
            shm_size: None,
            constraints: Vec::new(),
            slurm: NodeSlurm::default(),
        }
    }

    /// The controller of so many workers, whose defaults follow their number.
    #[must_use]
    pub fn controller(workers: u32, cpus: Option<crate::MilliCpu>, memory: Option<Bytes>) -> Self {
        let mut group = Self::new(Role::Controller, 1, cpus, memory);
        let more = u64::from(workers.saturating_sub(SMALL_CLUSTER));
        if cpus.is_none() {
            group.reserve.cpu.0 += more * RESERVED_CPU_PER_WORKER.0;
        }
        if memory.is_none() {
            group.reserve.memory.0 += more * RESERVED_MEMORY_PER_WORKER.0;
            group.memory_limit.0 += more * MEMORY_LIMIT_PER_WORKER.0;
        }
        group
    }
}

/// What Slurm is told.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SlurmSpec {
    /// Text for slurm.conf, fragment name -> text, in order of the names; put before the generated node lines.
    pub main: BTreeMap<String, String>,
    /// CPUs a worker tells Slurm it has; its own size, rounded up, if `None`.
    pub cpus: Option<u32>,
    /// Memory a worker tells Slurm it has; its limit if `None`.
    pub memory: Option<Bytes>,
    /// Files beside slurm.conf, path below its directory -> text.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub files: BTreeMap<String, String>,
    /// Where texts were written, for messages: what a user calls a text ([`SlurmSpec::fragment`], [`SlurmSpec::file`]) -> its place.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub places: BTreeMap<String, TextPlace>,
}

/// Name of a fragment that was given without one.
pub const MAIN_FRAGMENT: &str = "main";

impl SlurmSpec {
    /// What a user calls a fragment of `main`.
    #[must_use]
    pub fn fragment(name: &str) -> String {
        if name == MAIN_FRAGMENT { "slurm.main".to_owned() } else { format!("slurm.main.{name}") }
    }

    /// What a user calls a file of `files`.
    #[must_use]
    pub fn file(name: &str) -> String {
        format!("slurm.files.{name}")
    }
}

/// Where a text was written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TextPlace {
    /// The file, as it was named.
    pub file: String,
    /// The line of it that has the text's first, from 1.
    pub line: u32,
    /// Whether each line of the text is one of the file; else all of them are that one.
    pub by_line: bool,
}

impl TextPlace {
    /// The line of the file that has this one of the text; both from 1.
    #[must_use]
    pub fn line_of(&self, line: usize) -> u32 {
        let after = u32::try_from(line.saturating_sub(1)).unwrap_or(u32::MAX);
        if self.by_line { self.line.saturating_add(after) } else { self.line }
    }
}

/// A cluster as asked for; checked by [`ClusterSpec::check`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClusterSpec {
    /// Namespace.
    pub realm: RealmName,
    /// Name in it.
    pub name: ClusterName,
    /// Image reference of every node.
    pub image: String,
    /// What runs as PID 1.
    pub profile: Profile,
    /// Who chooses hosts.
    pub scheduler: SchedulerName,
    /// What must hold of the nodes' hosts together.
    #[serde(default)]
    pub placing: Placing,
    /// Conditions on the hosts of all nodes.
    pub constraints: Vec<LabelExpr>,
    /// The nodes, in the order they are numbered.
    pub groups: Vec<NodeGroup>,
    /// What Slurm is told.
    pub slurm: SlurmSpec,
    /// Who may log in to every node as root, besides the cluster's own key.
    #[serde(default)]
    pub ssh_keys: Vec<SshPublicKey>,
    /// MTU of the nodes' interfaces; the most that their hosts leave if `None`.
    #[serde(default)]
    pub mtu: Option<ClusterMtu>,
    /// How it heals by itself, at first: what holds now stands in the cluster's row.
    #[serde(default)]
    pub healing: Healing,
    /// How long it lives, at first: when it ends stands in the cluster's row. It stays if `None`.
    #[serde(default)]
    pub ttl: Option<Ttl>,
}

/// Why a specification cannot be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SpecError {
    /// Not exactly one node of a role there is one of.
    #[error("a cluster has exactly one {role}, not {count}")]
    NotOne {
        /// The role.
        role: Role,
        /// How many were asked for.
        count: u64,
    },
    /// More than one node of a role there is at most one of.
    #[error("a cluster has at most one {role}, not {count}")]
    MoreThanOne {
        /// The role.
        role: Role,
        /// How many were asked for.
        count: u64,
    },
    /// No node of a role there must be some of.
    #[error("a cluster needs at least one {role}")]
    None {
        /// The role.
        role: Role,
    },
    /// More than a network can hold.
    #[error("{count} nodes are too many for one cluster: at most {MAX_NODES}")]
    TooMany {
        /// How many were asked for.
        count: u64,
    },
    /// The image reference is too long, or none by [`ImageRef::is_valid`].
    #[error("`{image}` is not an image reference")]
    Image {
        /// What was given, shortened and escaped.
        image: String,
    },
    /// Less memory than a node needs to boot.
    #[error("{memory} is too little memory for a {role}: at least {MIN_MEMORY}")]
    Memory {
        /// The role of the group.
        role: Role,
        /// What was asked for.
        memory: Bytes,
    },
    /// More keys than an archive should carry.
    #[error("{count} SSH keys are too many for one cluster: at most {MAX_SSH_KEYS}")]
    SshKeys {
        /// How many were given.
        count: usize,
    },
    /// A Slurm fragment's name is no plain file name, or its text is too long or has a NUL.
    #[error("slurm.main fragment `{name}` is not usable: a plain name and at most 1 MiB of text without NUL")]
    Fragment {
        /// The name, escaped.
        name: String,
    },
    /// A file's name is no plain path, or its text is too long or has a NUL.
    #[error(
        "slurm.files `{name}` is not usable: a name such as `job_submit.lua` or `scripts/prolog`, and at most 1 MiB of text without NUL"
    )]
    File {
        /// The name, escaped.
        name: String,
    },
    /// More text than an archive should carry.
    #[error("the texts for Slurm are too long together: at most {} MiB", MAX_TEXTS >> 20)]
    Texts,
    /// Slurm has no node of that role.
    #[error("a {role} runs no jobs: `slurm` is for workers")]
    NoSlurmNode {
        /// The role.
        role: Role,
    },
    /// What Slurm is told of a node cannot be.
    #[error(transparent)]
    NodeSlurm(#[from] NodeSlurmError),
    /// A rule of placing that cannot be.
    #[error(transparent)]
    Placing(#[from] PlacingError),
}

/// Longest text for Slurm, in bytes.
const MAX_TEXT: usize = 1 << 20;
/// Most bytes of all of them: they are in every node's archive.
const MAX_TEXTS: usize = 4 << 20;
/// Longest path of a file below Slurm's directory: a tar header holds 99 characters.
const MAX_FILE_NAME: usize = 64;

impl SlurmSpec {
    /// Checks names and lengths of the texts.
    fn check(&self) -> Result<(), SpecError> {
        let plain = |name: &str, others: &[u8]| {
            !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || others.contains(&b))
        };
        let usable = |text: &str| text.len() <= MAX_TEXT && !text.contains('\0');
        for (name, text) in &self.main {
            if name.len() > MAX_FILE_NAME || !plain(name, b"-_") || !usable(text) {
                return Err(SpecError::Fragment { name: name.escape_default().to_string() });
            }
        }
        for (name, text) in &self.files {
            let part = |part: &str| plain(part, b"-_.") && !part.starts_with('.');
            if name.len() > MAX_FILE_NAME || !name.split('/').all(part) || !usable(text) {
                return Err(SpecError::File { name: name.escape_default().to_string() });
            }
        }
        match self.main.values().chain(self.files.values()).map(String::len).sum::<usize>() {
            0..=MAX_TEXTS => Ok(()),
            _ => Err(SpecError::Texts),
        }
    }
}

/// Most SSH keys of a cluster: they are in every node's archive.
const MAX_SSH_KEYS: usize = 1000;

/// Least memory of a node: systemd, munge, sshd and a Slurm daemon boot in about 40 MiB.
pub const MIN_MEMORY: Bytes = Bytes::mib(64);

impl ClusterSpec {
    /// Checks what must hold of the whole.
    ///
    /// # Errors
    /// [`SpecError`]: the first rule broken.
    pub fn check(&self) -> Result<(), SpecError> {
        let count = |role: Role| {
            self.groups.iter().filter(|g| g.role == role).map(|g| u64::from(g.count)).sum::<u64>()
        };
        let total: u64 = self.groups.iter().map(|g| u64::from(g.count)).sum();
        for role in Role::ALL {
            let count = count(role);
            match role.count() {
                RoleCount::One if count != 1 => return Err(SpecError::NotOne { role, count }),
                RoleCount::AtMostOne if count > 1 => return Err(SpecError::MoreThanOne { role, count }),
                RoleCount::Many if count == 0 => return Err(SpecError::None { role }),
                RoleCount::One | RoleCount::AtMostOne | RoleCount::Many => {}
            }
        }
        if total > u64::from(MAX_NODES) {
            return Err(SpecError::TooMany { count: total });
        }
        if self.image.len() > 255 || !ImageRef::is_valid(&self.image) {
            let image = self.image.chars().take(80).flat_map(char::escape_default).collect();
            return Err(SpecError::Image { image });
        }
        if let Some(group) = self.groups.iter().find(|g| g.memory_limit < MIN_MEMORY) {
            return Err(SpecError::Memory { role: group.role, memory: group.memory_limit });
        }
        if self.ssh_keys.len() > MAX_SSH_KEYS {
            return Err(SpecError::SshKeys { count: self.ssh_keys.len() });
        }
        self.slurm.check()?;
        if let Some(group) = self.groups.iter().find(|g| g.role != Role::Worker && !g.slurm.is_empty()) {
            return Err(SpecError::NoSlurmNode { role: group.role });
        }
        for group in &self.groups {
            group.slurm.check()?;
        }
        Ok(self.placing.check(&self.scheduler, || self.nodes().map(|(name, _)| name))?)
    }

    /// The nodes with their names, in the order they are numbered: `controller`, `submitter`, `api`, `worker-0`, `worker-1`, ...;
    /// workers are numbered across groups.
    pub fn nodes(&self) -> impl Iterator<Item = (NodeName, &NodeGroup)> {
        self.numbered().map(|node| (node.name, node.group))
    }

    /// The same with their numbers.
    pub fn numbered(&self) -> impl Iterator<Item = SpecNode<'_>> {
        let mut next = BTreeMap::new();
        let groups = (0_u32..).zip(&self.groups);
        let each = groups.flat_map(|numbered| std::iter::repeat_n(numbered, numbered.1.count as usize));
        each.filter_map(move |(group_number, group)| {
            let next = next.entry(group.role).or_insert(0_u32);
            let index = *next;
            *next += 1;
            Some(SpecNode { name: group.role.node_name(index).parse().ok()?, index, group_number, group })
        })
    }
}

/// A node of a specification.
#[derive(Debug, Clone)]
pub struct SpecNode<'a> {
    /// Its name.
    pub name: NodeName,
    /// Its number among those of its role, from 0.
    pub index: u32,
    /// The number of its group, from 0.
    pub group_number: u32,
    /// Its group.
    pub group: &'a NodeGroup,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Strategy;

    fn spec(workers: u32) -> ClusterSpec {
        ClusterSpec {
            realm: RealmName::default(),
            name: ClusterName::default(),
            image: "shoal-node:bookworm".into(),
            profile: Profile::System,
            scheduler: Strategy::Spread.into(),
            placing: Placing::default(),
            constraints: vec![],
            groups: vec![
                NodeGroup::new(Role::Controller, 1, None, None),
                NodeGroup::new(Role::Worker, workers, None, None),
            ],
            slurm: SlurmSpec::default(),
            ssh_keys: vec![],
            mtu: None,
            healing: Healing::default(),
            ttl: None,
        }
    }

    #[test]
    fn a_controllers_defaults_follow_its_workers_and_named_sizes_do_not() {
        let sizes = |workers, cpus, memory| {
            let group = NodeGroup::controller(workers, cpus, memory);
            (group.reserve.cpu.0, group.reserve.memory, group.cpu_limit, group.memory_limit)
        };
        assert_eq!(sizes(64, None, None), (50, Bytes::mib(64), None, Bytes::mib(512)));
        assert_eq!(sizes(1064, None, None), (1050, Bytes::mib(189), None, Bytes::mib(1012)));
        let cpu = crate::MilliCpu(200);
        let named = (200, Bytes::mib(100), Some(cpu), Bytes::mib(100));
        assert_eq!(sizes(1064, Some(cpu), Some(Bytes::mib(100))), named);
        let worker = NodeGroup::new(Role::Worker, 1064, None, None);
        assert_eq!((worker.reserve.cpu.0, worker.memory_limit), (50, Bytes::mib(512)));
    }

    #[test]
    fn names_count_up_across_groups() {
        let mut spec = spec(2);
        spec.groups.push(NodeGroup::new(Role::Worker, 1, None, None));
        let names: Vec<_> = spec.nodes().map(|(name, _)| name.to_string()).collect();
        assert_eq!(names, ["controller", "worker-0", "worker-1", "worker-2"]);
        let numbers: Vec<_> = spec.numbered().map(|node| (node.group_number, node.index)).collect();
        assert_eq!(numbers, [(0, 0), (1, 0), (1, 1), (2, 2)]);
    }

    #[test]
    fn what_nodes_are_made_with_is_in_their_digest() {
        let plain = spec(2).settings();
        assert_eq!(
            plain,
            crate::SettingsDigest::of("system", &BTreeMap::new(), []),
            "as before there was more"
        );
        let change = |change: fn(&mut ClusterSpec)| {
            let mut spec = spec(2);
            change(&mut spec);
            spec.settings()
        };
        let digests = [
            plain,
            change(|spec| drop(spec.slurm.files.insert("a".into(), "x".into()))),
            change(|spec| drop(spec.slurm.files.insert("ax".into(), String::new()))),
            change(|spec| spec.groups[1].slurm.gres.push("gpu:1".parse().unwrap())),
            change(|spec| spec.groups[1].slurm.features.push("big".parse().unwrap())),
            change(|spec| spec.groups[1].slurm.weight = Some(2)),
        ];
        let unique: std::collections::HashSet<_> = digests.iter().collect();
        assert_eq!(unique.len(), digests.len());
        // A size is the node's row's, and where a text was written is for messages.
        let mut same = spec(2);
        same.groups[1].slurm.cpus = Some(4);
        let place = TextPlace { file: "dev.yaml".into(), line: 1, by_line: true };
        same.slurm.places.insert("slurm.main".into(), place);
        assert_eq!(same.settings(), spec(2).settings());
    }

    #[test]
    fn texts_and_resources_have_bounds() {
        let refused = |change: &dyn Fn(&mut ClusterSpec)| {
            let mut spec = spec(1);
            change(&mut spec);
            spec.check().unwrap_err()
        };
        for name in ["", "../x", "/x", "a//b", ".x", "a b", &"x".repeat(65)] {
            let error = refused(&|spec| drop(spec.slurm.files.insert(name.to_owned(), "x".into())));
            assert!(matches!(error, SpecError::File { .. }), "{name}: {error}");
        }
        let many = |spec: &mut ClusterSpec| {
            spec.slurm.files = (0..5).map(|n| (format!("f{n}"), "x".repeat(MAX_TEXT))).collect();
        };
        assert_eq!(refused(&many), SpecError::Texts);
        let error = refused(&|spec| spec.groups[0].slurm.weight = Some(1));
        assert_eq!(error, SpecError::NoSlurmNode { role: Role::Controller });
    }

    #[test]
    fn refuses_what_cannot_be() {
        assert_eq!(spec(3).check(), Ok(()));
        assert_eq!(spec(0).check(), Err(SpecError::None { role: Role::Worker }));
        assert!(matches!(spec(u32::MAX).check(), Err(SpecError::TooMany { .. })));
        let mut two = spec(1);
        two.groups.push(NodeGroup::new(Role::Controller, 1, None, None));
        assert_eq!(two.check(), Err(SpecError::NotOne { role: Role::Controller, count: 2 }));
        for image in ["", "-x", "a b", "a\u{1b}"] {
            assert!(matches!(
                ClusterSpec { image: image.into(), ..spec(1) }.check(),
                Err(SpecError::Image { .. })
            ));
        }
        let mut small = spec(1);
        small.groups[1].memory_limit = Bytes(1);
        assert!(matches!(small.check(), Err(SpecError::Memory { role: Role::Worker, .. })));
    }
}
