//! Watches the engines of hosts: one stream of events each, whose connection is made anew with a back-off, and a ping where it tells
//! nothing.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use futures_util::StreamExt;
use shoal_storage::Host;
use shoal_types::{HostId, chain};
use tokio::{sync::Notify, task::JoinSet, time::timeout};

use crate::{
    drive::upkeep::healer::Healer,
    fleet::{coordinator::Coordinator, liveness::limited},
    observe::happened::{Subject, subject},
    words::fault::Fault,
};

/// First pause before a host is watched again whose connection ended; doubled each time.
const BACK_OFF: Duration = Duration::from_millis(250);
/// Longest such pause: a host that came back is noticed within it. Over SSH every try is a login.
const LONGEST_BACK_OFF: Duration = Duration::from_secs(15);
/// How often a host is pinged that tells nothing, and how long its answer may take: a stream does not end when a machine loses power.
const BEAT: Duration = Duration::from_secs(3);
/// How long a stream may take to open: over SSH with a login.
const OPEN: Duration = Duration::from_secs(10);

/// What something has happened to and was not looked at since: each once, so there are never more than there are clusters and
/// hosts.
#[derive(Debug, Default)]
pub(super) struct Wakes {
    subjects: Mutex<BTreeSet<Subject>>,
    more: Notify,
}

impl Wakes {
    fn add(&self, subject: Subject) {
        self.subjects.lock().unwrap_or_else(PoisonError::into_inner).insert(subject);
        self.more.notify_one();
    }

    /// All of them, once there is one.
    pub(super) async fn take(&self) -> BTreeSet<Subject> {
        loop {
            let all = std::mem::take(&mut *self.subjects.lock().unwrap_or_else(PoisonError::into_inner));
            if !all.is_empty() {
                return all;
            }
            self.more.notified().await;
        }
    }
}

/// The hosts that are watched.
#[derive(Debug, Default)]
pub(super) struct Watchers {
    /// With how a host is reached: one that is reached in another way is watched anew.
    watched: BTreeMap<HostId, (Host, tokio::task::AbortHandle)>,
    tasks: JoinSet<()>,
}

impl Watchers {
    /// Watches these hosts, and no others.
    pub(super) fn set(
        &mut self,
        coordinator: &Arc<Coordinator>,
        (wakes, healer): (&Arc<Wakes>, &Arc<Healer>),
        hosts: Vec<Host>,
    ) {
        while self.tasks.try_join_next().is_some() {}
        let mut before = std::mem::take(&mut self.watched);
        for host in hosts {
            let reached = |known: &Host| {
                (known.settings.endpoint.clone(), known.settings.credential)
                    == (host.settings.endpoint.clone(), host.settings.credential)
            };
            let kept = match before.remove(&host.id) {
                Some((known, task)) if reached(&known) && !task.is_finished() => task,
                other => {
                    if let Some((_, task)) = other {
                        task.abort();
                    }
                    let to = (wakes.clone(), healer.clone());
                    self.tasks.spawn(watch(coordinator.clone(), host.clone(), to))
                }
            };
            self.watched.insert(host.id, (host, kept));
        }
        for (host, task) in before.into_values() {
            task.abort();
            healer.forget(host.id);
        }
    }
}

/// Watches a host for ever.
async fn watch(coordinator: Arc<Coordinator>, host: Host, (wakes, healer): (Arc<Wakes>, Arc<Healer>)) {
    let mut pause = BACK_OFF;
    loop {
        match listen(&coordinator, &host, &wakes, &healer).await {
            // It was heard.
            Ok(()) => pause = BACK_OFF,
            Err(fault) => {
                healer.lost(host.id);
                tracing::debug!(host.name = %host.name, error = chain(&fault), "host cannot be watched");
            }
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(LONGEST_BACK_OFF);
    }
}

/// Passes on what happens on a host until the connection ends.
async fn listen(coordinator: &Coordinator, host: &Host, wakes: &Wakes, healer: &Healer) -> Result<(), Fault> {
    let (link, mut events) = limited::<_, Fault>(&host.name, OPEN, async {
        let link = coordinator.fleet.link(&coordinator.store, host).await?;
        let opened = link.engine.events(&coordinator.naming.all()).await;
        Ok((link, opened.map_err(Fault::engine(&host.name))?))
    })
    .await?;
    healer.heard(host.id);
    // What happened while nobody watched is not told.
    wakes.add(Subject::Host(host.id));
    loop {
        let event = match timeout(BEAT, events.next()).await {
            Ok(Some(event)) => event,
            Ok(None) => break,
            Err(_) => {
                let ping = async { link.engine.ping().await.map_err(Fault::engine(&host.name)) };
                limited::<_, Fault>(&host.name, BEAT, ping).await?;
                continue;
            }
        };
        match event {
            Ok(event) => {
                if let Some(subject) = subject(&coordinator.naming, host.id, &event) {
                    tracing::debug!(host.name = %host.name, ?subject, "something happened");
                    wakes.add(subject);
                }
            }
            Err(error) => {
                tracing::debug!(host.name = %host.name, error = chain(&error), "events ended");
                break;
            }
        }
    }
    Ok(())
}
