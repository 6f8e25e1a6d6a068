//! Containers: what to create, and what is there.

use std::{collections::BTreeMap, net::Ipv4Addr, str::FromStr};

use shoal_types::{Bytes, CgroupWay, MacAddr, MilliCpu, Timestamp};

/// A container to create. The default is a container with no network, no limits and the image's own command.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ContainerSpec {
    /// Its name, unique on an engine: what makes creation idempotent.
    pub name: String,
    /// Image reference or id.
    pub image: String,
    /// Its hostname; the engine's choice if `None`. Must be `None` on the host's network.
    pub hostname: Option<String>,
    /// Labels it is found and adopted by.
    pub labels: BTreeMap<String, String>,
    /// Replaces the image's entrypoint.
    pub entrypoint: Option<Vec<String>>,
    /// Replaces the image's command.
    pub cmd: Option<Vec<String>>,
    /// Environment, name -> value, added to the image's.
    pub env: BTreeMap<String, String>,
    /// Signal `stop` sends, such as `SIGRTMIN+3` for systemd (systemd(1)); the image's own if `None`.
    pub stop_signal: Option<String>,
    /// Its network.
    pub network: ContainerNetwork,
    /// Most CPU it may use.
    pub cpu: Option<MilliCpu>,
    /// Most memory it may use, swap included.
    pub memory: Option<Bytes>,
    /// Most processes and threads it may have.
    pub pids: Option<u32>,
    /// Limits of each of its processes; what is left out is the engine's choice.
    pub limits: Vec<ProcessLimit>,
    /// Whether nothing outside of its mounts can be written.
    pub read_only: bool,
    /// What is mounted into it.
    pub mounts: Vec<Mount>,
    /// Paths of devices it gets with all rights, such as `/dev/net/tun`.
    pub devices: Vec<String>,
    /// For systemd as PID 1: the way it gets a writable cgroup tree. `None`: the engine's defaults.
    pub cgroup: Option<CgroupWay>,
    /// Capabilities added, without `CAP_`.
    pub cap_add: Vec<String>,
    /// Capabilities dropped, without `CAP_`, or `ALL`.
    pub cap_drop: Vec<String>,
    /// Further security options, such as `no-new-privileges`.
    pub security_opts: Vec<String>,
    /// Sees the host's processes.
    pub host_pids: bool,
    /// When the engine starts it again by itself.
    pub restart: RestartPolicy,
    /// Bounds of the engine's copy of its output.
    pub log: LogLimits,
}

/// A limit of a process (getrlimit(2)).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProcessLimit {
    /// Its name, such as `nofile`.
    pub name: String,
    /// What holds unless a process asks for more; none if `None`.
    pub soft: Option<u64>,
    /// The most it may ask for; none if `None`.
    pub hard: Option<u64>,
}

/// Which network a container is on.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum ContainerNetwork {
    /// None but its own loopback.
    #[default]
    None,
    /// The host's.
    Host,
    /// A bridge network.
    Bridge {
        /// Network id (a name is ambiguous on 20.10).
        network: String,
        /// Fixed address; the engine's IPAM draws one if `None`.
        address: Option<Ipv4Addr>,
        /// Fixed MAC address. 20.10 ignores it and takes `02:42:<ipv4>`: use [`MacAddr::of`] the address.
        mac: Option<MacAddr>,
    },
}

/// Something mounted into a container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Mount {
    /// A named volume, which must exist (the engine would create it without labels).
    Volume {
        /// Its name.
        name: String,
        /// Where.
        target: String,
    },
    /// A path of the host.
    Bind {
        /// The host's path, which must exist.
        source: String,
        /// Where.
        target: String,
        /// Without the right to write.
        read_only: bool,
    },
    /// Memory, lost when the container stops. No devices, no set-uid; programs may run from it.
    Tmpfs {
        /// Where.
        target: String,
        /// Most it may hold; half the host's memory if `None` (tmpfs(5)).
        size: Option<Bytes>,
        /// Permission bits, such as `0o1777`.
        mode: u32,
    },
}

/// When an engine starts a container again by itself.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum RestartPolicy {
    /// Never: whether it runs is our intent.
    #[default]
    No,
    /// Whenever it ends, and at the engine's start.
    Always,
}

/// Bounds of the engine's copy of a container's output (log driver `json-file`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LogLimits {
    /// Largest file.
    pub max_size: Bytes,
    /// Files kept.
    pub max_files: u32,
}

impl Default for LogLimits {
    /// 2 x 1 MiB: a node's console is read for the last lines only, and a host carries hundreds of nodes.
    fn default() -> Self {
        Self { max_size: Bytes::mib(1), max_files: 2 }
    }
}

/// What came of asking for a container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Created {
    /// It was created.
    New {
        /// Its id.
        id: String,
    },
    /// A container has the name already: adopt it if its labels are ours.
    Exists(Box<ContainerDetail>),
}

/// What came of asking for something to be gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Removal {
    /// It was removed.
    Removed,
    /// It was not there.
    AlreadyGone,
}

/// What an engine tells of a file or directory in a container without sending it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PathStat {
    /// Its size in bytes; a directory's own.
    pub size: u64,
    /// When it last changed, in the engine's words: another one tells that it has. A directory changes with the names in it.
    pub modified: String,
}

/// A word that is no state of a container.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a state of a container")]
pub struct UnknownState(String);

/// State of a container, in the engine's words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ContainerState {
    /// Made, never started.
    Created,
    /// Its processes run.
    Running,
    /// Its processes are frozen.
    Paused,
    /// Ended, and about to be started again by its restart policy.
    Restarting,
    /// Being removed.
    Removing,
    /// Ended.
    Exited,
    /// Ended, and its removal failed half way.
    Dead,
}

impl FromStr for ContainerState {
    type Err = UnknownState;

    fn from_str(text: &str) -> Result<Self, UnknownState> {
        match text {
            "created" => Ok(Self::Created),
            // "stopping": its first process has been told to end and still runs.
            "running" | "stopping" => Ok(Self::Running),
            "paused" => Ok(Self::Paused),
            "restarting" => Ok(Self::Restarting),
            "removing" => Ok(Self::Removing),
            "exited" => Ok(Self::Exited),
            "dead" => Ok(Self::Dead),
            other => Err(UnknownState(other.chars().take(40).collect())),
        }
    }
}

/// A container as an engine lists it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContainerSummary {
    /// Its id.
    pub id: String,
    /// Its name, without the engine's leading slash.
    pub name: String,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
    /// Its state.
    pub state: ContainerState,
    /// Id of its image.
    pub image_id: String,
    /// When it was created, by the engine's clock, in whole seconds.
    pub created: Option<Timestamp>,
    /// Its networks, in order of their names.
    pub attachments: Vec<Attachment>,
}

/// A container as an engine describes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContainerDetail {
    /// Its id.
    pub id: String,
    /// Its name, without the engine's leading slash.
    pub name: String,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
    /// Its state.
    pub state: ContainerState,
    /// Its first process on the host, while it runs.
    pub pid: Option<u32>,
    /// Exit status of its last run, if it has ended.
    pub exit_code: Option<i64>,
    /// The kernel ended its last run for want of memory.
    pub oom_killed: bool,
    /// When it was last started, by the engine's clock.
    pub started: Option<Timestamp>,
    /// When its last run ended, if it has, by the engine's clock.
    pub ended: Option<Timestamp>,
    /// Why it could not be started the last time; empty if it could.
    pub error: String,
    /// Id of its image.
    pub image_id: String,
    /// Its networks, in order of their names.
    pub attachments: Vec<Attachment>,
}

impl ContainerDetail {
    /// Its attachment to a network, by the network's id.
    #[must_use]
    pub fn attachment(&self, network_id: &str) -> Option<&Attachment> {
        self.attachments.iter().find(|a| a.network_id == network_id)
    }
}

/// A container's endpoint on a network.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attachment {
    /// Name of the network.
    pub network: String,
    /// Id of the network; empty before the first start on some engines.
    pub network_id: String,
    /// The container's address; while it is stopped, its configured one.
    pub address: Option<Ipv4Addr>,
    /// The MAC address it has; engines forget it while the container does not run, and 20.10 does not tell the fixed one.
    pub mac: Option<MacAddr>,
}
