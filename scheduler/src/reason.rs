//! Why a host was refused: data first, text for one host or for many on demand.

use std::fmt;

use shoal_types::{
    Bytes, ClusterMtu, HostId, HostName, LabelExpr, LabelKey, MilliCpu, Profile, Role, Scheduling,
};

use crate::Filter;

/// A host that cannot take a node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// Its name.
    pub host: HostName,
    /// Its id.
    pub host_id: HostId,
    /// Why; [`Reason::filter`] says which filter found it.
    pub reason: Reason,
}

/// What a filter found wrong with a host; the text is what follows the host's name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reason {
    /// Its engine did not answer the last time.
    Unreachable,
    /// Its engine is silent, though its agent is heard.
    EngineDown,
    /// Its operator keeps new nodes off it.
    Unschedulable(Scheduling),
    /// Its engine gives nodes SYS_ADMIN, which makes them root on it, and its operator denies such nodes.
    PrivilegeDenied,
    /// It is on the request's exclusion list, for this reason.
    Excluded(String),
    /// It is of another architecture than the image.
    Architecture {
        /// The host's.
        host: String,
        /// The image's.
        image: String,
    },
    /// It cannot run what is to be PID 1.
    Profile(Profile),
    /// Its path to other hosts carries smaller packets than the nodes are to send.
    Mtu {
        /// What the cluster asks for.
        need: ClusterMtu,
        /// What the path leaves nodes, in bytes; 0 if that is not known.
        room: u32,
    },
    /// It neither has the image of this reference nor can get it.
    ImageAbsent(String),
    /// The image reference names another content there.
    ImageDifferent {
        /// The reference.
        image: String,
        /// Digest of what is there.
        digest: String,
    },
    /// The node is pinned to this other host.
    Pinned(HostName),
    /// Its labels do not satisfy this expression.
    Constraint(LabelExpr),
    /// It does not have the label nodes are spread over.
    NoLabel(LabelKey),
    /// It has a node of this role of another cluster, and one of the two clusters wants such nodes apart.
    Apart(Role),
    /// Too little CPU is free.
    Cpu {
        /// What the node reserves.
        need: MilliCpu,
        /// What is free.
        free: MilliCpu,
    },
    /// Too little memory is free.
    Memory {
        /// What the node reserves.
        need: Bytes,
        /// What is free.
        free: Bytes,
    },
    /// It carries as many nodes as it can.
    NodeSlots {
        /// How many that is.
        total: u32,
    },
    /// It has as many nodes of the cluster as one host may have.
    MaxPerHost {
        /// How many that is.
        most: u32,
    },
}

impl Reason {
    /// The filter that gives this reason.
    #[must_use]
    pub fn filter(&self) -> Filter {
        match self {
            Self::Unreachable | Self::EngineDown => Filter::State,
            Self::Unschedulable(_) => Filter::Scheduling,
            Self::PrivilegeDenied => Filter::Privilege,
            Self::Excluded(_) => Filter::Excluded,
            Self::Architecture { .. } => Filter::Architecture,
            Self::Profile(_) => Filter::Profile,
            Self::Mtu { .. } => Filter::Mtu,
            Self::ImageAbsent(_) | Self::ImageDifferent { .. } => Filter::Image,
            Self::Pinned(_) => Filter::Pinned,
            Self::Constraint(_) => Filter::Constraint,
            Self::NoLabel(_) => Filter::SpreadOver,
            Self::Apart(_) => Filter::Apart,
            Self::Cpu { .. } => Filter::Cpu,
            Self::Memory { .. } => Filter::Memory,
            Self::NodeSlots { .. } => Filter::NodeSlots,
            Self::MaxPerHost { .. } => Filter::MaxPerHost,
        }
    }

    /// Takes in another host's reason if one phrase can speak of both; of what is free, the most is kept.
    pub(crate) fn absorb(&mut self, other: &Self) -> bool {
        match (self, other) {
            (Self::Cpu { need, free }, Self::Cpu { need: n, free: f }) if need == n => {
                *free = (*free).max(*f)
            }
            (Self::Memory { need, free }, Self::Memory { need: n, free: f }) if need == n => {
                *free = (*free).max(*f);
            }
            (Self::NodeSlots { total }, Self::NodeSlots { total: t }) => *total = (*total).max(*t),
            (Self::Mtu { need, room }, Self::Mtu { need: n, room: r }) if need == n => {
                *room = (*room).max(*r);
            }
            (Self::ImageDifferent { image, .. }, Self::ImageDifferent { image: i, .. }) => return image == i,
            (this, other) => return this == other,
        }
        true
    }

    /// The phrase after a number of hosts: `lack memory (need 512 MiB, most 300 MiB free)`.
    pub(crate) fn of_many(&self, count: usize) -> String {
        let verb = |one: &'static str, many: &'static str| if count == 1 { one } else { many };
        let (is, lack) = (verb("is", "are"), verb("lacks", "lack"));
        match self {
            Self::Unreachable => format!("{is} unreachable"),
            Self::EngineDown => format!("{} an engine that is down", verb("has", "have")),
            Self::Unschedulable(word) => match word {
                Scheduling::Draining => format!("{is} being drained"),
                word @ (Scheduling::Schedulable | Scheduling::Cordoned | Scheduling::Drained) => {
                    format!("{is} {word}")
                }
            },
            Self::PrivilegeDenied => {
                format!("{} privileged nodes (root in a node is root there)", verb("denies", "deny"))
            }
            Self::Excluded(why) => format!("{is} excluded ({})", why.escape_debug()),
            Self::Architecture { host, image } => {
                format!("{is} {}, the image is for {}", host.escape_debug(), image.escape_debug())
            }
            Self::Profile(profile) => format!("cannot run profile {profile}"),
            Self::Mtu { need, room } => {
                format!("{} nodes too small an MTU (need {need}, most {room})", verb("leaves", "leave"))
            }
            Self::ImageAbsent(image) => format!("{lack} image {}", image.escape_debug()),
            Self::ImageDifferent { image, .. } => {
                format!("{} another image as {}", verb("has", "have"), image.escape_debug())
            }
            Self::Pinned(host) => format!("{is} not {host}, where it is pinned"),
            Self::NoLabel(label) => format!("{lack} label {label}, which nodes are spread over"),
            Self::Apart(role) => {
                format!("{} a {role} of another cluster, and they are to be apart", verb("has", "have"))
            }
            Self::MaxPerHost { most } => {
                format!("{} {most} of the cluster's nodes, the most one host may have", verb("has", "have"))
            }
            Self::Constraint(expr) => format!("{} {expr}", verb("fails", "fail")),
            Self::Cpu { need, free } => format!("{lack} CPU (need {need}, most {free} free)"),
            Self::Memory { need, free } => format!("{lack} memory (need {need}, most {free} free)"),
            Self::NodeSlots { .. } => format!("{} no node slot free", verb("has", "have")),
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ImageDifferent { image, digest } => {
                write!(f, "has another image as {}: {}", image.escape_debug(), digest.escape_debug())
            }
            Self::Cpu { need, free } => write!(f, "lacks CPU: needs {need}, {free} free"),
            Self::Memory { need, free } => write!(f, "lacks memory: needs {need}, {free} free"),
            Self::NodeSlots { total } => write!(f, "has no node slot free of {total}"),
            Self::Mtu { need, room } => write!(f, "leaves nodes an MTU of {room}, not {need}"),
            Self::Unreachable
            | Self::EngineDown
            | Self::Unschedulable(_)
            | Self::PrivilegeDenied
            | Self::Excluded(_)
            | Self::Architecture { .. }
            | Self::Profile(_)
            | Self::ImageAbsent(_)
            | Self::Pinned(_)
            | Self::Constraint(_)
            | Self::NoLabel(_)
            | Self::Apart(_)
            | Self::MaxPerHost { .. } => f.write_str(&self.of_many(1)),
        }
    }
}
