//! Moves one cluster's nodes from a host that is being drained to others.
//!
//! ```text
//! do they fit elsewhere? --> Slurm gives them no new jobs --> those without jobs, a batch at a time, the controller last:
//!     (its state is copied) --> containers removed --> edit/relocation.rs --> passes --> Slurm gives them jobs again
//! the last one gone: the cluster's network leaves the host
//! ```
//! A node's container is gone before the node has another place: never two with one address.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use futures_util::FutureExt;
use shoal_api::{DrainedCluster, MovedNode};
use shoal_docker::CallClass;
use shoal_slurm::{Readiness, down_command, drain_command, drain_reason};
use shoal_storage::{Cluster, Host, Node};
use shoal_types::{ClusterPhase, EventKind, NodeId, NodeName, Scheduling, chain, nodeset};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::{
    DrainTerms,
    batch::{BATCH, Leaving, Relocate},
    slurm::{Controller, has_jobs, named, takes_jobs},
};
use crate::{
    drive::lifecycle::acquire_in_turn,
    fleet::{coordinator::Coordinator, lease::HeldLease},
    observe::intent::Intent,
    pass::work::{Behalf, Halt, Work},
    words::fault::{ClusterFault, Fault, HostFault},
};

/// How often jobs are looked at.
const LOOK: Duration = Duration::from_millis(500);
/// How often jobs that last are looked at: each look is a list and two commands in the controller.
const LONGEST_LOOK: Duration = Duration::from_secs(5);

/// One cluster's nodes on the host.
struct Drain<'a> {
    leaving: Leaving<'a>,
    terms: DrainTerms,
    interrupt: &'a CancellationToken,
}

/// Which nodes can move now.
#[derive(Debug, Default)]
struct Movable {
    now: Vec<NodeId>,
    /// Those with jobs.
    busy: Vec<NodeName>,
}

/// Moves a cluster's nodes off the host; what goes wrong is told of it.
pub(super) async fn drain_cluster(
    coordinator: &Arc<Coordinator>,
    cluster: Cluster,
    host: &Host,
    terms: DrainTerms,
    interrupt: &CancellationToken,
) -> DrainedCluster {
    let (id, spec) = (cluster.id, &cluster.spec);
    let mut told = DrainedCluster {
        realm: spec.realm.to_string(),
        name: spec.name.to_string(),
        ..DrainedCluster::default()
    };
    let drained = async {
        let (lease, cluster) = owned(coordinator, &cluster, interrupt).await?;
        // What is begun with a batch is ended with it, whoever interrupts: batches end, and between them it is looked.
        let work = Work::new(coordinator.clone(), cluster.id, lease, &CancellationToken::new());
        let work = work.keeping(Behalf::Person);
        let why = format!("host {} is being drained", host.name);
        let leaving = Leaving::new(&work, host, why, drain_reason(&host.name));
        let drain = Drain { leaving, terms, interrupt };
        let outcome = match terms.dry_run {
            true => drain.plan().await.map(|moved| told.moved = moved),
            false => drain.run(&mut told.moved).await,
        };
        let flushed = work.recorder.flush().await;
        drop(work.lease.release().await);
        outcome.and_then(|()| Ok(flushed?))
    };
    let mut drained: Result<(), Fault> = drained.boxed().await;
    let there = async {
        let mut read = coordinator.store.read().await?;
        Ok::<_, Fault>(read.nodes().of_cluster(id).await?)
    };
    match there.await {
        Ok(nodes) => {
            let left = nodes.iter().filter(|node| node.host == host.id);
            told.left = left.map(|node| node.name.to_string()).collect();
        }
        Err(fault) => drained = drained.and(Err(fault)),
    }
    told.error = drained.err().map(|fault| fault.told());
    told
}

/// The lease of a cluster that is ready.
pub(in crate::drive) async fn owned(
    coordinator: &Coordinator,
    cluster: &Cluster,
    interrupt: &CancellationToken,
) -> Result<(Arc<HeldLease>, Cluster), Fault> {
    let (lease, now) = acquire_in_turn(coordinator, cluster, interrupt).await?;
    match ready(&now) {
        Ok(()) => Ok((lease, now)),
        Err(fault) => {
            drop(lease.release().await);
            Err(fault)
        }
    }
}

pub(in crate::drive) fn ready(cluster: &Cluster) -> Result<(), Fault> {
    match cluster.phase {
        ClusterPhase::Ready => Ok(()),
        phase @ (ClusterPhase::Creating | ClusterPhase::Deleting | ClusterPhase::Failed) => {
            Err(ClusterFault::NotMoved { cluster: cluster.spec.name.clone(), phase }.into())
        }
    }
}

pub(in crate::drive) async fn pause(interrupt: &CancellationToken, long: Duration) -> Result<(), Fault> {
    tokio::select! {
        () = interrupt.cancelled() => Err(Fault::Stopped),
        () = tokio::time::sleep(long) => Ok(()),
    }
}

impl Drain<'_> {
    /// Where the nodes would go.
    async fn plan(&self) -> Result<Vec<MovedNode>, Fault> {
        let intent = self.leaving.work.intent().await?;
        let planned = self.leaving.relocate(&intent, None, &BTreeMap::new(), Relocate::Plan).await?;
        Ok(planned
            .into_iter()
            .map(|(node, to)| MovedNode { node: node.to_string(), to: to.to_string() })
            .collect())
    }

    /// Moves them all.
    async fn run(&self, moved: &mut Vec<MovedNode>) -> Result<(), Fault> {
        let began = Instant::now();
        // Where there is no room nobody has to be kept from jobs.
        self.plan().await?;
        let (mut waited, mut rest) = (false, LOOK);
        loop {
            let intent = self.leaving.work.intent().await?;
            ready(&intent.cluster)?;
            if intent.on(self.leaving.host.id).next().is_none() {
                return Ok(());
            }
            self.is_draining().await?;
            let movable = self.movable(&intent).await?;
            if movable.now.is_empty() {
                let names = nodeset::compress(movable.busy.iter().map(NodeName::as_str));
                if began.elapsed() > self.terms.timeout {
                    let why = format!(
                        "their jobs did not end within {} s: wait longer with --timeout, or do not wait with --now",
                        self.terms.timeout.as_secs()
                    );
                    return Err(self.leaving.stay(&intent, names, why));
                }
                if !std::mem::replace(&mut waited, true) {
                    self.note(&intent, format!("waiting for the jobs of {names}")).await;
                }
                pause(self.interrupt, rest).await?;
                rest = (rest * 2).min(LONGEST_LOOK);
                continue;
            }
            let batch: BTreeSet<NodeId> = movable.now.into_iter().take(BATCH).collect();
            rest = LOOK;
            moved.extend(self.leaving.move_batch(&intent, &batch, &BTreeMap::new()).await?);
            pause(self.interrupt, Duration::ZERO).await?;
        }
    }

    async fn note(&self, intent: &Intent, text: String) {
        self.leaving.work.note(intent, EventKind::Step, Some(&self.leaving.host.name), text).await;
    }

    /// Nobody has said otherwise meanwhile.
    async fn is_draining(&self) -> Result<(), Fault> {
        let host =
            self.leaving.work.coordinator.store.read().await?.hosts().get(self.leaving.host.id).await?;
        let unknown = || HostFault::Unknown { name: self.leaving.host.name.clone() };
        match host.ok_or_else(unknown)?.settings.scheduling {
            Scheduling::Draining => Ok(()),
            now @ (Scheduling::Schedulable | Scheduling::Cordoned | Scheduling::Drained) => {
                Err(HostFault::NotDraining { host: self.leaving.host.name.clone(), now }.into())
            }
        }
    }

    /// Which nodes can move now: workers without jobs and nodes that run none, then those that have state. Slurm is told to give the
    /// others no new jobs.
    async fn movable(&self, intent: &Intent) -> Result<Movable, Fault> {
        let here: Vec<&Node> = intent.on(self.leaving.host.id).collect();
        let runs_jobs = |node: &&Node| intent.role(node).readiness == Readiness::Idle;
        let has_state = |node: &Node| intent.role(node).state.is_some();
        let workers: Vec<&Node> = here.iter().copied().filter(runs_jobs).collect();
        let mut movable = Movable::default();
        movable.now.extend(here.iter().filter(|n| !runs_jobs(n) && !has_state(n)).map(|n| n.id));
        if workers.is_empty() {
            if movable.now.is_empty() {
                movable.now.extend(here.iter().map(|node| node.id));
            }
            return Ok(movable);
        }
        let slurm = Controller::of(&self.leaving.work.coordinator, intent).await;
        let slurm = match (slurm, self.terms.now) {
            // Nobody is waited for.
            (Err(fault), true) => {
                tracing::warn!(cluster.id = %self.leaving.work.cluster, error = chain(&fault), "Slurm is not told");
                movable.now.extend(workers.iter().map(|node| node.id));
                return Ok(movable);
            }
            (slurm, _) => slurm?,
        };
        self.leaving.work.may(&slurm.link, CallClass::Exec).await.map_err(Halt::into_fault)?;
        let mut reports = slurm.nodes().await?;
        let open = named(&workers, &reports, takes_jobs);
        if !open.is_empty() {
            let text = format!("Slurm gives no new jobs to {}", nodeset::compress(open.iter().copied()));
            self.note(intent, text).await;
            slurm.update(drain_command(open, &self.leaving.reason)).await?;
            reports = slurm.nodes().await?;
        }
        let busy = named(&workers, &reports, has_jobs);
        if self.terms.now && !busy.is_empty() {
            // A reason that somebody gave stays.
            let mut by_reason: BTreeMap<String, Vec<&str>> = BTreeMap::new();
            for name in busy {
                let given = reports.iter().find(|(node, _)| node.as_str() == name);
                let given = given.and_then(|(_, report)| report.reason.clone());
                by_reason.entry(given.unwrap_or_else(|| self.leaving.reason.clone())).or_default().push(name);
            }
            for (reason, names) in by_reason {
                slurm.update(down_command(names, &reason)).await?;
            }
            reports = slurm.nodes().await?;
        }
        for node in &workers {
            match reports.get(&node.name).is_some_and(has_jobs) {
                true => movable.busy.push(node.name.clone()),
                false => movable.now.push(node.id),
            }
        }
        Ok(movable)
    }
}
