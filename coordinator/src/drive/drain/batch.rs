//! Moves some nodes of one cluster from a host: one that is being drained, or one that carries more than others.
//!
//! ```text
//! (state is copied) --> containers removed --> edit/relocation.rs --> passes --> Slurm gives them jobs again
//! the last one gone: the cluster's network leaves the host
//! ```
//! A batch is ended whoever interrupts. Where it fails before the nodes have another place, they come up where they were.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use futures_util::FutureExt;
use shoal_api::MovedNode;
use shoal_docker::CallClass;
use shoal_slurm::Readiness;
use shoal_storage::{Host, Node};
use shoal_types::{HostId, HostName, NodeId, NodeName, nodeset};
use tokio::time::Instant;

use super::{slurm::Controller, state};
use crate::{
    drive::{repair::passes, reschedule::forget_remnant},
    edit::{
        commit::{StateFrom, commit},
        relocation::{NotRescheduled, Relocation},
    },
    fleet::{HostLink, removal::remove_container},
    observe::{
        containers::{HostContainers, Scope, container_of},
        image,
        intent::Intent,
        survey::{self, Depth},
    },
    pass::work::{Halt, Work, all, on},
    words::{
        fault::{ClusterFault, Fault, HostFault},
        naming::NODE,
    },
};

/// Nodes moved at once: what is begun with a batch is ended with it, whoever interrupts.
pub(in crate::drive) const BATCH: usize = 16;

/// How long a batch may take to come up at its new place.
pub(in crate::drive) const COME_UP: Duration = Duration::from_secs(300);

/// What is wanted of a relocation.
#[derive(Debug, Clone, Copy)]
pub(super) enum Relocate {
    /// Where the nodes would go.
    Plan,
    /// It is written down.
    Commit,
}

/// A host that some nodes of one cluster leave.
pub(in crate::drive) struct Leaving<'a> {
    pub(super) work: &'a Work,
    pub(super) host: &'a Host,
    /// The host, and why it is left.
    left: BTreeMap<HostId, String>,
    /// Why Slurm gives no jobs to nodes that are to move.
    pub(super) reason: String,
}

impl<'a> Leaving<'a> {
    pub(in crate::drive) fn new(work: &'a Work, host: &'a Host, why: String, reason: String) -> Self {
        Self { work, host, left: BTreeMap::from([(host.id, why)]), reason }
    }

    pub(super) fn stay(&self, intent: &Intent, nodes: String, why: String) -> Fault {
        ClusterFault::Stay { cluster: intent.cluster.spec.name.clone(), nodes, why }.into()
    }

    /// Moves these nodes, to where they are to go if that is decided: node -> host.
    pub(in crate::drive) async fn move_batch(
        &self,
        intent: &Intent,
        batch: &BTreeSet<NodeId>,
        to: &BTreeMap<NodeId, HostName>,
    ) -> Result<Vec<MovedNode>, Fault> {
        let (work, began) = (self.work, Instant::now());
        let coordinator = &work.coordinator;
        let link = coordinator.fleet.link(&coordinator.store, self.host).await?;
        let mut to = to.clone();
        let mut carried: Option<Host> = None;
        for node in intent.nodes.iter().filter(|n| batch.contains(&n.id) && intent.role(n).state.is_some()) {
            let host = self.carry(intent, node, &link).await?;
            to.extend(batch.iter().map(|node| (*node, host.name.clone())));
            carried = Some(host);
        }
        let placed = match self.remove(&link, batch).await.map_err(Halt::into_fault) {
            Ok(()) => self.relocate(intent, Some(batch), &to, Relocate::Commit).await,
            Err(fault) => Err(fault),
        };
        // Wherever they belong now, they come up there.
        let passed = passes(work, COME_UP, began).await;
        placed?;
        if let Some(to) = carried {
            // What was copied there is the node's by now.
            forget_remnant(work, to.id).await?;
        }
        let now = work.intent().await?;
        let jobs = self.give_jobs(&now, batch).await;
        // What it has of the state may be the last copy until then.
        passed?;
        if now.on(self.host.id).next().is_none() {
            work.take_down(&link, intent).await.map_err(Halt::into_fault)?;
            if !work.in_doubt(self.host.id) {
                forget_remnant(work, self.host.id).await?;
            }
        }
        jobs?;
        let hosts = work.members(&now).await?;
        let moved = now.nodes.iter().filter(|node| batch.contains(&node.id));
        let moved = moved.filter_map(|node| Some((node, &hosts.get(&node.host)?.name)));
        Ok(moved.map(|(node, to)| MovedNode { node: node.name.to_string(), to: to.to_string() }).collect())
    }

    /// Takes a node's state to the host where it is to be next; that host.
    async fn carry(&self, intent: &Intent, node: &Node, from: &HostLink) -> Result<Host, Fault> {
        let work = self.work;
        let coordinator = &work.coordinator;
        let there =
            container_of(&coordinator.naming, from, node.id).await.map_err(Fault::engine(&from.name))?;
        if there.is_none() {
            // Its state is in a volume that no container has: it is made first.
            passes(work, COME_UP, Instant::now()).await?;
        }
        let only = BTreeSet::from([node.id]);
        let planned = self.relocate(intent, Some(&only), &BTreeMap::new(), Relocate::Plan).await?;
        let nowhere = || self.stay(intent, node.name.to_string(), "it is placed nowhere".into());
        let (_, host) = planned.into_iter().next().ok_or_else(nowhere)?;
        let mut read = coordinator.store.read().await?;
        let to = read.hosts().by_name(&host).await?;
        let to = to.ok_or_else(|| HostFault::Unknown { name: host.clone() })?;
        let remnants = read.remnants().on_host(to.id).await?;
        drop(read);
        // What is left on a member is its passes' to remove.
        let is_new = intent.on(to.id).next().is_none();
        if is_new && remnants.iter().any(|remnant| remnant.what.cluster == work.cluster) {
            let why =
                format!("what was left of the cluster on {host} is not gone yet: try again in a minute");
            return Err(self.stay(intent, node.name.to_string(), why));
        }
        let link = coordinator.fleet.link(&coordinator.store, &to).await?;
        if is_new {
            // Of a copy that nobody comes for.
            let mut tx = work.lease.begin().await?;
            let why = "state that was copied there".into();
            tx.remnants().add(&intent.remnant(to.id, why, coordinator.now())).await?;
            tx.commit().await?;
        }
        state::carry(work, intent, node, from, &link).await.map_err(Halt::into_fault)?;
        Ok(to)
    }

    /// Removes the containers of these nodes.
    async fn remove(&self, link: &HostLink, batch: &BTreeSet<NodeId>) -> Result<(), Halt> {
        let work = self.work;
        work.may(link, CallClass::Read).await?;
        let there = HostContainers::look(&work.coordinator.naming, link, Scope::Cluster(work.cluster)).await;
        let there = there.map_err(on(link))?;
        let of_batch = there.all().iter().filter(|container| {
            let node = container.labels.get(NODE).and_then(|id| id.parse().ok());
            node.is_some_and(|node: NodeId| batch.contains(&node))
        });
        let remove = async |container: &String| {
            work.may(link, CallClass::Write).await?;
            remove_container(link, container).await.map_err(on(link)).map(drop)
        };
        all(of_batch.map(|container| remove(&container.id).boxed()).collect(), BATCH).await
    }

    /// Places the nodes anew, and writes it down if it is to be so. Where they go.
    pub(super) async fn relocate(
        &self,
        intent: &Intent,
        only: Option<&BTreeSet<NodeId>>,
        to: &BTreeMap<NodeId, HostName>,
        how: Relocate,
    ) -> Result<Vec<(NodeName, HostName)>, Fault> {
        let coordinator = &self.work.coordinator;
        let seen = survey::survey(coordinator, Depth::Agent).await?;
        let cluster = &intent.cluster;
        let image = image::resolve_id(&cluster.spec.image, &cluster.image_id, &seen).await;
        let left = &self.left;
        let lease = &self.work.lease;
        let relocation =
            Relocation { lease, intent, left, only, to, state: StateFrom::There, seen: &seen, image: &image };
        let placed = match how {
            Relocate::Plan => relocation.plan(coordinator).await,
            Relocate::Commit => commit(coordinator, &relocation).await.map(|()| vec![]),
        };
        placed.map_err(|refused| match refused {
            NotRescheduled::Here(why) => {
                let moves = |node: &&Node| only.is_none_or(|only| only.contains(&node.id));
                let names = intent.on(self.host.id).filter(moves).map(|node| node.name.as_str());
                self.stay(intent, nodeset::compress(names), why)
            }
            NotRescheduled::Fault(fault) => fault,
        })
    }

    /// Has Slurm give jobs to those of the nodes that we kept from them.
    pub(in crate::drive) async fn give_jobs(
        &self,
        intent: &Intent,
        batch: &BTreeSet<NodeId>,
    ) -> Result<(), Fault> {
        let workers = intent.nodes.iter().filter(|n| batch.contains(&n.id));
        let workers: Vec<&Node> = workers.filter(|n| intent.role(n).readiness == Readiness::Idle).collect();
        if workers.is_empty() {
            return Ok(());
        }
        let slurm = Controller::of(&self.work.coordinator, intent).await?;
        self.work.may(&slurm.link, CallClass::Exec).await.map_err(Halt::into_fault)?;
        slurm.give_jobs(&workers, &self.reason).await
    }
}
