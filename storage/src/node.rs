//! Nodes: a row holds role, size, addresses, settings, placement, intent and the last observation. No specification is read for a node that has a row; `node/writes.rs` has the writes.

mod writes;

use std::net::Ipv4Addr;

use shoal_types::{
    ClusterId, Generation, HostId, LabelExpr, MacAddr, NetworkId, NodeId, NodeName, NodeSize, NodeState,
    Power, Resources, Restarts, Role, SettingsDigest, Timestamp,
};

use crate::{
    Mode, Session, StoreError,
    query::{Query, Table},
    row::Row,
};

const NODES: Table = Table { name: "nodes", key: "id" };

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
    /// Its number among those of its role in the cluster, from 0; numbers may be missing.
    pub index: u32,
    /// The number of its group in the specification it was admitted with, from 0.
    pub group: u32,
    /// The host it is placed on.
    pub host: HostId,
    /// Its address, unique in the network.
    pub address: Ipv4Addr,
    /// Its MAC address, unique in the network.
    pub mac: MacAddr,
    /// Reservation, limits, and the size Slurm is told.
    pub size: NodeSize,
    /// Conditions on its host, besides the cluster's.
    pub constraints: Vec<LabelExpr>,
    /// Whether it is meant to run.
    pub power: Power,
    /// The settings it was made with.
    pub settings: SettingsDigest,
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
    /// Its restarts in a row, until one is known to have lasted.
    pub restarts: Option<Restarts>,
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
            group: row.get("group_number")?,
            host: row.get("host_id")?,
            address: row.get("address")?,
            mac: row.get("mac")?,
            size: NodeSize {
                // Null where the row has no reservation, which is as wrong as any other value.
                reserve: Resources {
                    cpu: row.get("reserved_cpu_milli")?,
                    memory: row.get("reserved_memory_bytes")?,
                },
                cpu_limit: row.opt("cpu_limit_milli")?,
                memory_limit: row.get("memory_limit_bytes")?,
                tmp_size: row.get("tmp_size_bytes")?,
                slurm_cpus: row.get("slurm_cpus")?,
                slurm_memory: row.get("slurm_memory_bytes")?,
            },
            constraints: row.json("constraints")?,
            power: row.get("power")?,
            settings: row.get("settings")?,
            state: row.get("state")?,
            since: row.get("state_since_ms")?,
            container: row.opt("container_id")?,
            generation: row.get("generation")?,
            last_error: row.opt("last_error")?,
            restarts: restarts(&row)?,
        })
    }
}

fn restarts(row: &Row) -> Result<Option<Restarts>, StoreError> {
    let (count, last) = (row.get("restarts")?, row.opt("restarted_ms")?);
    let failing = row.json_opt("failing")?;
    Ok(last.map(|last| Restarts { count, last, failing }))
}

/// A query for whole rows of nodes.
macro_rules! select {
    ($tail:literal) => {
        concat!(
            "SELECT nodes.*, held.cpu_milli AS reserved_cpu_milli, held.memory_bytes AS reserved_memory_bytes
             FROM nodes LEFT JOIN reservations AS held ON held.owner_id = nodes.id ",
            $tail
        )
    };
}

/// Nodes of one role of one cluster on one host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Crowd {
    /// The host.
    pub host: HostId,
    /// The cluster.
    pub cluster: ClusterId,
    /// Their role.
    pub role: Role,
    /// How many.
    pub nodes: u32,
}

/// Nodes; from [`Session::nodes`].
#[derive(Debug)]
pub struct Nodes<'s, M: Mode>(pub(crate) &'s mut Session<M>);

impl<M: Mode> Nodes<'_, M> {
    /// The node with this id.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`]: its row is unusable. Others: the database failed.
    pub async fn get(&mut self, id: NodeId) -> Result<Option<Node>, StoreError> {
        let query = Query::new(NODES, select!("WHERE id = $1")).bind(&id);
        self.0.one(query).await?.map(Node::try_from).transpose()
    }

    /// The nodes of a cluster, in order of role and index.
    ///
    /// # Errors
    /// As [`Nodes::get`].
    pub async fn of_cluster(&mut self, cluster: ClusterId) -> Result<Vec<Node>, StoreError> {
        let query = Query::new(NODES, select!("WHERE cluster_id = $1 ORDER BY role, idx"));
        self.0.all(query.bind(&cluster)).await?.into_iter().map(Node::try_from).collect()
    }

    /// The nodes of a role of a cluster, in order of their index.
    ///
    /// # Errors
    /// As [`Nodes::get`].
    pub async fn of_role(&mut self, cluster: ClusterId, role: Role) -> Result<Vec<Node>, StoreError> {
        let query = Query::new(NODES, select!("WHERE cluster_id = $1 AND role = $2 ORDER BY idx"));
        self.0.all(query.bind(&cluster).bind(&role)).await?.into_iter().map(Node::try_from).collect()
    }

    /// The nodes on a host, by cluster, then in order of role and index.
    ///
    /// # Errors
    /// As [`Nodes::get`].
    pub async fn on_host(&mut self, host: HostId) -> Result<Vec<Node>, StoreError> {
        let query = Query::new(NODES, select!("WHERE nodes.host_id = $1 ORDER BY cluster_id, role, idx"));
        self.0.all(query.bind(&host)).await?.into_iter().map(Node::try_from).collect()
    }

    /// How many nodes of which role each cluster has on each host, in no order.
    ///
    /// # Errors
    /// As [`Nodes::get`].
    pub async fn crowds(&mut self) -> Result<Vec<Crowd>, StoreError> {
        let query = Query::new(
            Table { name: "nodes", key: "host_id" },
            "SELECT host_id, cluster_id, role, COUNT(*) AS nodes FROM nodes GROUP BY host_id, cluster_id, role",
        );
        let crowd = |row: Row| {
            Ok(Crowd {
                host: row.get("host_id")?,
                cluster: row.get("cluster_id")?,
                role: row.get("role")?,
                nodes: row.get("nodes")?,
            })
        };
        self.0.all(query).await?.into_iter().map(crowd).collect()
    }

    /// All nodes, by cluster, then in order of role and index.
    ///
    /// # Errors
    /// As [`Nodes::get`].
    pub async fn list(&mut self) -> Result<Vec<Node>, StoreError> {
        let query = Query::new(NODES, select!("ORDER BY cluster_id, role, idx"));
        self.0.all(query).await?.into_iter().map(Node::try_from).collect()
    }
}
