//! Admission: from a specification to a cluster in the store, or to the reasons it does not fit. Nothing touches a host.
//!
//! ```text
//! survey --> image --> snapshot --> place --> [VNI, subnet, addresses, MACs, seed] --> ONE transaction (lease included)
//!                         ^                                                                |
//!                         `----------------- someone placed meanwhile: read again --------'
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
use shoal_storage::{
    Acquired, Cluster, Conflict, Decision, Host, Network, Node, Resource, SecretKind, StoreError,
};
use shoal_types::{
    ClusterId, ClusterPhase, ClusterSpec, EventKind, EventLevel, Generation, HostId, MacAddr, NetworkId,
    NewEvent, NodeId, NodeState, Power, Revision, SubnetPlan, Timestamp,
};

use crate::{
    edit::{
        addressing::{InUse, choose_subnet, choose_vni},
        placing::{CapacityInUse, PlacementDecision, Record, check_pins, decide, request, snapshot, wished},
    },
    fleet::{
        coordinator::Coordinator,
        lease::{Claim, HeldLease, TTL},
    },
    observe::{
        image::ImageOfCluster,
        survey::{HostObservation, underlay},
    },
    words::{
        entropy::draw,
        fault::{ClusterFault, Fault, HostFault, NoPlan, PlacementFault},
    },
};

/// Bytes VXLAN takes of each packet: outer Ethernet, IPv4, UDP and VXLAN headers (RFC 7348 section 5).
pub(crate) const VXLAN_OVERHEAD: u32 = 50;
/// The kernel's own port for VXLAN is 4789 (IANA) and 8472 (Linux); ours meets neither.
pub(crate) const UDP_PORT: u16 = 4799;
/// How often a placement is decided again because someone else's was committed first.
pub(crate) const TRIES: usize = 16;

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

/// Where a cluster would go, without writing anything.
pub(crate) async fn dry_run(
    coordinator: &Coordinator,
    spec: &ClusterSpec,
    seen: &[HostObservation],
    image: &ImageOfCluster,
) -> Result<DryRun, Fault> {
    check_pins(spec, seen)?;
    let taken =
        CapacityInUse::read(&mut coordinator.store.read().await?, spec, None, &BTreeSet::new()).await?;
    let snapshot = snapshot(seen, &taken, image);
    let request = request_for(coordinator, spec, image);
    let decided = decide(spec, &snapshot, &request).await?;
    Ok(DryRun { snapshot, request, decided })
}

fn request_for(coordinator: &Coordinator, spec: &ClusterSpec, image: &ImageOfCluster) -> Request {
    let seed = u64::from_le_bytes(draw(&mut *coordinator.rng()));
    request(spec, wished(spec), &image.architecture, BTreeMap::new(), seed)
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
    let began = tokio::time::Instant::now();
    let mut stale = None;
    for _ in 0..TRIES {
        match try_admit(coordinator, spec, seen, image, terms).await {
            Err(Fault::Store(error @ StoreError::Stale { .. })) => stale = Some(error),
            Err(Fault::Store(StoreError::Conflict(
                conflict @ (Conflict::Vni { .. } | Conflict::Subnet { .. }),
            ))) => {
                stale = Some(conflict.into());
            }
            other => {
                let elapsed_ms = began.elapsed().as_millis();
                tracing::debug!(cluster.name = %spec.name, hosts = seen.len(), elapsed_ms, "admission");
                return other;
            }
        }
    }
    Err(stale.map_or(Fault::Host(HostFault::NoneRegistered), Fault::Store))
}

async fn try_admit(
    coordinator: &Coordinator,
    spec: &ClusterSpec,
    seen: &[HostObservation],
    image: &ImageOfCluster,
    terms: CreateTerms,
) -> Result<Admitted, Fault> {
    let (version, usage, taken) = {
        let mut read = coordinator.store.read().await?;
        let usage = CapacityInUse::read(&mut read, spec, None, &BTreeSet::new()).await?;
        (read.placement_version().await?, usage, read.networks().taken().await?)
    };
    let (snapshot, request) = (snapshot(seen, &usage, image), request_for(coordinator, spec, image));
    let decided = decide(spec, &snapshot, &request).await?;
    let decided = decided.map_err(|source| {
        Fault::Placement(PlacementFault::Unplaceable { cluster: spec.name.clone(), source })
    })?;
    let document = Record::new(&snapshot, &request, &decided)?.fold()?;
    let plan = &decided.plan;
    let members: BTreeSet<HostId> = plan.placements.iter().map(|p| p.host_id).collect();
    let members: Vec<_> = seen.iter().filter(|s| members.contains(&s.host.id)).collect();
    let mut rng = coordinator.rng();
    let now = coordinator.now();
    let id = ClusterId::new(now.0, draw(&mut *rng));
    let network = Network {
        id: NetworkId::new(now.0, draw(&mut *rng)),
        ..network_for(coordinator, spec, &members, &taken)?
    };
    let nodes = nodes(id, spec, plan, &network, now, &mut || NodeId::new(now.0, draw(&mut *rng)))?;
    let seed: zeroize::Zeroizing<[u8; 32]> = zeroize::Zeroizing::new(draw(&mut *coordinator.rng()));

    let mut tx = coordinator.store.begin().await?;
    tx.bump_placement_version(version).await?;
    let seed = tx.secrets().put(SecretKind::ClusterSeed, &*seed, now, &mut *coordinator.rng()).await?;
    let cluster = Cluster {
        id,
        spec: spec.clone(),
        phase: ClusterPhase::Creating,
        image_id: image.id.clone(),
        generation: Generation::FIRST,
        deadline: now.after(terms.wait),
        keep_on_failure: terms.keep_on_failure,
        slurm_version: None,
        failure: None,
        seed,
        created: now,
        updated: now,
    };
    tx.clusters().insert(&cluster).await?;
    tx.networks().insert(&network).await?;
    tx.networks().attach(network.id, id).await?;
    tx.nodes().insert(&nodes).await?;
    tx.decisions().add(&Decision { cluster: id, at: now, document }).await?;
    let message = format!(
        "{} nodes on {} hosts, network {} (VNI {})",
        nodes.len(),
        members.len(),
        network.subnet,
        network.vni
    );
    if let Some(why) = &decided.fallback {
        let message = format!("{why}: {} placed instead", decided.by);
        tx.events().append(&placed_event(spec, now, EventLevel::Warn, message)).await?;
    }
    tx.events().append(&placed_event(spec, now, EventLevel::Info, message)).await?;
    let busy = |holder: String| Fault::Cluster(ClusterFault::Busy { cluster: spec.name.clone(), holder });
    let lease =
        match tx.leases().acquire(&Resource::cluster(id), &coordinator.holder, now, TTL, |_| true).await? {
            Acquired::Granted(lease) => lease,
            Acquired::Held(lease) => return Err(busy(lease.holder.id)),
        };
    let claim = Claim::on(coordinator, id).ok_or_else(|| busy("this process".into()))?;
    tx.commit().await?;
    Ok(Admitted { id, lease: HeldLease::keep(coordinator, lease, claim, false) })
}

/// VNI, subnet and MTU against everything the member hosts report as present; the id is the caller's to set.
fn network_for(
    coordinator: &Coordinator,
    spec: &ClusterSpec,
    members: &[&HostObservation],
    taken: &[(shoal_types::Vni, ipnet::Ipv4Net)],
) -> Result<Network, Fault> {
    let mut in_use = InUse::default();
    in_use.vnis.extend(taken.iter().map(|(vni, _)| *vni));
    in_use.subnets.extend(taken.iter().map(|(_, subnet)| *subnet));
    let mut path = u32::MAX;
    let mut underlays: BTreeMap<Ipv4Addr, &Host> = BTreeMap::new();
    for HostObservation { host, .. } in members {
        in_use.subnets.extend(&host.engine.subnets);
        let facts = host.facts.as_ref();
        in_use.subnets.extend(facts.iter().flat_map(|f| &f.routes));
        in_use.vnis.extend(facts.iter().flat_map(|f| &f.vnis));
        let mtu = facts.map_or(0, |f| f.underlay_mtu);
        let address = underlay(host);
        let Some(address) = address.filter(|_| mtu > VXLAN_OVERHEAD) else {
            return Err(Fault::Host(HostFault::NoUnderlay { host: host.name.clone() }));
        };
        if let Some(other) = underlays.insert(address, host) {
            let hosts = format!("{} and {}", other.name, host.name);
            return Err(Fault::Host(HostFault::SameUnderlay { hosts, address }));
        }
        path = path.min(mtu);
    }
    let count = spec.groups.iter().fold(0u32, |sum, g| sum.saturating_add(g.count));
    let subnet = choose_subnet(SubnetPlan::prefix_for(count), &in_use)?;
    Ok(Network {
        id: NetworkId::new(0, [0; 10]),
        vni: choose_vni(coordinator.naming.installation(), &in_use)?,
        subnet,
        gateway: SubnetPlan { subnet }.gateway(),
        mtu: u16::try_from(path - VXLAN_OVERHEAD).unwrap_or(u16::MAX),
        udp_port: UDP_PORT,
        revision: Revision::FIRST,
    })
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
    let full = || crate::words::fault::NoAddress::Subnet { prefix: network.subnet.prefix_len() };
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
        });
    }
    Ok(nodes)
}

fn placed_event(spec: &ClusterSpec, at: Timestamp, level: EventLevel, message: String) -> NewEvent {
    let cluster = Some((spec.realm.clone(), spec.name.clone()));
    NewEvent {
        at,
        level,
        kind: EventKind::Admitted,
        cluster,
        node: None,
        host: None,
        message,
        progress: None,
    }
}

#[cfg(test)]
mod tests {
    use shoal_types::{NodeGroup, Placing, Profile, Role, SlurmSpec, Strategy, Vni};

    use super::*;

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
