//! Where a test runs: an empty store of its own in one of the databases, and ways around the API to spoil it.

use std::{
    path::{Path, PathBuf},
    sync::atomic::{AtomicU32, Ordering},
    time::Duration,
};

use rand::{SeedableRng, rngs::StdRng};
use shoal_storage::{SealingKey, Store, StoreError, StoreUrl};
use shoal_types::Timestamp;
use sqlx::{Connection, PgConnection, SqliteConnection};
use tempfile::TempDir;

use crate::server::{self, USER};

/// When every test begins.
pub(crate) const START: Timestamp = Timestamp(1_800_000_000_000);

/// An empty store and what belongs to it.
pub(crate) struct Bed {
    pub(crate) store: Store,
    pub(crate) rng: StdRng,
    pub(crate) url: StoreUrl,
    text: String,
    directory: TempDir,
}

/// A wait for a lock that is too short when one is held, and long enough to connect.
pub(crate) const SHORT: Duration = Duration::from_secs(2);

impl Bed {
    /// On SQLite.
    pub(crate) async fn sqlite() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let text = format!("sqlite://{}", directory.path().join("state/shoal.db").display());
        Self::at(directory, text).await
    }

    /// On PostgreSQL, in a database of its own; `None` if it was switched off.
    pub(crate) async fn postgres() -> Option<Self> {
        static DATABASES: AtomicU32 = AtomicU32::new(0);
        let server = server::server()?;
        let socket = server.socket.display();
        let name = format!("t{}", DATABASES.fetch_add(1, Ordering::Relaxed));
        let admin = format!("postgres://{USER}@localhost/postgres?host={socket}");
        let mut admin = PgConnection::connect(&admin).await.unwrap();
        let create = sqlx::AssertSqlSafe(format!("CREATE DATABASE {name}"));
        sqlx::raw_sql(create).execute(&mut admin).await.unwrap();
        admin.close().await.unwrap();
        let text = format!("postgres://{USER}:hunter2@localhost/{name}?host={socket}");
        Some(Self::at(tempfile::tempdir().unwrap(), text).await)
    }

    async fn at(directory: TempDir, text: String) -> Self {
        let url: StoreUrl = text.parse().unwrap();
        let mut rng = StdRng::seed_from_u64(1);
        let key = SealingKey::load_or_create(&directory.path().join("key"), &mut rng).unwrap();
        let store = Store::open(&url, key, START, &mut rng).await.unwrap();
        Self { store, rng, url, text, directory }
    }

    /// The same store, opened once more, as another process would; a lock is waited for only `lock_wait`.
    pub(crate) async fn again(&self, lock_wait: Duration) -> Result<Store, StoreError> {
        let url = self.url.clone().with_lock_wait(lock_wait);
        Store::open(&url, self.key(), START, &mut StdRng::seed_from_u64(2)).await
    }

    pub(crate) fn key(&self) -> SealingKey {
        SealingKey::load(&self.key_file()).unwrap()
    }

    pub(crate) fn key_file(&self) -> PathBuf {
        self.directory.path().join("key")
    }

    pub(crate) fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// The URL, with the password that goes with it.
    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    /// Runs SQL past the store.
    pub(crate) async fn raw(&self, sql: &'static str) {
        if self.url.path().is_some() {
            let mut connection = SqliteConnection::connect(&self.text).await.unwrap();
            sqlx::raw_sql(sql).execute(&mut connection).await.unwrap();
            connection.close().await.unwrap();
        } else {
            let mut connection = PgConnection::connect(&self.text).await.unwrap();
            sqlx::raw_sql(sql).execute(&mut connection).await.unwrap();
            connection.close().await.unwrap();
        }
    }
}

/// Makes a test of each function on each database.
macro_rules! on_both {
    ($($(#[$doc:meta])* async fn $name:ident($bed:ident: &mut Bed) $body:block)*) => {$(
        $(#[$doc])*
        async fn $name($bed: &mut $crate::bed::Bed) $body

        mod $name {
            #[tokio::test]
            async fn sqlite() {
                super::$name(&mut $crate::bed::Bed::sqlite().await).await;
            }

            #[tokio::test]
            async fn postgres() {
                if let Some(mut bed) = $crate::bed::Bed::postgres().await {
                    super::$name(&mut bed).await;
                }
            }
        }
    )*};
}

pub(crate) use on_both;
