//! The events of an installation as they are committed, read from its store by a process of its own.

use std::{path::Path, time::Duration};

use anyhow::Context;
use rand::{SeedableRng, rngs::StdRng};
use shoal_storage::{EventFilter, SealingKey, Store, StoreUrl};
use shoal_types::{Clock, Event, EventKind, SystemClock};
use tokio::{
    runtime::Runtime,
    time::{sleep, timeout},
};

/// How often the store is looked at.
const LOOK: Duration = Duration::from_millis(2);
/// More events than a test makes.
const ALL: u32 = 100_000;

/// A store's log, from the position where it was opened.
#[derive(Debug)]
pub struct Log {
    runtime: Runtime,
    store: Store,
    after: u64,
}

impl Log {
    /// The log of the SQLite store in this directory, from its end.
    ///
    /// # Errors
    /// There is no such store.
    pub(crate) fn open(state: &Path) -> anyhow::Result<Self> {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
        let key = SealingKey::load(&state.join("key"))?;
        // Neither time nor randomness is used: the store is there.
        let (now, mut rng) = (SystemClock.now(), StdRng::seed_from_u64(0));
        let (store, after) = runtime.block_on(async {
            let store = Store::open(&StoreUrl::file(state.join("shoal.db")), key, now, &mut rng).await?;
            let after = store.read().await?.events().latest_seq().await?;
            anyhow::Ok((store, after))
        })?;
        Ok(Self { runtime, store, after })
    }

    /// The id of the installation.
    #[must_use]
    pub fn installation(&self) -> String {
        self.store.installation().to_string()
    }

    /// Every event since it was opened.
    ///
    /// # Errors
    /// The store cannot be read.
    pub fn events(&self) -> anyhow::Result<Vec<Event>> {
        self.runtime.block_on(self.list())
    }

    /// Waits for the first event that is as wanted.
    ///
    /// # Errors
    /// None came within `limit`, or the store cannot be read.
    pub fn wait(&self, limit: Duration, wanted: impl Fn(&Event) -> bool) -> anyhow::Result<Event> {
        let look = async {
            loop {
                if let Some(event) = self.list().await?.into_iter().find(&wanted) {
                    return Ok(event);
                }
                sleep(LOOK).await;
            }
        };
        let waited = self.runtime.block_on(async { timeout(limit, look).await });
        waited.with_context(|| format!("no such event within {} s", limit.as_secs()))?
    }

    /// How often something of this kind was recorded since it was opened.
    ///
    /// # Errors
    /// The store cannot be read.
    pub fn count(&self, kind: EventKind) -> anyhow::Result<usize> {
        Ok(self.events()?.iter().filter(|event| event.event.kind == kind).count())
    }

    async fn list(&self) -> anyhow::Result<Vec<Event>> {
        let filter = EventFilter { realm: None, cluster: None, after: self.after, limit: ALL };
        Ok(self.store.read().await?.events().list(&filter).await?)
    }
}
