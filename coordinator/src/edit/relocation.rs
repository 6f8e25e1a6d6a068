//! Nodes that move to other hosts, because theirs cannot take them or is to be left.
//!
//! ```text
//! hosts to be left, hosts as seen --> place the nodes --> a new generation of each, a remnant for what may be left,
//!                                                         the network's next revision
//! ```

use std::collections::{BTreeMap, BTreeSet};

use shoal_storage::{Decision, Node};
use shoal_types::{
    ClusterId, ClusterSpec, EventKind, EventLevel, HostId, HostName, NewEvent, NodeId, NodeName, chain,
};

use crate::{
    edit::{
        commit::{Basis, ChangeSet, Edit, Moves, StateFrom, Trail},
        network::misfit,
        placing::{Record, decide, of_row, request, root_warning, snapshot, unable},
    },
    fleet::{coordinator::Coordinator, lease::HeldLease},
    observe::{image::ImageOfCluster, intent::Intent, survey::HostObservation},
    words::{entropy::draw, fault::Fault},
};

/// Nodes that are to move.
#[derive(Debug)]
pub(crate) struct Relocation<'a> {
    pub(crate) lease: &'a HeldLease,
    pub(crate) intent: &'a Intent,
    /// Host to be left -> why.
    pub(crate) left: &'a BTreeMap<HostId, String>,
    /// Which of their nodes move; all if `None`.
    pub(crate) only: Option<&'a BTreeSet<NodeId>>,
    /// Node -> where it goes, if that is decided.
    pub(crate) to: &'a BTreeMap<NodeId, HostName>,
    pub(crate) state: StateFrom,
    pub(crate) seen: &'a [HostObservation],
    pub(crate) image: &'a ImageOfCluster,
}

/// Why nodes stay where they cannot be.
#[derive(Debug)]
pub(crate) enum NotRescheduled {
    /// They were started there, or fit nowhere else: the reason.
    Here(String),
    /// The store or the lease failed.
    Fault(Fault),
}

impl<E: Into<Fault>> From<E> for NotRescheduled {
    fn from(fault: E) -> Self {
        Self::Fault(fault.into())
    }
}

impl Relocation<'_> {
    /// Why the hosts are left, on one line.
    fn why(&self) -> String {
        self.left.values().map(String::as_str).collect::<Vec<_>>().join("; ")
    }

    /// The nodes that move, in their order.
    fn moved(&self) -> Vec<&Node> {
        let moves =
            |n: &&Node| self.left.contains_key(&n.host) && self.only.is_none_or(|only| only.contains(&n.id));
        self.intent.nodes.iter().filter(moves).collect()
    }

    /// Where its nodes would go, node -> host. Nothing is written.
    pub(crate) async fn plan(
        &self,
        coordinator: &Coordinator,
    ) -> Result<Vec<(NodeName, HostName)>, NotRescheduled> {
        let basis = Basis::of(coordinator, self.spec(), self.leaving()).await?;
        let set = self.decide(coordinator, &basis).await?;
        let host =
            |id: HostId| self.seen.iter().map(|s| &s.host).find(|h| h.id == id).map(|h| h.name.clone());
        let placed = self.moved().into_iter().zip(set.change.nodes);
        Ok(placed.filter_map(|(node, (_, _, to))| Some((node.name.clone(), host(to)?))).collect())
    }

    /// Unusable hosts: those that are left, and those that none of the cluster's nodes may come to.
    fn excluded(&self) -> BTreeMap<HostId, String> {
        let mut excluded = unusable(self.intent, self.seen);
        excluded.extend(self.left.clone());
        excluded
    }
}

/// Hosts that no node of a cluster may come to, and why: new members that cannot carry its network, and those that cannot do what
/// it needs.
pub(crate) fn unusable(intent: &Intent, seen: &[HostObservation]) -> BTreeMap<HostId, String> {
    let members: BTreeSet<HostId> = intent.nodes.iter().map(|n| n.host).collect();
    let mut unusable = unable(&intent.cluster.spec, seen);
    for host in seen.iter().map(|s| &s.host).filter(|h| !members.contains(&h.id)) {
        if let Some(why) = misfit(host, &intent.network) {
            unusable.entry(host.id).or_insert(why);
        }
    }
    unusable
}

impl<'a> Edit for Relocation<'a> {
    type Change = Moves<'a>;
    type Refused = NotRescheduled;

    fn spec(&self) -> &ClusterSpec {
        &self.intent.cluster.spec
    }

    fn leaving(&self) -> (Option<ClusterId>, BTreeSet<HostId>) {
        (Some(self.intent.cluster.id), self.left.keys().copied().collect())
    }

    async fn decide(
        &self,
        coordinator: &Coordinator,
        basis: &Basis,
    ) -> Result<ChangeSet<Moves<'a>>, NotRescheduled> {
        let Self { lease, intent, left, to, state, seen, image, .. } = *self;
        let spec = &intent.cluster.spec;
        let why = || self.why();
        let moved = self.moved();
        let seed = u64::from_le_bytes(draw(&mut *coordinator.rng()));
        let nodes = moved.iter().map(|node| of_row(node));
        let mut request = request(spec, nodes, &image.architecture, self.excluded(), seed);
        for (node, row) in request.nodes.iter_mut().zip(&moved) {
            if let Some(host) = to.get(&row.id) {
                node.pin = Some(host.clone());
            }
        }
        let snapshot = snapshot(seen, &basis.capacity, image);
        let decided = match decide(spec, &snapshot, &request).await {
            Ok(Ok(decided)) => decided,
            Ok(Err(refused)) => {
                return Err(NotRescheduled::Here(format!("{}; on other hosts {refused}", why())));
            }
            Err(fault) => {
                return Err(NotRescheduled::Here(format!("{}; on other hosts: {}", why(), chain(&fault))));
            }
        };
        let record = Record::new(&snapshot, &request, &decided)?;
        let document = record.of_moved(&request, why()).fold()?;
        let at = coordinator.now();
        let event =
            |kind, message| NewEvent::new(at, EventLevel::Warn, kind, message).of(&spec.realm, &spec.name);
        let fallback = decided.fallback.as_ref();
        let fallback =
            fallback.map(|why| event(EventKind::Step, format!("{why}: {} placed instead", decided.by)));
        let all = seen.iter().map(|s| &s.host).filter_map(|host| Some((host, left.get(&host.id)?)));
        let moves = all.map(|(host, why)| {
            let count = moved.iter().filter(|n| n.host == host.id).count();
            event(EventKind::Moved, format!("{count} nodes are rescheduled: {why}")).on(&host.name)
        });
        let members: BTreeSet<HostId> = intent.nodes.iter().map(|node| node.host).collect();
        let new: BTreeSet<HostId> = decided.plan.placements.iter().map(|p| p.host_id).collect();
        let new = seen.iter().map(|s| &s.host).filter(|h| new.contains(&h.id) && !members.contains(&h.id));
        let root = root_warning(new).map(|warning| event(EventKind::Step, warning));
        let placements = moved.iter().zip(&decided.plan.placements);
        let stays = |node: &Node| moved.iter().all(|moved| moved.id != node.id);
        let empty = left.iter().filter(|(host, _)| !intent.on(**host).any(stays));
        let change = Moves {
            lease,
            network: intent.network.id,
            state,
            nodes: placements.map(|(node, to)| (node.id, node.generation, to.host_id)).collect(),
            remnants: empty.map(|(host, why)| intent.remnant(*host, why.clone(), at)).collect(),
        };
        let decision = Decision { cluster: intent.cluster.id, at, document };
        Ok(ChangeSet {
            change,
            trail: Trail { decision, events: fallback.into_iter().chain(moves).chain(root).collect() },
        })
    }
}
