//! PostgreSQL: a pool of connections, and one advisory lock that lets one writer in at a time.
//!
//! - READ COMMITTED suffices under that lock; see `session.rs`.
//! - A coordinator that is cut off in the middle of a transaction must not keep the others out: the server ends what idles
//!   in a transaction for [`IDLE_IN_TRANSACTION`], and waiting for the lock ends after the store's lock wait.

use std::{
    io::{self, ErrorKind},
    time::Duration,
};

use sqlx::{
    PgPool, Postgres, Transaction,
    postgres::{PgConnectOptions, PgPoolOptions},
};

use crate::{
    StoreError, connection::Connection, fault::Label, migrations::OF_POSTGRES, store::Pools, upgrade::upgrade,
};

/// Connections of one process: enough that readers do not queue behind the writers that wait for each other.
const CONNECTIONS: u32 = 10;

/// Longest pause between two statements of one transaction; ours do nothing else in between.
const IDLE_IN_TRANSACTION: Duration = Duration::from_secs(30);

/// How often a server looks whether the client of a running statement is still there (PostgreSQL 14 and newer).
const CLIENT_CHECK: Duration = Duration::from_secs(2);

/// Opens the database and brings its schema up to date.
pub(crate) async fn open(options: &PgConnectOptions, label: &Label) -> Result<Pools, StoreError> {
    let lock_wait_ms = label.lock_wait.as_millis();
    let idle_ms = IDLE_IN_TRANSACTION.as_millis();
    let options = options.clone().application_name("shoal").options([
        ("lock_timeout", lock_wait_ms.to_string()),
        ("idle_in_transaction_session_timeout", idle_ms.to_string()),
        // A statement whose client is gone ends, and with it its locks.
        ("client_connection_check_interval", CLIENT_CHECK.as_millis().to_string()),
    ]);
    let is_socket = options.get_socket().is_some() || options.get_host().starts_with('/');
    let pool = PgPoolOptions::new().max_connections(CONNECTIONS).acquire_timeout(label.lock_wait);
    let pool = pool.connect_with(options).await.map_err(|source| {
        // A server that refuses is tried again until then; with no connection there is nobody who could hold a lock.
        if matches!(source, sqlx::Error::PoolTimedOut) {
            let text = format!("no connection within {} s", label.lock_wait.as_secs_f32());
            return label.fault("opening", sqlx::Error::Io(io::Error::new(io::ErrorKind::TimedOut, text)));
        }
        // No file is missing on the way to a port: it is one of the certificates that the URL names.
        if let sqlx::Error::Io(error) = &source
            && !is_socket
            && matches!(error.kind(), ErrorKind::NotFound | ErrorKind::PermissionDenied)
        {
            return StoreError::Unproven { store: label.store.clone(), source };
        }
        label.fault("opening", source)
    })?;
    let upgraded = match begin(&pool).await {
        Ok(tx) => upgrade(Connection::Postgres(tx), &OF_POSTGRES, label).await,
        Err(source) => Err(label.fault("migration", source)),
    };
    match upgraded {
        Ok(()) => Ok(Pools::Postgres(pool)),
        Err(error) => {
            pool.close().await;
            Err(error)
        }
    }
}

/// Begins a write transaction: waits for the writer before it.
pub(crate) async fn begin(pool: &PgPool) -> Result<Transaction<'static, Postgres>, sqlx::Error> {
    let mut tx = pool.begin_with("BEGIN ISOLATION LEVEL READ COMMITTED").await?;
    // Any number will do as long as all agree; it is local to the database.
    sqlx::query("SELECT pg_advisory_xact_lock(7310868)").execute(&mut *tx).await?;
    Ok(tx)
}
