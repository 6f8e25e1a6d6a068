//! The connection of one unit of work, to either database: every statement runs here.

use futures_util::TryStreamExt as _;
use sqlx::{
    PgConnection, Postgres, Sqlite, SqliteConnection, Transaction as Sql,
    migrate::{MigrateError, Migrator},
};

use crate::{query::Query, row::Row};

/// A transaction of one of the databases; dropped, it is rolled back.
pub(crate) enum Connection {
    Sqlite(Sql<'static, Sqlite>),
    Postgres(Sql<'static, Postgres>),
}

/// One of the databases.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Database {
    Sqlite,
    Postgres,
}

impl Connection {
    /// Which database it is to.
    pub(crate) fn database(&self) -> Database {
        match self {
            Self::Sqlite(_) => Database::Sqlite,
            Self::Postgres(_) => Database::Postgres,
        }
    }

    /// Runs a statement; the number of rows it changed.
    pub(crate) async fn execute(&mut self, query: Query) -> Result<u64, sqlx::Error> {
        match self {
            Self::Sqlite(tx) => {
                query.prepare::<Sqlite>(true).execute(&mut **tx).await.map(|done| done.rows_affected())
            }
            Self::Postgres(tx) => {
                query.prepare::<Postgres>(false).execute(&mut **tx).await.map(|done| done.rows_affected())
            }
        }
    }

    /// All rows of an answer.
    pub(crate) async fn all(&mut self, query: Query) -> Result<Vec<Row>, sqlx::Error> {
        let table = query.table;
        match self {
            Self::Sqlite(tx) => query
                .prepare::<Sqlite>(true)
                .fetch_all(&mut **tx)
                .await
                .map(|rows| rows.into_iter().map(|row| Row::sqlite(table, row)).collect()),
            Self::Postgres(tx) => query
                .prepare::<Postgres>(false)
                .fetch_all(&mut **tx)
                .await
                .map(|rows| rows.into_iter().map(|row| Row::postgres(table, row)).collect()),
        }
    }

    /// The rows of an answer one after the other, until `each` fails.
    pub(crate) async fn each<E>(
        &mut self,
        query: Query,
        mut each: impl FnMut(Row) -> Result<(), E>,
    ) -> Result<Result<(), E>, sqlx::Error> {
        let table = query.table;
        match self {
            Self::Sqlite(tx) => {
                let mut rows = query.prepare::<Sqlite>(true).fetch(&mut **tx);
                while let Some(row) = rows.try_next().await? {
                    if let Err(error) = each(Row::sqlite(table, row)) {
                        return Ok(Err(error));
                    }
                }
            }
            Self::Postgres(tx) => {
                let mut rows = query.prepare::<Postgres>(false).fetch(&mut **tx);
                while let Some(row) = rows.try_next().await? {
                    if let Err(error) = each(Row::postgres(table, row)) {
                        return Ok(Err(error));
                    }
                }
            }
        }
        Ok(Ok(()))
    }

    /// Runs the migrations up to `target`, all of them if `None`, that were not run yet.
    pub(crate) async fn migrate(
        &mut self,
        migrations: &Migrator,
        target: Option<i64>,
    ) -> Result<(), MigrateError> {
        // `run` is the same behind a trait whose lifetimes keep the future from being `Send` (rust-lang/rust#102211).
        match self {
            Self::Sqlite(tx) => {
                let connection: &mut SqliteConnection = tx;
                migrations.run_direct(target, connection, false).await
            }
            Self::Postgres(tx) => {
                let connection: &mut PgConnection = tx;
                migrations.run_direct(target, connection, false).await?;
                // The names of what was prepared for it would be in the way of whom a pooler gives this connection next.
                Ok(sqlx::Connection::clear_cached_statements(&mut **tx).await?)
            }
        }
    }

    pub(crate) async fn commit(self) -> Result<(), sqlx::Error> {
        match self {
            Self::Sqlite(tx) => tx.commit().await,
            Self::Postgres(tx) => tx.commit().await,
        }
    }
}
