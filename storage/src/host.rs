//! A registered host as stored: its operator's settings, its engine's and agent's reports, its state.
//!
//! The parts have different writers (operator, registration, health monitor, healer) and are written apart, so that none
//! overwrites another's.

use std::net::Ipv4Addr;

use shoal_types::{
    AgentState, Capacity, EngineFacts, HostFacts, HostId, HostName, HostState, Labels, Overcommit, Resources,
    SecretId, Timestamp,
};

use crate::{StoreError, row::Row};

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
    /// Who is mending it.
    pub healing: HostHealing,
    /// When it was registered.
    pub created: Timestamp,
    /// How often the settings were written; an edit names the version it was made from.
    pub version: u64,
}

/// What the operator of a host set, or registration found in its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostSettings {
    /// How its engine is reached: `unix://PATH` or `tcp://HOST:PORT`.
    pub endpoint: String,
    /// The sealed client certificate and key, for a `tcp://` endpoint.
    pub tls: Option<SecretId>,
    /// Address its peers send tunnel packets to, unique.
    pub underlay: Option<Ipv4Addr>,
    /// Its labels.
    pub labels: Labels,
    /// What it has to give.
    pub capacity: Capacity,
    /// How much more than that it may promise.
    pub overcommit: Overcommit,
    /// What of it is kept back.
    pub reserve: Resources,
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

/// The state of mending a host.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct HostHealing {
    /// Who is at it; `None` if nobody is.
    pub holder: Option<String>,
    /// How often it was tried since the host was last well.
    pub attempts: u32,
    /// Until when the present attempt, or the pause after it, lasts.
    pub until: Option<Timestamp>,
}

impl Host {
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
            healing: HostHealing::default(),
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
                tls: row.opt("tls_secret_id")?,
                underlay: row.opt("underlay")?,
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
            healing: HostHealing {
                holder: row.opt("healing_holder")?,
                attempts: row.get("healing_attempts")?,
                until: row.opt("healing_until_ms")?,
            },
            created: row.get("created_ms")?,
            version: row.get("version")?,
        })
    }
}
