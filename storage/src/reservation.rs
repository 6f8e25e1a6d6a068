//! Reservations: what is promised of each host, and to whom.

use std::fmt;

use shoal_types::{HostId, NodeId, Resources};

use crate::{
    Mode, Session, StoreError, Writes,
    query::{Query, ROWS_PER_STATEMENT, Table},
    row::Row,
};

const RESERVATIONS: Table = Table { name: "reservations", key: "owner_id" };

/// Who holds a reservation.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum ReservationOwner {
    /// A node, from its admission until its row goes; [`crate::Nodes`] keeps it.
    Node(NodeId),
    /// A container that is no node of Shoal's, by an id of its owner's choice.
    Container(String),
}

impl ReservationOwner {
    fn kind(&self) -> &'static str {
        match self {
            Self::Node(_) => "node",
            Self::Container(_) => "container",
        }
    }
}

impl fmt::Display for ReservationOwner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Node(id) => id.fmt(f),
            Self::Container(id) => id.fmt(f),
        }
    }
}

/// A reservation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reservation {
    /// Who holds it; each has one.
    pub owner: ReservationOwner,
    /// The host it is of.
    pub host: HostId,
    /// How much.
    pub amount: Resources,
}

impl TryFrom<Row> for Reservation {
    type Error = StoreError;

    fn try_from(row: Row) -> Result<Self, StoreError> {
        let owner: String = row.get("owner")?;
        let owner = match owner.as_str() {
            "node" => ReservationOwner::Node(row.get("owner_id")?),
            "container" => ReservationOwner::Container(row.get("owner_id")?),
            _ => return Err(row.corrupt("owner")),
        };
        let amount = Resources { cpu: row.get("cpu_milli")?, memory: row.get("memory_bytes")? };
        Ok(Self { owner, host: row.get("host_id")?, amount })
    }
}

/// Reservations; from [`Session::reservations`].
#[derive(Debug)]
pub struct Reservations<'s, M: Mode>(pub(crate) &'s mut Session<M>);

impl<M: Mode> Reservations<'_, M> {
    /// All reservations, in order of their owners' ids.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`]: a row is unusable. Others: the database failed.
    pub async fn list(&mut self) -> Result<Vec<Reservation>, StoreError> {
        let query = Query::new(RESERVATIONS, "SELECT * FROM reservations ORDER BY owner_id");
        self.0.all(query).await?.into_iter().map(Reservation::try_from).collect()
    }
}

impl<M: Writes> Reservations<'_, M> {
    /// Reserves: any number, in few statements.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] with [`crate::Conflict::Unique`]: an owner has one already.
    /// [`StoreError::Referenced`]: no such host.
    pub async fn insert(&mut self, reservations: &[Reservation]) -> Result<(), StoreError> {
        for chunk in reservations.chunks(ROWS_PER_STATEMENT) {
            let head = "INSERT INTO reservations (owner_id, owner, host_id, cpu_milli, memory_bytes) VALUES ";
            let query = Query::bulk(RESERVATIONS, head, chunk.len(), 5);
            let query = chunk.iter().fold(query, |query, reservation| {
                query
                    .text(reservation.owner.to_string())
                    .text(reservation.owner.kind())
                    .bind(&reservation.host)
                    .bind(&reservation.amount.cpu)
                    .bind(&reservation.amount.memory)
            });
            self.0.execute(query).await?;
        }
        Ok(())
    }

    /// Moves a reservation to another host.
    ///
    /// # Errors
    /// [`StoreError::Missing`]: its owner has none. [`StoreError::Referenced`]: no such host.
    pub async fn set_host(&mut self, owner: &ReservationOwner, host: HostId) -> Result<(), StoreError> {
        let query = Query::new(
            RESERVATIONS,
            "UPDATE reservations SET host_id = $3 WHERE owner_id = $1 AND owner = $2",
        );
        let query = query.text(owner.to_string()).text(owner.kind()).bind(&host);
        self.0.execute_one(query, "reservation", owner).await
    }

    /// Gives a reservation back. One that is gone already is no error.
    ///
    /// # Errors
    /// The database failed.
    pub async fn delete(&mut self, owner: &ReservationOwner) -> Result<(), StoreError> {
        let query = Query::new(RESERVATIONS, "DELETE FROM reservations WHERE owner_id = $1 AND owner = $2");
        self.0.execute(query.text(owner.to_string()).text(owner.kind())).await.map(drop)
    }
}
