//! Decisions on where nodes go: kept with the cluster they are about, so that they can be explained later.

use shoal_types::{ClusterId, Timestamp};

use crate::{
    Mode, Session, StoreError, Writes,
    query::{Query, Table},
    row::Row,
};

const DECISIONS: Table = Table { name: "decisions", key: "id" };

/// A decision: one at admission, one whenever nodes were placed anew.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decision {
    /// The cluster whose nodes were placed.
    pub cluster: ClusterId,
    /// When.
    pub at: Timestamp,
    /// What was asked and seen, in a form of the coordinator's.
    pub document: Vec<u8>,
}

impl TryFrom<Row> for Decision {
    type Error = StoreError;

    fn try_from(row: Row) -> Result<Self, StoreError> {
        Ok(Self {
            cluster: row.get("cluster_id")?,
            at: row.get("decided_ms")?,
            document: row.get("document")?,
        })
    }
}

/// Decisions; from [`Session::decisions`].
#[derive(Debug)]
pub struct Decisions<'s, M: Mode>(pub(crate) &'s mut Session<M>);

impl<M: Mode> Decisions<'_, M> {
    /// The decisions on a cluster's nodes, in the order they were made.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`]: a row is unusable. Others: the database failed.
    pub async fn of_cluster(&mut self, cluster: ClusterId) -> Result<Vec<Decision>, StoreError> {
        let query = Query::new(DECISIONS, "SELECT * FROM decisions WHERE cluster_id = $1 ORDER BY id");
        self.0.all(query.bind(&cluster)).await?.into_iter().map(Decision::try_from).collect()
    }
}

impl<M: Writes> Decisions<'_, M> {
    /// Keeps a decision until its cluster goes.
    ///
    /// # Errors
    /// [`StoreError::Referenced`]: no such cluster.
    pub async fn add(&mut self, decision: &Decision) -> Result<(), StoreError> {
        let query = Query::new(
            DECISIONS,
            "INSERT INTO decisions (cluster_id, decided_ms, document) VALUES ($1, $2, $3)",
        );
        let query = query.bind(&decision.cluster).bind(&decision.at).bind(&decision.document);
        self.0.execute(query).await.map(drop)
    }
}
