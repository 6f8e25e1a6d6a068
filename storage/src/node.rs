//! A node as placed: its host, its reservation, its addresses, and its last known state.

use std::net::Ipv4Addr;

use shoal_types::{
    ClusterId, Generation, HostId, MacAddr, NetworkId, NodeId, NodeName, NodeState, Resources, Role,
    Timestamp,
};

use crate::{StoreError, row::Row};

/// A node. Name, role and index, address and MAC are its own for life, wherever it runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Node {
    /// Its id.
    pub id: NodeId,
    /// The cluster it belongs to.
    pub cluster: ClusterId,
    /// The network it is on.
    pub network: NetworkId,
    /// Its name, unique in the cluster.
    pub name: NodeName,
    /// What it does.
    pub role: Role,
    /// Its number among those of its role in the cluster, from 0.
    pub index: u32,
    /// The host it is placed on.
    pub host: HostId,
    /// Its address, unique in the network.
    pub address: Ipv4Addr,
    /// Its MAC address, unique in the network.
    pub mac: MacAddr,
    /// What it reserves of its host.
    pub reserved: Resources,
    /// What was last seen of it.
    pub state: NodeState,
    /// Since when it is in that state.
    pub since: Timestamp,
    /// Its container, once there is one.
    pub container: Option<String>,
    /// Generation of the intended container: every move, and every change that needs a new container, increments it.
    pub generation: Generation,
    /// Why it is not ready.
    pub last_error: Option<String>,
}

/// What was seen of a node, or done to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeReport {
    /// The node.
    pub id: NodeId,
    /// The generation that was seen; a report of an older one is dropped.
    pub generation: Generation,
    /// Its state.
    pub state: NodeState,
    /// Its container, if there is one.
    pub container: Option<String>,
    /// Why it is not ready.
    pub last_error: Option<String>,
}

impl TryFrom<Row> for Node {
    type Error = StoreError;

    fn try_from(row: Row) -> Result<Self, StoreError> {
        Ok(Self {
            id: row.get("id")?,
            cluster: row.get("cluster_id")?,
            network: row.get("network_id")?,
            name: row.get("name")?,
            role: row.get("role")?,
            index: row.get("idx")?,
            host: row.get("host_id")?,
            address: row.get("address")?,
            mac: row.get("mac")?,
            reserved: Resources {
                cpu: row.get("reserved_cpu_milli")?,
                memory: row.get("reserved_memory_bytes")?,
            },
            state: row.get("state")?,
            since: row.get("state_since_ms")?,
            container: row.opt("container_id")?,
            generation: row.get("generation")?,
            last_error: row.opt("last_error")?,
        })
    }
}
