//! Writing nodes: placed in bulk at admission, reported on, moved, removed once their host is known to be empty.

use shoal_types::{Generation, HostId, NodeId, NodeState, Restarts, Timestamp};

use super::{NODES, Node, NodeReport, Nodes};
use crate::{
    Owner, Reservation, ReservationOwner, StoreError, Writes,
    query::{Query, ROWS_PER_STATEMENT},
    row::json,
};

impl<M: Writes> Nodes<'_, M> {
    /// Places nodes and reserves what they need of their hosts: any number, in few statements.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] with [`crate::Conflict::Unique`]: a name, index, address or MAC is in use.
    /// [`StoreError::Referenced`]: no such cluster, network or host.
    pub async fn insert(&mut self, nodes: &[Node]) -> Result<(), StoreError> {
        for chunk in nodes.chunks(ROWS_PER_STATEMENT) {
            let head = "INSERT INTO nodes (id, cluster_id, network_id, name, role, idx, group_number, host_id, address,
                          mac, cpu_limit_milli, memory_limit_bytes, tmp_size_bytes, slurm_cpus, slurm_memory_bytes,
                          constraints, power, settings, state, state_since_ms, container_id, generation, last_error, restarts, restarted_ms,
                          failing)
                        VALUES ";
            let mut query = Query::bulk(NODES, head, chunk.len(), 26);
            for node in chunk {
                query = query
                    .bind(&node.id)
                    .bind(&node.cluster)
                    .bind(&node.network)
                    .bind(&node.name)
                    .bind(&node.role)
                    .bind(&node.index)
                    .bind(&node.group)
                    .bind(&node.host)
                    .bind(&node.address)
                    .bind(&node.mac)
                    .bind_opt(node.size.cpu_limit.as_ref())
                    .bind(&node.size.memory_limit)
                    .bind(&node.size.tmp_size)
                    .bind(&node.size.slurm_cpus)
                    .bind(&node.size.slurm_memory)
                    .text(json("constraints", &node.constraints)?)
                    .bind(&node.power)
                    .bind(&node.settings)
                    .bind(&node.state)
                    .bind(&node.since)
                    .bind_opt(node.container.as_ref())
                    .bind(&node.generation)
                    .bind_opt(node.last_error.as_ref());
                query = bind_restarts(query, node.restarts.as_ref())?;
            }
            self.0.execute(query).await?;
        }
        let held = |node: &Node| Reservation {
            owner: ReservationOwner::Node(node.id),
            host: node.host,
            amount: node.size.reserve,
        };
        let held: Vec<_> = nodes.iter().map(held).collect();
        self.0.reservations().insert(&held).await
    }
}

/// Adds the values of `restarts`, `restarted_ms` and `failing`.
fn bind_restarts(query: Query, restarts: Option<&Restarts>) -> Result<Query, StoreError> {
    let failing = restarts.and_then(|restarts| restarts.failing.as_ref());
    let failing = failing.map(|end| json("end of a node", end)).transpose()?;
    Ok(query
        .bind(&restarts.map_or(0, |restarts| restarts.count))
        .bind_opt(restarts.map(|restarts| &restarts.last))
        .bind_opt(failing.as_ref()))
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

    /// Records a node's restarts in a row, if it is still of `from`; `None`: the last one lasted, or there was none.
    ///
    /// # Errors
    /// [`StoreError::Stale`]: it is of another generation, or gone.
    pub async fn set_restarts(
        &mut self,
        id: NodeId,
        from: Generation,
        restarts: Option<&Restarts>,
    ) -> Result<(), StoreError> {
        let query = Query::new(
            NODES,
            "UPDATE nodes SET restarts = $3, restarted_ms = $4, failing = $5 WHERE id = $1 AND generation = $2",
        );
        let query = bind_restarts(query.bind(&id).bind(&from), restarts)?;
        if self.0.execute(query).await? == 0 {
            return Err(StoreError::Stale { what: "node", expected: format!("generation {from}") });
        }
        Ok(())
    }

    /// Places a node anew, on `host` (another or the same), if it is still of `from`: it is planned again, without a
    /// container and without restarts, and its reservation goes with it. What it leaves behind on a host that cannot be reached is to be put into the
    /// remnants in the same transaction. Returns the new generation.
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
               last_error = NULL, restarts = 0, restarted_ms = NULL, failing = NULL
             WHERE id = $1 AND generation = $2",
        )
        .bind(&id)
        .bind(&from)
        .bind(&host)
        .bind(&from.next())
        .bind(&NodeState::Planned)
        .bind(&now);
        if self.0.execute(query).await? == 0 {
            return Err(StoreError::Stale { what: "node", expected: format!("generation {from}") });
        }
        self.0.reservations().set_host(&ReservationOwner::Node(id), host).await?;
        Ok(from.next())
    }

    /// Forgets nodes, and with them what they reserve and their addresses. Only for nodes whose host was listed empty of
    /// them, or that were put into the remnants. One that is gone already is no error.
    ///
    /// # Errors
    /// The database failed.
    pub async fn delete(&mut self, nodes: &[NodeId]) -> Result<(), StoreError> {
        for id in nodes {
            self.0.execute(Query::new(NODES, "DELETE FROM nodes WHERE id = $1").bind(id)).await?;
            self.0.reservations().delete(&ReservationOwner::Node(*id)).await?;
        }
        Ok(())
    }
}
