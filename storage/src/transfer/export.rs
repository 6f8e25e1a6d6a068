//! A store, written to a file.

use std::io::Write;

use shoal_types::Timestamp;

use super::{
    End, EndLine, FORMAT, Header, TABLES, TableLine, TransferError, Transferred, catalog, hex, unused,
};
use crate::{
    Holder, Store, migrations,
    query::{Query, Table},
    store::INSTALLATION,
};

impl Store {
    /// Writes the whole store as one consistent view has it; see the module. `lives` says whether the holder of a lease that runs is
    /// at work.
    ///
    /// # Errors
    /// [`TransferError::InUse`]: somebody works with it. [`TransferError::File`]: `out` fails. [`TransferError::Store`].
    pub async fn export(
        &self,
        out: &mut (impl Write + Send),
        now: Timestamp,
        lives: impl Fn(&Holder) -> bool,
    ) -> Result<Transferred, TransferError> {
        let mut view = self.read().await?;
        unused(&mut view, now, lives).await?;
        let check = Query::new(INSTALLATION, "SELECT singleton, key_check FROM installation");
        let row = view
            .one(check)
            .await?
            .ok_or(crate::StoreError::Missing { what: "installation", id: "1".into() })?;
        let header = Header {
            shoal_store: FORMAT,
            schema: migrations::newest(),
            installation: self.installation().to_string(),
            key_check: hex(&row.get::<Vec<u8>>("key_check")?),
            at_ms: now.0,
        };
        line(out, &header)?;
        let mut rows = 0;
        for table in TABLES {
            let columns = catalog::columns(&mut view, table).await?;
            line(out, &TableLine { table: table.into(), columns: columns.clone() })?;
            let names: Vec<&str> = columns.iter().map(|(name, _)| name.as_str()).collect();
            let sql = format!("SELECT {} FROM {table}", names.join(", "));
            let query = Query::of_catalog(Table { name: table, key: "rowid" }, sql);
            view.each(query, |row| {
                let value = |(name, kind): &(String, catalog::Kind)| {
                    kind.read(&row, name).ok_or_else(|| row.corrupt("a column"))
                };
                let values = columns.iter().map(value).collect::<Result<Vec<_>, _>>()?;
                rows += 1;
                line(out, &values)
            })
            .await?;
        }
        line(out, &EndLine { end: End { rows } })?;
        out.flush()?;
        Ok(Transferred { installation: self.installation().clone(), rows })
    }
}

fn line(out: &mut impl Write, value: &impl serde::Serialize) -> Result<(), TransferError> {
    let encode = |source| crate::StoreError::Encode { what: "a line of an export", source };
    let mut text = serde_json::to_vec(value).map_err(encode)?;
    text.push(b'\n');
    Ok(out.write_all(&text)?)
}
