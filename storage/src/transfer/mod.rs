//! A store as a file, and back: from one database to the other, or to another place.
//!
//! ```text
//! {"shoal_store":1,"schema":20,"installation":"3fa9c1","key_check":"...","at_ms":...}
//! {"table":"hosts","columns":[["id","text"],["version","integer"],...]}
//! ["hst_...",1,...]                                   one line per row, values in the order of the columns
//! {"end":{"rows":1234}}
//! ```
//! Text, integers and null are JSON's; bytes are text in hexadecimal. Secrets stay sealed, and the installation keeps its id, so that
//! what is on hosts is still its own. Everything is read in one view and written in one transaction, a row at a time: neither the file
//! nor the store is ever whole in memory.

mod catalog;
mod export;
mod import;

pub use import::Import;

use std::io;

use serde::{Deserialize, Serialize};
use shoal_types::{InstallationId, Timestamp};

use crate::{Lease, Mode, Session, StoreError};

/// The format of the file.
const FORMAT: u32 = 1;

/// All tables, each after those that it refers to.
pub(crate) const TABLES: [&str; 20] = [
    "installation",
    "secrets",
    "users",
    "authority",
    "hosts",
    "clusters",
    "networks",
    "attachments",
    "nodes",
    "state_copies",
    "reservations",
    "decisions",
    "remnants",
    "images",
    "image_facts",
    "loaded_images",
    "registries",
    "deleted_clusters",
    "events",
    "leases",
];

/// Why a store was not exported or imported. Nothing was changed.
#[derive(Debug, thiserror::Error)]
pub enum TransferError {
    /// The store, or the key.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Somebody works with the store.
    #[error("store {store} is in use: {holder} holds the lease on {resource}")]
    InUse {
        /// The store.
        store: String,
        /// Who.
        holder: String,
        /// What of it.
        resource: String,
    },
    /// The store to import into is not empty.
    #[error("store {store} is not empty: it has rows in table {table}; an import fills an empty store alone")]
    NotEmpty {
        /// The store.
        store: String,
        /// The first table that has rows.
        table: &'static str,
    },
    /// The file cannot be read or written.
    #[error("the export cannot be read or written")]
    File(#[from] io::Error),
    /// It is no export.
    #[error("line {line} is not of an export of a store: {why}")]
    NotAnExport {
        /// Where.
        line: u64,
        /// What is wrong there.
        why: String,
    },
    /// It ends too early.
    #[error("the export ends after line {line}, before its end: it was cut off")]
    CutOff {
        /// The last line.
        line: u64,
    },
    /// It is of another version of this program.
    #[error(
        "the export is of schema {found} (format {format}), and this version of shoal has schema {known} (format {FORMAT}); import it with the version that wrote it, then open that store with this one"
    )]
    OtherVersion {
        /// Its format.
        format: u32,
        /// Its schema.
        found: i64,
        /// The one known here.
        known: i64,
    },
    /// The key does not open its secrets.
    #[error("key file {} is not the one that the exported store was made with", key_file.display())]
    WrongKey {
        /// Where the key was read from.
        key_file: std::path::PathBuf,
    },
}

/// What was exported or imported.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Transferred {
    /// Whose store it is.
    pub installation: InstallationId,
    /// Rows of all tables.
    pub rows: u64,
}

/// The first line.
#[derive(Debug, Serialize, Deserialize)]
struct Header {
    shoal_store: u32,
    schema: i64,
    installation: String,
    key_check: String,
    at_ms: u64,
}

/// The line before the rows of a table.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct TableLine {
    table: String,
    columns: Vec<(String, catalog::Kind)>,
}

/// The last line.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct EndLine {
    end: End,
}

#[derive(Debug, Serialize, Deserialize)]
struct End {
    rows: u64,
}

/// Sees that no process works with a store: not even one that would only read what another store has by then.
async fn unused<M: Mode>(
    session: &mut Session<M>,
    now: Timestamp,
    lives: impl Fn(&crate::Holder) -> bool,
) -> Result<(), TransferError> {
    let leases = session.leases().list().await?;
    match leases.into_iter().find(|lease| lease.runs_at(now) && lives(&lease.holder)) {
        None => Ok(()),
        Some(Lease { resource, holder, .. }) => Err(TransferError::InUse {
            store: session.label().store.clone(),
            holder: format!("process {} ({})", holder.pid, holder.id),
            resource: resource.to_string(),
        }),
    }
}

fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        // Writing to a String does not fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let pairs = text.as_bytes().chunks(2);
    pairs
        .map(|pair| match pair {
            [high, low] => Some(digit(*high)? << 4 | digit(*low)?),
            _ => None,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_go_there_and_back() {
        let all: Vec<u8> = (0..=255).collect();
        assert_eq!(unhex(&hex(&all)), Some(all));
        for wrong in ["0", "0g", "+1", "é"] {
            assert_eq!(unhex(wrong), None, "{wrong}");
        }
    }
}
