//! Writing hosts: registered, changed, watched, taken out again.

use shoal_types::{EngineFacts, HostFacts, HostId, HostName, HostState, Timestamp};

use super::{HOSTS, Host, HostAgent, HostSettings, Hosts, LastError};
use crate::{Conflict, StoreError, Writes, query::Query, row::json};

impl<M: Writes> Hosts<'_, M> {
    /// Registers a host.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] with [`Conflict::HostName`], [`Conflict::HostEngine`] or [`Conflict::HostUnderlay`]:
    /// another host has that name, engine or address. [`StoreError::Referenced`]: its TLS secret is not there.
    pub async fn insert(&mut self, host: &Host) -> Result<(), StoreError> {
        self.check_unique(host).await?;
        let (settings, health) = (&host.settings, &host.health);
        let last_error = health.last_error.as_ref();
        let query = Query::new(
            HOSTS,
            "INSERT INTO hosts (id, name, endpoint, credential_id, engine_id, underlay, labels,
               capacity_cpu_milli, capacity_memory_bytes, capacity_node_slots, overcommit_cpu_milli,
               overcommit_memory_milli, reserve_cpu_milli, reserve_memory_bytes, engine, facts, state,
               state_since_ms, failures, last_error, last_error_ms, last_seen_ms, agent_state, agent_version,
               created_ms, version, privileged_nodes, underlay_mtu_bytes, scheduling)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20,
               $21, $22, $23, $24, $25, $26, $27, $28, $29)",
        )
        .bind(&host.id)
        .bind(&host.name)
        .bind(&settings.endpoint)
        .bind_opt(settings.credential.as_ref())
        .bind(&host.engine.id)
        .bind_opt(settings.underlay.as_ref())
        .text(json("labels", &settings.labels)?)
        .bind(&settings.capacity.cpu)
        .bind(&settings.capacity.memory)
        .bind(&settings.capacity.node_slots)
        .bind(&settings.overcommit.cpu_milli)
        .bind(&settings.overcommit.memory_milli)
        .bind(&settings.reserve.cpu)
        .bind(&settings.reserve.memory)
        .text(json("engine facts", &host.engine)?)
        .bind_opt(host.facts.as_ref().map(|f| json("host facts", f)).transpose()?.as_ref())
        .bind(&health.state)
        .bind(&health.since)
        .bind(&health.failures)
        .bind_opt(last_error.map(|e| &e.message))
        .bind_opt(last_error.map(|e| &e.at))
        .bind_opt(health.last_seen.as_ref())
        .bind(&host.agent.state)
        .bind_opt(host.agent.version.as_ref())
        .bind(&host.created)
        .bind(&host.version)
        .bind(&settings.privileged_nodes)
        .bind_opt(settings.mtu.as_ref())
        .bind(&settings.scheduling);
        self.0.execute(query).await.map(drop)
    }

    /// Replaces the operator's settings if the row still has `host.version`; increments the version.
    ///
    /// # Errors
    /// [`StoreError::Stale`]: someone else changed the settings since `host` was read, or the host is gone.
    /// [`StoreError::Conflict`] with [`Conflict::HostUnderlay`]: another host has the address.
    pub async fn change(&mut self, host: &Host, settings: &HostSettings) -> Result<(), StoreError> {
        self.check_unique(&Host { settings: settings.clone(), ..host.clone() }).await?;
        let query = Query::new(
            HOSTS,
            "UPDATE hosts SET endpoint = $3, credential_id = $4, underlay = $5, labels = $6,
               capacity_cpu_milli = $7, capacity_memory_bytes = $8, capacity_node_slots = $9,
               overcommit_cpu_milli = $10, overcommit_memory_milli = $11, reserve_cpu_milli = $12,
               reserve_memory_bytes = $13, privileged_nodes = $14, underlay_mtu_bytes = $15,
               scheduling = $16, version = version + 1
             WHERE id = $1 AND version = $2",
        )
        .bind(&host.id)
        .bind(&host.version)
        .bind(&settings.endpoint)
        .bind_opt(settings.credential.as_ref())
        .bind_opt(settings.underlay.as_ref())
        .text(json("labels", &settings.labels)?)
        .bind(&settings.capacity.cpu)
        .bind(&settings.capacity.memory)
        .bind(&settings.capacity.node_slots)
        .bind(&settings.overcommit.cpu_milli)
        .bind(&settings.overcommit.memory_milli)
        .bind(&settings.reserve.cpu)
        .bind(&settings.reserve.memory)
        .bind(&settings.privileged_nodes)
        .bind_opt(settings.mtu.as_ref())
        .bind(&settings.scheduling);
        match self.0.execute(query).await? {
            0 => Err(StoreError::Stale {
                what: "host settings",
                expected: format!("version {}", host.version),
            }),
            _ => Ok(()),
        }
    }

    /// Records the engine's answer: the host becomes ready, its count of failures zero.
    ///
    /// # Errors
    /// [`StoreError::Missing`]: no such host. [`StoreError::Conflict`] with [`Conflict::HostEngine`]: it is now the engine
    /// of another host.
    pub async fn seen(&mut self, id: HostId, engine: &EngineFacts, now: Timestamp) -> Result<(), StoreError> {
        let query = Query::new(HOSTS, "SELECT id, name FROM hosts WHERE engine_id = $1 AND id <> $2")
            .bind(&engine.id)
            .bind(&id);
        if let Some(row) = self.0.one(query).await? {
            return Err(engine_conflict(&engine.id, row.get("name")?));
        }
        let query = Query::new(
            HOSTS,
            "UPDATE hosts SET engine_id = $2, engine = $3, failures = 0, last_seen_ms = $5, state = $4,
               state_since_ms = CASE WHEN state = $4 THEN state_since_ms ELSE $5 END
             WHERE id = $1",
        )
        .bind(&id)
        .bind(&engine.id)
        .text(json("engine facts", engine)?)
        .bind(&HostState::Ready)
        .bind(&now);
        self.0.execute_one(query, "host", id).await
    }

    /// Records that the engine did not answer: one failure more, and the state it is now in.
    ///
    /// # Errors
    /// [`StoreError::Missing`]: no such host.
    pub async fn failed(
        &mut self,
        id: HostId,
        state: HostState,
        error: &LastError,
    ) -> Result<(), StoreError> {
        let query = Query::new(
            HOSTS,
            "UPDATE hosts SET failures = failures + 1, last_error = $3, last_error_ms = $4, state = $2,
               state_since_ms = CASE WHEN state = $2 THEN state_since_ms ELSE $4 END
             WHERE id = $1",
        )
        .bind(&id)
        .bind(&state)
        .bind(&error.message)
        .bind(&error.at);
        self.0.execute_one(query, "host", id).await
    }

    /// Records whether the agent answers, and its report on the machine if it does.
    ///
    /// # Errors
    /// [`StoreError::Missing`]: no such host. [`StoreError::Conflict`] with [`Conflict::HostAgent`]: it is the agent of
    /// another host.
    pub async fn agent(
        &mut self,
        id: HostId,
        agent: &HostAgent,
        facts: Option<&HostFacts>,
    ) -> Result<(), StoreError> {
        let agent_id = facts.map(|f| &f.agent_id).filter(|id| !id.is_empty());
        if let Some(agent_id) = agent_id {
            let query = Query::new(HOSTS, "SELECT id, name FROM hosts WHERE agent_id = $1 AND id <> $2")
                .bind(agent_id)
                .bind(&id);
            if let Some(row) = self.0.one(query).await? {
                return Err(
                    Conflict::HostAgent { agent_id: agent_id.clone(), other: row.get("name")? }.into()
                );
            }
        }
        let facts = facts.map(|f| json("host facts", f)).transpose()?;
        let query = Query::new(
            HOSTS,
            "UPDATE hosts SET agent_state = $2, agent_version = $3, facts = COALESCE($4, facts),
               agent_id = COALESCE($5, agent_id)
             WHERE id = $1",
        )
        .bind(&id)
        .bind(&agent.state)
        .bind_opt(agent.version.as_ref())
        .bind_opt(facts.as_ref())
        .bind_opt(agent_id);
        self.0.execute_one(query, "host", id).await
    }

    /// Records that a host is lost and its nodes go to others from now on.
    ///
    /// # Errors
    /// [`StoreError::Missing`]: no such host.
    pub async fn leave(&mut self, id: HostId, now: Timestamp) -> Result<(), StoreError> {
        let query = Query::new(HOSTS, "UPDATE hosts SET left_ms = $2 WHERE id = $1").bind(&id).bind(&now);
        self.0.execute_one(query, "host", id).await
    }

    /// Unregisters a host, with what is known of its images and remnants. Its TLS secret is the caller's to delete.
    ///
    /// # Errors
    /// [`StoreError::Missing`]: no such host. [`StoreError::Referenced`]: nodes are placed on it.
    pub async fn delete(&mut self, id: HostId) -> Result<(), StoreError> {
        let query = Query::new(HOSTS, "DELETE FROM hosts WHERE id = $1").bind(&id);
        self.0.execute_one(query, "host", id).await
    }

    /// Looks whether another host has what must be unique; the constraints hold it, this names the other.
    async fn check_unique(&mut self, host: &Host) -> Result<(), StoreError> {
        let underlay = host.settings.underlay;
        let query = Query::new(
            HOSTS,
            "SELECT id, name, engine_id, underlay FROM hosts
             WHERE id <> $1 AND (name = $2 OR engine_id = $3 OR underlay = $4) ORDER BY name",
        )
        .bind(&host.id)
        .bind(&host.name)
        .bind(&host.engine.id)
        .bind_opt(underlay.as_ref());
        for row in self.0.all(query).await? {
            let other: HostName = row.get("name")?;
            if other == host.name {
                return Err(Conflict::HostName { name: other }.into());
            }
            if row.get::<String>("engine_id")? == host.engine.id {
                return Err(engine_conflict(&host.engine.id, other));
            }
            if let Some(address) = underlay {
                return Err(Conflict::HostUnderlay { address, other }.into());
            }
        }
        Ok(())
    }
}

fn engine_conflict(engine_id: &str, other: HostName) -> StoreError {
    Conflict::HostEngine { engine_id: engine_id.to_owned(), other }.into()
}
