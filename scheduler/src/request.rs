//! What is to be placed: the nodes of one cluster, and what they need of any host.

use std::collections::BTreeMap;

use shoal_types::{HostId, LabelExpr, NodeName, Profile, Resources};

/// Nodes of one cluster, to be placed together or not at all: a new cluster, workers added to one, nodes of a lost host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// The nodes, in the order the plan lists them.
    pub nodes: Vec<NodeRequest>,
    /// Conditions on the hosts of all of them.
    pub constraints: Vec<LabelExpr>,
    /// Reference of their image, for messages; each [`HostView`](crate::HostView) says whether the host can have it.
    pub image: String,
    /// Architecture the image is for, in the engine's words (`x86_64`, not `amd64`); any if `None`.
    pub architecture: Option<String>,
    /// What runs as PID 1.
    pub profile: Profile,
    /// Hosts not to be used, host -> why: a fragment such as `cordoned`.
    pub exclude: BTreeMap<HostId, String>,
}

/// One node to be placed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeRequest {
    /// Its name, unique in the request.
    pub name: NodeName,
    /// What it reserves of its host, besides a node slot.
    pub reserve: Resources,
    /// Conditions on its host, besides those of all.
    pub constraints: Vec<LabelExpr>,
}
