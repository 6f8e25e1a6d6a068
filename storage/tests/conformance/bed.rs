//! Where a test runs: an empty store of its own in one of the databases, and ways around the API to spoil it.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
    str::FromStr,
    sync::{
        OnceLock,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use rand::{SeedableRng, rngs::StdRng};
use shoal_lab::Postgres;
use shoal_storage::{SealingKey, Store, StoreError, StoreUrl};
use shoal_types::Timestamp;
use sqlx::{
    AssertSqlSafe, Connection, PgConnection, SqliteConnection, migrate::Migrator,
    sqlite::SqliteConnectOptions,
};
use tempfile::TempDir;

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

/// The superuser of the server.
pub(crate) const USER: &str = Postgres::USER;

/// The server, started on first use, gone with the process; `None` if it was switched off.
pub(crate) fn server() -> Option<&'static Postgres> {
    static SERVER: OnceLock<Option<Postgres>> = OnceLock::new();
    let server = SERVER.get_or_init(|| Postgres::start().unwrap());
    if server.is_none() {
        println!("skipped on PostgreSQL: SHOAL_TEST_POSTGRES=off");
    }
    server.as_ref()
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
        Self::on_server(server()?.socket()).await
    }

    /// The same through a pooler, which gives each transaction another connection.
    pub(crate) async fn pooled() -> Option<Self> {
        Self::on_server(&server()?.pool()).await
    }

    async fn on_server(socket: &Path) -> Option<Self> {
        static DATABASES: AtomicU32 = AtomicU32::new(0);
        let socket = socket.display();
        let name = format!("t{}", DATABASES.fetch_add(1, Ordering::Relaxed));
        let mut admin = PgConnection::connect(&server()?.url()).await.unwrap();
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

    /// The same past the pooler, for statements that are no store's.
    fn direct(&self) -> String {
        self.text.trim_end_matches("/pool").to_owned()
    }

    /// Makes the store anew as a version had it whose last migration was `version`, with these rows in it, and closed:
    /// [`Bed::again`] opens it as this version does. `BLOB` in the text is a value of bytes.
    pub(crate) async fn as_of(&self, version: i64, rows: &str) {
        self.store.close().await;
        if let Some(path) = self.url.path() {
            for suffix in ["", "-wal", "-shm"] {
                let _ = std::fs::remove_file(format!("{}{suffix}", path.display()));
            }
            let options = SqliteConnectOptions::from_str(&self.text).unwrap().create_if_missing(true);
            let mut connection = SqliteConnection::connect_with(&options).await.unwrap();
            migrations("sqlite").await.run_to(version, &mut connection).await.unwrap();
            let rows = AssertSqlSafe(rows.replace("BLOB", "X'0a0b'"));
            sqlx::raw_sql(rows).execute(&mut connection).await.unwrap();
            connection.close().await.unwrap();
        } else {
            self.raw("DROP SCHEMA public CASCADE; CREATE SCHEMA public").await;
            let mut connection = PgConnection::connect(&self.direct()).await.unwrap();
            migrations("postgres").await.run_to(version, &mut connection).await.unwrap();
            let rows = AssertSqlSafe(rows.replace("BLOB", "'\\x0a0b'::bytea"));
            sqlx::raw_sql(rows).execute(&mut connection).await.unwrap();
            connection.close().await.unwrap();
        }
    }

    /// The tables that there are, past the store; not those of the migrations.
    pub(crate) async fn tables(&self) -> BTreeSet<String> {
        let names: Vec<String> = if self.url.path().is_some() {
            let mut connection = SqliteConnection::connect(&self.text).await.unwrap();
            let all = "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'";
            sqlx::query_scalar(all).fetch_all(&mut connection).await.unwrap()
        } else {
            let mut connection = PgConnection::connect(&self.direct()).await.unwrap();
            let all = "SELECT CAST(tablename AS TEXT) FROM pg_tables WHERE schemaname = 'public'";
            sqlx::query_scalar(all).fetch_all(&mut connection).await.unwrap()
        };
        names.into_iter().filter(|name| name != "_sqlx_migrations").collect()
    }

    /// Runs SQL past the store.
    pub(crate) async fn raw(&self, sql: &'static str) {
        if self.url.path().is_some() {
            let mut connection = SqliteConnection::connect(&self.text).await.unwrap();
            sqlx::raw_sql(sql).execute(&mut connection).await.unwrap();
            connection.close().await.unwrap();
        } else {
            let mut connection = PgConnection::connect(&self.direct()).await.unwrap();
            sqlx::raw_sql(sql).execute(&mut connection).await.unwrap();
            connection.close().await.unwrap();
        }
    }
}

/// The migrations of one of the databases, read where they are.
async fn migrations(database: &str) -> Migrator {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../migrations").join(database);
    Migrator::new(directory).await.unwrap()
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

            #[tokio::test]
            async fn pooled() {
                if let Some(mut bed) = $crate::bed::Bed::pooled().await {
                    super::$name(&mut bed).await;
                }
            }
        }
    )*};
}

pub(crate) use on_both;
