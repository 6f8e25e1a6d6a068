//! Admission: from a specification to a cluster in the store, or to the reasons it does not fit. Nothing touches a host.
//!
//! ```text
//! survey --> image --> place --> [VNI, subnet, addresses, MACs, seed] --> ONE transaction (lease included)
//! ```
//! A crash before the commit leaves nothing; after it the cluster is `creating`, its lease names who brings it up, and
//! anyone may continue once that process is gone.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::Ipv4Addr,
    sync::Arc,
    time::Duration,
};

use shoal_scheduler::{Plan, Request, Snapshot};
use shoal_storage::{Decision, Network, Node};
use shoal_types::{
    ClusterId, ClusterSpec, EventKind, EventLevel, Generation, HostId, MacAddr, NetworkId, NewEvent, NodeId,
    NodeState, Power, SubnetPlan, Timestamp,
};
use zeroize::Zeroizing;

use crate::{
    edit::{
        commit::{Basis, ChangeSet, Edit, NewCluster, Trail, commit},
        network::{Surroundings, network_for},
        placing::{
            PlacementDecision, Record, check_needs, check_pins, decide, request, root_warning, snapshot,
            unable, wished,
        },
    },
    fleet::{coordinator::Coordinator, lease::HeldLease},
    observe::{image::ImageOfCluster, survey::HostObservation},
    words::{
        entropy::draw,
        fault::{Fault, NoAddress, NoPlan, PlacementFault},
    },
};

/// How long it may take, and what to do if it does not become ready.
#[derive(Debug, Clone, Copy)]
pub(crate) struct CreateTerms {
    pub(crate) wait: Duration,
    pub(crate) keep_on_failure: bool,
}

/// Where a cluster would go: what was seen, what was asked, and what was decided.
#[derive(Debug)]
pub(crate) struct DryRun {
    pub(crate) snapshot: Snapshot,
    pub(crate) request: Request,
    pub(crate) decided: Result<PlacementDecision, NoPlan>,
}

/// A cluster just admitted, owned by this process.
#[derive(Debug)]
pub(crate) struct Admitted {
    pub(crate) id: ClusterId,
    pub(crate) lease: Arc<HeldLease>,
}

/// A cluster that is to be.
struct Admission<'a> {
    id: ClusterId,
    spec: &'a ClusterSpec,
    seen: &'a [HostObservation],
    image: &'a ImageOfCluster,
    terms: CreateTerms,
}

/// Where a cluster would go, without writing anything.
pub(crate) async fn dry_run(
    coordinator: &Coordinator,
    spec: &ClusterSpec,
    seen: &[HostObservation],
    image: &ImageOfCluster,
) -> Result<DryRun, Fault> {
    check_pins(spec, seen)?;
    check_needs(spec, seen)?;
    let basis = Basis::of(coordinator, spec, (None, BTreeSet::new())).await?;
    let snapshot = snapshot(seen, &basis.capacity, image);
    let request = request_for(coordinator, spec, image, unable(spec, seen));
    let decided = decide(spec, &snapshot, &request).await?;
    Ok(DryRun { snapshot, request, decided })
}

fn request_for(
    coordinator: &Coordinator,
    spec: &ClusterSpec,
    image: &ImageOfCluster,
    unable: BTreeMap<HostId, String>,
) -> Request {
    let seed = u64::from_le_bytes(draw(&mut *coordinator.rng()));
    request(spec, wished(spec), &image.architecture, unable, seed)
}

/// Admits a cluster.
pub(crate) async fn admit(
    coordinator: &Coordinator,
    spec: &ClusterSpec,
    seen: &[HostObservation],
    image: &ImageOfCluster,
    terms: CreateTerms,
) -> Result<Admitted, Fault> {
    check_pins(spec, seen)?;
    check_needs(spec, seen)?;
    let id = ClusterId::new(coordinator.now().0, draw(&mut *coordinator.rng()));
    let admission = Admission { id, spec, seen, image, terms };
    Ok(Admitted { id, lease: commit(coordinator, &admission).await? })
}

impl Edit for Admission<'_> {
    type Change = NewCluster;
    type Refused = Fault;

    fn spec(&self) -> &ClusterSpec {
        self.spec
    }

    fn leaving(&self) -> (Option<ClusterId>, BTreeSet<HostId>) {
        (None, BTreeSet::new())
    }

    async fn decide(&self, coordinator: &Coordinator, basis: &Basis) -> Result<ChangeSet<NewCluster>, Fault> {
        let Self { id, spec, seen, image, terms } = *self;
        let snapshot = snapshot(seen, &basis.capacity, image);
        let request = request_for(coordinator, spec, image, unable(spec, seen));
        let decided = decide(spec, &snapshot, &request).await?;
        let decided =
            decided.map_err(|source| PlacementFault::Unplaceable { cluster: spec.name.clone(), source })?;
        let document = Record::new(&snapshot, &request, &decided)?.fold()?;
        let plan = &decided.plan;
        let hosts: BTreeSet<HostId> = plan.placements.iter().map(|p| p.host_id).collect();
        let members: Vec<_> = seen.iter().map(|s| &s.host).filter(|host| hosts.contains(&host.id)).collect();
        let mut rng = coordinator.rng();
        let at = coordinator.now();
        let count = spec.groups.iter().fold(0u32, |sum, g| sum.saturating_add(g.count));
        let network = NetworkId::new(at.0, draw(&mut *rng));
        let around =
            Surroundings { pools: &basis.pools, members: &members, mtu: spec.mtu, others: &basis.networks };
        let (network, within) = network_for(network, &mut *rng, count, around)?;
        let nodes = nodes(id, spec, plan, &network, at, &mut || NodeId::new(at.0, draw(&mut *rng)))?;
        let event = |level, message| {
            NewEvent::new(at, level, EventKind::Admitted, message).of(&spec.realm, &spec.name)
        };
        let fallback = decided
            .fallback
            .as_ref()
            .map(|why| event(EventLevel::Warn, format!("{why}: {} placed instead", decided.by)));
        let within = within.map(|warning| event(EventLevel::Warn, warning));
        let root = root_warning(members.iter().copied()).map(|warning| event(EventLevel::Warn, warning));
        let admitted = format!(
            "{} nodes on {} hosts, network {} (VNI {})",
            nodes.len(),
            members.len(),
            network.subnet,
            network.vni
        );
        let new = NewCluster {
            id,
            spec: spec.clone(),
            image_id: image.id.clone(),
            wait: terms.wait,
            keep_on_failure: terms.keep_on_failure,
            seed: Zeroizing::new(draw(&mut *coordinator.rng())),
            network,
            nodes,
            at,
        };
        let admitted = event(EventLevel::Info, admitted);
        let events = fallback.into_iter().chain([admitted]).chain(within).chain(root).collect();
        let decision = Decision { cluster: id, at, document };
        Ok(ChangeSet { change: new, trail: Trail { decision, events } })
    }
}

/// Addresses and MACs in the order the nodes are numbered.
fn nodes(
    cluster: ClusterId,
    spec: &ClusterSpec,
    plan: &Plan,
    network: &Network,
    now: Timestamp,
    id: &mut dyn FnMut() -> NodeId,
) -> Result<Vec<Node>, Fault> {
    let subnet = SubnetPlan { subnet: network.subnet };
    let full = || NoAddress::Full { subnet: network.subnet.to_string() };
    let settings = spec.settings();
    let mut nodes = Vec::with_capacity(plan.placements.len());
    for (number, (wish, placement)) in (0..).zip(spec.numbered().zip(&plan.placements)) {
        let address: Ipv4Addr = subnet.node(number).ok_or_else(full)?;
        nodes.push(Node {
            id: id(),
            cluster,
            network: network.id,
            name: wish.name,
            role: wish.group.role,
            index: wish.index,
            group: wish.group_number,
            host: placement.host_id,
            address,
            mac: MacAddr::of(address),
            size: wish.group.size(&spec.slurm),
            constraints: wish.group.constraints.clone(),
            power: Power::On,
            settings: settings.clone(),
            state: NodeState::Planned,
            since: now,
            container: None,
            generation: Generation::FIRST,
            last_error: None,
            restarts: None,
        });
    }
    Ok(nodes)
}

#[cfg(test)]
mod tests {
    use shoal_types::{NodeGroup, Placing, Profile, Revision, Role, SlurmSpec, Strategy, Vni};

    use super::*;
    use crate::edit::network::UDP_PORT;

    fn spec(workers: u32) -> ClusterSpec {
        ClusterSpec {
            realm: shoal_types::RealmName::default(),
            name: shoal_types::ClusterName::default(),
            image: "shoal-node:bookworm".into(),
            profile: Profile::System,
            scheduler: Strategy::Spread.into(),
            placing: Placing::default(),
            constraints: vec![],
            groups: vec![
                NodeGroup::new(Role::Controller, 1, None, None),
                NodeGroup::new(Role::Worker, workers, None, None),
            ],
            slurm: SlurmSpec::default(),
            ssh_keys: vec![],
            mtu: None,
            healing: shoal_types::Healing::default(),
            ttl: None,
        }
    }

    fn network() -> Network {
        Network {
            id: NetworkId::new(1, [1; 10]),
            vni: Vni::try_from(7).unwrap(),
            subnet: "10.96.4.0/24".parse().unwrap(),
            gateway: Ipv4Addr::new(10, 96, 4, 1),
            mtu: 1450,
            udp_port: UDP_PORT,
            revision: Revision::FIRST,
        }
    }

    fn plan(spec: &ClusterSpec) -> Plan {
        let host_id = HostId::new(1, [3; 10]);
        let place = |node| shoal_scheduler::Placement { node, host: "host1".parse().unwrap(), host_id };
        Plan { placements: spec.nodes().map(|(name, _)| place(name)).collect(), refusals: vec![] }
    }

    #[test]
    fn addresses_follow_the_numbering_and_macs_the_addresses() {
        let spec = spec(3);
        let mut count = 0;
        let mut id = || {
            count += 1;
            NodeId::new(1, [count; 10])
        };
        let nodes = nodes(ClusterId::new(1, [2; 10]), &spec, &plan(&spec), &network(), Timestamp(5), &mut id)
            .unwrap();
        let shown: Vec<_> =
            nodes.iter().map(|n| format!("{} {} {} {}", n.name, n.index, n.address, n.mac)).collect();
        assert_eq!(
            shown,
            [
                "controller 0 10.96.4.2 02:42:0a:60:04:02",
                "worker-0 0 10.96.4.3 02:42:0a:60:04:03",
                "worker-1 1 10.96.4.4 02:42:0a:60:04:04",
                "worker-2 2 10.96.4.5 02:42:0a:60:04:05",
            ]
        );
    }

    #[test]
    fn more_nodes_than_the_subnet_holds_are_refused() {
        let spec = spec(250);
        let mut id = || NodeId::new(1, [0; 10]);
        let refused =
            nodes(ClusterId::new(1, [2; 10]), &spec, &plan(&spec), &network(), Timestamp(5), &mut id);
        assert!(matches!(refused, Err(Fault::Placement(PlacementFault::NoAddress(_)))), "{refused:?}");
    }
}
