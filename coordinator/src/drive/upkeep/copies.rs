//! Has the state of controllers copied off their hosts: every so often, and soon after it changed.
//!
//! ```text
//! every LOOK, each node with state of a ready cluster: what its directory looks like --as at the last copy--> now and then: confirmed
//!                                                         `--otherwise--> drive/copy.rs, after a REST that grows with what copying takes
//! ```
//! A look is one question to the engine of one host, which reads nothing of the state. Servers of one store leave each other's copies
//! alone by the row's version.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use futures_util::{FutureExt, StreamExt, stream};
use shoal_docker::PathStat;
use shoal_storage::{Cluster, Host, Node, StoreError};
use shoal_types::{ClusterPhase, Generation, NodeId, Role, chain};
use tokio::time::Instant;

use crate::{
    drive::copy::{Content, Copying, Source},
    fleet::coordinator::Coordinator,
    observe::intent::state_directory,
    words::fault::Fault,
};

/// How often it is looked whether a state has changed.
pub(super) const LOOK: Duration = Duration::from_secs(5);
/// The least time from one copy to the next.
const REST: Duration = Duration::from_secs(10);
/// And so many times what the last one took, but not more than its period.
const SHARE: u32 = 50;
/// Nodes looked at at once.
const AT_ONCE: usize = 8;

/// What is remembered of a node's state.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Track {
    generation: Generation,
    /// What its directory looked like at the last copy, and what that copy holds.
    copied: Option<(PathStat, Content)>,
    /// When it was last copied, or tried to be, and how long that took.
    tried: Option<(Instant, Duration)>,
    /// When the store was last told that the copy is still good.
    confirmed: Option<Instant>,
}

/// What is to be done about a node's state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Due {
    Nothing,
    Confirm,
    Copy,
}

impl Track {
    fn new(generation: Generation) -> Self {
        Self { generation, copied: None, tried: None, confirmed: None }
    }

    /// What is to be done about a state that looks like this.
    fn due(&self, seen: &PathStat, every: Duration, now: Instant) -> Due {
        let is_copied = self.copied.as_ref().is_some_and(|(stat, _)| stat == seen);
        let rest = |took: Duration| REST.max((took * SHARE).min(every));
        match is_copied {
            true if self.confirmed.is_none_or(|at| now.duration_since(at) >= every) => Due::Confirm,
            true => Due::Nothing,
            false if self.tried.is_none_or(|(at, took)| now.duration_since(at) >= rest(took)) => Due::Copy,
            false => Due::Nothing,
        }
    }
}

/// Copies states.
#[derive(Debug, Default)]
pub(super) struct Copier(Mutex<BTreeMap<NodeId, Track>>);

impl Copier {
    /// Looks at every state, and copies those that are due.
    pub(super) async fn round(self: Arc<Self>, coordinator: Arc<Coordinator>) {
        let kept = match kept(&coordinator).await {
            Ok(kept) => kept,
            Err(error) => {
                tracing::warn!(error = chain(&error), "the store cannot be read; trying again");
                return;
            }
        };
        self.tracks().retain(|id, _| kept.iter().any(|kept| kept.node.id == *id));
        let each = kept.into_iter().map(|kept| {
            let (copier, coordinator) = (self.clone(), coordinator.clone());
            async move {
                if let Err(fault) = copier.look(&coordinator, &kept).await {
                    let (cluster, node) = (&kept.cluster.spec.name, &kept.node.name);
                    tracing::debug!(cluster.name = %cluster, node.name = %node, error = chain(&fault), "not copied");
                }
            }
            .boxed()
        });
        stream::iter(each).buffer_unordered(AT_ONCE).collect::<()>().await;
    }

    fn tracks(&self) -> std::sync::MutexGuard<'_, BTreeMap<NodeId, Track>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn look(&self, coordinator: &Arc<Coordinator>, kept: &Kept) -> Result<(), Fault> {
        let Kept { cluster, node, host, directory } = kept;
        let Some(every) = cluster.healing.copies_ms.every() else { return Ok(()) };
        let spec = &cluster.spec;
        let container = coordinator.naming.container(&node.name, &spec.name, &spec.realm);
        let source = Source { cluster, node, container, directory: directory.clone() };
        let link = coordinator.fleet.link(&coordinator.store, host).await?;
        let Some(seen) = source.look(&link).await? else { return Ok(()) };
        let known = self.tracks().get(&node.id).filter(|track| track.generation == node.generation).cloned();
        let mut track = known.unwrap_or_else(|| Track::new(node.generation));
        let (now, at) = (Instant::now(), coordinator.now());
        let due = track.due(&seen, every, now);
        if due == Due::Nothing || coordinator.stop.is_cancelled() {
            return Ok(());
        }
        let row = coordinator.store.read().await?.state_copies().get(node.id).await?;
        if row.as_ref().is_some_and(|row| row.restore.is_some()) {
            return Ok(());
        }
        match due {
            Due::Nothing => {}
            Due::Confirm => match source.confirm(coordinator, row.as_ref(), at).await {
                Ok(()) => track.confirmed = Some(now),
                // Whoever was first may have copied something else.
                Err(StoreError::Stale { .. }) => track.copied = None,
                Err(error) => return Err(error.into()),
            },
            Due::Copy => {
                let content = track.copied.as_ref().map(|(_, content)| *content);
                let copying = source.copy(coordinator, &link, row.as_ref(), content).await;
                track.tried = Some((now, now.elapsed()));
                match copying {
                    Ok(Copying::Done(stat, content)) => {
                        track.copied = Some((stat, content));
                        track.confirmed = Some(now);
                    }
                    Ok(Copying::Not(_)) => {}
                    Ok(Copying::Overtaken) => track.copied = None,
                    Err(fault) => {
                        self.tracks().insert(node.id, track);
                        return Err(fault);
                    }
                }
            }
        }
        self.tracks().insert(node.id, track);
        Ok(())
    }
}

/// A node that keeps something.
struct Kept {
    cluster: Cluster,
    node: Node,
    host: Host,
    directory: String,
}

/// The nodes of ready clusters that keep something which is to be copied.
async fn kept(coordinator: &Coordinator) -> Result<Vec<Kept>, StoreError> {
    let mut read = coordinator.store.read().await?;
    let hosts: BTreeMap<_, _> = read.hosts().list().await?.into_iter().map(|host| (host.id, host)).collect();
    let mut kept = Vec::new();
    for cluster in read.clusters().list().await? {
        if cluster.phase != ClusterPhase::Ready || cluster.healing.copies_ms.every().is_none() {
            continue;
        }
        for role in Role::ALL {
            let Some(directory) = state_directory(&cluster.spec, role) else { continue };
            for node in read.nodes().of_role(cluster.id, role).await? {
                let Some(host) = hosts.get(&node.host).cloned() else { continue };
                kept.push(Kept { cluster: cluster.clone(), node, host, directory: directory.clone() });
            }
        }
    }
    Ok(kept)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn a_state_is_copied_soon_after_it_changed_and_not_too_often() {
        let stat = |modified: &str| PathStat { size: 4096, modified: modified.into() };
        let (every, now) = (60 * SECOND, Instant::now());
        let new = Track::new(Generation(1));
        assert_eq!(new.due(&stat("1"), every, now), Due::Copy, "there is none");
        let track = |ago: Duration, took: Duration| Track {
            copied: Some((stat("1"), [1; 32])),
            tried: Some((now - ago, took)),
            confirmed: Some(now - ago),
            ..new.clone()
        };
        for (ago, took, modified, due) in [
            (59 * SECOND, SECOND / 10, "1", Due::Nothing),
            (60 * SECOND, SECOND / 10, "1", Due::Confirm),
            (9 * SECOND, SECOND / 10, "2", Due::Nothing),
            (10 * SECOND, SECOND / 10, "2", Due::Copy),
            // What takes a second is a fiftieth of the time, but once a period it is copied.
            (49 * SECOND, SECOND, "2", Due::Nothing),
            (50 * SECOND, SECOND, "2", Due::Copy),
            (59 * SECOND, 10 * SECOND, "2", Due::Nothing),
            (60 * SECOND, 10 * SECOND, "2", Due::Copy),
        ] {
            assert_eq!(track(ago, took).due(&stat(modified), every, now), due, "{ago:?} {took:?} {modified}");
        }
        // One that could not be copied is tried again after the same rest.
        let failed = Track { tried: Some((now - 5 * SECOND, SECOND / 10)), ..new };
        assert_eq!(failed.due(&stat("1"), every, now), Due::Nothing);
        assert_eq!(failed.due(&stat("1"), every, now + 5 * SECOND), Due::Copy);
    }
}
