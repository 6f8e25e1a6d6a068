//! Has nodes of hosts that stay silent placed elsewhere.
//!
//! ```text
//! watch.rs: heard | silent since --> every LOOK: more than half of all hosts? --yes--> it is us: another server may have the duty
//!                                       `--no--> at most so many hosts in a while --> each cluster that is due: drive/heal.rs
//! ```
//! Of several servers of one store the one with the duty does it. When a host was left stands in its row, so that the next one
//! goes on counting.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use futures_util::FutureExt;
use shoal_storage::{Cluster, StoreError};
use shoal_types::{ClusterId, EventKind, EventLevel, HostId, NewEvent, chain};
use tokio::time::Instant;

use crate::{
    drive::{
        heal::{self, Loss, Patient, Silent},
        upkeep::duty::Duty,
    },
    fleet::coordinator::Coordinator,
};

/// How often it is looked whether a cluster is due.
pub(super) const LOOK: Duration = Duration::from_secs(2);
/// Hosts whose nodes are placed elsewhere within [`WINDOW`], at most: when many fail one after the other, a person should look.
const MOST: usize = 2;
/// How long a host counts that was left.
const WINDOW: Duration = Duration::from_secs(600);
/// The pause after a try that failed; doubled each time.
const PAUSE: Duration = Duration::from_secs(5);
/// The longest such pause.
const LONGEST_PAUSE: Duration = Duration::from_secs(120);

/// What is known of hosts that say nothing.
#[derive(Debug, Default)]
pub(super) struct Healer {
    silent: Mutex<BTreeMap<HostId, Instant>>,
    /// Clusters whose nodes stay where they are.
    stuck: Mutex<BTreeMap<ClusterId, Stuck>>,
    /// What was told of nodes that must stay.
    kept: Mutex<BTreeSet<(ClusterId, String)>>,
}

/// A cluster whose nodes stay where they are.
#[derive(Debug)]
struct Stuck {
    /// Why, as it was told.
    why: String,
    /// When it is tried again, and after how long then.
    next: Instant,
    pause: Duration,
}

fn locked<T>(what: &Mutex<T>) -> MutexGuard<'_, T> {
    what.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Healer {
    /// A host answered: what kept its nodes may be over.
    pub(super) fn heard(&self, host: HostId) {
        if locked(&self.silent).remove(&host).is_some() {
            locked(&self.stuck).clear();
            locked(&self.kept).clear();
        }
    }

    /// A host did not answer.
    pub(super) fn lost(&self, host: HostId) {
        locked(&self.silent).entry(host).or_insert_with(Instant::now);
    }

    /// A host is no longer registered.
    pub(super) fn forget(&self, host: HostId) {
        self.heard(host);
    }

    /// Whether a host is silent.
    pub(super) fn is_needed(&self) -> bool {
        !locked(&self.silent).is_empty()
    }

    /// Heals what is due, if that is this server's to do.
    pub(super) async fn round(self: Arc<Self>, coordinator: Arc<Coordinator>, duty: Arc<Duty>) {
        let now = Instant::now();
        let silent: Silent =
            locked(&self.silent).iter().map(|(id, since)| (*id, now.duration_since(*since))).collect();
        let due = match due(&coordinator, &silent).await {
            Ok(Some(due)) => due,
            // One that reaches the hosts may do what is to be done.
            Ok(None) => return duty.give_up().await,
            Err(error) => {
                tracing::warn!(error = chain(&error), "the store cannot be read; trying again");
                return;
            }
        };
        // Hosts that were left, or keep their nodes, take nothing of what may be done for others.
        let lost: BTreeSet<HostId> =
            due.iter().flat_map(|patient| patient.loss(&silent, coordinator.now()).hosts).collect();
        let may_go: Silent = silent
            .iter()
            .filter(|(host, _)| lost.contains(host))
            .map(|(host, since)| (*host, *since))
            .collect();
        for patient in due {
            let cluster = &patient.cluster;
            if locked(&self.stuck).get(&cluster.id).is_some_and(|stuck| stuck.next > now) {
                continue;
            }
            // A heal may take long, and so may a pause of this whole process.
            if !duty.is_ours(&coordinator).await {
                return;
            }
            let left = match left(&coordinator).await {
                Ok(left) => left,
                Err(error) => {
                    tracing::warn!(error = chain(&error), "the store cannot be read; trying again");
                    return;
                }
            };
            let allowed = allowed(&left, &may_go);
            let loss = patient.loss(&silent, coordinator.now());
            for (node, why) in &loss.kept {
                let why = format!("{node} stays on its host, and so do the other nodes there: {why}");
                if locked(&self.kept).insert((cluster.id, why.clone())) {
                    tell(&coordinator, cluster, why).await;
                }
            }
            if loss.hosts.is_empty() {
                continue;
            }
            if patient.loss(&allowed, coordinator.now()).hosts.is_empty() {
                let why = format!("{MOST} hosts were left within {} minutes", WINDOW.as_secs() / 60);
                self.stay(&coordinator, cluster, why).await;
                continue;
            }
            match heal::heal(&coordinator, cluster, &allowed, &coordinator.stop).boxed().await {
                Ok(hosts) if hosts.is_empty() => {}
                Ok(_) => drop(locked(&self.stuck).remove(&cluster.id)),
                Err(_) if coordinator.stop.is_cancelled() => return,
                Err(fault) => self.stay(&coordinator, cluster, chain(&fault)).await,
            }
        }
    }

    /// Nodes stay for now: why is told, unless it was already.
    async fn stay(&self, coordinator: &Coordinator, cluster: &Cluster, why: String) {
        let before = locked(&self.stuck).remove(&cluster.id);
        let pause = before.as_ref().map_or(PAUSE, |stuck| (stuck.pause * 2).min(LONGEST_PAUSE));
        let next = Instant::now() + pause;
        locked(&self.stuck).insert(cluster.id, Stuck { why: why.clone(), next, pause });
        if before.is_some_and(|stuck| stuck.why == why) {
            return;
        }
        tell(coordinator, cluster, why).await;
    }
}

/// Tells why nodes stay.
async fn tell(coordinator: &Coordinator, cluster: &Cluster, why: String) {
    tracing::warn!(cluster.name = %cluster.spec.name, why, "nodes of a lost host are not placed elsewhere");
    let event = NewEvent::new(coordinator.now(), EventLevel::Warn, EventKind::Step, why)
        .of(&cluster.spec.realm, &cluster.spec.name);
    let told = async {
        let mut tx = coordinator.store.begin().await?;
        tx.events().append(&event).await?;
        tx.commit().await
    };
    if let Err(error) = told.await {
        tracing::warn!(error = chain(&error), "an event was not written");
    }
}

/// The clusters of which something is lost; `None` if it is this server that is cut off.
async fn due(coordinator: &Coordinator, silent: &Silent) -> Result<Option<Vec<Patient>>, StoreError> {
    let mut read = coordinator.store.read().await?;
    if is_us(silent.len(), read.hosts().list().await?.len()) {
        return Ok(None);
    }
    let mut due = Vec::new();
    for cluster in read.clusters().list().await? {
        let nodes = read.nodes().of_cluster(cluster.id).await?;
        let copies = read.state_copies().of_cluster(cluster.id).await?;
        let patient = Patient { cluster, nodes, copies };
        if patient.loss(silent, coordinator.now()) != Loss::default() {
            due.push(patient);
        }
    }
    Ok(Some(due))
}

/// The hosts that were left in this window, by whichever server.
async fn left(coordinator: &Coordinator) -> Result<BTreeSet<HostId>, StoreError> {
    let since = coordinator.now().before(WINDOW);
    Ok(coordinator.store.read().await?.hosts().left(since).await?.into_keys().collect())
}

/// Whether so many of all hosts say nothing that it is the coordinator's own way to them that is cut.
fn is_us(silent: usize, all: usize) -> bool {
    silent * 2 > all
}

/// The silent hosts that may be left: those that were in this window, and so many others.
fn allowed(left: &BTreeSet<HostId>, silent: &Silent) -> Silent {
    let mut more = MOST.saturating_sub(left.len());
    let mut by_silence: Vec<_> = silent.iter().collect();
    // The one that has been silent for longest is first.
    by_silence.sort_by(|a, b| b.1.cmp(a.1).then(a.0.cmp(b.0)));
    let mut allowed = Silent::new();
    for (host, silence) in by_silence {
        if left.contains(host) || more > 0 {
            more -= usize::from(!left.contains(host));
            allowed.insert(*host, *silence);
        }
    }
    allowed
}

#[cfg(test)]
mod tests {
    use super::*;

    fn host(n: u8) -> HostId {
        HostId::new(1, [n; 10])
    }

    #[test]
    fn where_most_hosts_are_silent_nothing_is_done() {
        for (silent, all, us) in
            [(0, 3, false), (1, 3, false), (1, 2, false), (2, 3, true), (1, 1, true), (2, 4, false)]
        {
            assert_eq!(is_us(silent, all), us, "{silent} of {all}");
        }
    }

    #[test]
    fn few_hosts_are_left_in_a_while_and_those_for_all_their_clusters() {
        let silent: Silent = (1..=4).map(|n| (host(n), Duration::from_secs(u64::from(n)))).collect();
        let named = |left: &[u8]| {
            let left = left.iter().copied().map(host).collect();
            allowed(&left, &silent).into_keys().collect::<Vec<_>>()
        };
        assert_eq!(named(&[]), [host(3), host(4)]);
        assert_eq!(named(&[1]), [host(1), host(4)]);
        assert_eq!(named(&[1, 4]), [host(1), host(4)]);
        // Hosts that answer again count as well.
        assert_eq!(named(&[7, 8]), []);
    }
}
