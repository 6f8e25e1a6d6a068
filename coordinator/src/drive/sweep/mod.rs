//! Sweeping: finds what carries our label or name on the hosts and no row explains, and removes it.
//!
//! ```text
//! all hosts at once: list (listing.rs) --> the store (known.rs) --> a fate for each thing (plan.rs, pure)
//!                        |                                                   | too much at once: stop
//!                        | failed: nothing is removed there                  v
//!                        `-------------------------------- per cluster: its lease, the rows once more
//!                                                          per thing: by id once more, then remove (remove.rs)
//! ```
//! The order is what makes it safe: a row is written before anything is made on a host, so what was listed before the
//! store was read, and is not in it, was given up. What belongs to a cluster the store has is removed under that cluster's
//! lease, and judged once more with it: whoever works on a cluster is left alone. Ids never come back, so what the store
//! does not know needs no lease. Things remembered as left behind on a lost host go by their own rules, in `remnants.rs`.

mod known;
mod listing;
mod plan;
pub(crate) mod remnants;
mod remove;
pub(crate) mod resume;
mod thing;

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use futures_util::{FutureExt, future::join_all};
use shoal_api::{Sweep, SweepEnd as End, SweptHost, SweptThing, ThingKind, millis};
use shoal_docker::CallClass;
use shoal_storage::Remnant;
use shoal_types::{ClusterId, EventKind, EventLevel, HostId, HostName, NewEvent, Timestamp, chain};

use crate::{
    drive::lifecycle,
    fleet::{HostLink, coordinator::Coordinator, lease::HeldLease},
    observe::survey::{self, Depth, HostObservation},
    words::fault::{ClusterFault, Fault},
};

use self::{
    known::StoreView,
    plan::{Fate, Item, Terms},
    remove::Removed,
    thing::Listing,
};

/// How old a thing must be to be swept: longer than any call to a host, and than clocks differ.
pub(crate) const GRACE: Duration = Duration::from_secs(300);

/// What a sweep is asked to do.
#[derive(Debug, Clone, Copy)]
pub(crate) struct SweepTerms {
    /// Shows what would go, and removes nothing.
    pub(crate) dry_run: bool,
    /// What was made later than this long ago stays.
    pub(crate) grace: Duration,
    /// However much it is.
    pub(crate) however_much: bool,
}

/// What became of a thing that no row explains, on its host.
type Swept = (HostName, SweptThing);

/// Hosts as listed.
type Links = BTreeMap<HostId, (Listing, Arc<HostLink>)>;

/// Looks at every host and removes what nothing explains.
///
/// # Errors
/// [`Fault::Store`]: the store failed; what hosts fail with is in the answer.
pub(crate) async fn sweep(coordinator: &Coordinator, terms: SweepTerms) -> Result<Sweep, Fault> {
    let seen = survey::survey(coordinator, Depth::Engine).await?;
    let (hosts, links) = list_all(coordinator, &seen).await;
    let known = known::read_known(coordinator).await?;
    let listings: Vec<_> = links.values().map(|(listing, _)| listing.clone()).collect();
    let now = coordinator.now();
    let plan = Terms { naming: &coordinator.naming, known: &known, now, grace: terms.grace }.plan(&listings);
    let too_much = plan.too_much().filter(|_| !terms.however_much);
    let told = |things: Vec<Swept>| {
        let things = things.into_iter().map(|(_, thing)| thing).collect();
        Sweep { dry_run: terms.dry_run, hosts, things, too_much }
    };
    if terms.dry_run || too_much.is_some() {
        return Ok(told(plan.items.into_iter().map(planned).collect()));
    }
    let mut things: Vec<Swept> = Vec::new();
    let mut groups: BTreeMap<Option<ClusterId>, Vec<Item>> = BTreeMap::new();
    for item in plan.items {
        match item.fate {
            Fate::Go { under } => groups.entry(under).or_default().push(item),
            // Told by what is cleared.
            Fate::Remnant => {}
            Fate::Stay => things.push(planned(item)),
        }
    }
    let each = groups
        .into_iter()
        .map(|(under, items)| group_things(coordinator, under, items, &links, terms.grace).boxed());
    for swept in join_all(each).await {
        things.extend(swept?);
    }
    tell(coordinator, &things).await?;
    let cleared = remnants::clear_remnants(coordinator, &seen).await?;
    things.extend(cleared.gone.into_iter().map(|(host, r)| remnant(host, r, now, None)));
    let waiting = cleared.waiting.into_iter().map(|(host, r, why)| remnant(host, r, now, Some(why)));
    things.extend(waiting);
    things.sort_by(|(a, _), (b, _)| a.cmp(b));
    Ok(told(things))
}

async fn list_all(coordinator: &Coordinator, seen: &[HostObservation]) -> (Vec<SweptHost>, Links) {
    let each = seen.iter().map(|seen| async move {
        match &seen.link {
            Ok(link) => match listing::list_host(coordinator, &seen.host, link).await {
                Ok(listing) => Ok((listing, link.clone())),
                Err(fault) => Err(chain(&fault)),
            },
            Err(fault) => Err(chain(fault)),
        }
    });
    let (mut hosts, mut links) = (Vec::new(), Links::new());
    for (seen, listed) in seen.iter().zip(join_all(each).await) {
        let name = seen.host.name.to_string();
        let mut host = SweptHost { name, things: 0, agent_asked: false, error: None };
        match listed {
            Ok((listing, link)) => {
                (host.things, host.agent_asked) = (plan::count(listing.things.len()), listing.agent_asked);
                links.insert(seen.host.id, (listing, link));
            }
            Err(error) => host.error = Some(error),
        }
        hosts.push(host);
    }
    (hosts, links)
}

/// Removes what belongs together: under the lease of the cluster, if the store has it.
async fn group_things(
    coordinator: &Coordinator,
    under: Option<ClusterId>,
    items: Vec<Item>,
    links: &Links,
    grace: Duration,
) -> Result<Vec<Swept>, Fault> {
    let stay = |items: Vec<Item>, why: &str| {
        items.into_iter().map(|item| swept(item, End::Stays, Some(why.into()))).collect()
    };
    let Some(cluster) = under else { return Ok(remove_all(coordinator, items, links, None).await) };
    let lease = match take_group(coordinator, cluster).await? {
        Taken::Lease(lease) => lease,
        Taken::By(owner) => {
            return Ok(stay(items, &format!("its cluster is being worked on by {owner}")));
        }
        Taken::Gone => return Ok(stay(items, "its cluster has gone since it was listed")),
    };
    // What was true before may not be so under the lease.
    let known = known_of(coordinator, cluster).await?;
    let terms = Terms { naming: &coordinator.naming, known: &known, now: coordinator.now(), grace };
    let (mut going, mut done) = (Vec::new(), Vec::new());
    for item in items {
        let judged = links.get(&item.host).and_then(|(listing, _)| terms.item(listing, &item.thing));
        match judged {
            Some(item) if item.fate == (Fate::Go { under }) => going.push(item),
            Some(item) => done.push(planned(item)),
            None => done.push(swept(item, End::Stays, Some("a row explains it now".into()))),
        }
    }
    done.extend(remove_all(coordinator, going, links, Some(&lease)).await);
    drop(lease.release().await);
    Ok(done)
}

/// Removes these things: all hosts at once, on each one after the other. A host that fails is left alone from then on.
async fn remove_all(
    coordinator: &Coordinator,
    items: Vec<Item>,
    links: &Links,
    lease: Option<&HeldLease>,
) -> Vec<Swept> {
    let mut by_host: BTreeMap<HostId, Vec<Item>> = BTreeMap::new();
    for item in items {
        by_host.entry(item.host).or_default().push(item);
    }
    let each = by_host.into_iter().filter_map(|(host, items)| {
        let (_, link) = links.get(&host)?;
        Some(remove_on(coordinator, link, items, lease).boxed())
    });
    join_all(each).await.into_iter().flatten().collect()
}

async fn remove_on(
    coordinator: &Coordinator,
    link: &HostLink,
    items: Vec<Item>,
    lease: Option<&HeldLease>,
) -> Vec<Swept> {
    let mut done = Vec::new();
    let mut failed: Option<String> = None;
    for item in items {
        if let Some(error) = &failed {
            done.push(swept(item, End::Failed, Some(error.clone())));
            continue;
        }
        if coordinator.stop.is_cancelled() {
            done.push(swept(item, End::Stays, Some("interrupted".into())));
            continue;
        }
        let covered = match lease {
            Some(lease) => lease.covers(link.engine.limit(CallClass::Write)).await.map_err(Fault::from),
            None => Ok(()),
        };
        let removed = match covered {
            Ok(()) => remove::remove_thing(coordinator, link, &item.thing).await,
            Err(fault) => Err(fault),
        };
        done.push(match removed {
            Ok(Removed::Now | Removed::Before) => swept(item, End::Gone, None),
            Ok(Removed::Stays(why)) => swept(item, End::Stays, Some(why)),
            Err(fault) => {
                let error = chain(&fault);
                failed = Some(error.clone());
                swept(item, End::Failed, Some(error))
            }
        });
    }
    done
}

/// Takes a cluster's lease unless somebody works on it, in this process or another.
async fn take_group(coordinator: &Coordinator, id: ClusterId) -> Result<Taken, Fault> {
    let Some(cluster) = coordinator.store.read().await?.clusters().get(id).await? else {
        return Ok(Taken::Gone);
    };
    match lifecycle::acquire(coordinator, &cluster).await {
        Ok((lease, _)) => Ok(Taken::Lease(lease)),
        Err(Fault::Cluster(ClusterFault::Busy { holder, .. })) => Ok(Taken::By(holder)),
        Err(Fault::Cluster(ClusterFault::Unknown { .. })) => Ok(Taken::Gone),
        Err(fault) => Err(fault),
    }
}

/// What the store knows, but for the owner of this cluster: that is us.
async fn known_of(coordinator: &Coordinator, cluster: ClusterId) -> Result<StoreView, Fault> {
    let mut known = known::read_known(coordinator).await?;
    if let Some(cluster) = known.clusters.get_mut(&cluster) {
        cluster.busy = None;
    }
    Ok(known)
}

/// Records what was removed, and what could not be.
async fn tell(coordinator: &Coordinator, things: &[Swept]) -> Result<(), Fault> {
    let mut tx = coordinator.store.begin().await?;
    for (host, thing) in things {
        let SweptThing { kind, name, reason: why, .. } = thing;
        let (level, message) = match thing.end {
            End::Gone => (EventLevel::Info, format!("swept {kind} {name}: {why}")),
            End::Failed => (EventLevel::Warn, format!("could not sweep {kind} {name}: {why}")),
            End::WouldGo | End::Stays => continue,
        };
        let event = NewEvent::new(coordinator.now(), level, EventKind::Host, message).on(host);
        tx.events().append(&event).await?;
    }
    Ok(tx.commit().await?)
}

/// What came of asking for a cluster's lease.
enum Taken {
    Lease(Arc<HeldLease>),
    By(String),
    Gone,
}

/// As it would end.
fn planned(item: Item) -> Swept {
    let end = match item.fate {
        Fate::Go { .. } | Fate::Remnant => End::WouldGo,
        Fate::Stay => End::Stays,
    };
    swept(item, end, None)
}

/// What became of a remnant; `why` it remains, if it does.
fn remnant(host: HostName, remnant: Remnant, now: Timestamp, why: Option<String>) -> Swept {
    let Remnant { id, what } = remnant;
    let of = match what.node {
        None => format!("cluster {} of realm {}", what.name, what.realm),
        Some(node) => format!("node {node} of cluster {} of realm {}", what.name, what.realm),
    };
    let thing = SweptThing {
        host: host.to_string(),
        kind: ThingKind::Remnant,
        name: of,
        id: id.to_string(),
        age_ms: Some(millis(now.since(what.since))),
        end: if why.is_some() { End::Stays } else { End::Gone },
        reason: why.unwrap_or(what.reason),
    };
    (host, thing)
}

fn swept(item: Item, end: End, why: Option<String>) -> Swept {
    let thing = SweptThing {
        host: item.name.to_string(),
        kind: item.thing.kind(),
        name: item.thing.name().to_owned(),
        id: item.thing.id().into_owned(),
        age_ms: item.age.map(millis),
        reason: why.unwrap_or(item.why),
        end,
    };
    (item.name, thing)
}
