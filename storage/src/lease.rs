//! Leases: the right to write a resource, with an epoch that distinguishes an old holder from the present one.
//!
//! ```text
//!          acquire: epoch 1            expired, or its process is gone: epoch 2
//! (free) ------------------> held by A ------------------------------------> held by B
//!    ^------- release -------'  ^ | renew: same epoch, later end
//!                               '-'
//! ```
//! An epoch is given out once. Every write of a holder happens in a transaction that first finds its epoch still there
//! ([`crate::Session::guard`]), so of two that believe they hold a lease only the later one can write. Times are the
//! callers': between machines their clocks must agree to well within a lease's length, which is what NTP gives; if they do
//! not, a lease changes hands early or late, and the epoch still fences.

use std::{fmt, time::Duration};

use shoal_types::{ClusterId, Epoch, HostId, Timestamp};

use crate::{
    Holder, Mode, Owner, Session, StoreError, Writes,
    query::{Query, Table},
    row::Row,
};

pub(crate) const LEASES: Table = Table { name: "leases", key: "resource" };

/// What a lease is on.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Resource(String);

impl Resource {
    /// A cluster: reconciling and settling it.
    #[must_use]
    pub fn cluster(id: ClusterId) -> Self {
        Self(format!("cluster/{id}"))
    }

    /// A host: mending it, bringing its agent.
    #[must_use]
    pub fn host(id: HostId) -> Self {
        Self(format!("host/{id}"))
    }

    /// An image on its way to a host: nobody else brings it there meanwhile.
    #[must_use]
    pub fn image(host: HostId, image_id: &str) -> Self {
        Self(format!("image/{host}/{image_id}"))
    }

    /// A task that one process does for all, such as `sweep`.
    #[must_use]
    pub fn task(name: &'static str) -> Self {
        Self(format!("task/{name}"))
    }
}

impl fmt::Display for Resource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A lease as it stands in the store, or as it was granted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lease {
    /// What it is on.
    pub resource: Resource,
    /// The present holder, or the last one.
    pub holder: Holder,
    /// Which grant this is.
    pub epoch: Epoch,
    /// Until when; in the past once released.
    pub until: Timestamp,
}

impl Lease {
    /// Whether its holder gave it back; one that ran out was not.
    #[must_use]
    pub fn is_released(&self) -> bool {
        self.until == Timestamp(0)
    }

    /// Whether it has not run out.
    #[must_use]
    pub fn runs_at(&self, now: Timestamp) -> bool {
        now < self.until
    }
}

impl TryFrom<Row> for Lease {
    type Error = StoreError;

    fn try_from(row: Row) -> Result<Self, StoreError> {
        Ok(Self {
            resource: Resource(row.get("resource")?),
            holder: Holder {
                id: row.get("holder")?,
                boot_id: row.get("boot_id")?,
                pid: row.get("pid")?,
                pid_start: row.get("pid_start")?,
            },
            epoch: row.get("epoch")?,
            until: row.get("until_ms")?,
        })
    }
}

/// What came of asking for a lease.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Acquired {
    /// It is yours.
    Granted(Lease),
    /// Another holds it.
    Held(Lease),
}

/// Leases; from [`Session::leases`].
#[derive(Debug)]
pub struct Leases<'s, M: Mode>(pub(crate) &'s mut Session<M>);

impl<M: Mode> Leases<'_, M> {
    /// The lease on `resource`, if it was ever given out; it may have run out.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`]: its row is unusable. Others: the database failed.
    pub async fn get(&mut self, resource: &Resource) -> Result<Option<Lease>, StoreError> {
        let query = Query::new(LEASES, "SELECT * FROM leases WHERE resource = $1").text(resource.0.clone());
        self.0.one(query).await?.map(Lease::try_from).transpose()
    }

    /// All leases ever given out and not forgotten, in order of their resources.
    ///
    /// # Errors
    /// As [`Leases::get`].
    pub async fn list(&mut self) -> Result<Vec<Lease>, StoreError> {
        let query = Query::new(LEASES, "SELECT * FROM leases ORDER BY resource");
        self.0.all(query).await?.into_iter().map(Lease::try_from).collect()
    }
}

impl<M: Writes> Leases<'_, M> {
    /// Asks for the lease on `resource` for `ttl` from `now`. It is granted if it is free, has run out, is held by the
    /// same holder id (the earlier grant is fenced off), or by a process of this boot that `lives` says is gone
    /// ([`Holder::lives`] in a program).
    ///
    /// # Errors
    /// As [`Leases::get`]; a lease held by another is [`Acquired::Held`], not an error.
    pub async fn acquire(
        &mut self,
        resource: &Resource,
        holder: &Holder,
        now: Timestamp,
        ttl: Duration,
        lives: impl Fn(&Holder) -> bool,
    ) -> Result<Acquired, StoreError> {
        let current = self.get(resource).await?;
        if let Some(current) = &current {
            let same = current.holder.id == holder.id;
            let gone = current.holder.boot_id == holder.boot_id && !lives(&current.holder);
            if current.runs_at(now) && !same && !gone {
                return Ok(Acquired::Held(current.clone()));
            }
        }
        let lease = Lease {
            resource: resource.clone(),
            holder: holder.clone(),
            epoch: current.map_or(Epoch::FIRST, |lease| lease.epoch.next()),
            until: now.after(ttl),
        };
        let query = Query::new(
            LEASES,
            "INSERT INTO leases (resource, holder, boot_id, pid, pid_start, epoch, until_ms)
             VALUES ($1, $2, $3, $4, $5, $6, $7)
             ON CONFLICT (resource) DO UPDATE SET holder = excluded.holder, boot_id = excluded.boot_id,
               pid = excluded.pid, pid_start = excluded.pid_start, epoch = excluded.epoch,
               until_ms = excluded.until_ms",
        )
        .text(resource.0.clone())
        .bind(&holder.id)
        .bind(&holder.boot_id)
        .bind(&holder.pid)
        .bind(&holder.pid_start)
        .bind(&lease.epoch)
        .bind(&lease.until);
        self.0.execute(query).await?;
        Ok(Acquired::Granted(lease))
    }

    /// Extends a lease to `ttl` from `now`; also one that ran out, as long as nobody took it over.
    ///
    /// # Errors
    /// [`StoreError::LeaseLost`]: another grant was made since, or it was forgotten.
    pub async fn renew(&mut self, lease: &Lease, now: Timestamp, ttl: Duration) -> Result<Lease, StoreError> {
        let until = now.after(ttl);
        let query = Query::new(
            LEASES,
            "UPDATE leases SET until_ms = $3 WHERE resource = $1 AND epoch = $2 AND holder = $4",
        );
        self.held(lease, query, until).await?;
        Ok(Lease { until, ..lease.clone() })
    }

    /// Gives a lease back before its end; the epoch stays, so that it is never given out again.
    ///
    /// # Errors
    /// [`StoreError::LeaseLost`]: another grant was made since, or it was forgotten: there is nothing to give back.
    pub async fn release(&mut self, lease: &Lease) -> Result<(), StoreError> {
        let query = Query::new(
            LEASES,
            "UPDATE leases SET until_ms = $3 WHERE resource = $1 AND epoch = $2 AND holder = $4",
        );
        self.held(lease, query, Timestamp(0)).await
    }

    /// Finds that `lease` still holds, and locks its row for the rest of the transaction.
    pub(crate) async fn verify(&mut self, lease: &Lease) -> Result<(), StoreError> {
        let query = Query::new(
            LEASES,
            "UPDATE leases SET until_ms = until_ms WHERE resource = $1 AND epoch = $2 AND holder = $3",
        );
        let query = query.text(lease.resource.0.clone()).bind(&lease.epoch).bind(&lease.holder.id);
        self.lost_if_none(lease, query).await
    }

    async fn held(&mut self, lease: &Lease, query: Query, until: Timestamp) -> Result<(), StoreError> {
        let query =
            query.text(lease.resource.0.clone()).bind(&lease.epoch).bind(&until).bind(&lease.holder.id);
        self.lost_if_none(lease, query).await
    }

    async fn lost_if_none(&mut self, lease: &Lease, query: Query) -> Result<(), StoreError> {
        match self.0.execute(query).await? {
            0 => Err(StoreError::LeaseLost { resource: lease.resource.clone(), epoch: lease.epoch }),
            _ => Ok(()),
        }
    }
}

impl Leases<'_, Owner> {
    /// Forgets the lease on something that is gone for good and whose id never comes back.
    pub(crate) async fn forget(&mut self, resource: &Resource) -> Result<(), StoreError> {
        let query = Query::new(LEASES, "DELETE FROM leases WHERE resource = $1").text(resource.0.clone());
        self.0.execute(query).await.map(drop)
    }
}
