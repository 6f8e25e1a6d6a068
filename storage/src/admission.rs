//! The placement version: what makes "decide on a snapshot, then write" safe.
//!
//! ```text
//! snapshot: version 7, hosts, reservations --schedule--> plan --begin--> bump(7) --insert--> commit
//!                                                             `-- Stale: someone placed meanwhile; read again
//! ```
//! Every change of free capacity increments it: admission, moves, capacity, registration.

use crate::{Mode, Session, StoreError, Writes, query::Query, store::INSTALLATION};

impl<M: Mode> Session<M> {
    /// How often placements changed.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`]: the installation's row is unusable or gone. Others: the database failed.
    pub async fn placement_version(&mut self) -> Result<u64, StoreError> {
        let query = Query::new(INSTALLATION, "SELECT singleton, placement_version FROM installation");
        let row = self.one(query).await?;
        let row = row.ok_or_else(|| StoreError::Corrupt {
            table: INSTALLATION.name,
            column: INSTALLATION.key,
            id: "1".into(),
        })?;
        row.get("placement_version")
    }
}

impl<M: Writes> Session<M> {
    /// Counts the placement version up from `expected`, that of the snapshot decided on.
    ///
    /// # Errors
    /// [`StoreError::Stale`]: placements changed since; read again and decide again.
    pub async fn bump_placement_version(&mut self, expected: u64) -> Result<(), StoreError> {
        let query = Query::new(
            INSTALLATION,
            "UPDATE installation SET placement_version = placement_version + 1 WHERE placement_version = $1",
        )
        .bind(&expected);
        match self.execute(query).await? {
            0 => Err(StoreError::Stale { what: "placements", expected: format!("version {expected}") }),
            _ => Ok(()),
        }
    }

    /// Counts the placement version up after what hosts have or are was changed: decisions on an older snapshot are made
    /// again.
    ///
    /// # Errors
    /// The database failed.
    pub async fn placements_changed(&mut self) -> Result<(), StoreError> {
        let query =
            Query::new(INSTALLATION, "UPDATE installation SET placement_version = placement_version + 1");
        self.execute(query).await.map(drop)
    }
}
