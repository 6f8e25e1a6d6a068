//! The store as a program holds it: opened once, cloned freely, asked for units of work.

use std::sync::Arc;

use shoal_types::{InstallationId, Timestamp};
use sqlx::{PgPool, SqlitePool};
use tokio::sync::watch;

use crate::{
    Rng, SealingKey, Session, Snapshot, StoreError, StoreUrl, Transaction,
    connection::Connection,
    failpoint::Watch,
    fault::Label,
    postgres,
    query::{Query, Table},
    seal, sqlite,
    url::Place,
};

pub(crate) const INSTALLATION: Table = Table { name: "installation", key: "singleton" };

/// What the key check seals: any fixed text.
const KEY_CHECK: &[u8] = b"shoal";

/// An open store. Clones share its connections.
#[derive(Debug, Clone)]
pub struct Store {
    shared: Arc<Shared>,
    installation: InstallationId,
}

/// What units of work share.
#[derive(Debug)]
pub(crate) struct Shared {
    pools: Pools,
    pub(crate) label: Label,
    pub(crate) key: SealingKey,
    committed: watch::Sender<u64>,
    pub(crate) watch: Watch,
}

#[derive(Debug)]
pub(crate) enum Pools {
    /// One connection writes, the others read.
    Sqlite {
        writer: SqlitePool,
        readers: SqlitePool,
    },
    Postgres(PgPool),
}

impl Shared {
    /// Wakes readers that wait for events; a later transaction may get here first.
    pub(crate) fn committed(&self, seq: u64) {
        self.committed.send_if_modified(|last| {
            let newer = seq > *last;
            *last = seq.max(*last);
            newer
        });
    }
}

impl Store {
    /// Opens the store, and makes it on first use: directory 0700, file 0600, schema, installation id. `rng` is used only then, `now`
    /// also where a store of an earlier version is brought up to date.
    ///
    /// # Errors
    /// [`StoreError::Directory`], [`StoreError::Locked`], [`StoreError::ReadOnly`], [`StoreError::Full`],
    /// [`StoreError::Damaged`], [`StoreError::Unreachable`], [`StoreError::Refused`],
    /// [`StoreError::Denied`]: it cannot be used, each for that
    /// reason. [`StoreError::Newer`], [`StoreError::Altered`]: its schema is not one of ours. [`StoreError::Older`]: it is of an earlier
    /// version, and somebody works with it. [`StoreError::WrongKey`]: its
    /// secrets are sealed with another key.
    pub async fn open(
        url: &StoreUrl,
        key: SealingKey,
        now: Timestamp,
        rng: &mut Rng,
    ) -> Result<Self, StoreError> {
        let label = Label { store: url.to_string(), lock_wait: url.lock_wait };
        let pools = match &url.place {
            Place::Sqlite(path) => sqlite::open(path, &label, now).await?,
            Place::Postgres(options) => postgres::open(options, &label, now).await?,
        };
        let shared =
            Arc::new(Shared { pools, label, key, committed: watch::Sender::new(0), watch: Watch::default() });
        let installation = match Self::installed(&shared, now, rng).await {
            Ok(installation) => installation,
            Err(error) => {
                shared.pools.close().await;
                return Err(error);
            }
        };
        Ok(Self { shared, installation })
    }

    /// The id of this installation, made when the store was.
    #[must_use]
    pub fn installation(&self) -> &InstallationId {
        &self.installation
    }

    /// Begins a unit of work that writes; waits for the writer before it.
    ///
    /// # Errors
    /// [`StoreError::Locked`]: another writer did not end in time. [`StoreError::Unreachable`], ...: no connection.
    pub async fn begin(&self) -> Result<Transaction, StoreError> {
        Self::write(&self.shared).await
    }

    /// Begins a consistent view; never waits for a writer.
    ///
    /// # Errors
    /// [`StoreError::Unreachable`], ...: no connection.
    pub async fn read(&self) -> Result<Snapshot, StoreError> {
        let work = self.shared.watch.work().map_err(|source| self.shared.label.fault("BEGIN", source))?;
        let connection = match &self.shared.pools {
            Pools::Sqlite { readers, .. } => readers.begin_with("BEGIN").await.map(Connection::Sqlite),
            Pools::Postgres(pool) => {
                postgres::read(pool, self.shared.label.lock_wait).await.map(Connection::Postgres)
            }
        };
        let connection = connection.map_err(|source| self.shared.label.fault("BEGIN", source))?;
        Ok(Session::new(connection, Arc::clone(&self.shared), work))
    }

    /// The sequence number of the last event committed through this object (0 at first): a wake-up, not a source of
    /// truth, since other processes write too. Read events with [`crate::Events::list`], then wait for either a change
    /// here or the next poll.
    #[must_use]
    pub fn committed_events(&self) -> watch::Receiver<u64> {
        self.shared.committed.subscribe()
    }

    /// Lets `probe` look at every unit of work from now on; the first one given stays.
    #[cfg(feature = "failpoints")]
    pub fn probe(&self, probe: Arc<dyn crate::Probe>) {
        self.shared.watch.set(probe);
    }

    /// Closes all connections once their units of work have ended; SQLite's log is folded into its file.
    pub async fn close(&self) {
        let _work = self.shared.watch.work();
        self.shared.pools.close().await;
    }

    pub(crate) fn key(&self) -> &SealingKey {
        &self.shared.key
    }

    async fn write(shared: &Arc<Shared>) -> Result<Transaction, StoreError> {
        let work = shared.watch.work().map_err(|source| shared.label.fault("BEGIN", source))?;
        let connection = match &shared.pools {
            Pools::Sqlite { writer, .. } => {
                writer.begin_with("BEGIN IMMEDIATE").await.map(Connection::Sqlite)
            }
            Pools::Postgres(pool) => {
                postgres::begin(pool, shared.label.lock_wait).await.map(Connection::Postgres)
            }
        };
        let connection = connection.map_err(|source| shared.label.fault("BEGIN", source))?;
        Ok(Session::new(connection, Arc::clone(shared), work))
    }

    /// Reads the installation row or makes it, and proves the key.
    async fn installed(
        shared: &Arc<Shared>,
        now: Timestamp,
        rng: &mut Rng,
    ) -> Result<InstallationId, StoreError> {
        let mut tx = Self::write(shared).await?;
        let row =
            tx.one(Query::new(INSTALLATION, "SELECT singleton, id, key_check FROM installation")).await?;
        if let Some(row) = row {
            let id: InstallationId = row.get("id")?;
            let check: Vec<u8> = row.get("key_check")?;
            return match is_key_of(&shared.key, &id, &check) {
                true => Ok(id),
                false => Err(StoreError::WrongKey {
                    store: shared.label.store.clone(),
                    key_file: shared.key.file().into(),
                }),
            };
        }
        let mut random = [0; 3];
        rng.fill_bytes(&mut random);
        let id = InstallationId::new(random);
        let check = seal::seal(&shared.key, &key_check_place(&id), KEY_CHECK, rng);
        let insert = Query::new(
            INSTALLATION,
            "INSERT INTO installation (singleton, id, key_check, placement_version, created_ms)
             VALUES (1, $1, $2, 0, $3)",
        );
        tx.execute(insert.bind(&id).bind_opt(check.as_ref()).bind(&now)).await?;
        tx.commit().await?;
        Ok(id)
    }
}

impl Pools {
    async fn close(&self) {
        match self {
            Self::Sqlite { writer, readers } => {
                readers.close().await;
                writer.close().await;
            }
            Self::Postgres(pool) => pool.close().await,
        }
    }
}

/// Whether this key made the check of an installation's key.
pub(crate) fn is_key_of(key: &SealingKey, id: &InstallationId, check: &[u8]) -> bool {
    seal::open(key, &key_check_place(id), check).is_some_and(|text| text.as_slice() == KEY_CHECK)
}

fn key_check_place(id: &InstallationId) -> String {
    format!("installation/{id}/key-check")
}
