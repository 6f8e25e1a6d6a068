//! Which nodes of a cluster had better be elsewhere, and how full hosts are. Nothing is written: what is decided here is carried
//! out by relocations, a batch at a time, and decided anew after each.

use std::collections::{BTreeMap, BTreeSet};

use shoal_scheduler::{HostView, Move, rebalance};
use shoal_storage::Node;
use shoal_types::{HostId, HostName, NodeId, NodeState, Resources, Role, SchedulerName};

use crate::{
    edit::{
        commit::Basis,
        placing::{CapacityInUse, of_row, request, snapshot},
        relocation::unusable,
    },
    fleet::coordinator::Coordinator,
    observe::{image::ImageOfCluster, intent::Intent, survey::HostObservation},
    words::fault::{ClusterFault, Fault},
};

/// A node that is to go to another host.
#[derive(Debug, Clone)]
pub(crate) struct Step {
    pub(crate) node: NodeId,
    pub(crate) from: HostId,
    pub(crate) to: HostId,
    pub(crate) to_name: HostName,
    pub(crate) reserve: Resources,
}

/// What there is to decide on.
#[derive(Debug)]
pub(crate) struct Rebalancing<'a> {
    pub(crate) intent: &'a Intent,
    pub(crate) seen: &'a [HostObservation],
    pub(crate) image: &'a ImageOfCluster,
    /// Nodes that are not to move, or not again.
    pub(crate) stay: &'a BTreeSet<NodeId>,
    /// Moves of other clusters that were planned and not made.
    pub(crate) planned: &'a [Step],
    /// The most moves.
    pub(crate) most: usize,
}

impl Rebalancing<'_> {
    /// What is to move, the most useful first.
    ///
    /// # Errors
    /// [`ClusterFault::PlacedByProgram`]: no strategy of ours places the cluster's nodes.
    pub(crate) async fn plan(&self, coordinator: &Coordinator) -> Result<Vec<Step>, Fault> {
        let Self { intent, seen, image, .. } = *self;
        let spec = &intent.cluster.spec;
        let strategy = match &spec.scheduler {
            SchedulerName::Strategy(strategy) => *strategy,
            SchedulerName::Program(address) => {
                let (cluster, address) = (spec.name.clone(), address.to_string());
                return Err(ClusterFault::PlacedByProgram { cluster, address }.into());
            }
        };
        let nodes: Vec<&Node> = intent.nodes.iter().filter(|node| self.may_move(node)).collect();
        let mut basis = Basis::of(coordinator, spec, (Some(intent.cluster.id), BTreeSet::new())).await?;
        for step in self.planned {
            basis.capacity.shift(step.from, step.to, step.reserve);
        }
        let rows = nodes.iter().map(|node| of_row(node));
        // Chance decides nothing here.
        let request = request(spec, rows, &image.architecture, unusable(intent, seen), 0);
        let at: Vec<HostId> = nodes.iter().map(|node| node.host).collect();
        let moves = rebalance(strategy, &snapshot(seen, &basis.capacity, image), &request, &at, self.most);
        let step = |moved: Move| {
            let node = nodes.iter().find(|node| node.name == moved.node)?;
            let (node, reserve) = (node.id, node.size.reserve);
            Some(Step { node, from: moved.from, to: moved.to, to_name: moved.to_name, reserve })
        };
        Ok(moves.into_iter().filter_map(step).collect())
    }

    /// Workers that are well: only of these Slurm says whether they are idle.
    fn may_move(&self, node: &Node) -> bool {
        node.role == Role::Worker && node.state == NodeState::Ready && !self.stay.contains(&node.id)
    }
}

/// How full a host is, and how many nodes it has.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Load {
    /// Millionths of its scarcest resource.
    pub(crate) millionths: u64,
    pub(crate) nodes: u32,
}

/// Of every host, before and after moves that were planned and not made.
pub(crate) async fn loads(
    coordinator: &Coordinator,
    seen: &[HostObservation],
    planned: &[Step],
) -> Result<BTreeMap<HostName, (Load, Load)>, Fault> {
    let mut taken = CapacityInUse::of(coordinator.store.read().await?.hosts().usage().await?);
    let views = |taken: &CapacityInUse| -> BTreeMap<HostName, Load> {
        let hosts = snapshot(seen, taken, &ImageOfCluster::none()).hosts.into_iter();
        let load = |host: &HostView| Load { millionths: host.load(), nodes: host.reserved.node_slots };
        hosts.map(|host| (host.name.clone(), load(&host))).collect()
    };
    let before = views(&taken);
    for step in planned {
        taken.shift(step.from, step.to, step.reserve);
    }
    let after = views(&taken);
    let both = |(name, load): (HostName, Load)| {
        let then = after.get(&name).copied().unwrap_or_default();
        (name, (load, then))
    };
    Ok(before.into_iter().map(both).collect())
}
