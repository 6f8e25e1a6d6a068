//! Unique constraints by name: which one a write would have broken, in words a user understands.
//!
//! The repositories look before they write where the answer should name the other party; the constraints themselves are
//! what holds. SQLite reports the columns of a broken constraint and PostgreSQL its name, hence two columns below.

use std::net::Ipv4Addr;

use ipnet::Ipv4Net;
use shoal_types::{ClusterName, HostName, RealmName, Vni};

/// Something unique that is in use already.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Conflict {
    /// Another host has the name.
    #[error("a host named {name} is registered already")]
    HostName {
        /// The name.
        name: HostName,
    },
    /// The engine is registered under another name.
    #[error("this engine is registered already, as host {other} (engine id {engine_id})")]
    HostEngine {
        /// The engine's own id.
        engine_id: String,
        /// The host that has it.
        other: HostName,
    },
    /// The machine is registered under another name: its agent has said so.
    #[error(
        "this machine is registered already, as host {other} (its agent keeps id {agent_id}): unregister {other} first, or give a machine that was copied an agent volume of its own"
    )]
    HostAgent {
        /// The id the agent keeps.
        agent_id: String,
        /// The host that has it.
        other: HostName,
    },
    /// Another host sends and takes tunnel packets at the address.
    #[error("underlay address {address} is in use by host {other}")]
    HostUnderlay {
        /// The address.
        address: Ipv4Addr,
        /// The host that has it.
        other: HostName,
    },
    /// The realm has a cluster of that name.
    #[error("a cluster named {name} exists already in realm {realm}")]
    ClusterName {
        /// The realm.
        realm: RealmName,
        /// The name.
        name: ClusterName,
    },
    /// The VNI belongs to another network or to what is left of one.
    #[error("VNI {vni} is in use")]
    Vni {
        /// The VNI.
        vni: Vni,
    },
    /// The subnet overlaps that of another network or of what is left of one.
    #[error("subnet {subnet} overlaps {other}, which is in use")]
    Subnet {
        /// The subnet asked for.
        subnet: Ipv4Net,
        /// The one in use.
        other: Ipv4Net,
    },
    /// Any other unique constraint.
    #[error("{what} is in use already")]
    Unique {
        /// What must be unique, in words.
        what: &'static str,
    },
}

/// Constraint in PostgreSQL, its columns in SQLite's words, and what it keeps unique.
const CONSTRAINTS: [(&str, &str, &str); 22] = [
    ("hosts_name", "hosts.name", "a host's name"),
    ("hosts_engine", "hosts.engine_id", "a host's engine"),
    ("hosts_agent", "hosts.agent_id", "a host's agent"),
    ("hosts_underlay", "hosts.underlay", "a host's underlay address"),
    ("clusters_name", "clusters.realm, clusters.name", "a cluster's name in its realm"),
    ("attachments_pkey", "attachments.cluster_id", "a cluster's network"),
    ("networks_vni", "networks.vni", "a network's VNI"),
    ("networks_subnet", "networks.subnet", "a network's subnet"),
    ("nodes_name", "nodes.cluster_id, nodes.name", "a node's name in its cluster"),
    ("nodes_index", "nodes.cluster_id, nodes.role, nodes.idx", "a node's index in its role"),
    ("nodes_address", "nodes.network_id, nodes.address", "a node's address in its network"),
    ("nodes_mac", "nodes.network_id, nodes.mac", "a node's MAC address in its network"),
    ("hosts_pkey", "hosts.id", "a host's id"),
    ("clusters_pkey", "clusters.id", "a cluster's id"),
    ("networks_pkey", "networks.id", "a network's id"),
    ("nodes_pkey", "nodes.id", "a node's id"),
    ("reservations_pkey", "reservations.owner_id", "a reservation's owner"),
    ("registries_pkey", "registries.registry", "a registry's address"),
    ("secrets_pkey", "secrets.id", "a secret's id"),
    ("users_name", "users.name", "a user's name"),
    ("users_pkey", "users.id", "a user's id"),
    ("authority_pkey", "authority.singleton", "the authority"),
];

/// The conflict a database error speaks of, if it is a broken unique constraint.
pub(crate) fn of(error: &dyn sqlx::error::DatabaseError) -> Option<Conflict> {
    if !error.is_unique_violation() {
        return None;
    }
    let columns = error.message().rsplit(": ").next().unwrap_or_default();
    let what = CONSTRAINTS
        .iter()
        .find(|(name, in_sqlite, _)| error.constraint().map_or(columns == *in_sqlite, |c| c == *name))
        .map_or("something that must be unique", |(_, _, what)| what);
    Some(Conflict::Unique { what })
}
