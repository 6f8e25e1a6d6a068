//! Results that a client makes itself and that are published all the same.

use std::collections::BTreeMap;

use serde::Serialize;
use shoal_types::Role;

use crate::Time;

/// Clusters that are gone.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Deleted {
    /// Their names, in the order they went.
    pub deleted: Vec<String>,
}

/// An image that was built.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Built {
    /// Its reference.
    pub tag: String,
    /// Its content digest.
    pub image_id: String,
    /// The archive.
    pub path: String,
    /// Size of the archive.
    pub size_bytes: u64,
    /// Debian release it was made from.
    pub suite: String,
    /// Slurm's version in it.
    pub slurm_version: String,
}

/// A Dockerfile that was written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Dockerfile {
    /// The directory it is in, with what it adds.
    pub directory: String,
    /// Debian release of the image.
    pub suite: String,
}

/// Which `shoal` this is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Version {
    /// Its version.
    pub version: &'static str,
    /// Architecture and operating system it was built for.
    pub platform: String,
    /// The context of the server that commands are for; null for this machine.
    pub server_context: Option<String>,
}

/// The SSH configuration of a realm's nodes, or of one cluster's.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct SshConfig {
    /// The realm.
    pub realm: String,
    /// Clusters whose nodes are in it.
    pub clusters: Vec<String>,
    /// The file to include, if it was written; `null` otherwise.
    pub file: Option<String>,
    /// The text for ssh_config(5).
    pub config: String,
}

/// A port of this machine that leads to a port of a node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Forward {
    /// Address and port that are listened on, such as `127.0.0.1:40001`.
    pub listen: String,
    /// The node, as `NODE.CLUSTER`.
    pub node: String,
    /// The port of the node.
    pub port: u32,
}

/// A context of a server elsewhere, or this machine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ServerContext {
    /// Its name; `local` is this machine.
    pub name: String,
    /// Whether commands are for it, here and now.
    pub is_used: bool,
    /// The user that it is of; null for this machine.
    pub user: Option<String>,
    /// Servers, `HOST:PORT`.
    pub servers: Vec<String>,
    /// When its certificate ends.
    #[cfg_attr(feature = "schema", schemars(with = "Option<String>"))]
    pub expires: Option<Time>,
    /// Why it cannot be used; null if it can.
    pub error: Option<String>,
}

/// A cluster file that describes a possible cluster.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Validated {
    /// The file, as messages name it; `<stdin>` for standard input.
    pub file: String,
    /// Realm of the cluster.
    pub realm: String,
    /// Name of the cluster.
    pub name: String,
    /// Role -> number of nodes; every role is there.
    #[cfg_attr(feature = "schema", schemars(with = "BTreeMap<String, u32>"))]
    pub nodes: BTreeMap<Role, u32>,
}
