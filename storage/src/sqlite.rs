//! SQLite: one file in the state directory, one connection that writes and a few that read.
//!
//! - Write-ahead log: readers never wait for the writer, nor the writer for them.
//! - `synchronous=FULL`: a commit survives a power cut. NORMAL would keep the file sound but could lose the last commits,
//!   and with them a network's revision that agents have already seen, or the intent behind containers that exist.
//! - `BEGIN IMMEDIATE`: the write lock is taken when the unit of work begins, so a transaction that has read is never told
//!   to start over.
//! - Several processes may have it open; a writer waits for another's lock as long as [`Label`] says.

use std::{
    fs::{DirBuilder, OpenOptions},
    io::{self, ErrorKind},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::Path,
    time::Duration,
};

use shoal_types::Timestamp;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};
use tokio::time::{Instant, sleep};

use crate::{
    StoreError, connection::Connection, fault::Label, migrations::OF_SQLITE, store::Pools, upgrade::upgrade,
};

/// Reading connections: more than the cores of a small server gain nothing.
const READERS: u32 = 4;
/// How long to leave the file to another process that opens it for the first time.
const AGAIN: Duration = Duration::from_millis(10);

/// Opens or makes the database file at `path`.
pub(crate) async fn open(path: &Path, label: &Label, now: Timestamp) -> Result<Pools, StoreError> {
    make_file(path).map_err(|source| directory_fault(path, label, source))?;
    let options = SqliteConnectOptions::new()
        .filename(path)
        .create_if_missing(false)
        .busy_timeout(label.lock_wait)
        .foreign_keys(true)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full);
    let pool = |most| SqlitePoolOptions::new().max_connections(most).acquire_timeout(label.lock_wait);
    let began = Instant::now();
    let writer = loop {
        let opened = pool(1).connect_with(options.clone()).await;
        match opened.map_err(|source| label.fault("opening", source)) {
            // Of two that turn on the write-ahead log of a new file at once, SQLite tells one so without waiting.
            Err(StoreError::Locked { .. }) if began.elapsed() < label.lock_wait => sleep(AGAIN).await,
            opened => break opened?,
        }
    };
    let tx = writer.begin_with("BEGIN IMMEDIATE").await.map_err(|source| label.fault("migration", source))?;
    upgrade(Connection::Sqlite(tx), &OF_SQLITE, label, now).await?;
    let readers = pool(READERS).connect_lazy_with(options.pragma("query_only", "ON"));
    Ok(Pools::Sqlite { writer, readers })
}

/// Makes what is missing of the file and the directories above it, closed to others; SQLite gives its log the same mode.
fn make_file(path: &Path) -> io::Result<()> {
    if let Some(directory) = path.parent().filter(|p| !p.as_os_str().is_empty()) {
        DirBuilder::new().recursive(true).mode(0o700).create(directory)?;
    }
    match OpenOptions::new().write(true).create_new(true).mode(0o600).open(path) {
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {
            // A directory, a device or a FIFO in its place is no database.
            if path.metadata()?.is_file() {
                Ok(())
            } else {
                Err(io::Error::new(ErrorKind::InvalidInput, "it is no plain file"))
            }
        }
        outcome => outcome.map(drop),
    }
}

fn directory_fault(path: &Path, label: &Label, source: io::Error) -> StoreError {
    let store = label.store.clone();
    #[expect(clippy::wildcard_enum_match_arm, reason = "std's enum, open to additions")]
    match source.kind() {
        ErrorKind::ReadOnlyFilesystem => StoreError::ReadOnly { store },
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => StoreError::Full { store },
        _ => StoreError::Directory { path: path.into(), source },
    }
}
