//! What the scheduler sees of the hosts: everything a decision needs, gathered by the coordinator at one moment.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use shoal_types::{
    Capacity, HostId, HostName, HostState, Labels, Overcommit, Profile, Resources, Role, Scheduling,
};

use crate::room::fill;

/// The hosts at one moment, in any order; ids are unique.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Snapshot {
    /// Every registered host, usable or not: a host that is not listed cannot be explained.
    pub hosts: Vec<HostView>,
}

/// One host, as far as placing is concerned.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HostView {
    /// Its id, which also settles ties.
    pub id: HostId,
    /// Its name, for people and for the turns of round-robin.
    pub name: HostName,
    /// Whether it can be used.
    pub state: HostState,
    /// Whether its operator lets nodes be placed there.
    #[serde(default)]
    pub scheduling: Scheduling,
    /// Its nodes would be root on it, and its operator denies such nodes.
    #[serde(default)]
    pub privilege_denied: bool,
    /// Its labels.
    pub labels: Labels,
    /// What it has.
    pub total: Capacity,
    /// How much more than it has it may promise.
    pub overcommit: Overcommit,
    /// What is kept back for the machine itself.
    pub keep_back: Resources,
    /// What the nodes on it, of every cluster, have been promised; `node_slots` is their number.
    pub reserved: Capacity,
    /// How many of them belong to the cluster being placed.
    pub cluster_nodes: u32,
    /// Nodes of other clusters on it, by role; roles without any may be left out.
    pub others: BTreeMap<Role, u32>,
    /// Roles whose nodes there, of other clusters, are to be apart from those of the cluster being placed.
    pub claimed: BTreeSet<Role>,
    /// Its architecture, in the engine's words (`x86_64`, `aarch64`).
    pub architecture: String,
    /// What it can run as PID 1 of a node.
    pub profiles: Vec<Profile>,
    /// The largest MTU that nodes there can have, in bytes: what its path to other hosts leaves; 0 if that is not known.
    #[serde(default)]
    pub mtu: u32,
    /// Whether it has, or can get, the image of the request.
    pub image: ImageState,
}

/// The image of a request on one host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum ImageState {
    /// It is there.
    Present,
    /// It is not there but can be brought before the first node starts.
    Obtainable,
    /// It is not there and cannot be brought.
    Absent,
    /// The reference names another content there.
    Different {
        /// Digest of what is there.
        digest: String,
    },
}

impl HostView {
    /// What it may promise in all: total x overcommit - kept back. Node slots are neither overcommitted nor kept back.
    #[must_use]
    pub fn allocatable(&self) -> Capacity {
        let amount = |total: u64, factor_milli: u32, kept: u64| {
            let promised = u128::from(total) * u128::from(factor_milli) / 1000;
            u64::try_from(promised).unwrap_or(u64::MAX).saturating_sub(kept)
        };
        let mut capacity = self.total;
        capacity.cpu.0 = amount(self.total.cpu.0, self.overcommit.cpu_milli, self.keep_back.cpu.0);
        capacity.memory.0 =
            amount(self.total.memory.0, self.overcommit.memory_milli, self.keep_back.memory.0);
        capacity
    }

    /// How full it is, in millionths of its scarcest resource.
    #[must_use]
    pub fn load(&self) -> u64 {
        fill(self.reserved, self.allocatable())
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A host with nothing.
    pub(crate) fn host() -> HostView {
        HostView {
            id: HostId::new(1, [0; 10]),
            name: "h".parse().unwrap(),
            state: HostState::Ready,
            scheduling: Scheduling::Schedulable,
            privilege_denied: false,
            labels: Labels::default(),
            total: Capacity::default(),
            overcommit: Overcommit::default(),
            keep_back: Resources::default(),
            reserved: Capacity::default(),
            cluster_nodes: 0,
            others: BTreeMap::new(),
            claimed: BTreeSet::new(),
            architecture: "x86_64".into(),
            profiles: vec![Profile::System],
            mtu: 1450,
            image: ImageState::Present,
        }
    }
}
