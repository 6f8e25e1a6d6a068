//! The scheduler's decision: a host for every node, or the refusal of the whole request with its one-line text.

use std::fmt;

use shoal_types::{HostId, HostName, NodeName};

use crate::{Reason, Refusal};

/// A host for every node of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// One for each node, in the order of the request.
    pub placements: Vec<Placement>,
    /// Hosts that, as the snapshot had them, could not take some node: by host name, at most one for each host and
    /// filter. A host filled by this very plan is not among them.
    pub refusals: Vec<Refusal>,
}

/// Where one node goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Placement {
    /// The node.
    pub node: NodeName,
    /// Name of its host.
    pub host: HostName,
    /// Id of its host.
    pub host_id: HostId,
}

/// No host can take some node, so none of the request is placed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct Unplaceable {
    /// The first node without a host.
    pub node: NodeName,
    /// How many nodes had a host before this node; `refusals` count what those nodes leave free.
    pub placed: usize,
    /// How many nodes the request has.
    pub nodes: usize,
    /// Every host, by name, and why it cannot take the node.
    pub refusals: Vec<Refusal>,
}

impl fmt::Display for Unplaceable {
    /// `0/12 hosts fit: 7 lack memory (need 512 MiB, most 300 MiB free), 5 fail rack=b; worker-3 has no host after 4 of 9
    /// nodes were placed`: the commonest reason first, then in the order of the filters and of the hosts' names.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut groups: Vec<(usize, Reason)> = Vec::new();
        for refusal in &self.refusals {
            match groups.iter_mut().find_map(|(n, r)| r.absorb(&refusal.reason).then_some(n)) {
                Some(count) => *count += 1,
                None => groups.push((1, refusal.reason.clone())),
            }
        }
        groups.sort_by_key(|(count, reason)| (std::cmp::Reverse(*count), reason.filter()));
        write!(f, "0/{} hosts fit: ", self.refusals.len())?;
        if groups.is_empty() {
            f.write_str("none is registered")?;
        }
        for (at, (count, reason)) in groups.iter().enumerate() {
            let comma = if at == 0 { "" } else { ", " };
            write!(f, "{comma}{count} {}", reason.of_many(*count))?;
        }
        write!(f, "; {} has no host", self.node)?;
        match self.placed {
            0 => Ok(()),
            placed => write!(f, " after {placed} of {} nodes were placed", self.nodes),
        }
    }
}
