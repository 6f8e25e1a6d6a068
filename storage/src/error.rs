//! What can go wrong with the store, each with its subject and, where the operator can do something, with what to do.

use std::{path::PathBuf, time::Duration};

use shoal_types::Epoch;

use crate::{Conflict, Resource};

/// Why the store did not do what was asked. `store` is the path or the redacted URL.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The directory of the database file cannot be made or entered.
    #[error("cannot use {} for the store", path.display())]
    Directory {
        /// The directory or file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// Another process kept the store locked for as long as we waited.
    #[error("store {store} is locked by another process (waited {} s); let that process finish, or end it", waited.as_secs_f32())]
    Locked {
        /// The store.
        store: String,
        /// How long we waited.
        waited: Duration,
    },
    /// The database may not be written to.
    #[error("store {store} is read-only; check its owner, its mode and how its file system is mounted")]
    ReadOnly {
        /// The store.
        store: String,
    },
    /// No space is left where the database is.
    #[error("store {store} is on a full disk; nothing was written, free some space and try again")]
    Full {
        /// The store.
        store: String,
    },
    /// The file is no database, or its pages do not hang together.
    #[error("store {store} is damaged or not a database; move it away or restore a copy")]
    Damaged {
        /// The store.
        store: String,
        /// What the database said.
        #[source]
        source: sqlx::Error,
    },
    /// The store was written by a newer version of this program.
    #[error(
        "store {store} is from a newer version of shoal (schema {found}, this one knows {known}); use that version"
    )]
    Newer {
        /// The store.
        store: String,
        /// Schema version of the store.
        found: i64,
        /// Newest schema version known here.
        known: i64,
    },
    /// The store is of an earlier version, and somebody works with it as such.
    #[error(
        "store {store} is from an older version of shoal (schema {found}, this one has {known}), and {holder} works with it; it is \
         brought up to date once that process has ended"
    )]
    Older {
        /// The store.
        store: String,
        /// Who works with it.
        holder: String,
        /// Schema version of the store.
        found: i64,
        /// That of this program.
        known: i64,
    },
    /// A schema version was applied whose text is not the one known here.
    #[error(
        "store {store} has another schema {version} than this version of shoal; it is not a store of a release"
    )]
    Altered {
        /// The store.
        store: String,
        /// The schema version that differs.
        version: i64,
    },
    /// The sealing key is not the one the store was made with.
    #[error("key file {} is not the one store {store} was made with; restore that file, or name it with SHOAL_KEY_FILE", key_file.display())]
    WrongKey {
        /// The store.
        store: String,
        /// Where the key was read from.
        key_file: PathBuf,
    },
    /// The database server cannot be reached, or the connection broke.
    #[error("store {store} cannot be reached")]
    Unreachable {
        /// The store.
        store: String,
        /// What happened.
        #[source]
        source: sqlx::Error,
    },
    /// The database server does not prove by TLS that it is the one asked for; it was sent no password.
    #[error(
        "store {store} does not prove by TLS that it is the one asked for; name the file of its authority with ?sslrootcert=FILE \
         in the URL, or say there with sslmode=MODE how much is enough"
    )]
    Unproven {
        /// The store.
        store: String,
        /// What is wrong with it.
        #[source]
        source: sqlx::Error,
    },
    /// The database server let the user in and lacks nothing but a right, or a setting of what is before it.
    #[error("store {store} does not let its role do that: {advice}")]
    Denied {
        /// The store.
        store: String,
        /// What to grant or to set, as one clause.
        advice: &'static str,
        /// What the server said.
        #[source]
        source: sqlx::Error,
    },
    /// The database server refused the user, or the user what is needed, or it does not have the database.
    #[error(
        "store {store} is refused to this user; check user, password, database name and the user's rights in it"
    )]
    Refused {
        /// The store.
        store: String,
        /// What the server said.
        #[source]
        source: sqlx::Error,
    },
    /// Something unique is in use already.
    #[error(transparent)]
    Conflict(#[from] Conflict),
    /// A row names another that is not there, or is still named by others.
    #[error("{operation}: a row it refers to is missing, or other rows still refer to it")]
    Referenced {
        /// What was tried, such as `DELETE on clusters`.
        operation: String,
    },
    /// The row to be changed is not there.
    #[error("there is no {what} {id}")]
    Missing {
        /// What kind of thing.
        what: &'static str,
        /// Its id.
        id: String,
    },
    /// What was decided on has changed since it was read: read again and decide again.
    #[error("{what} changed meanwhile (expected {expected})")]
    Stale {
        /// What changed.
        what: &'static str,
        /// The version or state it was expected in.
        expected: String,
    },
    /// The lease was taken over by another holder: stop at once, undo nothing.
    #[error("lease on {resource} was lost (held at epoch {epoch})")]
    LeaseLost {
        /// What the lease was on.
        resource: Resource,
        /// The epoch it was held at.
        epoch: Epoch,
    },
    /// A stored value cannot be what it should be.
    #[error("store holds an unusable value: table {table}, column {column}, row {id}")]
    Corrupt {
        /// The table.
        table: &'static str,
        /// The column.
        column: &'static str,
        /// The row, by its primary key.
        id: String,
    },
    /// A value has no JSON form; it was not written.
    #[error("cannot write {what} as JSON")]
    Encode {
        /// The value.
        what: &'static str,
        /// Why.
        #[source]
        source: serde_json::Error,
    },
    /// An earlier statement of the transaction failed, so none of it was committed.
    #[error("transaction was rolled back because it failed before: {operation}")]
    Aborted {
        /// The statement that failed.
        operation: String,
    },
    /// Anything else the database said.
    #[error("{operation} failed in store {store}")]
    Query {
        /// The store.
        store: String,
        /// What was tried.
        operation: String,
        /// What the database said.
        #[source]
        source: sqlx::Error,
    },
}
