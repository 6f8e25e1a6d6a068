//! Registered hosts: the operator's settings, the engine's and agent's reports, the state, and the sum of reservations.
//!
//! The parts have different writers (operator, registration, surveys) and are written apart, so that none overwrites
//! another's; `host/writes.rs` has the writes.

mod writes;

use std::{collections::BTreeMap, net::Ipv4Addr};

use shoal_types::{
    AgentState, Capacity, CgroupWay, EngineFacts, HostFacts, HostId, HostMtu, HostName, HostState, Labels,
    Overcommit, PrivilegedNodes, Resources, Scheduling, SecretId, Timestamp,
};

use crate::{
    Mode, Session, StoreError,
    query::{Query, Table},
    row::Row,
};

pub(crate) const HOSTS: Table = Table { name: "hosts", key: "id" };

/// A registered host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Host {
    /// Its id.
    pub id: HostId,
    /// Its name, unique.
    pub name: HostName,
    /// What its operator set.
    pub settings: HostSettings,
    /// What its engine said last; the engine's id is unique.
    pub engine: EngineFacts,
    /// What its agent said last; `None` before the first time.
    pub facts: Option<HostFacts>,
    /// Whether its engine answers.
    pub health: HostHealth,
    /// Whether its agent answers.
    pub agent: HostAgent,
    /// When it was registered.
    pub created: Timestamp,
    /// How often the settings were written; an edit names the version it was made from.
    pub version: u64,
}

/// What the operator of a host set, or registration found in its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostSettings {
    /// How its engine is reached: `unix://PATH`, `tcp://HOST:PORT` or `ssh://USER@HOST:PORT/PATH`.
    pub endpoint: String,
    /// What opens it, sealed: certificate and key for `tcp://`, perhaps a key for `ssh://`.
    pub credential: Option<SecretId>,
    /// Address its peers send tunnel packets to, unique.
    pub underlay: Option<Ipv4Addr>,
    /// The largest IP packet that its path to peers carries; what the agent reads from the interface if `None`.
    pub mtu: Option<HostMtu>,
    /// Its labels.
    pub labels: Labels,
    /// What it has to give.
    pub capacity: Capacity,
    /// How much more than that it may promise.
    pub overcommit: Overcommit,
    /// What of it is kept back.
    pub reserve: Resources,
    /// Whether nodes may be placed there that are root on it.
    pub privileged_nodes: PrivilegedNodes,
    /// Whether nodes are placed there.
    pub scheduling: Scheduling,
}

/// Whether a host's engine answers, and since when.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostHealth {
    /// As of the last call.
    pub state: HostState,
    /// Since when it is in that state.
    pub since: Timestamp,
    /// Calls that failed in a row.
    pub failures: u32,
    /// The last failure, kept after recovery.
    pub last_error: Option<LastError>,
    /// When its engine last answered.
    pub last_seen: Option<Timestamp>,
}

/// A failure and its time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LastError {
    /// One line for people.
    pub message: String,
    /// When.
    pub at: Timestamp,
}

/// Whether a host's agent answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostAgent {
    /// As of the last call.
    pub state: AgentState,
    /// Its version, once it has said so.
    pub version: Option<String>,
}

impl Host {
    /// Whether a node on it is root on it: its engine gives nodes SYS_ADMIN.
    #[must_use]
    pub fn makes_nodes_root(&self) -> bool {
        match self.engine.cgroup_way() {
            CgroupWay::Writable => false,
            CgroupWay::SysAdmin => true,
        }
    }

    /// A host as registration found it: its engine has just answered, its agent has not been brought there.
    #[must_use]
    pub fn registered(
        id: HostId,
        name: HostName,
        settings: HostSettings,
        engine: EngineFacts,
        now: Timestamp,
    ) -> Self {
        Self {
            id,
            name,
            settings,
            engine,
            facts: None,
            health: HostHealth {
                state: HostState::Ready,
                since: now,
                failures: 0,
                last_error: None,
                last_seen: Some(now),
            },
            agent: HostAgent { state: AgentState::Absent, version: None },
            created: now,
            version: 1,
        }
    }
}

impl TryFrom<Row> for Host {
    type Error = StoreError;

    fn try_from(row: Row) -> Result<Self, StoreError> {
        let last_error = match (row.opt("last_error")?, row.opt("last_error_ms")?) {
            (Some(message), Some(at)) => Some(LastError { message, at }),
            (None, None) => None,
            (Some(_), None) | (None, Some(_)) => return Err(row.corrupt("last_error_ms")),
        };
        Ok(Self {
            id: row.get("id")?,
            name: row.get("name")?,
            settings: HostSettings {
                endpoint: row.get("endpoint")?,
                credential: row.opt("credential_id")?,
                underlay: row.opt("underlay")?,
                mtu: row.opt("underlay_mtu_bytes")?,
                labels: row.json("labels")?,
                capacity: Capacity {
                    cpu: row.get("capacity_cpu_milli")?,
                    memory: row.get("capacity_memory_bytes")?,
                    node_slots: row.get("capacity_node_slots")?,
                },
                overcommit: Overcommit {
                    cpu_milli: row.get("overcommit_cpu_milli")?,
                    memory_milli: row.get("overcommit_memory_milli")?,
                },
                reserve: Resources {
                    cpu: row.get("reserve_cpu_milli")?,
                    memory: row.get("reserve_memory_bytes")?,
                },
                privileged_nodes: row.get("privileged_nodes")?,
                scheduling: row.get("scheduling")?,
            },
            engine: row.json("engine")?,
            facts: row.json_opt("facts")?,
            health: HostHealth {
                state: row.get("state")?,
                since: row.get("state_since_ms")?,
                failures: row.get("failures")?,
                last_error,
                last_seen: row.opt("last_seen_ms")?,
            },
            agent: HostAgent { state: row.get("agent_state")?, version: row.opt("agent_version")? },
            created: row.get("created_ms")?,
            version: row.get("version")?,
        })
    }
}

/// Registered hosts; from [`Session::hosts`].
#[derive(Debug)]
pub struct Hosts<'s, M: Mode>(pub(crate) &'s mut Session<M>);

/// What is reserved of a host.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Usage {
    /// The sum of all reservations.
    pub reserved: Resources,
    /// How many of them are nodes'.
    pub nodes: u32,
}

impl<M: Mode> Hosts<'_, M> {
    /// The host with this id.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`]: its row is unusable. Others: the database failed.
    pub async fn get(&mut self, id: HostId) -> Result<Option<Host>, StoreError> {
        let query = Query::new(HOSTS, "SELECT * FROM hosts WHERE id = $1").bind(&id);
        self.0.one(query).await?.map(Host::try_from).transpose()
    }

    /// The host with this name.
    ///
    /// # Errors
    /// As [`Hosts::get`].
    pub async fn by_name(&mut self, name: &HostName) -> Result<Option<Host>, StoreError> {
        let query = Query::new(HOSTS, "SELECT * FROM hosts WHERE name = $1").bind(name);
        self.0.one(query).await?.map(Host::try_from).transpose()
    }

    /// All hosts, in order of their names.
    ///
    /// # Errors
    /// As [`Hosts::get`].
    pub async fn list(&mut self) -> Result<Vec<Host>, StoreError> {
        let rows = self.0.all(Query::new(HOSTS, "SELECT * FROM hosts ORDER BY name")).await?;
        rows.into_iter().map(Host::try_from).collect()
    }

    /// The hosts that were left after `since` because they were lost, and when.
    ///
    /// # Errors
    /// As [`Hosts::get`].
    pub async fn left(&mut self, since: Timestamp) -> Result<BTreeMap<HostId, Timestamp>, StoreError> {
        let query = Query::new(HOSTS, "SELECT id, left_ms FROM hosts WHERE left_ms > $1").bind(&since);
        let rows = self.0.all(query).await?;
        rows.into_iter().map(|row| Ok((row.get("id")?, row.get("left_ms")?))).collect()
    }

    /// What is reserved of each host that has reservations.
    ///
    /// # Errors
    /// As [`Hosts::get`].
    pub async fn usage(&mut self) -> Result<BTreeMap<HostId, Usage>, StoreError> {
        let query = Query::new(
            Table { name: "reservations", key: "host_id" },
            // PostgreSQL's SUM of BIGINT is NUMERIC.
            "SELECT host_id, CAST(SUM(CASE WHEN owner = 'node' THEN 1 ELSE 0 END) AS BIGINT) AS nodes,
                    CAST(SUM(cpu_milli) AS BIGINT) AS cpu, CAST(SUM(memory_bytes) AS BIGINT) AS memory
             FROM reservations GROUP BY host_id",
        );
        let usage = |row: Row| {
            let reserved = Resources { cpu: row.get("cpu")?, memory: row.get("memory")? };
            Ok((row.get("host_id")?, Usage { reserved, nodes: row.get("nodes")? }))
        };
        self.0.all(query).await?.into_iter().map(usage).collect()
    }
}
