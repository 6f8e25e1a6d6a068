//! What happens to containers and networks, as an engine tells it.

use std::collections::BTreeMap;

use shoal_types::Timestamp;

/// Something that happened on an engine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EngineEvent {
    /// To a container.
    Container(ContainerEvent),
    /// To a network.
    Network(NetworkEvent),
}

/// What happened to a container.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ContainerAction {
    /// It was started.
    Start,
    /// Its first process ended.
    Die {
        /// That process's exit status, if the engine says.
        exit_code: Option<i64>,
    },
    /// It was removed.
    Destroy,
}

/// Something that happened to a container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContainerEvent {
    /// Its id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// What happened.
    pub action: ContainerAction,
    /// Its labels (the engine mixes its own attributes `image`, `name`, `exitCode` and the like in with them).
    pub labels: BTreeMap<String, String>,
    /// When, by the engine's clock.
    pub at: Timestamp,
}

/// What happened to a network.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NetworkAction {
    /// A container is no longer on it: somebody took it off, or it ended.
    Disconnect,
    /// It was removed.
    Destroy,
}

/// Something that happened to a network. Engines tell no labels of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NetworkEvent {
    /// Its id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// What happened.
    pub action: NetworkAction,
    /// When, by the engine's clock.
    pub at: Timestamp,
}
