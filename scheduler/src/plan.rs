//! What the scheduler decided: a host for every node.

use shoal_types::{HostId, HostName, NodeName};

use crate::Refusal;

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
