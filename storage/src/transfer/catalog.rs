//! What a database says of its own tables.

use serde::{Deserialize, Serialize};

use crate::{
    Mode, Session, StoreError,
    column::Value,
    connection::Database,
    query::{Query, Table},
    row::Row,
};

/// The kind of a column's values.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Kind {
    /// Integers of 64 bits.
    Integer,
    /// Text.
    Text,
    /// Bytes.
    Bytes,
}

impl Kind {
    fn of(word: &str) -> Option<Self> {
        match word.to_ascii_lowercase().as_str() {
            "integer" | "bigint" => Some(Self::Integer),
            "text" => Some(Self::Text),
            "blob" | "bytea" => Some(Self::Bytes),
            _ => None,
        }
    }

    /// A value of this kind as JSON, from a row.
    pub(super) fn read(self, row: &Row, column: &str) -> Option<serde_json::Value> {
        Some(match self {
            Self::Integer => row.form::<i64>(column)?.into(),
            Self::Text => row.form::<String>(column)?.into(),
            Self::Bytes => row.form::<Vec<u8>>(column)?.map(|bytes| super::hex(&bytes)).into(),
        })
    }

    /// A value of this kind, from JSON.
    pub(super) fn value(self, json: serde_json::Value) -> Option<Value> {
        use serde_json::Value as Json;
        Some(match (self, json) {
            (Self::Integer, Json::Null) => Value::Int(None),
            (Self::Integer, Json::Number(number)) => Value::Int(Some(number.as_i64()?)),
            (Self::Text, Json::Null) => Value::Text(None),
            (Self::Text, Json::String(text)) => Value::Text(Some(text)),
            (Self::Bytes, Json::Null) => Value::Blob(None),
            (Self::Bytes, Json::String(text)) => Value::Blob(Some(super::unhex(&text)?)),
            _ => return None,
        })
    }
}

/// The columns of a table, with their kinds, in its own order.
pub(super) async fn columns<M: Mode>(
    session: &mut Session<M>,
    table: &'static str,
) -> Result<Vec<(String, Kind)>, StoreError> {
    let of = Table { name: table, key: "name" };
    let query = match session.database() {
        Database::Sqlite => {
            Query::new(of, "SELECT name, type AS kind FROM pragma_table_info($1) ORDER BY cid")
        }
        Database::Postgres => Query::new(
            of,
            "SELECT CAST(a.attname AS TEXT) AS name, format_type(a.atttypid, a.atttypmod) AS kind
             FROM pg_attribute a WHERE a.attrelid = to_regclass($1) AND a.attnum > 0 AND NOT a.attisdropped
             ORDER BY a.attnum",
        ),
    };
    let rows = session.all(query.text(table)).await?;
    let column = |row: Row| {
        let kind: String = row.get("kind")?;
        Ok((row.get("name")?, Kind::of(&kind).ok_or_else(|| row.corrupt("kind"))?))
    };
    rows.into_iter().map(column).collect()
}
