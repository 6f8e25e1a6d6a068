//! Keeps clusters as they should be, as long as a server runs.
//!
//! ```text
//! events of engines (watch.rs) --wakes--.
//! every PERIOD, every cluster ----------+--> turns.rs: whose turn it is --> look --ready-------------> repair
//!                                                                             `--half made or gone--> finish
//! by one server (duty.rs): hosts that stay silent (healer.rs); every PERIOD remnants; every hour a sweep, and old
//! events; copies of controllers' states (copies.rs)
//! ```
//! What woke a look is no input of it. A cluster that somebody else works on is left to them until they are done, or their lease
//! ends. So any number of servers look at the same clusters: whoever has a cluster's lease mends it.

mod copies;
mod duty;
mod healer;
mod turns;
mod watch;

use std::{
    collections::{BTreeSet, HashMap},
    sync::Arc,
    time::Duration,
};

use futures_util::FutureExt;
use rand::Rng as _;
use shoal_storage::{Cluster, Resource, StoreError};
use shoal_types::{ClusterId, ClusterPhase, chain};
use tokio::{
    task::{self, JoinSet},
    time::{Instant, sleep_until},
};

use crate::{
    drive::{
        lifecycle,
        repair::{self, RepairTerms},
        sweep::{self, GRACE, SweepTerms},
        ttl,
        upkeep::{
            copies::Copier,
            duty::Duty,
            healer::{Healer, LOOK},
            turns::{Ended, Turns},
            watch::{Wakes, Watchers},
        },
    },
    fleet::{
        coordinator::Coordinator,
        lease::{Owner, owner},
    },
    observe::happened::Subject,
    pass::work::Behalf,
    words::fault::Fault,
};

/// How often every cluster is looked at, whatever happens; a tenth of it more or less, so that servers of one store do not meet.
const PERIOD: Duration = Duration::from_secs(30);
/// How long after a change of the store new hosts are watched.
const SETTLE: Duration = Duration::from_secs(1);
/// Clusters looked at at once: their hosts bound what each of them costs.
const AT_ONCE: usize = 8;
/// How long a repair may take.
const REPAIR: Duration = Duration::from_secs(300);
/// How often hosts are swept and old events removed.
const HOURLY: Duration = Duration::from_secs(3600);
/// Events removed in one transaction: others wait for it.
const PRUNED_AT_ONCE: u64 = 10_000;

/// Which events are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeepEvents {
    /// Those that are younger than this.
    pub age: Duration,
    /// And of these so many, the last ones.
    pub most: u64,
}

/// Keeps the clusters of the store until the coordinator stops.
pub(crate) async fn keep(coordinator: Arc<Coordinator>, events: KeepEvents) {
    let (wakes, mut watchers) = (Arc::new(Wakes::default()), Watchers::default());
    let (healer, duty) = (Arc::new(Healer::default()), Arc::new(Duty::default()));
    let mut turns = Turns::default();
    let mut looks: JoinSet<Ended> = JoinSet::new();
    let mut looked_at: HashMap<task::Id, ClusterId> = HashMap::new();
    // One at a time.
    let mut chores: JoinSet<()> = JoinSet::new();
    let mut heals: JoinSet<()> = JoinSet::new();
    let mut heal = Instant::now();
    let copier = Arc::new(Copier::default());
    let mut copying: JoinSet<()> = JoinSet::new();
    let mut copy = Instant::now();
    let mut committed = coordinator.store.committed_events();
    let (mut round, mut hourly) = (Instant::now(), Instant::now());
    let mut settle: Option<Instant> = None;
    loop {
        let now = Instant::now();
        if round <= now || settle.is_some_and(|at| at <= now) {
            watch_hosts(&coordinator, (&wakes, &healer), &mut watchers).await;
            settle = None;
        }
        if round <= now {
            for id in all_clusters(&coordinator).await {
                turns.wake(id, now);
            }
            if chores.is_empty() {
                let is_due = hourly <= now;
                hourly = if is_due { now + HOURLY } else { hourly };
                chores.spawn(chore(coordinator.clone(), duty.clone(), is_due.then_some(events)));
            }
            round = now + coordinator.rng().random_range(PERIOD.mul_f32(0.9)..PERIOD.mul_f32(1.1));
        }
        for id in turns.take(now, AT_ONCE.saturating_sub(looks.len())) {
            let coordinator = coordinator.clone();
            let task = looks.spawn(async move { look(&coordinator, id).await });
            looked_at.insert(task.id(), id);
        }
        if heal <= now {
            if heals.is_empty() && healer.is_needed() {
                heals.spawn(healer.clone().round(coordinator.clone(), duty.clone()));
            }
            heal = now + LOOK;
        }
        if copy <= now {
            if copying.is_empty() {
                let (copier, coordinator, duty) = (copier.clone(), coordinator.clone(), duty.clone());
                copying.spawn(async move {
                    if duty.is_ours(&coordinator).await {
                        copier.round(coordinator).await;
                    }
                });
            }
            copy = now + copies::LOOK;
        }
        // One that is due and finds no room waits for a look to end.
        let turn = turns.next().filter(|_| looks.len() < AT_ONCE);
        let next =
            [Some(round), Some(heal), Some(copy), settle, turn].into_iter().flatten().min().unwrap_or(round);
        tokio::select! {
            biased;
            () = coordinator.stop.cancelled() => break,
            subjects = wakes.take() => {
                for id in concerned(&coordinator, subjects).await {
                    turns.wake(id, Instant::now());
                }
            }
            Some(ended) = looks.join_next_with_id() => {
                let (task, how) = match ended {
                    Ok((task, how)) => (task, how),
                    Err(error) => (error.id(), Ended::Failed),
                };
                if let Some(id) = looked_at.remove(&task) {
                    turns.ended(id, how, Instant::now());
                }
            }
            Some(_) = chores.join_next() => {}
            Some(_) = heals.join_next() => {}
            Some(_) = copying.join_next() => {}
            Ok(()) = committed.changed(), if settle.is_none() => settle = Some(Instant::now() + SETTLE),
            () = sleep_until(next) => {}
        }
    }
    drop(watchers);
    // They heed the stop.
    while looks.join_next().await.is_some() {}
    while chores.join_next().await.is_some() {}
    while heals.join_next().await.is_some() {}
    while copying.join_next().await.is_some() {}
    duty.give_up().await;
}

/// Watches the hosts that are registered now. Without a store those of before are watched.
async fn watch_hosts(
    coordinator: &Arc<Coordinator>,
    to: (&Arc<Wakes>, &Arc<Healer>),
    watchers: &mut Watchers,
) {
    let hosts = async { coordinator.store.read().await?.hosts().list().await };
    match hosts.await {
        Ok(hosts) => watchers.set(coordinator, to, hosts),
        Err(error) => unread(&error),
    }
}

fn unread(error: &StoreError) {
    tracing::warn!(error = chain(error), "the store cannot be read; trying again");
}

/// All clusters that may be looked at.
async fn all_clusters(coordinator: &Coordinator) -> BTreeSet<ClusterId> {
    let clusters = async { coordinator.store.read().await?.clusters().list().await };
    match clusters.await {
        Ok(clusters) => clusters.into_iter().map(|cluster| cluster.id).collect(),
        Err(error) => {
            unread(&error);
            BTreeSet::new()
        }
    }
}

/// The clusters that these subjects are, or have nodes on.
async fn concerned(coordinator: &Coordinator, subjects: BTreeSet<Subject>) -> BTreeSet<ClusterId> {
    let found = async {
        let mut read = coordinator.store.read().await?;
        let mut clusters = BTreeSet::new();
        for subject in &subjects {
            match subject {
                Subject::Cluster(id) => drop(clusters.insert(*id)),
                Subject::Named(realm, name) => {
                    clusters.extend(read.clusters().by_name(realm, name).await?.map(|cluster| cluster.id));
                }
                Subject::Host(host) => {
                    clusters.extend(read.nodes().on_host(*host).await?.into_iter().map(|node| node.cluster));
                }
            }
        }
        Ok(clusters)
    };
    found.await.unwrap_or_else(|error| {
        unread(&error);
        BTreeSet::new()
    })
}

/// Looks at one cluster, and does what is to be done.
async fn look(coordinator: &Arc<Coordinator>, id: ClusterId) -> Ended {
    let cluster = match found(coordinator, id).await {
        Ok(Found::Free(cluster)) => *cluster,
        Ok(Found::Owned(until)) => return Ended::Owned(until),
        Ok(Found::Nothing) => return Ended::Well,
        Err(error) => {
            unread(&error);
            return Ended::Failed;
        }
    };
    let is_over = ttl::is_over(&cluster, coordinator.now());
    let failed = match cluster.phase {
        ClusterPhase::Ready | ClusterPhase::Failed if is_over => {
            ttl::expire(coordinator, &cluster).boxed().await.err().map(|fault| chain(&fault))
        }
        ClusterPhase::Failed => None,
        ClusterPhase::Ready => {
            let (realm, name) = (&cluster.spec.realm, &cluster.spec.name);
            // Who waits for the end of this one keeps the next fault waiting.
            let terms = RepairTerms { dry_run: false, behalf: Behalf::Upkeep, wait: REPAIR, settle: false };
            repair::repair(coordinator, realm, name, terms, &coordinator.stop).boxed().await.error
        }
        ClusterPhase::Creating | ClusterPhase::Deleting => {
            finish(coordinator, &cluster).boxed().await.unwrap_or_else(|fault| Some(chain(&fault)))
        }
    };
    match failed {
        None => Ended::Well,
        // It was left where it stands.
        Some(_) if coordinator.stop.is_cancelled() => Ended::Well,
        Some(error) => match found(coordinator, id).await {
            // Somebody else was first.
            Ok(Found::Owned(until)) => Ended::Owned(until),
            Ok(Found::Free(_) | Found::Nothing) | Err(_) => {
                tracing::warn!(cluster.name = %cluster.spec.name, error, "cluster is not as it should be");
                Ended::Failed
            }
        },
    }
}

/// A cluster as a look finds it.
enum Found {
    /// It has gone.
    Nothing,
    /// Nobody works on it.
    Free(Box<Cluster>),
    /// Somebody does, for so long at most unless they say that they go on.
    Owned(Duration),
}

async fn found(coordinator: &Coordinator, id: ClusterId) -> Result<Found, StoreError> {
    let mut read = coordinator.store.read().await?;
    let Some(cluster) = read.clusters().get(id).await? else { return Ok(Found::Nothing) };
    let lease = read.leases().get(&Resource::cluster(id)).await?;
    drop(read);
    ttl::tell(coordinator, &cluster).await?;
    Ok(match owner(coordinator, lease.as_ref()) {
        Owner::Lives(lease) => Found::Owned(lease.until.since(coordinator.now())),
        Owner::Nobody | Owner::Ended(_) => Found::Free(Box::new(cluster)),
    })
}

/// Finishes what a process that ended left half made or half gone; why it still is so, if it is.
async fn finish(coordinator: &Arc<Coordinator>, cluster: &Cluster) -> Result<Option<String>, Fault> {
    lifecycle::finish_one(coordinator, cluster, &coordinator.interrupt()).await?;
    let now = coordinator.store.read().await?.clusters().get(cluster.id).await?;
    let left = now.filter(|now| matches!(now.phase, ClusterPhase::Creating | ClusterPhase::Deleting));
    Ok(left.map(|left| left.failure.unwrap_or_else(|| format!("it is still {}", left.phase))))
}

/// What is due now and then, if it is this server's to do: what was left on hosts goes; hourly, what no row explains does, and old
/// events do.
async fn chore(coordinator: Arc<Coordinator>, duty: Arc<Duty>, hourly: Option<KeepEvents>) {
    if !duty.is_ours(&coordinator).await {
        return;
    }
    lifecycle::clear_what_was_left(&coordinator).await;
    let Some(events) = hourly else { return };
    let terms = SweepTerms { dry_run: false, grace: GRACE, however_much: false };
    match sweep::sweep(&coordinator, terms).boxed().await {
        Ok(told) if told.too_much.is_some() => {
            tracing::warn!(
                "more is on the hosts than a sweep removes by itself: see `shoal sweep --dry-run`"
            );
        }
        Ok(_) => {}
        Err(fault) => tracing::warn!(error = chain(&fault), "hosts were not swept"),
    }
    prune(&coordinator, events).await;
}

/// Removes old events.
async fn prune(coordinator: &Coordinator, KeepEvents { age, most }: KeepEvents) {
    let since = coordinator.now().before(age);
    let pruned = async {
        loop {
            let mut tx = coordinator.store.begin().await?;
            let more = tx.events().prune(since, most, PRUNED_AT_ONCE).await?;
            tx.commit().await?;
            if !more || coordinator.stop.is_cancelled() {
                return Ok(());
            }
        }
    };
    let pruned: Result<(), StoreError> = pruned.await;
    if let Err(error) = pruned {
        tracing::warn!(error = chain(&error), "old events stay for now");
    }
}
