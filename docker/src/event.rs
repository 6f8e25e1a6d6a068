//! What happens to containers, as an engine tells it.

use std::collections::BTreeMap;

use shoal_types::Timestamp;

/// What happened.
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
