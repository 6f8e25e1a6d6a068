//! The ranges that subnets of clusters are taken from.

use shoal_types::Pools;

use crate::{Mode, Session, StoreError, Writes, query::Query, store::INSTALLATION};

impl<M: Mode> Session<M> {
    /// The ranges, in the order in which they are tried.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`]: the installation's row is unusable or gone. Others: the database failed.
    pub async fn pools(&mut self) -> Result<Pools, StoreError> {
        let corrupt = || StoreError::Corrupt { table: INSTALLATION.name, column: "pools", id: "1".into() };
        let row = self.one(Query::new(INSTALLATION, "SELECT singleton, pools FROM installation")).await?;
        let text: String = row.ok_or_else(corrupt)?.get("pools")?;
        if text.is_empty() { Ok(Pools::default()) } else { text.parse().map_err(|_| corrupt()) }
    }
}

impl<M: Writes> Session<M> {
    /// Sets the ranges for clusters that are made from now on; `None`: the default, whatever that is in a later version. Decisions
    /// on an older snapshot are made again.
    ///
    /// # Errors
    /// The database failed.
    pub async fn set_pools(&mut self, pools: Option<&Pools>) -> Result<(), StoreError> {
        let text = pools.map(ToString::to_string).unwrap_or_default();
        self.execute(Query::new(INSTALLATION, "UPDATE installation SET pools = $1").text(&text)).await?;
        self.placements_changed().await
    }
}
