//! One statement: its text, its values and the table it speaks of; built once, run on either database.

use std::{
    borrow::Cow,
    fmt::{self, Write},
};

use sqlx::{AssertSqlSafe, Database, Encode, Type, database::HasStatementCache, query::Query as Prepared};

use crate::column::{Column, Primitive, Value};

/// A table, as errors name it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Table {
    /// Its name.
    pub(crate) name: &'static str,
    /// The column a row is told apart by.
    pub(crate) key: &'static str,
}

/// What a statement does, for errors: `INSERT on nodes`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Operation {
    verb: &'static str,
    table: &'static str,
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} on {}", self.verb, self.table)
    }
}

/// Rows of one bulk statement. SQLite looks each `$N` up in a list of their names, so the cost of a row grows with the
/// length of its statement, while every statement costs a round trip. 10,000 nodes of 16 values on SQLite (2026-11-21,
/// busy machine of 2 cores): 8 rows 0.27 s, 32 rows 0.37 s, 100 rows 0.59 s, 500 rows 3.5 s.
pub(crate) const ROWS_PER_STATEMENT: usize = 16;

/// A statement with its values.
#[derive(Debug)]
pub(crate) struct Query {
    pub(crate) table: Table,
    head: Cow<'static, str>,
    rows: Option<Rows>,
    values: Vec<Value>,
}

#[derive(Debug, Clone, Copy)]
struct Rows {
    count: usize,
    width: usize,
}

impl Query {
    /// The statement `sql` on `table`.
    pub(crate) fn new(table: Table, sql: &'static str) -> Self {
        Self { table, head: sql.into(), rows: None, values: Vec::new() }
    }

    /// An `INSERT INTO t (...) VALUES ` that takes `count` rows of `width` values each, at most [`ROWS_PER_STATEMENT`].
    pub(crate) fn bulk(table: Table, head: &'static str, count: usize, width: usize) -> Self {
        let values = Vec::with_capacity(count * width);
        Self { table, head: head.into(), rows: Some(Rows { count, width }), values }
    }

    /// A statement whose names the database's own catalog has told.
    pub(crate) fn of_catalog(table: Table, sql: String) -> Self {
        Self { table, head: sql.into(), rows: None, values: Vec::new() }
    }

    /// The same of [`Query::bulk`].
    pub(crate) fn bulk_of_catalog(table: Table, head: String, count: usize, width: usize) -> Self {
        let values = Vec::with_capacity(count * width);
        Self { table, head: head.into(), rows: Some(Rows { count, width }), values }
    }

    /// Adds the next value.
    pub(crate) fn value(mut self, value: Value) -> Self {
        self.values.push(value);
        self
    }

    /// Adds the next value.
    pub(crate) fn bind<C: Column>(mut self, value: &C) -> Self {
        self.values.push(Primitive::bind(Some(value.to_form())));
        self
    }

    /// Adds the next value, null if there is none.
    pub(crate) fn bind_opt<C: Column>(mut self, value: Option<&C>) -> Self {
        self.values.push(Primitive::bind(value.map(Column::to_form)));
        self
    }

    /// Adds text that is not a [`Column`] of its own, such as JSON.
    pub(crate) fn text(mut self, text: impl Into<String>) -> Self {
        self.values.push(Value::Text(Some(text.into())));
        self
    }

    /// What it does.
    pub(crate) fn operation(&self) -> Operation {
        let verb = match &self.head {
            Cow::Borrowed(text) => text.split_ascii_whitespace().next().unwrap_or_default(),
            Cow::Owned(_) => "transfer",
        };
        Operation { verb, table: self.table.name }
    }

    /// The statement as one database takes it; `named`: prepared once per connection, for all times it runs.
    pub(crate) fn prepare<DB: Database + HasStatementCache>(
        self,
        named: bool,
    ) -> Prepared<'static, DB, DB::Arguments>
    where
        Option<i64>: for<'q> Encode<'q, DB> + Type<DB>,
        Option<String>: for<'q> Encode<'q, DB> + Type<DB>,
        Option<Vec<u8>>: for<'q> Encode<'q, DB> + Type<DB>,
    {
        let query = match self.rows {
            None => match self.head {
                Cow::Borrowed(text) => sqlx::query(text),
                // Only names that the catalog has told are not from this source text.
                Cow::Owned(text) => sqlx::query(AssertSqlSafe(text)),
            },
            // Only the numbers of placeholders are not, either.
            Some(rows) => sqlx::query(AssertSqlSafe(rows.sql(&self.head))),
        };
        self.values.into_iter().fold(query.persistent(named), |query, value| match value {
            Value::Int(value) => query.bind(value),
            Value::Text(value) => query.bind(value),
            Value::Blob(value) => query.bind(value),
        })
    }
}

impl Rows {
    /// `head` followed by `($1, $2), ($3, $4)`.
    fn sql(self, head: &str) -> String {
        let mut sql = String::with_capacity(head.len() + self.count * self.width * 7);
        sql.push_str(head);
        for row in 0..self.count {
            for column in 0..self.width {
                let before = match (row, column) {
                    (0, 0) => "(",
                    (_, 0) => "), (",
                    _ => ", ",
                };
                // Writing to a String does not fail.
                let _ = write!(sql, "{before}${}", row * self.width + column + 1);
            }
        }
        sql.push(')');
        sql
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn placeholders_count_up() {
        let sql = Rows { count: 2, width: 3 }.sql("INSERT INTO t VALUES ");
        assert_eq!(sql, "INSERT INTO t VALUES ($1, $2, $3), ($4, $5, $6)");
    }
}
