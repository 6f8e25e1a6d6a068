//! The refusal of a whole request, and its one-line text.

use std::fmt;

use shoal_types::NodeName;

use crate::{Reason, Refusal};

/// No host can take some node, so none of the request is placed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct Unplaceable {
    /// The first node without a host.
    pub node: NodeName,
    /// How many nodes had one before it; what is free in `refusals` is what those leave.
    pub placed: usize,
    /// How many nodes were asked for.
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
