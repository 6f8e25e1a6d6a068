//! What goes wrong with hosts and their engines.

use std::net::Ipv4Addr;

use shoal_docker::{EngineError, RetryClass, Subject, Unusable};
use shoal_types::{ClusterMtu, HostName, Scheduling};

use super::{Class, Hint, Retry, SAID, WRONG_USE};

/// Where to look when a host does not answer.
pub(super) const HOSTS: &str = "see that the engine runs and listens there; `shoal get hosts` shows which hosts answer, and why others do not";

/// What is wrong with a host.
#[derive(Debug, thiserror::Error)]
pub enum HostFault {
    /// No host of that name.
    #[error("no host named {name} is registered")]
    Unknown {
        /// The name.
        name: HostName,
    },
    /// No host at all.
    #[error(
        "no host is registered and no local engine answers: register one with `shoal register NAME --docker ENDPOINT`"
    )]
    NoneRegistered,
    /// The host still has nodes.
    #[error(
        "host {host} still has {nodes} nodes: move them with `shoal drain {host}`, or use --force to forget them"
    )]
    InUse {
        /// The host.
        host: HostName,
        /// How many.
        nodes: u32,
    },
    /// A host that is drained was to be drained.
    #[error("host {host} is drained: no node is there, and none is placed there")]
    Drained {
        /// The host.
        host: HostName,
    },
    /// A host is no longer being drained.
    #[error("host {host} is {now}: somebody has ended its drain")]
    NotDraining {
        /// The host.
        host: HostName,
        /// What its operator says now.
        now: Scheduling,
    },
    /// Another engine answers at the new endpoint.
    #[error(
        "another engine answers at {endpoint} than that of host {host}: register it under a name of its own"
    )]
    OtherEngine {
        /// The host.
        host: HostName,
        /// The endpoint.
        endpoint: String,
    },
    /// The engine cannot be used for nodes.
    #[error("host {host} cannot be used")]
    Unusable {
        /// The host.
        host: HostName,
        /// Why.
        source: Unusable,
    },
    /// An engine failed or cannot be reached.
    #[error("host {host}")]
    Engine {
        /// The host.
        host: HostName,
        /// What happened.
        #[source]
        source: Box<EngineError>,
    },
    /// A host accepted and did not answer in time.
    #[error("host {host} did not answer within {seconds} s")]
    Silent {
        /// The host.
        host: HostName,
        /// The limit.
        seconds: u64,
    },
    /// A host stopped answering while work was under way there.
    #[error("host {host} has not answered for {seconds} s")]
    Lost {
        /// The host.
        host: HostName,
        /// For how long at least.
        seconds: u64,
    },
    /// Every host failed.
    #[error("none of the {count} hosts can be reached: {reason}")]
    NoneReachable {
        /// How many there are.
        count: usize,
        /// What the first of them said.
        reason: String,
    },
    /// The host's machine cannot carry the tunnels.
    #[error(
        "host {host} has no usable underlay address: name one with `shoal set host {host} --underlay ADDRESS`"
    )]
    NoUnderlay {
        /// The host.
        host: HostName,
    },
    /// Two members of a cluster would send tunnel packets to the same address.
    #[error(
        "hosts {hosts} have the same underlay address {address}: set them apart with `shoal set host NAME --underlay ADDRESS`"
    )]
    SameUnderlay {
        /// Their names.
        hosts: String,
        /// The address.
        address: Ipv4Addr,
    },
    /// A member's path to the others carries smaller packets than those of the cluster.
    #[error("host {host} leaves nodes an MTU of {room}, less than the {need} that the cluster takes")]
    Mtu {
        /// The host.
        host: HostName,
        /// What it leaves, in bytes.
        room: u32,
        /// What was asked for, or the least there is.
        need: ClusterMtu,
    },
    /// Somebody holds a container name and does not let go.
    #[error("host {host}: the name {name} stays in use by another container: remove that container")]
    NameHeld {
        /// The host.
        host: HostName,
        /// The name.
        name: String,
    },
}

impl HostFault {
    pub(super) fn class(&self) -> Class {
        match self {
            Self::Engine { source, .. } => engine(source),
            Self::Silent { .. } => Class::silence(Retry::Later),
            Self::Lost { .. } => Class::silence(Retry::Elsewhere),
            Self::OtherEngine { .. } => Class::of(Retry::Elsewhere).blaming(),
            Self::NoneReachable { .. } | Self::NameHeld { .. } => Class::of(Retry::Later),
            Self::Unknown { .. }
            | Self::NoneRegistered
            | Self::InUse { .. }
            | Self::Drained { .. }
            | Self::NotDraining { .. }
            | Self::Unusable { .. }
            | Self::NoUnderlay { .. }
            | Self::SameUnderlay { .. }
            | Self::Mtu { .. } => Class::of(Retry::Never),
        }
    }

    pub(super) fn hint(&self) -> Hint {
        match self {
            Self::Unknown { .. } => Ok("`shoal get hosts` lists the hosts".into()),
            Self::Unusable { .. } => Ok("register another engine: rootful, on Linux, 20.10 or newer".into()),
            Self::Engine { source, .. } => Ok(engine_hint(source).into()),
            Self::Silent { .. } | Self::Lost { .. } | Self::NoneReachable { .. } => Ok(HOSTS.into()),
            Self::Drained { host } => Ok(format!("`shoal uncordon {host}` places nodes there again")),
            Self::NotDraining { host, .. } => Ok(format!("`shoal drain {host}` goes on with it")),
            Self::Mtu { host, room, .. } => Ok(mtu_hint(host, *room)),
            Self::NoneRegistered
            | Self::InUse { .. }
            | Self::OtherEngine { .. }
            | Self::NoUnderlay { .. }
            | Self::SameUnderlay { .. }
            | Self::NameHeld { .. } => Err(SAID),
        }
    }
}

/// What to write where `host` leaves nodes an MTU of `room`, and no other leaves more.
pub(super) fn mtu_hint(host: &HostName, room: u32) -> String {
    let set =
        format!("`shoal set host {host} --mtu BYTES` says what the path to it carries, if that is more");
    match ClusterMtu::try_from(u64::from(room)) {
        Ok(room) => format!("write `mtu: {room}` or `--mtu {room}`, which {host} leaves; {set}"),
        Err(_) => format!("{host} leaves less than any cluster takes, {}; {set}", ClusterMtu::LEAST),
    }
}

/// What an engine's error means.
pub(super) fn engine(error: &EngineError) -> Class {
    let retry = match error.class() {
        _ if is_out_of_means(error) => Retry::Elsewhere,
        RetryClass::Retry | RetryClass::Observe => Retry::Later,
        RetryClass::Fatal => Retry::Elsewhere,
        RetryClass::User => Retry::Never,
    };
    let silent = error.is_silence();
    Class { retry, blames: error.blames_host(), doubt: error.effect_unknown(), silent }
}

/// Whether the host lacks what a node takes, and will for longer than anybody waits.
fn is_out_of_means(error: &EngineError) -> bool {
    matches!(error, EngineError::DiskFull { .. } | EngineError::NotFound { subject: Subject::Image(_), .. })
}

pub(super) fn engine_hint(error: &EngineError) -> &'static str {
    if let EngineError::Tls { .. } | EngineError::TlsRequired { .. } | EngineError::Material { .. } = error {
        return "--tls-dir takes a directory with ca.pem, cert.pem and key.pem, as docker has them; `shoal set host` changes them";
    }
    if let EngineError::Ssh { .. } = error {
        return "`shoal set host` changes endpoint and key; the user's ~/.ssh/config counts, unless --ssh-key was given";
    }
    if let EngineError::TooOld { .. } | EngineError::NotDocker { .. } = error {
        return "name the endpoint of a Docker Engine, 20.10 or newer";
    }
    match error.class() {
        RetryClass::Retry | RetryClass::Observe => HOSTS,
        RetryClass::User => WRONG_USE,
        RetryClass::Fatal => "the log of that engine says more: `journalctl -u docker` on the host",
    }
}
