//! Events: appended in the transaction of what they tell of, read by sequence number.
//!
//! Writers are let in one at a time, so numbers become visible in their order (with gaps, where a transaction was rolled
//! back): a reader that has seen all up to N and asks for what is after N misses nothing. In the same process it waits on
//! [`crate::Store::committed_events`], from another it polls.

use shoal_types::{ClusterName, Event, EventKind, EventLevel, NewEvent, Progress, RealmName, Timestamp};

use crate::{
    Mode, Session, StoreError, Writes,
    query::{Query, Table},
    row::Row,
};

const EVENTS: Table = Table { name: "events", key: "seq" };

/// Which events to read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventFilter {
    /// Only those of clusters of this realm.
    pub realm: Option<RealmName>,
    /// Only those of clusters of this name.
    pub cluster: Option<ClusterName>,
    /// Only those after this sequence number; 0 for all.
    pub after: u64,
    /// At most this many.
    pub limit: u32,
}

/// An event as stored: realm and cluster come both or not at all.
fn event(row: &Row) -> Result<Event, StoreError> {
    let cluster = match (row.opt("realm")?, row.opt("cluster")?) {
        (Some(realm), Some(cluster)) => Some((realm, cluster)),
        (None, None) => None,
        (Some(_), None) | (None, Some(_)) => return Err(row.corrupt("cluster")),
    };
    Ok(Event {
        seq: row.get("seq")?,
        event: NewEvent {
            at: row.get("at_ms")?,
            level: row.get("level")?,
            kind: row.get("kind")?,
            cluster,
            node: row.opt("node")?,
            host: row.opt("host")?,
            message: row.get("message")?,
            progress: row
                .opt("done_bytes")?
                .map(|done_bytes| {
                    Ok::<_, StoreError>(Progress { done_bytes, total_bytes: row.opt("total_bytes")? })
                })
                .transpose()?,
            user: row.opt("user_name")?,
        },
    })
}

/// Events; from [`Session::events`].
#[derive(Debug)]
pub struct Events<'s, M: Mode>(pub(crate) &'s mut Session<M>);

impl<M: Mode> Events<'_, M> {
    /// The events of `filter`, oldest first.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`]: a row is unusable. Others: the database failed.
    pub async fn list(&mut self, filter: &EventFilter) -> Result<Vec<Event>, StoreError> {
        let query = Query::new(
            EVENTS,
            "SELECT * FROM events
             WHERE seq > $1 AND ($2 IS NULL OR realm = $2) AND ($3 IS NULL OR cluster = $3)
             ORDER BY seq LIMIT $4",
        )
        .bind(&filter.after)
        .bind_opt(filter.realm.as_ref())
        .bind_opt(filter.cluster.as_ref())
        .bind(&filter.limit);
        self.0.all(query).await?.iter().map(event).collect()
    }

    /// The sequence number of the last event; 0 if there is none.
    ///
    /// # Errors
    /// As [`Events::list`].
    pub async fn latest_seq(&mut self) -> Result<u64, StoreError> {
        let query = Query::new(EVENTS, "SELECT MAX(seq) AS seq FROM events");
        let seq: Option<Option<u64>> = self.0.one(query).await?.map(|row| row.opt("seq")).transpose()?;
        Ok(seq.flatten().unwrap_or(0))
    }

    /// The sequence number of the last admission of a cluster of this name. Warnings of an admission are told beside it.
    ///
    /// # Errors
    /// As [`Events::list`].
    pub async fn last_admission(
        &mut self,
        realm: &RealmName,
        cluster: &ClusterName,
    ) -> Result<Option<u64>, StoreError> {
        let query = Query::new(
            EVENTS,
            "SELECT MAX(seq) AS seq FROM events WHERE realm = $1 AND cluster = $2 AND kind = $3 AND level = $4",
        )
        .bind(realm)
        .bind(cluster)
        .bind(&EventKind::Admitted)
        .bind(&EventLevel::Info);
        let seq: Option<Option<u64>> = self.0.one(query).await?.map(|row| row.opt("seq")).transpose()?;
        Ok(seq.flatten())
    }
}

impl<M: Writes> Events<'_, M> {
    /// Removes old events, `batch` numbers at once: those of before `since`, and all but the last `most`. Whether more of them
    /// remain. The last event stays in any case: its number is where readers begin.
    ///
    /// # Errors
    /// As [`Events::list`].
    pub async fn prune(&mut self, since: Timestamp, most: u64, batch: u64) -> Result<bool, StoreError> {
        let ends = Query::new(EVENTS, "SELECT MIN(seq) AS first, MAX(seq) AS last FROM events");
        let Some(ends) = self.0.one(ends).await? else { return Ok(false) };
        let (Some(first), Some(last)) = (ends.opt::<u64>("first")?, ends.opt::<u64>("last")?) else {
            return Ok(false);
        };
        // They are numbered in the order of time, but for clocks that differ: what stands behind a young one stays with it.
        let young = Query::new(EVENTS, "SELECT seq FROM events WHERE at_ms >= $1 ORDER BY seq LIMIT 1");
        let young: Option<u64> =
            self.0.one(young.bind(&since)).await?.map(|row| row.get("seq")).transpose()?;
        let keep = young.unwrap_or(last).max(last.saturating_sub(most.max(1) - 1));
        let until = keep.min(first.saturating_add(batch));
        if until > first {
            let delete = Query::new(EVENTS, "DELETE FROM events WHERE seq < $1");
            self.0.execute(delete.bind(&until)).await?;
        }
        Ok(until < keep)
    }

    /// Appends an event; its sequence number.
    ///
    /// # Errors
    /// The database failed.
    pub async fn append(&mut self, event: &NewEvent) -> Result<u64, StoreError> {
        let (realm, cluster) = event.cluster.as_ref().map(|(realm, cluster)| (realm, cluster)).unzip();
        let query = Query::new(
            EVENTS,
            "INSERT INTO events (at_ms, level, kind, realm, cluster, node, host, message, done_bytes, total_bytes,
               user_name)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11) RETURNING seq",
        )
        .bind(&event.at)
        .bind(&event.level)
        .bind(&event.kind)
        .bind_opt(realm)
        .bind_opt(cluster)
        .bind_opt(event.node.as_ref())
        .bind_opt(event.host.as_ref())
        .bind(&event.message)
        .bind_opt(event.progress.map(|p| p.done_bytes).as_ref())
        .bind_opt(event.progress.and_then(|p| p.total_bytes).as_ref())
        .bind_opt(event.user.as_ref());
        let row = self.0.one(query).await?;
        let missing = || StoreError::Missing { what: "event", id: "just appended".into() };
        let seq = row.ok_or_else(missing)?.get("seq")?;
        self.0.appended = Some(seq);
        Ok(seq)
    }
}
