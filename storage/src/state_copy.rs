//! Copies of what nodes with state keep, off their hosts: one a node, sealed, gone with it.
//!
//! ```text
//! state --pack()--> compressed, sealed --keep()--> row: version + 1      another copy, or another place of the node, came first: stale
//! the node is placed elsewhere: restore_at() --> open() --> its new volume: restored()
//! ```
//! Who copies holds no lease. A copy is taken for one generation of its node, after one version of the row: of two, and of one that
//! was taken before the node had another place, only one is kept.

use std::io::{Read as _, Write as _};

use flate2::{Compression, read::ZlibDecoder, write::ZlibEncoder};
use shoal_types::{Bytes, ClusterId, Generation, NodeId, Timestamp};
use zeroize::Zeroizing;

use crate::{
    Mode, Owner, Rng, Session, Store, StoreError, Writes,
    query::{Query, Table},
    row::Row,
    seal,
};

const COPIES: Table = Table { name: "state_copies", key: "node_id" };

/// What is known of a node's copy; the copy itself is [`StateCopies::open`]'s to give.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StateCopy {
    /// Whose state it is.
    pub node: NodeId,
    /// Of its row.
    pub version: u64,
    /// The copy, if there is one.
    pub kept: Option<KeptState>,
    /// Why there is no copy of what the state is now.
    pub trouble: Option<String>,
    /// The generation of the node that is to begin with the copy, and has not yet.
    pub restore: Option<Generation>,
}

/// A copy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeptState {
    /// What the state takes, as an archive.
    pub state: Bytes,
    /// What the copy takes.
    pub copy: Bytes,
    /// When it was taken.
    pub taken: Timestamp,
    /// When the state was last seen to be still this one.
    pub checked: Timestamp,
}

impl TryFrom<Row> for StateCopy {
    type Error = StoreError;

    fn try_from(row: Row) -> Result<Self, StoreError> {
        let kept = match row.opt("taken_ms")? {
            None => None,
            Some(taken) => Some(KeptState {
                state: row.get("state_bytes")?,
                copy: row.get("copy_bytes")?,
                taken,
                checked: row.get("checked_ms")?,
            }),
        };
        Ok(Self {
            node: row.get("node_id")?,
            version: row.get("version")?,
            kept,
            trouble: row.opt("trouble")?,
            restore: row.opt("restore_generation")?,
        })
    }
}

/// Which state was looked at: of this generation of the node, while the row had this version (0: there was none).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StateSource {
    /// The node.
    pub node: NodeId,
    /// Its generation.
    pub generation: Generation,
    /// The row's version.
    pub version: u64,
}

/// A state, compressed and sealed.
#[derive(Debug)]
pub struct PackedState {
    sealed: Vec<u8>,
    state: Bytes,
}

impl PackedState {
    /// What it takes.
    #[must_use]
    pub fn size(&self) -> Bytes {
        Bytes(self.sealed.len() as u64)
    }
}

impl Store {
    /// Compresses and seals a node's state, before the transaction that keeps it: that takes its time by the MiB. `None` beyond 256 GiB.
    #[must_use]
    pub fn pack_state(&self, node: NodeId, state: &[u8], rng: &mut Rng) -> Option<PackedState> {
        let mut compressed = ZlibEncoder::new(Vec::new(), Compression::fast());
        compressed.write_all(state).ok()?;
        let compressed = Zeroizing::new(compressed.finish().ok()?);
        let sealed = seal::seal(self.key(), &place(node), &compressed, rng)?;
        Some(PackedState { sealed, state: Bytes(state.len() as u64) })
    }
}

/// Copies of states; from [`Session::state_copies`].
#[derive(Debug)]
pub struct StateCopies<'s, M: Mode>(pub(crate) &'s mut Session<M>);

/// A query for what is known of copies.
macro_rules! select {
    ($tail:literal) => {
        concat!(
            "SELECT node_id, version, state_bytes, copy_bytes, taken_ms, checked_ms, trouble, restore_generation
             FROM state_copies ",
            $tail
        )
    };
}

impl<M: Mode> StateCopies<'_, M> {
    /// What is known of a node's copy.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`]: its row is unusable. Others: the database failed.
    pub async fn get(&mut self, node: NodeId) -> Result<Option<StateCopy>, StoreError> {
        let query = Query::new(COPIES, select!("WHERE node_id = $1")).bind(&node);
        self.0.one(query).await?.map(StateCopy::try_from).transpose()
    }

    /// What is known of the copies of a cluster's nodes, in order of their ids.
    ///
    /// # Errors
    /// As [`StateCopies::get`].
    pub async fn of_cluster(&mut self, cluster: ClusterId) -> Result<Vec<StateCopy>, StoreError> {
        let query = Query::new(
            COPIES,
            select!("WHERE node_id IN (SELECT id FROM nodes WHERE cluster_id = $1) ORDER BY node_id"),
        );
        self.0.all(query.bind(&cluster)).await?.into_iter().map(StateCopy::try_from).collect()
    }

    /// The state that was copied, if there is a copy.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`]: it was altered, or moved from another row. Others: the database failed.
    pub async fn open(&mut self, node: NodeId) -> Result<Option<Zeroizing<Vec<u8>>>, StoreError> {
        let query =
            Query::new(COPIES, "SELECT node_id, sealed, state_bytes FROM state_copies WHERE node_id = $1");
        let Some(row) = self.0.one(query.bind(&node)).await? else { return Ok(None) };
        let Some(sealed) = row.opt::<Vec<u8>>("sealed")? else { return Ok(None) };
        let size = row.get::<Bytes>("state_bytes")?.0;
        let corrupt = || row.corrupt("sealed");
        let compressed = seal::open(&self.0.shared.key, &place(node), &sealed).ok_or_else(corrupt)?;
        let mut state = Zeroizing::new(Vec::new());
        let read = ZlibDecoder::new(&compressed[..]).take(size + 1).read_to_end(&mut state);
        if read.ok().map(|read| read as u64) != Some(size) {
            return Err(corrupt());
        }
        Ok(Some(state))
    }
}

impl<M: Writes> StateCopies<'_, M> {
    /// Keeps a copy in the place of the one before; what was the trouble is over.
    ///
    /// # Errors
    /// [`StoreError::Stale`]: the node has another place since, or is to begin with the copy that is kept, or another copy came first.
    pub async fn keep(
        &mut self,
        source: &StateSource,
        packed: PackedState,
        taken: Timestamp,
    ) -> Result<(), StoreError> {
        self.next_version(source).await?;
        let query = Query::new(
            COPIES,
            "UPDATE state_copies SET sealed = $2, state_bytes = $3, copy_bytes = $4, taken_ms = $5, checked_ms = $5,
               trouble = NULL
             WHERE node_id = $1",
        )
        .bind(&source.node)
        .bind(&packed.sealed)
        .bind(&packed.state)
        .bind(&packed.size())
        .bind(&taken);
        self.0.execute(query).await.map(drop)
    }

    /// Records that the state is still the one that was copied.
    ///
    /// # Errors
    /// As [`StateCopies::keep`].
    pub async fn checked(&mut self, source: &StateSource, at: Timestamp) -> Result<(), StoreError> {
        self.next_version(source).await?;
        let query = Query::new(
            COPIES,
            "UPDATE state_copies SET checked_ms = $2, trouble = NULL WHERE node_id = $1 AND taken_ms IS NOT NULL",
        );
        self.0.execute(query.bind(&source.node).bind(&at)).await.map(drop)
    }

    /// Records why there is no copy of what the state is now; the one before stays.
    ///
    /// # Errors
    /// As [`StateCopies::keep`].
    pub async fn set_trouble(&mut self, source: &StateSource, trouble: &str) -> Result<(), StoreError> {
        self.next_version(source).await?;
        let query = Query::new(COPIES, "UPDATE state_copies SET trouble = $2 WHERE node_id = $1");
        self.0.execute(query.bind(&source.node).text(trouble)).await.map(drop)
    }

    /// Counts the row's version on, or makes the row.
    async fn next_version(&mut self, source: &StateSource) -> Result<(), StoreError> {
        let StateSource { node, generation, version } = source;
        let query = Query::new(
            COPIES,
            "INSERT INTO state_copies (node_id, version)
             SELECT id, 1 FROM nodes WHERE id = $1 AND generation = $2 AND $3 = 0
             ON CONFLICT DO NOTHING",
        );
        let made = self.0.execute(query.bind(node).bind(generation).bind(version)).await?;
        let query = Query::new(
            COPIES,
            "UPDATE state_copies SET version = version + 1
             WHERE node_id = $1 AND version = $3 AND restore_generation IS NULL AND $3 > 0
               AND EXISTS (SELECT 1 FROM nodes WHERE id = $1 AND generation = $2)",
        );
        let counted = self.0.execute(query.bind(node).bind(generation).bind(version)).await?;
        match made + counted {
            0 => Err(StoreError::Stale { what: "state copy", expected: format!("version {version}") }),
            _ => Ok(()),
        }
    }
}

impl StateCopies<'_, Owner> {
    /// From its next start on, at this generation, the node has the state that was copied, if there is a copy.
    ///
    /// # Errors
    /// The database failed.
    pub async fn restore_at(&mut self, node: NodeId, generation: Generation) -> Result<(), StoreError> {
        let query = Query::new(
            COPIES,
            "UPDATE state_copies SET restore_generation = $2, version = version + 1
             WHERE node_id = $1 AND taken_ms IS NOT NULL",
        );
        self.0.execute(query.bind(&node).bind(&generation)).await.map(drop)
    }

    /// The node's volume has what was copied: from now on it is the node's own.
    ///
    /// # Errors
    /// [`StoreError::Stale`]: it is another generation's turn.
    pub async fn restored(&mut self, node: NodeId, generation: Generation) -> Result<(), StoreError> {
        let query = Query::new(
            COPIES,
            "UPDATE state_copies SET restore_generation = NULL, version = version + 1
             WHERE node_id = $1 AND restore_generation = $2",
        );
        match self.0.execute(query.bind(&node).bind(&generation)).await? {
            0 => Err(StoreError::Stale {
                what: "state copy",
                expected: format!("for generation {generation}"),
            }),
            _ => Ok(()),
        }
    }
}

/// A copy opens for its node alone.
fn place(node: NodeId) -> String {
    format!("state_copies/{node}")
}
