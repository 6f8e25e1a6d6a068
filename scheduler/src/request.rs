//! What is to be placed: the nodes of one cluster, and what they need of any host.

use std::{
    collections::{BTreeMap, BTreeSet},
    num::NonZeroU32,
};

use serde::{Deserialize, Serialize};
use shoal_types::{
    ClusterMtu, HostId, HostName, LabelExpr, LabelKey, NodeName, Placing, Profile, Resources, Role,
};

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
    /// The MTU that the nodes are to have; any if `None`.
    pub mtu: Option<ClusterMtu>,
    /// Hosts not to be used, host -> why: a fragment such as `cordoned`.
    pub exclude: BTreeMap<HostId, String>,
    /// What must hold of the nodes' hosts together.
    pub rules: Rules,
    /// Where chance begins: whoever keeps it can repeat the plan.
    pub seed: u64,
}

/// What must hold of the hosts of a cluster's nodes together, and with those of other clusters.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rules {
    /// A node of such a role takes no host that has one of another cluster.
    pub apart: BTreeSet<Role>,
    /// The same as a wish, which comes before the strategy's own.
    pub prefer_apart: BTreeSet<Role>,
    /// Most nodes of the cluster on one host.
    pub max_per_host: Option<NonZeroU32>,
    /// The values of this label get equal numbers of the cluster's nodes, as far as there is room, before anything else
    /// counts; a host without the label is refused.
    pub spread_over: Option<LabelKey>,
}

impl From<&Placing> for Rules {
    fn from(placing: &Placing) -> Self {
        Self {
            apart: placing.apart.clone(),
            prefer_apart: placing.prefer_apart.clone(),
            max_per_host: placing.max_per_host,
            spread_over: placing.spread_over.clone(),
        }
    }
}

/// One node to be placed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeRequest {
    /// Its name, unique in the request.
    pub name: NodeName,
    /// What it does, for rules on roles.
    pub role: Role,
    /// What it reserves of its host, besides a node slot.
    pub reserve: Resources,
    /// Conditions on its host, besides those of all.
    pub constraints: Vec<LabelExpr>,
    /// The one host it may be on, if it is named.
    pub pin: Option<HostName>,
}
