//! PostgreSQL, 13 and newer: a pool of connections, and one advisory lock that lets one writer in at a time.
//!
//! - READ COMMITTED suffices under that lock; see `session.rs`.
//! - A coordinator that is cut off in the middle of a transaction must not keep the others out: the server ends what idles
//!   in a transaction for [`IDLE_IN_TRANSACTION`], and waiting for the lock ends after the store's lock wait.
//! - A pooler such as PgBouncer may give each transaction another connection of the server. So nothing outlives a transaction:
//!   settings and the lock are the transaction's, and no statement is prepared under a name.

use std::{
    io::{self, ErrorKind},
    time::Duration,
};

use shoal_types::Timestamp;
use sqlx::{
    AssertSqlSafe, PgPool, Postgres, Row as _, Transaction,
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
pub(crate) async fn open(
    options: &PgConnectOptions,
    label: &Label,
    now: Timestamp,
) -> Result<Pools, StoreError> {
    // A pooler refuses settings at the beginning of a connection, this one among them. Nothing here is a float.
    let options = options.clone().application_name("shoal").extra_float_digits(None);
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
    match bring_up_to_date(&pool, label, now).await {
        Ok(()) => Ok(Pools::Postgres(pool)),
        Err(error) => {
            pool.close().await;
            Err(error)
        }
    }
}

async fn bring_up_to_date(pool: &PgPool, label: &Label, now: Timestamp) -> Result<(), StoreError> {
    let fault = |source| label.fault("opening", source);
    let mut tx = begin(pool, label.lock_wait).await.map_err(fault)?;
    // Of a schema that is as it should be nothing more is asked: its role needs no right to make tables.
    let current =
        is_current(&mut tx).await.map_err(|source| label.fault("SELECT on _sqlx_migrations", source));
    if current? {
        return tx.commit().await.map_err(fault);
    }
    upgrade(Connection::Postgres(tx), &OF_POSTGRES, label, now).await
}

/// Whether all migrations ran, and no other.
async fn is_current(tx: &mut Transaction<'static, Postgres>) -> Result<bool, sqlx::Error> {
    // One that may not be written to is refused as it is opened: by the upgrade.
    let text = "SELECT to_regclass('_sqlx_migrations') IS NOT NULL AND current_setting('transaction_read_only') = 'off'";
    let table = sqlx::query(text).persistent(false);
    if !table.fetch_one(&mut **tx).await?.try_get::<bool, _>(0)? {
        return Ok(false);
    }
    let text = "SELECT version, checksum FROM _sqlx_migrations WHERE success ORDER BY version";
    let rows = sqlx::query(text).persistent(false).fetch_all(&mut **tx).await?;
    let ran = rows.iter().map(|row| Ok((row.try_get::<i64, _>(0)?, row.try_get::<Vec<u8>, _>(1)?)));
    let ran = ran.collect::<Result<Vec<_>, sqlx::Error>>()?;
    let known = OF_POSTGRES.iter().map(|migration| (migration.version, migration.checksum.to_vec()));
    Ok(known.eq(ran))
}

/// Begins a write transaction: waits for the writer before it, at most for `lock_wait`.
pub(crate) async fn begin(
    pool: &PgPool,
    lock_wait: Duration,
) -> Result<Transaction<'static, Postgres>, sqlx::Error> {
    let mut tx = begin_as(pool, "READ COMMITTED", lock_wait).await?;
    // Any number will do as long as all agree; it is local to the database.
    sqlx::raw_sql("SELECT pg_advisory_xact_lock(7310868)").execute(&mut *tx).await?;
    Ok(tx)
}

/// Begins a consistent view.
pub(crate) async fn read(
    pool: &PgPool,
    lock_wait: Duration,
) -> Result<Transaction<'static, Postgres>, sqlx::Error> {
    begin_as(pool, "REPEATABLE READ READ ONLY", lock_wait).await
}

/// Begins a transaction and says what holds in it, in one message.
async fn begin_as(
    pool: &PgPool,
    mode: &str,
    lock_wait: Duration,
) -> Result<Transaction<'static, Postgres>, sqlx::Error> {
    let (lock_ms, idle_ms, check_ms) =
        (lock_wait.as_millis(), IDLE_IN_TRANSACTION.as_millis(), CLIENT_CHECK.as_millis());
    // A statement whose client is gone ends, and with it its locks; PostgreSQL 13 does not know the setting.
    let text = format!(
        "BEGIN ISOLATION LEVEL {mode}; SET LOCAL lock_timeout = {lock_ms};
         SET LOCAL idle_in_transaction_session_timeout = {idle_ms};
         SELECT CASE WHEN current_setting('server_version_num')::int >= 140000
             THEN set_config('client_connection_check_interval', '{check_ms}', true) END"
    );
    // Only numbers of ours are not from this source text.
    pool.begin_with(AssertSqlSafe(text)).await
}
