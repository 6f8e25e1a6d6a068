//! One unit of work on the store: its type is its permission, and it commits whole or not at all.
//!
//! ```text
//! Snapshot (Read)                      reads; consistent from its first statement
//! Transaction (Write) --guard(lease)--> OwnerTransaction (Owner)
//!    reads, edits intent                  also records what the lease's holder did and saw
//! ```
//! **One writer at a time.** SQLite has no other way; on PostgreSQL every write transaction first takes one advisory lock.
//! Then each statement of READ COMMITTED sees all that earlier writers committed and nothing of others, so no write needs
//! a retry, no order of locks can deadlock, "look, then insert" is safe, and events are numbered in the order in which they
//! become visible, which is what lets a reader ask for "all after seq N" and miss none. The price is that writers of all
//! coordinators queue; their transactions are a few statements long and never wait for a host.
//!
//! **A failed statement ends the transaction**: PostgreSQL then refuses all further ones and answers COMMIT with a silent
//! rollback, SQLite would carry on. Here both refuse, and [`Session::commit`] says so.

use std::{marker::PhantomData, sync::Arc};

use crate::{
    Clusters, Decisions, Events, Hosts, Images, Lease, Leases, Networks, Nodes, Registries, Remnants,
    Reservations, Secrets, StateCopies, StoreError, Users,
    connection::{Connection, Database},
    failpoint::{Moment, Work},
    fault::Label,
    query::{Operation, Query},
    row::Row,
    store::Shared,
};

/// What a [`Session`] may do: [`Read`], [`Write`] or [`Owner`].
pub trait Mode: sealed::Sealed + Send + Sync + 'static {}

/// A mode that may edit intent: [`Write`] or [`Owner`].
pub trait Writes: Mode {}

/// May read.
#[derive(Debug)]
pub enum Read {}

/// May read and edit intent.
#[derive(Debug)]
pub enum Write {}

/// May also record what was done and seen, as the holder of a lease.
#[derive(Debug)]
pub enum Owner {}

mod sealed {
    /// Keeps the modes to the three of this module.
    pub trait Sealed {}
}

impl sealed::Sealed for Read {}
impl sealed::Sealed for Write {}
impl sealed::Sealed for Owner {}
impl Mode for Read {}
impl Mode for Write {}
impl Mode for Owner {}
impl Writes for Write {}
impl Writes for Owner {}

/// A consistent view of the store; nothing can be written through it.
pub type Snapshot = Session<Read>;
/// A unit of work that edits intent.
pub type Transaction = Session<Write>;
/// A unit of work of a lease's holder.
pub type OwnerTransaction = Session<Owner>;

/// A unit of work; see the module's aliases. Dropped without [`Session::commit`], it is rolled back.
#[must_use = "dropping it rolls it back"]
pub struct Session<M: Mode> {
    connection: Connection,
    pub(crate) shared: Arc<Shared>,
    failed: Option<Operation>,
    /// Sequence number of the last event appended.
    pub(crate) appended: Option<u64>,
    mode: PhantomData<M>,
    /// Ends after the connection was given back.
    work: Work,
}

impl<M: Mode> std::fmt::Debug for Session<M> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Session").field("store", &self.label().store).finish_non_exhaustive()
    }
}

/// The repositories.
impl<M: Mode> Session<M> {
    /// Registered hosts.
    pub fn hosts(&mut self) -> Hosts<'_, M> {
        Hosts(self)
    }

    /// Clusters as intended.
    pub fn clusters(&mut self) -> Clusters<'_, M> {
        Clusters(self)
    }

    /// Nodes as placed.
    pub fn nodes(&mut self) -> Nodes<'_, M> {
        Nodes(self)
    }

    /// What is reserved of hosts.
    pub fn reservations(&mut self) -> Reservations<'_, M> {
        Reservations(self)
    }

    /// What placements were decided on.
    pub fn decisions(&mut self) -> Decisions<'_, M> {
        Decisions(self)
    }

    /// Networks, and which cluster is on which.
    pub fn networks(&mut self) -> Networks<'_, M> {
        Networks(self)
    }

    /// Images on hosts, and what is known of each image.
    pub fn images(&mut self) -> Images<'_, M> {
        Images(self)
    }

    /// Registries and the credentials for them.
    pub fn registries(&mut self) -> Registries<'_, M> {
        Registries(self)
    }

    /// What was left on hosts that could not be reached.
    pub fn remnants(&mut self) -> Remnants<'_, M> {
        Remnants(self)
    }

    /// Copies of what nodes with state keep.
    pub fn state_copies(&mut self) -> StateCopies<'_, M> {
        StateCopies(self)
    }

    /// Sealed secrets.
    pub fn secrets(&mut self) -> Secrets<'_, M> {
        Secrets(self)
    }

    /// Users of servers, and the authority of their certificates.
    pub fn users(&mut self) -> Users<'_, M> {
        Users(self)
    }

    /// What happened.
    pub fn events(&mut self) -> Events<'_, M> {
        Events(self)
    }

    /// Who may write what.
    pub fn leases(&mut self) -> Leases<'_, M> {
        Leases(self)
    }
}

impl Session<Write> {
    /// Goes on as the holder of `lease`: its row is locked until the end of the transaction, so that nobody takes the
    /// lease over in between. A lease that ran out and was not taken over still holds.
    ///
    /// # Errors
    /// [`StoreError::LeaseLost`]: another holder took it over, or it was released and forgotten.
    pub async fn guard(mut self, lease: &Lease) -> Result<OwnerTransaction, StoreError> {
        self.leases().verify(lease).await?;
        Ok(Session {
            connection: self.connection,
            shared: self.shared,
            failed: self.failed,
            appended: self.appended,
            mode: PhantomData,
            work: self.work,
        })
    }
}

impl<M: Writes> Session<M> {
    /// Makes the unit of work durable and visible, and wakes readers that wait for events.
    ///
    /// # Errors
    /// [`StoreError::Aborted`]: a statement failed before; nothing was committed. [`StoreError::Full`],
    /// [`StoreError::Unreachable`], ...: the database failed; after `Unreachable` it is unknown whether it committed.
    pub async fn commit(self) -> Result<(), StoreError> {
        if let Some(operation) = self.failed {
            return Err(StoreError::Aborted { operation: operation.to_string() });
        }
        let failed = |source| self.shared.label.fault("COMMIT", source);
        let work = self.shared.watch.commit(Moment::Before, self.work).await.map_err(failed)?;
        self.connection.commit().await.map_err(failed)?;
        let _work = self.shared.watch.commit(Moment::After, work).await.map_err(failed)?;
        if let Some(seq) = self.appended {
            self.shared.committed(seq);
        }
        Ok(())
    }
}

impl<M: Mode> Session<M> {
    pub(crate) fn new(connection: Connection, shared: Arc<Shared>, work: Work) -> Self {
        Self { connection, shared, failed: None, appended: None, mode: PhantomData, work }
    }

    pub(crate) fn label(&self) -> &Label {
        &self.shared.label
    }

    /// Runs a statement; the number of rows it changed.
    pub(crate) async fn execute(&mut self, query: Query) -> Result<u64, StoreError> {
        let operation = self.start(&query)?;
        let outcome = self.connection.execute(query).await;
        self.finish(operation, outcome)
    }

    /// Runs a statement that must change exactly the row `id`.
    pub(crate) async fn execute_one(
        &mut self,
        query: Query,
        what: &'static str,
        id: impl std::fmt::Display,
    ) -> Result<(), StoreError> {
        match self.execute(query).await? {
            0 => Err(StoreError::Missing { what, id: id.to_string() }),
            _ => Ok(()),
        }
    }

    /// All rows of an answer.
    pub(crate) async fn all(&mut self, query: Query) -> Result<Vec<Row>, StoreError> {
        let operation = self.start(&query)?;
        let outcome = self.connection.all(query).await;
        self.finish(operation, outcome)
    }

    /// The rows of an answer one after the other, until `each` fails.
    pub(crate) async fn each<E: From<StoreError>>(
        &mut self,
        query: Query,
        each: impl FnMut(Row) -> Result<(), E>,
    ) -> Result<(), E> {
        let operation = self.start(&query)?;
        let outcome = self.connection.each(query, each).await;
        self.finish(operation, outcome)?
    }

    /// Which database it is on.
    pub(crate) fn database(&self) -> Database {
        self.connection.database()
    }

    /// The one row of an answer, if there is one.
    pub(crate) async fn one(&mut self, query: Query) -> Result<Option<Row>, StoreError> {
        Ok(self.all(query).await?.into_iter().next())
    }

    fn start(&self, query: &Query) -> Result<Operation, StoreError> {
        match self.failed {
            Some(operation) => Err(StoreError::Aborted { operation: operation.to_string() }),
            None => Ok(query.operation()),
        }
    }

    fn finish<T>(&mut self, operation: Operation, outcome: Result<T, sqlx::Error>) -> Result<T, StoreError> {
        outcome.map_err(|source| {
            self.failed = Some(operation);
            self.label().fault(operation, source)
        })
    }
}
