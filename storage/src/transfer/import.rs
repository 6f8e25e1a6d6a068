//! A store, filled from a file.

use std::io::{BufRead, Read as _};

use serde_json::Value as Json;
use shoal_types::{InstallationId, Timestamp};

use super::{
    EndLine, FORMAT, Header, TABLES, TableLine, TransferError, Transferred,
    catalog::{self, Kind},
    unhex, unused,
};
use crate::{
    Holder, SealingKey, Store, Transaction,
    connection::Database,
    migrations,
    query::{Query, ROWS_PER_STATEMENT, Table},
    store::{self, INSTALLATION},
};

/// The longest line: a decision about tens of thousands of nodes has a few MiB.
const LONGEST_LINE: u64 = 256 << 20;

/// An export whose first line was read: it is of this version, and the key opens its secrets.
#[derive(Debug)]
pub struct Import<R> {
    lines: Lines<R>,
    installation: InstallationId,
}

#[derive(Debug)]
struct Lines<R> {
    from: R,
    /// How many were read.
    read: u64,
}

impl<R: BufRead> Lines<R> {
    /// The next line, without its end.
    fn next(&mut self) -> Result<String, TransferError> {
        let mut text = Vec::new();
        (&mut self.from).take(LONGEST_LINE).read_until(b'\n', &mut text)?;
        match text.pop() {
            Some(b'\n') => self.read += 1,
            // A line without an end is as good as none.
            _ => return Err(TransferError::CutOff { line: self.read }),
        }
        String::from_utf8(text).map_err(|_| self.wrong("it is not UTF-8"))
    }

    fn wrong(&self, why: impl Into<String>) -> TransferError {
        TransferError::NotAnExport { line: self.read, why: why.into() }
    }
}

impl<R: BufRead> Import<R> {
    /// Reads the first line.
    ///
    /// # Errors
    /// [`TransferError`]: it is no export, or of another version, or the key is not that of its secrets.
    pub fn begin(from: R, key: &SealingKey) -> Result<Self, TransferError> {
        let mut lines = Lines { from, read: 0 };
        let text = lines.next()?;
        let header: Header = serde_json::from_str(&text)
            .map_err(|_| lines.wrong("an export begins with {\"shoal_store\":"))?;
        let known = migrations::newest();
        if header.shoal_store != FORMAT || header.schema != known {
            let (format, found) = (header.shoal_store, header.schema);
            return Err(TransferError::OtherVersion { format, found, known });
        }
        let installation =
            header.installation.parse().map_err(|_| lines.wrong("its installation has no such id"))?;
        let check =
            unhex(&header.key_check).ok_or_else(|| lines.wrong("its check of the key is not hexadecimal"))?;
        if !store::is_key_of(key, &installation, &check) {
            return Err(TransferError::WrongKey { key_file: key.file().into() });
        }
        Ok(Self { lines, installation })
    }

    /// Fills an empty store with it, in one transaction. From then on it is the store of the exported installation: it is to be opened
    /// anew.
    ///
    /// # Errors
    /// [`TransferError`]: nothing was written.
    pub async fn into_store(
        mut self,
        store: &Store,
        now: Timestamp,
        lives: impl Fn(&Holder) -> bool,
    ) -> Result<Transferred, TransferError> {
        let mut tx = store.begin().await?;
        unused(&mut tx, now, lives).await?;
        for table in TABLES.into_iter().filter(|table| !["installation", "leases"].contains(table)) {
            let any = Query::of_catalog(
                Table { name: table, key: "n" },
                format!("SELECT 1 AS n FROM {table} LIMIT 1"),
            );
            if tx.one(any).await?.is_some() {
                let store = tx.label().store.clone();
                return Err(TransferError::NotEmpty { store, table });
            }
        }
        for table in ["leases", "installation"] {
            let all = Query::of_catalog(Table { name: table, key: "n" }, format!("DELETE FROM {table}"));
            tx.execute(all).await?;
        }
        let mut rows = 0;
        let mut line = self.lines.next()?;
        for table in TABLES {
            let columns = self.columns(&mut tx, table, &line).await?;
            let mut batch: Vec<Vec<Json>> = Vec::new();
            loop {
                line = self.lines.next()?;
                let is_row = line.starts_with('[');
                if is_row {
                    let row: Vec<Json> =
                        serde_json::from_str(&line).map_err(|error| self.lines.wrong(error.to_string()))?;
                    rows += 1;
                    batch.push(row);
                }
                if batch.len() == ROWS_PER_STATEMENT || !is_row && !batch.is_empty() {
                    self.insert(&mut tx, table, &columns, std::mem::take(&mut batch)).await?;
                }
                if !is_row {
                    break;
                }
            }
        }
        let end: EndLine =
            serde_json::from_str(&line).map_err(|_| self.lines.wrong("a table or the end was to follow"))?;
        if end.end.rows != rows {
            return Err(self.lines.wrong(format!("it has {rows} rows, and had {}", end.end.rows)));
        }
        let mut more = Vec::new();
        (&mut self.lines.from).take(1).read_to_end(&mut more)?;
        if !more.is_empty() {
            return Err(self.lines.wrong("something follows its end"));
        }
        let id = Query::new(INSTALLATION, "SELECT singleton, id FROM installation");
        let id: Option<InstallationId> = tx.one(id).await?.map(|row| row.get("id")).transpose()?;
        if id.as_ref() != Some(&self.installation) {
            return Err(self.lines.wrong("its installation is another one than its first line says"));
        }
        number_on(&mut tx).await?;
        tx.commit().await?;
        Ok(Transferred { installation: self.installation, rows })
    }

    /// The columns of a table in the order of the export: those that the store has.
    async fn columns(
        &self,
        tx: &mut Transaction,
        table: &'static str,
        line: &str,
    ) -> Result<Vec<(String, Kind)>, TransferError> {
        let told: TableLine = serde_json::from_str(line)
            .map_err(|_| self.lines.wrong(format!("table {table} was to follow")))?;
        let (mut ours, mut theirs) = (catalog::columns(tx, table).await?, told.columns.clone());
        ours.sort();
        theirs.sort();
        match told.table == table && ours == theirs {
            true => Ok(told.columns),
            false => {
                Err(self.lines.wrong(format!("table {table} was to follow, with the columns of this schema")))
            }
        }
    }

    async fn insert(
        &self,
        tx: &mut Transaction,
        table: &'static str,
        columns: &[(String, Kind)],
        rows: Vec<Vec<Json>>,
    ) -> Result<(), TransferError> {
        let names: Vec<&str> = columns.iter().map(|(name, _)| name.as_str()).collect();
        // Numbers that the database gives otherwise.
        let overriding = match tx.database() {
            Database::Sqlite => "",
            Database::Postgres => "OVERRIDING SYSTEM VALUE ",
        };
        let head = format!("INSERT INTO {table} ({}) {overriding}VALUES ", names.join(", "));
        let mut query =
            Query::bulk_of_catalog(Table { name: table, key: "n" }, head, rows.len(), columns.len());
        for row in rows {
            if row.len() != columns.len() {
                return Err(self.lines.wrong(format!("a row of table {table} has {} values", row.len())));
            }
            for (json, (name, kind)) in row.into_iter().zip(columns) {
                let value = kind.value(json);
                let value =
                    value.ok_or_else(|| self.lines.wrong(format!("{table}.{name} is no {kind:?}")))?;
                query = query.value(value);
            }
        }
        Ok(tx.execute(query).await.map(drop)?)
    }
}

/// Has the database give numbers after those that came.
async fn number_on(tx: &mut Transaction) -> Result<(), TransferError> {
    match tx.database() {
        // It goes by the largest one.
        Database::Sqlite => Ok(()),
        Database::Postgres => {
            for (table, column) in [("remnants", "id"), ("events", "seq"), ("decisions", "id")] {
                let sql = format!(
                    "SELECT setval(pg_get_serial_sequence('{table}', '{column}'), COALESCE(MAX({column}), 0) + 1, false)
                     FROM {table}"
                );
                tx.one(Query::of_catalog(Table { name: table, key: "n" }, sql)).await?;
            }
            Ok(())
        }
    }
}
