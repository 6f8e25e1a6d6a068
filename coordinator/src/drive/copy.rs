//! One copy of a node's state, off its host, into the store; and whether a copy may take the place of the state.
//!
//! ```text
//! the directory as it is --archive of it--> as it is now --another?--> once more, at most TRIES
//!                                               `--the same--> compressed, sealed --> the row, unless the node moved meanwhile
//! ```
//! slurmctld writes every file of its state anew and renames it, so its directory changes whenever one of its files has. An archive
//! between two looks at the directory that show the same holds files that belong together: with a job in the list its script, which is
//! written before. One that was read during a change is never kept, since a list without its scripts costs jobs.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use sha2::{Digest as _, Sha256};
use shoal_docker::{EngineError, PathStat};
use shoal_storage::{Cluster, Node, StateCopy, StateSource, StoreError};
use shoal_types::{Bytes as Amount, CopyPeriod, EventKind, EventLevel, NewEvent, Timestamp};
use tokio::task::spawn_blocking;

use crate::{
    fleet::{HostLink, coordinator::Coordinator, liveness::limited},
    words::fault::Fault,
};

/// The most of a state that is copied, as an archive: some 30,000 jobs. It is read as a whole, once a minute and more often.
const LIMIT: usize = 64 << 20;
/// The most that a copy takes in the store.
const KEPT: Amount = Amount::mib(16);
/// How often an archive is tried in a row that is read while the state changes.
const TRIES: u32 = 4;
/// The pause between two of these: slurmctld writes for some hundredths of a second, up to every 5 s.
const PAUSE: Duration = Duration::from_millis(300);
/// How long a look at the directory may take.
const LOOK: Duration = Duration::from_secs(3);
/// How old a copy may be when its host falls silent, at least, to take the place of the state.
const STALE: Duration = Duration::from_secs(600);
/// What an archive that is whole ends with (`tar`: two blocks of zeros).
const TRAILER: [u8; 1024] = [0; 1024];

/// The digest of an archive.
pub(super) type Content = [u8; 32];

/// What is copied, and from where.
#[derive(Debug)]
pub(super) struct Source<'a> {
    pub(super) cluster: &'a Cluster,
    pub(super) node: &'a Node,
    /// Its container, by name.
    pub(super) container: String,
    /// The directory.
    pub(super) directory: String,
}

/// Why there is no copy of what the state is now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum Trouble {
    #[error("it is larger than {} MiB", LIMIT >> 20)]
    TooLarge,
    #[error("its copy would take more than {} MiB of the store", KEPT.0 >> 20)]
    TooLargeToKeep,
    #[error("it changes whenever it is read")]
    Torn,
}

/// What came of copying.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Copying {
    /// The store has this content, which the directory had when it looked so.
    Done(PathStat, Content),
    /// There is none of what the state is now.
    Not(Trouble),
    /// The node is somewhere else by now, or somebody else was first.
    Overtaken,
}

/// What was read.
enum Taken {
    Whole(PathStat, Bytes),
    Not(Trouble),
    Gone,
}

impl Source<'_> {
    /// What the directory looks like; `None`: there is none, or no container.
    pub(super) async fn look(&self, link: &HostLink) -> Result<Option<PathStat>, Fault> {
        let ask = async {
            let stat = link.engine.stat_path(&self.container, &self.directory).await;
            stat.map_err(Fault::engine(&link.name))
        };
        limited(&link.name, LOOK, ask).await
    }

    /// Copies the state; `known` is the content of the copy that the store has, if that is known.
    pub(super) async fn copy(
        &self,
        coordinator: &Arc<Coordinator>,
        link: &HostLink,
        row: Option<&StateCopy>,
        known: Option<Content>,
    ) -> Result<Copying, Fault> {
        let at = coordinator.now();
        let stored = match self.take(link).await? {
            Taken::Gone => return Ok(Copying::Overtaken),
            Taken::Not(trouble) => self.tell(coordinator, row, trouble, at).await,
            Taken::Whole(stat, archive) => {
                let content: Content = Sha256::digest(&archive).into();
                let known = match known {
                    None => self.stored(coordinator).await?,
                    known => known,
                };
                let done = Copying::Done(stat, content);
                match known == Some(content) {
                    true => self.confirm(coordinator, row, at).await.map(|()| done),
                    false => self
                        .keep(coordinator, row, archive, at)
                        .await
                        .map(|not| not.map_or(done, Copying::Not)),
                }
            }
        };
        match stored {
            Err(StoreError::Stale { .. }) => Ok(Copying::Overtaken),
            stored => Ok(stored?),
        }
    }

    /// The state is still the one that was copied.
    ///
    /// # Errors
    /// [`StoreError::Stale`]: the node is somewhere else by now, or somebody else was first.
    pub(super) async fn confirm(
        &self,
        coordinator: &Coordinator,
        row: Option<&StateCopy>,
        at: Timestamp,
    ) -> Result<(), StoreError> {
        let mut tx = coordinator.store.begin().await?;
        tx.state_copies().checked(&self.row(row), at).await?;
        if row.is_some_and(|row| row.trouble.is_some()) {
            tx.events().append(&self.event(EventLevel::Info, "is copied again".into(), at)).await?;
        }
        tx.commit().await
    }

    /// An archive of the directory that nothing changed meanwhile.
    async fn take(&self, link: &HostLink) -> Result<Taken, Fault> {
        for again in 0..TRIES {
            if again > 0 {
                tokio::time::sleep(PAUSE).await;
            }
            let before = self.look(link).await?;
            let archive = match link.engine.get_archive(&self.container, &self.directory, LIMIT).await {
                Err(EngineError::TooLarge { .. }) => return Ok(Taken::Not(Trouble::TooLarge)),
                archive => archive.map_err(Fault::engine(&link.name))?,
            };
            let Some((before, archive)) = before.zip(archive) else { return Ok(Taken::Gone) };
            if archive.ends_with(&TRAILER) && self.look(link).await?.as_ref() == Some(&before) {
                return Ok(Taken::Whole(before, archive));
            }
        }
        Ok(Taken::Not(Trouble::Torn))
    }

    /// The content of the copy that the store has.
    async fn stored(&self, coordinator: &Coordinator) -> Result<Option<Content>, StoreError> {
        let state = coordinator.store.read().await?.state_copies().open(self.node.id).await;
        match state {
            Ok(state) => Ok(state.map(|state| Sha256::digest(&*state).into())),
            // It is replaced.
            Err(StoreError::Corrupt { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Keeps what was taken, or tells why not.
    async fn keep(
        &self,
        coordinator: &Arc<Coordinator>,
        row: Option<&StateCopy>,
        archive: Bytes,
        at: Timestamp,
    ) -> Result<Option<Trouble>, StoreError> {
        let (packing, node) = (coordinator.clone(), self.node.id);
        let pack = move || packing.store.pack_state(node, &archive, &mut *packing.rng());
        let packed = spawn_blocking(pack).await.ok().flatten();
        let Some(packed) = packed.filter(|packed| packed.size() <= KEPT) else {
            return self
                .tell(coordinator, row, Trouble::TooLargeToKeep, at)
                .await
                .map(|_| Some(Trouble::TooLargeToKeep));
        };
        let told = match row {
            Some(StateCopy { trouble: Some(_), .. }) => Some("is copied again"),
            Some(StateCopy { kept: Some(_), .. }) => None,
            _ => Some("has a copy in the store from now on"),
        };
        let mut tx = coordinator.store.begin().await?;
        tx.state_copies().keep(&self.row(row), packed, at).await?;
        if let Some(told) = told {
            tx.events().append(&self.event(EventLevel::Info, told.into(), at)).await?;
        }
        tx.commit().await.map(|()| None)
    }

    /// Tells why there is no copy, unless that was told already.
    async fn tell(
        &self,
        coordinator: &Coordinator,
        row: Option<&StateCopy>,
        trouble: Trouble,
        at: Timestamp,
    ) -> Result<Copying, StoreError> {
        let text = trouble.to_string();
        if row.and_then(|row| row.trouble.as_ref()) != Some(&text) {
            let mut tx = coordinator.store.begin().await?;
            tx.state_copies().set_trouble(&self.row(row), &text).await?;
            let event = self.event(EventLevel::Warn, format!("is not copied: {text}"), at);
            tx.events().append(&event).await?;
            tx.commit().await?;
        }
        Ok(Copying::Not(trouble))
    }

    fn row(&self, row: Option<&StateCopy>) -> StateSource {
        let version = row.map_or(0, |row| row.version);
        StateSource { node: self.node.id, generation: self.node.generation, version }
    }

    fn event(&self, level: EventLevel, what: String, at: Timestamp) -> NewEvent {
        let (spec, name) = (&self.cluster.spec, &self.node.name);
        let message = format!("the state of {name} {what}");
        NewEvent::new(at, level, EventKind::Step, message).of(&spec.realm, &spec.name)
    }
}

/// Whether a copy may take the place of a node's state, whose host has been silent for so long; else why not.
///
/// A copy that was not looked after while its host lived, because no server ran, say, is of another time: a person decides
/// (`--healing reschedule`).
pub(super) fn may_replace(
    period: CopyPeriod,
    copy: Option<&StateCopy>,
    silence: Duration,
    now: Timestamp,
) -> Result<(), String> {
    let Some(every) = period.every() else {
        return Err("its state is not copied (--state-copies none)".into());
    };
    let Some(copy) = copy else { return Err("its state has no copy yet".into()) };
    if copy.restore.is_some() {
        // It has not run since it was to begin with the copy.
        return Ok(());
    }
    if let Some(trouble) = &copy.trouble {
        return Err(format!("its state has no copy: {trouble}"));
    }
    let Some(kept) = copy.kept else { return Err("its state has no copy yet".into()) };
    let stale = STALE.max(every * 3);
    match now.since(kept.checked) <= silence + stale {
        true => Ok(()),
        false => Err(format!(
            "the copy of its state was older than {} minutes when its host fell silent",
            stale.as_secs() / 60
        )),
    }
}

#[cfg(test)]
mod tests {
    use shoal_storage::KeptState;
    use shoal_types::{Generation, NodeId};

    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    #[test]
    fn a_copy_takes_the_place_of_a_state_if_it_is_of_its_last_time() {
        let now = Timestamp(10_000_000);
        let kept = |ago: Duration| {
            let checked = now.before(ago);
            Some(KeptState { state: Amount(9), copy: Amount(5), taken: Timestamp(0), checked })
        };
        let copy = |kept| StateCopy {
            node: NodeId::new(1, [1; 10]),
            version: 3,
            kept,
            trouble: None,
            restore: None,
        };
        let with =
            |copy: &StateCopy, trouble: &str| StateCopy { trouble: Some(trouble.into()), ..copy.clone() };
        let fresh = copy(kept(3 * MINUTE));
        let old = copy(kept(13 * MINUTE));
        let pending = StateCopy { restore: Some(Generation(2)), ..old.clone() };
        let every = |ms| CopyPeriod::try_from(ms).unwrap();
        let (minute, never) = (CopyPeriod::default(), CopyPeriod::NEVER);
        let too_old = "the copy of its state was older than 10 minutes when its host fell silent";
        for (period, copy, silence, outcome) in [
            (minute, Some(&fresh), 2 * MINUTE, None),
            (minute, Some(&old), 3 * MINUTE, None),
            (minute, Some(&old), 2 * MINUTE, Some(too_old)),
            (every(600_000), Some(&old), Duration::ZERO, None),
            (minute, Some(&pending), Duration::ZERO, None),
            (minute, None, 2 * MINUTE, Some("its state has no copy yet")),
            (minute, Some(&none(&fresh)), 2 * MINUTE, Some("its state has no copy yet")),
            (
                minute,
                Some(&with(&fresh, "it is larger")),
                2 * MINUTE,
                Some("its state has no copy: it is larger"),
            ),
            (never, Some(&fresh), 2 * MINUTE, Some("its state is not copied (--state-copies none)")),
        ] {
            assert_eq!(
                may_replace(period, copy, silence, now).err().as_deref(),
                outcome,
                "{copy:?} {silence:?}"
            );
        }
    }

    fn none(copy: &StateCopy) -> StateCopy {
        StateCopy { kept: None, ..copy.clone() }
    }
}
