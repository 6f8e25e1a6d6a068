//! Moves idle workers to hosts where their clusters' strategies would place them now: a host that was drained came back, or clusters
//! went since they were placed.
//!
//! ```text
//! plan of all clusters, told --> each cluster, under its lease: plan --> the first move's host: Slurm says who is idle, and gives
//!     these no jobs --> a batch of them moves, as for a drain --> plan anew, until nothing is worth a move
//! ```
//! What has moved has moved: one that ends early, or whose process dies, leaves the rest to the next one.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use futures_util::future::BoxFuture;
use shoal_api::{NodeMove, RebalanceStep, RebalancedCluster, RebalancedHost, StayingNode};
use shoal_docker::CallClass;
use shoal_slurm::{REBALANCE_REASON, drain_command};
use shoal_storage::{Cluster, Host, Node, StoreError};
use shoal_types::{ClusterName, HostId, HostName, NodeId, RealmName, SchedulerName, Strategy};
use tokio_util::sync::CancellationToken;

use crate::{
    drive::{
        drain::{
            batch::{BATCH, Leaving},
            bring_up,
            cluster::{owned, pause, ready},
            slurm::{Controller, has_jobs, is_up, named, takes_jobs},
        },
        lifecycle::{self, find_cluster},
    },
    edit::rebalancing::{Load, Rebalancing, Step, loads},
    fleet::coordinator::Coordinator,
    observe::{
        image,
        intent::Intent,
        survey::{self, Depth, HostObservation},
    },
    pass::work::{Behalf, Halt, Work},
    words::fault::Fault,
};

/// How load is made even.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RebalanceTerms {
    /// Nothing is done.
    pub(crate) dry_run: bool,
    /// The most nodes that move.
    pub(crate) most: usize,
}

/// Moves nodes of these clusters; `told` hears the plan first, then of each cluster, at last how full hosts are.
pub(crate) async fn rebalance(
    coordinator: &Arc<Coordinator>,
    realm: &RealmName,
    names: &[ClusterName],
    terms: RebalanceTerms,
    interrupt: &CancellationToken,
    told: impl Fn(RebalanceStep) -> BoxFuture<'static, ()> + Send,
) -> Result<(), Fault> {
    if !terms.dry_run {
        // Of an earlier one that ended early.
        lifecycle::clear_what_was_left(coordinator).await;
        bring_up(coordinator, interrupt).await?;
    }
    let seen = survey::survey(coordinator, Depth::Agent).await?;
    let mut clusters = Vec::new();
    for name in names {
        clusters.push(find_cluster(coordinator, realm, name).await?);
    }
    let (mut planned, mut plan) = (Vec::new(), Vec::new());
    for cluster in &clusters {
        let mut told = named_as(cluster);
        match plan_of(coordinator, cluster, &seen, &planned, terms.most - planned.len()).await {
            Ok((intent, steps)) => {
                told.moves = moves(&intent, &seen, &steps);
                planned.extend(steps);
            }
            Err(fault) => told.error = Some(fault.told()),
        }
        plan.push(told);
    }
    let before = loads(coordinator, &seen, &planned).await?;
    let hosts = before.iter().map(|(name, (was, then))| host(name, *was, *then)).collect();
    told(RebalanceStep::Plan { hosts, clusters: plan }).await;
    if terms.dry_run {
        return Ok(());
    }
    let mut left = terms.most;
    for cluster in clusters {
        let told_of = rebalance_cluster(coordinator, cluster, left, interrupt).await;
        left = left.saturating_sub(told_of.moves.len());
        told(RebalanceStep::Cluster(told_of)).await;
    }
    let after = loads(coordinator, &seen, &[]).await?;
    let now = |name: &HostName| after.get(name).map_or(Load::default(), |(now, _)| *now);
    let hosts = before.iter().map(|(name, (was, _))| host(name, *was, now(name))).collect();
    told(RebalanceStep::Ended(hosts)).await;
    Ok(())
}

fn host(name: &HostName, before: Load, after: Load) -> RebalancedHost {
    RebalancedHost {
        name: name.to_string(),
        nodes_before: before.nodes,
        nodes_after: after.nodes,
        load_before_millionths: before.millionths,
        load_after_millionths: after.millionths,
    }
}

fn named_as(cluster: &Cluster) -> RebalancedCluster {
    let spec = &cluster.spec;
    RebalancedCluster { realm: spec.realm.to_string(), name: spec.name.to_string(), ..Default::default() }
}

/// What would move of a cluster, once `planned` has moved.
async fn plan_of(
    coordinator: &Coordinator,
    cluster: &Cluster,
    seen: &[HostObservation],
    planned: &[Step],
    most: usize,
) -> Result<(Intent, Vec<Step>), Fault> {
    ready(cluster)?;
    let gone = || StoreError::Missing { what: "cluster", id: cluster.id.to_string() };
    let mut read = coordinator.store.read().await?;
    let network = read.networks().of_cluster(cluster.id).await?.ok_or_else(gone)?;
    let nodes = read.nodes().of_cluster(cluster.id).await?;
    drop(read);
    let intent = Intent::new(cluster.clone(), network, nodes);
    let image = image::resolve_id(&cluster.spec.image, &cluster.image_id, seen).await;
    let rebalancing =
        Rebalancing { intent: &intent, seen, image: &image, stay: &BTreeSet::new(), planned, most };
    let steps = rebalancing.plan(coordinator).await?;
    Ok((intent, steps))
}

/// As people are told.
fn moves(intent: &Intent, seen: &[HostObservation], steps: &[Step]) -> Vec<NodeMove> {
    let host = |id: HostId| seen.iter().map(|seen| &seen.host).find(|host| host.id == id);
    let told = |step: &Step| {
        let node = intent.nodes.iter().find(|node| node.id == step.node)?;
        let from = host(step.from)?.name.to_string();
        Some(NodeMove { node: node.name.to_string(), from, to: step.to_name.to_string() })
    };
    steps.iter().filter_map(told).collect()
}

/// Moves nodes of one cluster; what goes wrong is told of it.
async fn rebalance_cluster(
    coordinator: &Arc<Coordinator>,
    cluster: Cluster,
    most: usize,
    interrupt: &CancellationToken,
) -> RebalancedCluster {
    let mut told = named_as(&cluster);
    let done = async {
        let (lease, cluster) = owned(coordinator, &cluster, interrupt).await?;
        // What is begun with a batch is ended with it, whoever interrupts.
        let work = Work::new(coordinator.clone(), cluster.id, lease, &CancellationToken::new());
        let work = work.keeping(Behalf::Person);
        let outcome = Evening { work: &work, most, interrupt }.run(&mut told).await;
        let flushed = work.recorder.flush().await;
        drop(work.lease.release().await);
        outcome.and_then(|()| Ok(flushed?))
    };
    told.error = done.await.err().map(|fault: Fault| fault.told());
    told
}

struct Evening<'a> {
    work: &'a Work,
    most: usize,
    interrupt: &'a CancellationToken,
}

/// Nodes of one host that are to move.
struct Batch {
    /// Those that Slurm gives no jobs now.
    idle: BTreeSet<NodeId>,
    /// Those that cannot move now, and why.
    stay: Vec<(NodeId, String)>,
}

impl Evening<'_> {
    async fn run(&self, told: &mut RebalancedCluster) -> Result<(), Fault> {
        let (coordinator, mut stay) = (&self.work.coordinator, BTreeSet::new());
        self.give_back().await?;
        while told.moves.len() < self.most {
            pause(self.interrupt, Duration::ZERO).await?;
            let intent = self.work.intent().await?;
            ready(&intent.cluster)?;
            let seen = survey::survey(coordinator, Depth::Agent).await?;
            let cluster = &intent.cluster;
            let image = image::resolve_id(&cluster.spec.image, &cluster.image_id, &seen).await;
            let most = self.most - told.moves.len();
            let plan =
                Rebalancing { intent: &intent, seen: &seen, image: &image, stay: &stay, planned: &[], most };
            let steps = plan.plan(coordinator).await?;
            let Some(from) = steps.first().map(|step| step.from) else { break };
            let Some(host) = seen.iter().map(|seen| &seen.host).find(|host| host.id == from) else { break };
            let of_host: Vec<Step> = steps.into_iter().filter(|step| step.from == from).collect();
            let batch = self.keep_from_jobs(&intent, &of_host).await?;
            stay.extend(batch.stay.iter().map(|(node, _)| *node));
            told.stay.extend(batch.stay.iter().filter_map(|(node, why)| {
                let node = intent.nodes.iter().find(|row| row.id == *node)?;
                Some(StayingNode {
                    node: node.name.to_string(),
                    host: host.name.to_string(),
                    why: why.clone(),
                })
            }));
            if batch.idle.is_empty() {
                continue;
            }
            told.moves.extend(self.move_them(&intent, host, &of_host, &batch.idle).await?);
            stay.extend(batch.idle);
        }
        Ok(())
    }

    /// Gives jobs again to nodes that an earlier rebalance kept from them when it ended early.
    async fn give_back(&self) -> Result<(), Fault> {
        let intent = self.work.intent().await?;
        let workers: Vec<&Node> = intent.nodes.iter().filter(|node| intent.runs_jobs(node)).collect();
        if workers.is_empty() {
            return Ok(());
        }
        let slurm = Controller::of(&self.work.coordinator, &intent).await?;
        self.work.may(&slurm.link, CallClass::Exec).await.map_err(Halt::into_fault)?;
        slurm.give_jobs(&workers, REBALANCE_REASON).await
    }

    /// Has Slurm give no new jobs to those that are idle.
    async fn keep_from_jobs(&self, intent: &Intent, steps: &[Step]) -> Result<Batch, Fault> {
        let row = |step: &Step| intent.nodes.iter().find(|node| node.id == step.node);
        let nodes: Vec<&Node> = steps.iter().filter_map(row).collect();
        let slurm = Controller::of(&self.work.coordinator, intent).await?;
        self.work.may(&slurm.link, CallClass::Exec).await.map_err(Halt::into_fault)?;
        let reports = slurm.nodes().await?;
        let is_idle =
            |node: &&&Node| reports.get(&node.name).is_some_and(|report| !has_jobs(report) && is_up(report));
        let stays = |node: &Node, why: &str| (node.id, why.to_owned());
        let mut stay: Vec<_> =
            nodes.iter().filter(|node| !is_idle(node)).map(|node| stays(node, "it is not idle")).collect();
        // To leave a host by halves frees nothing.
        let whole = matches!(intent.cluster.spec.scheduler, SchedulerName::Strategy(Strategy::Binpack));
        let with_it = "another node there is not idle, and to leave the host by halves would free nothing";
        if whole && !stay.is_empty() {
            stay.extend(nodes.iter().filter(is_idle).map(|node| stays(node, with_it)));
            return Ok(Batch { idle: BTreeSet::new(), stay });
        }
        let mut idle: Vec<&Node> = nodes.iter().filter(is_idle).take(BATCH).copied().collect();
        let open: Vec<&str> = named(&idle, &reports, takes_jobs);
        if !open.is_empty() {
            slurm.update(drain_command(open, REBALANCE_REASON)).await?;
            let reports = slurm.nodes().await?;
            let came = |node: &&Node| reports.get(&node.name).is_none_or(has_jobs);
            let mut busy: Vec<&Node> = idle.iter().copied().filter(|node| came(node)).collect();
            stay.extend(busy.iter().map(|node| stays(node, "a job came meanwhile")));
            if whole && !busy.is_empty() {
                stay.extend(nodes.iter().filter(|node| !came(node)).map(|node| stays(node, with_it)));
                busy.clone_from(&idle);
            }
            if !busy.is_empty() {
                slurm.give_jobs(&busy, REBALANCE_REASON).await?;
                idle.retain(|node| !busy.iter().any(|busy| busy.id == node.id));
            }
        }
        Ok(Batch { idle: idle.into_iter().map(|node| node.id).collect(), stay })
    }

    /// Moves these to where the plan has them.
    async fn move_them(
        &self,
        intent: &Intent,
        host: &Host,
        steps: &[Step],
        idle: &BTreeSet<NodeId>,
    ) -> Result<Vec<NodeMove>, Fault> {
        let why = format!("host {} carries more than others", host.name);
        let leaving = Leaving::new(self.work, host, why, REBALANCE_REASON.into());
        let to: BTreeMap<NodeId, HostName> =
            steps.iter().map(|step| (step.node, step.to_name.clone())).collect();
        match leaving.move_batch(intent, idle, &to).await {
            Ok(moved) => {
                let from = host.name.to_string();
                Ok(moved
                    .into_iter()
                    .map(|m| NodeMove { node: m.node, from: from.clone(), to: m.to })
                    .collect())
            }
            Err(fault) => {
                // Wherever they are now, they had jobs before; what fails twice is the next rebalance's.
                if let Err(error) = self.give_back().await {
                    tracing::warn!(cluster.id = %self.work.cluster, error = %error, "nodes are kept from jobs");
                }
                Err(fault)
            }
        }
    }
}
