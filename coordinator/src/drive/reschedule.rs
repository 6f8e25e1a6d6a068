//! Moves the nodes of hosts that cannot take them to hosts that can, while none of them has been started.
//!
//! ```text
//! unfit hosts --> nothing started there? --> survey the others --> place their nodes --> ONE transaction:
//!                                                                   nodes of a new generation, a remnant for what may
//!                                                                   be left, the network's next revision
//! ```
//! A started node has an identity others may have spoken with, and the lost host may still run it: only fencing could let
//! it start a second time. What may be left on the old host is remembered and removed when that host answers again.

use std::collections::{BTreeMap, BTreeSet};

use shoal_storage::{Decision, Host, Network, Node, StoreError};
use shoal_types::{EventKind, EventLevel, HostId, HostName, chain};

use crate::{
    edit::{
        addressing::overlaps,
        admission::{TRIES, VXLAN_OVERHEAD},
        placing::{CapacityInUse, Record, decide, of_row, request, snapshot},
    },
    fleet::liveness::while_alive,
    observe::{
        image,
        intent::Intent,
        survey::{self, Depth, HostObservation, underlay},
    },
    pass::{failure::PATIENCE, work::Work},
    words::{
        entropy::draw,
        fault::{Fault, HostFault},
    },
};

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

/// Places the nodes of these hosts anew, host -> why it is left.
pub(crate) async fn reschedule(
    work: &Work,
    intent: &Intent,
    unfit: &BTreeMap<HostId, Fault>,
) -> Result<(), NotRescheduled> {
    let coordinator = &work.coordinator;
    let why = || unfit.values().map(|fault| chain(fault)).collect::<Vec<_>>().join("; ");
    if work.lease.inherited || unfit.keys().any(|host| work.effects.started(*host)) {
        return Err(NotRescheduled::Here(format!("{} (nodes may have been started there)", why())));
    }
    let hosts = coordinator.store.read().await?.hosts().list().await?;
    let (left, others): (Vec<_>, Vec<_>) = hosts.into_iter().partition(|h| unfit.contains_key(&h.id));
    let mut seen = survey::survey_of(coordinator, others, Depth::Agent).await?;
    let lost = |host: Host| {
        let fault = Fault::Host(HostFault::Lost { host: host.name.clone(), seconds: PATIENCE.as_secs() });
        HostObservation { host, link: Err(fault) }
    };
    let names: BTreeMap<HostId, HostName> = left.iter().map(|h| (h.id, h.name.clone())).collect();
    seen.extend(left.into_iter().map(lost));
    let spec = &intent.cluster.spec;
    let image = image::resolve_id(&spec.image, &intent.cluster.image_id, &seen).await;
    let moved: Vec<&Node> = intent.nodes.iter().filter(|n| unfit.contains_key(&n.host)).collect();
    let nodes = moved.iter().map(|node| of_row(node));
    let seed = u64::from_le_bytes(draw(&mut *coordinator.rng()));
    let request = request(spec, nodes, &image.architecture, excluded(intent, unfit, &seen), seed);
    let leaving = unfit.keys().copied().collect();
    for _ in 0..TRIES {
        let (version, taken) = {
            let mut read = coordinator.store.read().await?;
            let taken = CapacityInUse::read(&mut read, spec, Some(work.cluster), &leaving).await?;
            (read.placement_version().await?, taken)
        };
        let snapshot = snapshot(&seen, &taken, &image);
        let decided = match decide(spec, &snapshot, &request).await {
            Ok(Ok(decided)) => decided,
            Ok(Err(refused)) => {
                return Err(NotRescheduled::Here(format!("{}; and elsewhere {refused}", why())));
            }
            Err(fault) => {
                return Err(NotRescheduled::Here(format!("{}; and elsewhere: {}", why(), chain(&fault))));
            }
        };
        let record = Record::new(&snapshot, &request, &decided).map_err(Fault::from)?;
        let document = record.of_moved(&request, why()).fold().map_err(Fault::from)?;
        let plan = &decided.plan;
        let now = coordinator.now();
        let mut tx = work.lease.begin().await?;
        match tx.bump_placement_version(version).await {
            Ok(()) => {}
            Err(StoreError::Stale { .. }) => continue,
            Err(error) => return Err(error.into()),
        }
        for (node, placement) in moved.iter().zip(&plan.placements) {
            tx.nodes().place(node.id, node.generation, placement.host_id, now).await?;
        }
        tx.decisions().add(&Decision { cluster: work.cluster, at: now, document }).await?;
        tx.networks().next_revision(intent.network.id).await?;
        if let Some(why) = &decided.fallback {
            let message = format!("{why}: {} placed instead", decided.by);
            let event = work.event(intent, EventLevel::Warn, EventKind::Step, None, message);
            tx.events().append(&event).await?;
        }
        for (host, why) in unfit {
            tx.remnants().add(&work.remnant(intent, *host, chain(why))).await?;
        }
        for (host, name) in &names {
            let count = moved.iter().filter(|n| n.host == *host).count();
            let message = format!("{count} nodes go elsewhere: {}", chain(&unfit[host]));
            let event = work.event(intent, EventLevel::Warn, EventKind::Moved, Some(name), message);
            tx.events().append(&event).await?;
        }
        tx.commit().await?;
        leave(work, intent, unfit, &seen).await;
        return Ok(());
    }
    Err(StoreError::Stale { what: "placements", expected: "no other placement meanwhile".into() }.into())
}

/// Cleans unfit hosts that still answer, and drops the remnant of a host that answered every call.
async fn leave(work: &Work, intent: &Intent, unfit: &BTreeMap<HostId, Fault>, seen: &[HostObservation]) {
    let answers = |host: &&Host| unfit.get(&host.id).is_some_and(|fault| !fault.class().silent);
    for host in seen.iter().map(|s| &s.host).filter(answers) {
        let Ok(link) = work.coordinator.fleet.link(&work.coordinator.store, host).await else { continue };
        let taken = while_alive(&link, PATIENCE, work.take_down(&link, intent)).await;
        if let Err(halt) = taken {
            tracing::warn!(host.name = %host.name, error = %halt.into_fault(), "what was begun there stays for now");
        } else if !work.effects.in_doubt(host.id)
            && let Err(error) = forget_remnant(work, host.id).await
        {
            tracing::warn!(host.name = %host.name, %error, "remnant stays recorded");
        }
    }
}

async fn forget_remnant(work: &Work, host: HostId) -> Result<(), StoreError> {
    let mut tx = work.lease.begin().await?;
    for remnant in tx.remnants().on_host(host).await? {
        if remnant.what.cluster == work.cluster {
            tx.remnants().delete(remnant.id).await?;
        }
    }
    tx.commit().await
}

/// Hosts that cannot be used: those to be left, and those whose machine does not go with the network as it is.
fn excluded(
    intent: &Intent,
    unfit: &BTreeMap<HostId, Fault>,
    seen: &[HostObservation],
) -> BTreeMap<HostId, String> {
    let members: BTreeSet<HostId> = intent.nodes.iter().map(|n| n.host).collect();
    let mut excluded: BTreeMap<_, _> = unfit.iter().map(|(host, fault)| (*host, chain(fault))).collect();
    for host in seen.iter().map(|s| &s.host).filter(|h| !members.contains(&h.id)) {
        if let Some(why) = misfit(host, &intent.network) {
            excluded.entry(host.id).or_insert(why);
        }
    }
    excluded
}

/// Why a host that is not yet a member cannot carry this network.
fn misfit(host: &Host, network: &Network) -> Option<String> {
    let facts = host.facts.as_ref();
    let routes = facts.iter().flat_map(|f| &f.routes).filter(|route| route.prefix_len() > 0);
    if let Some(taken) =
        host.engine.subnets.iter().chain(routes).find(|other| overlaps(other, &network.subnet))
    {
        return Some(format!("{taken} there overlaps the cluster's {}", network.subnet));
    }
    if facts.is_some_and(|f| f.vnis.contains(&network.vni)) {
        return Some(format!("VNI {} is in use there", network.vni));
    }
    let Some(_) = underlay(host) else {
        return Some("it has no usable underlay address".into());
    };
    let room = facts.map_or(0, |f| f.underlay_mtu).saturating_sub(VXLAN_OVERHEAD);
    (room < u32::from(network.mtu))
        .then(|| format!("its MTU leaves {room} bytes of the cluster's {}", network.mtu))
}
