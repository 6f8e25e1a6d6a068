//! One row of an answer, from either database, read by column name into domain values.

use serde::de::DeserializeOwned;
use sqlx::{Row as _, postgres::PgRow, sqlite::SqliteRow};

use crate::{StoreError, column::Column, query::Table};

/// A row and the table it is from.
#[derive(Debug)]
pub(crate) struct Row {
    table: Table,
    values: Values,
}

enum Values {
    Sqlite(SqliteRow),
    Postgres(PgRow),
}

impl std::fmt::Debug for Values {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Values")
    }
}

impl Row {
    pub(crate) fn sqlite(table: Table, row: SqliteRow) -> Self {
        Self { table, values: Values::Sqlite(row) }
    }

    pub(crate) fn postgres(table: Table, row: PgRow) -> Self {
        Self { table, values: Values::Postgres(row) }
    }

    /// The value in `column`.
    pub(crate) fn get<C: Column>(&self, column: &'static str) -> Result<C, StoreError> {
        self.opt(column)?.ok_or_else(|| self.corrupt(column))
    }

    /// The value in `column`, `None` for null.
    pub(crate) fn opt<C: Column>(&self, column: &'static str) -> Result<Option<C>, StoreError> {
        let form = self.form::<C::Form>(column).ok_or_else(|| self.corrupt(column))?;
        form.map(|form| C::from_form(form).ok_or_else(|| self.corrupt(column))).transpose()
    }

    /// The value whose JSON is in `column`.
    pub(crate) fn json<T: DeserializeOwned>(&self, column: &'static str) -> Result<T, StoreError> {
        self.json_opt(column)?.ok_or_else(|| self.corrupt(column))
    }

    /// The value whose JSON is in `column`, `None` for null.
    pub(crate) fn json_opt<T: DeserializeOwned>(
        &self,
        column: &'static str,
    ) -> Result<Option<T>, StoreError> {
        let text: Option<String> = self.opt(column)?;
        text.map(|text| serde_json::from_str(&text).map_err(|_| self.corrupt(column))).transpose()
    }

    /// The error of this row's `column`.
    pub(crate) fn corrupt(&self, column: &'static str) -> StoreError {
        let key = self.table.key;
        let id = self
            .form::<String>(key)
            .flatten()
            .or_else(|| self.form::<i64>(key).flatten().map(|id| id.to_string()))
            .unwrap_or_else(|| "?".into());
        StoreError::Corrupt { table: self.table.name, column, id }
    }

    /// The value in `column` as it is kept; the inner `None` is null, the outer one a value of another form.
    pub(crate) fn form<F: crate::column::Primitive>(&self, column: &str) -> Option<Option<F>> {
        match &self.values {
            Values::Sqlite(row) => row.try_get(column).ok(),
            Values::Postgres(row) => row.try_get(column).ok(),
        }
    }
}

/// `value` as JSON text; `what` names it in the error.
pub(crate) fn json<T: serde::Serialize>(what: &'static str, value: &T) -> Result<String, StoreError> {
    serde_json::to_string(value).map_err(|source| StoreError::Encode { what, source })
}
