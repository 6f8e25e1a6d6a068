//! The conditions a host must meet, in the order they are asked.

use std::fmt;

use shoal_types::{HostState, Scheduling};

use crate::{HostView, ImageState, Reason, class::Demand, room::Room};

/// A condition on a host. The first one it fails, in the order of [`Filter::ALL`], is the reason it is refused for:
/// what concerns the host, then what concerns the request, then room.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Filter {
    /// Its engine answers.
    State,
    /// Its operator lets nodes be placed there.
    Scheduling,
    /// Its nodes are not root on it, or its operator allows such nodes.
    Privilege,
    /// It is not on the exclusion list.
    Excluded,
    /// It is of the image's architecture.
    Architecture,
    /// It can run what is to be PID 1.
    Profile,
    /// It carries packets of nodes as large as the cluster's.
    Mtu,
    /// It has the image, or can get it.
    Image,
    /// It is the one the node is pinned to.
    Pinned,
    /// Its labels satisfy every expression.
    Constraint,
    /// It has the label nodes are spread over.
    SpreadOver,
    /// No node of another cluster that is to be apart from this one is on it.
    Apart,
    /// Enough CPU is free.
    Cpu,
    /// Enough memory is free.
    Memory,
    /// A node slot is free.
    NodeSlots,
    /// It has fewer nodes of the cluster than one host may have.
    MaxPerHost,
}

impl Filter {
    /// Every filter, in the order they are asked.
    pub const ALL: [Self; 16] = [
        Self::State,
        Self::Scheduling,
        Self::Privilege,
        Self::Excluded,
        Self::Architecture,
        Self::Profile,
        Self::Mtu,
        Self::Image,
        Self::Pinned,
        Self::Constraint,
        Self::SpreadOver,
        Self::Apart,
        Self::Cpu,
        Self::Memory,
        Self::NodeSlots,
        Self::MaxPerHost,
    ];

    /// Those whose answer depends neither on a node's size nor on what is placed: the ones that are asked first.
    pub(crate) const LASTING: [Self; 12] = [
        Self::State,
        Self::Scheduling,
        Self::Privilege,
        Self::Excluded,
        Self::Architecture,
        Self::Profile,
        Self::Mtu,
        Self::Image,
        Self::Pinned,
        Self::Constraint,
        Self::SpreadOver,
        Self::Apart,
    ];

    /// The word, as shown.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::State => "state",
            Self::Scheduling => "scheduling",
            Self::Privilege => "privilege",
            Self::Excluded => "excluded",
            Self::Architecture => "architecture",
            Self::Profile => "profile",
            Self::Mtu => "mtu",
            Self::Image => "image",
            Self::Pinned => "pinned",
            Self::Constraint => "constraint",
            Self::SpreadOver => "spread-over",
            Self::Apart => "apart",
            Self::Cpu => "cpu",
            Self::Memory => "memory",
            Self::NodeSlots => "node-slots",
            Self::MaxPerHost => "max-per-host",
        }
    }

    /// Why this filter refuses the host for nodes of such a shape, if it does; those of room are asked by [`lack`].
    pub(crate) fn refuses(self, host: &HostView, demand: Demand<'_>) -> Option<Reason> {
        let (request, rules) = (demand.request, &demand.request.rules);
        match self {
            Self::State => match host.state {
                HostState::Ready => None,
                HostState::Unreachable => Some(Reason::Unreachable),
                HostState::EngineDown => Some(Reason::EngineDown),
            },
            Self::Scheduling => match host.scheduling {
                Scheduling::Schedulable => None,
                word @ (Scheduling::Cordoned | Scheduling::Draining | Scheduling::Drained) => {
                    Some(Reason::Unschedulable(word))
                }
            },
            Self::Privilege => host.privilege_denied.then_some(Reason::PrivilegeDenied),
            Self::Excluded => request.exclude.get(&host.id).map(|why| Reason::Excluded(why.clone())),
            Self::Architecture => {
                let image = request.architecture.as_ref().filter(|a| **a != host.architecture)?;
                Some(Reason::Architecture { host: host.architecture.clone(), image: image.clone() })
            }
            Self::Profile => {
                (!host.profiles.contains(&request.profile)).then_some(Reason::Profile(request.profile))
            }
            Self::Mtu => {
                let need = request.mtu.filter(|mtu| u32::from(mtu.get()) > host.mtu)?;
                Some(Reason::Mtu { need, room: host.mtu })
            }
            Self::Image => match &host.image {
                ImageState::Present | ImageState::Obtainable => None,
                ImageState::Absent => Some(Reason::ImageAbsent(request.image.clone())),
                ImageState::Different { digest } => {
                    Some(Reason::ImageDifferent { image: request.image.clone(), digest: digest.clone() })
                }
            },
            Self::Pinned => {
                let pin = demand.node.pin.as_ref().filter(|pin| **pin != host.name)?;
                Some(Reason::Pinned(pin.clone()))
            }
            Self::Constraint => {
                demand.exprs().find(|e| !e.matches(&host.labels)).map(|e| Reason::Constraint(e.clone()))
            }
            Self::SpreadOver => {
                let label = rules.spread_over.as_ref().filter(|label| host.labels.get(label).is_none())?;
                Some(Reason::NoLabel(label.clone()))
            }
            Self::Apart => {
                let role = demand.node.role;
                let there = host.others.get(&role).is_some_and(|count| *count > 0);
                let ours = there && rules.apart.contains(&role);
                (ours || host.claimed.contains(&role)).then_some(Reason::Apart(role))
            }
            Self::Cpu | Self::Memory | Self::NodeSlots | Self::MaxPerHost => None,
        }
    }
}

/// What a host lacks for such a node, as things are: the filters that are not [`Filter::LASTING`], in their order.
#[inline]
pub(crate) fn lack(room: &Room<'_>, demand: Demand<'_>) -> Option<Reason> {
    let (free, reserve) = (room.free(), demand.node.reserve);
    if free.cpu < reserve.cpu {
        return Some(Reason::Cpu { need: reserve.cpu, free: free.cpu });
    }
    if free.memory < reserve.memory {
        return Some(Reason::Memory { need: reserve.memory, free: free.memory });
    }
    if free.node_slots == 0 {
        return Some(Reason::NodeSlots { total: room.host.total.node_slots });
    }
    let most = demand.request.rules.max_per_host.filter(|most| room.cluster_nodes >= most.get())?;
    Some(Reason::MaxPerHost { most: most.get() })
}

impl fmt::Display for Filter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}
