//! The one map from `sqlx` errors to [`StoreError`].
//!
//! SQLite's numbers are its result codes (sqlite.org/rescode.html; the low byte is the primary code), PostgreSQL's five
//! characters are SQLSTATEs (its manual, appendix A).

use std::{fmt::Display, io::ErrorKind, time::Duration};

use sqlx::migrate::MigrateError;

use crate::{StoreError, conflict};

/// Names the store in errors, and how long it waits for locks.
#[derive(Debug, Clone)]
pub(crate) struct Label {
    /// The path or redacted URL.
    pub(crate) store: String,
    /// How long a lock is waited for.
    pub(crate) lock_wait: Duration,
}

impl Label {
    /// What `source`, met while doing `operation`, means.
    pub(crate) fn fault(&self, operation: impl Display, source: sqlx::Error) -> StoreError {
        let store = self.store.clone();
        let Some(kind) = Kind::of(&source) else {
            return StoreError::Query { store, operation: operation.to_string(), source };
        };
        match kind {
            Kind::Conflict(conflict) => StoreError::Conflict(conflict),
            Kind::Referenced => StoreError::Referenced { operation: operation.to_string() },
            Kind::Locked => StoreError::Locked { store, waited: self.lock_wait },
            Kind::ReadOnly => StoreError::ReadOnly { store },
            Kind::Full => StoreError::Full { store },
            Kind::Damaged => StoreError::Damaged { store, source },
            Kind::Denied => StoreError::Denied { store, advice: advice(&operation.to_string()), source },
            Kind::Pooling => StoreError::Denied { store, advice: POOLING, source },
            Kind::Refused => StoreError::Refused { store, source },
            Kind::Unproven => StoreError::Unproven { store, source },
            Kind::Unreachable => StoreError::Unreachable { store, source },
        }
    }

    /// What a failed migration means; `known` is the newest schema version known here.
    pub(crate) fn migration(&self, source: MigrateError, known: i64) -> StoreError {
        let store = self.store.clone();
        #[expect(clippy::wildcard_enum_match_arm, reason = "sqlx's enum, open to additions")]
        match source {
            MigrateError::VersionMissing(found) if found > known => StoreError::Newer { store, found, known },
            MigrateError::VersionMissing(version) | MigrateError::VersionMismatch(version) => {
                StoreError::Altered { store, version }
            }
            MigrateError::Execute(source) | MigrateError::ExecuteMigration(source, _) => {
                self.fault("migration", source)
            }
            other => self.fault("migration", sqlx::Error::Migrate(Box::new(other))),
        }
    }
}

enum Kind {
    Conflict(crate::Conflict),
    Referenced,
    Locked,
    ReadOnly,
    Full,
    Damaged,
    Denied,
    Pooling,
    Refused,
    Unproven,
    Unreachable,
}

/// What a pooler must be set to.
const POOLING: &str = "set pool_mode = transaction (or session) in PgBouncer";

/// What a role must be granted for an operation.
fn advice(operation: &str) -> &'static str {
    match operation {
        "opening" => "`GRANT CONNECT ON DATABASE its-database TO its-role`, and `GRANT USAGE` on the schema",
        "migration" => {
            "its tables are made or changed by a role that owns them and has `GRANT USAGE, CREATE ON SCHEMA public`; open the store \
             as that role once, or grant it"
        }
        _ => "`GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO its-role`",
    }
}

impl Kind {
    fn of(error: &sqlx::Error) -> Option<Self> {
        #[expect(clippy::wildcard_enum_match_arm, reason = "sqlx's enum, open to additions")]
        let database = match error {
            sqlx::Error::Database(database) => database,
            sqlx::Error::PoolTimedOut => return Some(Self::Locked),
            sqlx::Error::Tls(_) => return Some(Self::Unproven),
            // A certificate that rustls does not take comes so.
            sqlx::Error::Io(error) if error.kind() == ErrorKind::InvalidData => return Some(Self::Unproven),
            sqlx::Error::Io(_) | sqlx::Error::PoolClosed => {
                return Some(Self::Unreachable);
            }
            _ => return None,
        };
        if let Some(conflict) = conflict::of(database.as_ref()) {
            return Some(Self::Conflict(conflict));
        }
        if database.is_foreign_key_violation() {
            return Some(Self::Referenced);
        }
        let code = database.code()?;
        // PgBouncer says it in no other way.
        if code == "08P01" && database.message().contains("pooling mode") {
            return Some(Self::Pooling);
        }
        if code.len() == 5 { Self::of_sqlstate(&code) } else { Self::of_sqlite(code.parse().ok()?) }
    }

    fn of_sqlite(code: i32) -> Option<Self> {
        // IOERR_SHMSIZE: the log's index cannot grow, which a full disk says in no other way.
        const IOERR_SHMSIZE: i32 = 4874;
        match code & 0xff {
            // BUSY, LOCKED
            5 | 6 => Some(Self::Locked),
            // READONLY, and CANTOPEN, which is what a read-only directory gives for the journal
            8 | 14 => Some(Self::ReadOnly),
            // CORRUPT, NOTADB
            11 | 26 => Some(Self::Damaged),
            // FULL
            13 => Some(Self::Full),
            _ if code == IOERR_SHMSIZE => Some(Self::Full),
            _ => None,
        }
    }

    fn of_sqlstate(code: &str) -> Option<Self> {
        match code {
            // lock_not_available, deadlock_detected, serialization_failure
            "55P03" | "40P01" | "40001" => Some(Self::Locked),
            // read_only_sql_transaction
            "25006" => Some(Self::ReadOnly),
            // disk_full
            "53100" => Some(Self::Full),
            // data_corrupted, index_corrupted
            "XX001" | "XX002" => Some(Self::Damaged),
            // insufficient_privilege; no schema to create in, which is what a role without USAGE on any has
            "42501" | "3F000" => Some(Self::Denied),
            // invalid password or authorization, no such database
            "28P01" | "28000" | "3D000" => Some(Self::Refused),
            // too_many_connections, admin_shutdown, crash_shutdown, cannot_connect_now, idle-in-transaction timeout
            "53300" | "57P01" | "57P02" | "57P03" | "25P03" => Some(Self::Unreachable),
            _ => None,
        }
    }
}
