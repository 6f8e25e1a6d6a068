//! Nodes in the store: placed in bulk at admission, reported on, moved, removed once their host is known to be empty.

use shoal_types::{ClusterId, Generation, HostId, NodeId, NodeState, Role, Timestamp};

use crate::{
    Mode, Node, NodeReport, Owner, Session, StoreError, Writes,
    query::{Query, ROWS_PER_STATEMENT, Table},
    row::Row,
};

const NODES: Table = Table { name: "nodes", key: "id" };

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
        let query = Query::new(NODES, "SELECT * FROM nodes WHERE id = $1").bind(&id);
        self.0.one(query).await?.map(Node::try_from).transpose()
    }

    /// The nodes of a cluster, in order of role and index.
    ///
    /// # Errors
    /// As [`Nodes::get`].
    pub async fn of_cluster(&mut self, cluster: ClusterId) -> Result<Vec<Node>, StoreError> {
        let query = Query::new(NODES, "SELECT * FROM nodes WHERE cluster_id = $1 ORDER BY role, idx");
        self.0.all(query.bind(&cluster)).await?.into_iter().map(Node::try_from).collect()
    }

    /// The nodes on a host, by cluster, then in order of role and index.
    ///
    /// # Errors
    /// As [`Nodes::get`].
    pub async fn on_host(&mut self, host: HostId) -> Result<Vec<Node>, StoreError> {
        let query =
            Query::new(NODES, "SELECT * FROM nodes WHERE host_id = $1 ORDER BY cluster_id, role, idx");
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
        let query = Query::new(NODES, "SELECT * FROM nodes ORDER BY cluster_id, role, idx");
        self.0.all(query).await?.into_iter().map(Node::try_from).collect()
    }
}

impl<M: Writes> Nodes<'_, M> {
    /// Places nodes: any number, in few statements.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] with [`crate::Conflict::Unique`]: a name, index, address or MAC is in use.
    /// [`StoreError::Referenced`]: no such cluster, network or host.
    pub async fn insert(&mut self, nodes: &[Node]) -> Result<(), StoreError> {
        for chunk in nodes.chunks(ROWS_PER_STATEMENT) {
            let head =
                "INSERT INTO nodes (id, cluster_id, network_id, name, role, idx, host_id, address, mac,
                          reserved_cpu_milli, reserved_memory_bytes, state, state_since_ms, container_id,
                          generation, last_error)
                        VALUES ";
            let query = chunk.iter().fold(Query::bulk(NODES, head, chunk.len(), 16), |query, node| {
                query
                    .bind(&node.id)
                    .bind(&node.cluster)
                    .bind(&node.network)
                    .bind(&node.name)
                    .bind(&node.role)
                    .bind(&node.index)
                    .bind(&node.host)
                    .bind(&node.address)
                    .bind(&node.mac)
                    .bind(&node.reserved.cpu)
                    .bind(&node.reserved.memory)
                    .bind(&node.state)
                    .bind(&node.since)
                    .bind_opt(node.container.as_ref())
                    .bind(&node.generation)
                    .bind_opt(node.last_error.as_ref())
            });
            self.0.execute(query).await?;
        }
        Ok(())
    }
}

impl Nodes<'_, Owner> {
    /// Records what was seen of nodes. A report of a node that is gone, or of an older generation, is dropped: what it
    /// says is of a container that is no longer intended. Returns how many were recorded.
    ///
    /// # Errors
    /// The database failed.
    pub async fn report(&mut self, reports: &[NodeReport], now: Timestamp) -> Result<u64, StoreError> {
        let mut recorded = 0;
        for report in reports {
            let query = Query::new(
                NODES,
                "UPDATE nodes SET state = $3, container_id = $4, last_error = $5,
                   state_since_ms = CASE WHEN state = $3 THEN state_since_ms ELSE $6 END
                 WHERE id = $1 AND generation = $2",
            )
            .bind(&report.id)
            .bind(&report.generation)
            .bind(&report.state)
            .bind_opt(report.container.as_ref())
            .bind_opt(report.last_error.as_ref())
            .bind(&now);
            recorded += self.0.execute(query).await?;
        }
        Ok(recorded)
    }

    /// Places a node anew, on `host` (another or the same), if it is still of `from`: it is planned again, without a
    /// container. What it leaves behind on a host that cannot be reached is to be put into the remnants in the same
    /// transaction. Returns the new generation.
    ///
    /// # Errors
    /// [`StoreError::Stale`]: it is of another generation, or gone. [`StoreError::Referenced`]: no such host.
    pub async fn place(
        &mut self,
        id: NodeId,
        from: Generation,
        host: HostId,
        now: Timestamp,
    ) -> Result<Generation, StoreError> {
        let query = Query::new(
            NODES,
            "UPDATE nodes SET host_id = $3, generation = $4, state = $5, state_since_ms = $6, container_id = NULL,
               last_error = NULL
             WHERE id = $1 AND generation = $2",
        )
        .bind(&id)
        .bind(&from)
        .bind(&host)
        .bind(&from.next())
        .bind(&NodeState::Planned)
        .bind(&now);
        match self.0.execute(query).await? {
            0 => Err(StoreError::Stale { what: "node", expected: format!("generation {from}") }),
            _ => Ok(from.next()),
        }
    }

    /// Forgets nodes, and with them what they reserve and their addresses. Only for nodes whose host was listed empty of
    /// them, or that were put into the remnants. One that is gone already is no error.
    ///
    /// # Errors
    /// The database failed.
    pub async fn delete(&mut self, nodes: &[NodeId]) -> Result<(), StoreError> {
        for id in nodes {
            self.0.execute(Query::new(NODES, "DELETE FROM nodes WHERE id = $1").bind(id)).await?;
        }
        Ok(())
    }
}
