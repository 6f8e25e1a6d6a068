//! Clears what was left behind on hosts that could not be reached, once they are back.
//!
//! ```text
//! since              + LONGEST_CALL
//!   |------------------|--- a list that shows nothing: forget the remnant
//!    a list that shows something: remove it at once, list again
//! ```
//! A call begun before the host was given up may take effect until the longest call's limit has passed: only a list made
//! later shows that nothing is left. No lease is taken: what a remnant remembers is nobody's intent, and what a row places
//! there now is left alone.

use std::{sync::Arc, time::Duration};

use futures_util::{FutureExt, future::join_all};
use shoal_storage::{NewRemnant, Remnant};
use shoal_types::{EventKind, EventLevel, HostName, NewEvent, NodeId, Timestamp, chain};

use crate::{
    drive::sweep::{
        known::{self, StoreView},
        listing,
        plan::Terms,
        remove::{self, Removed},
        thing::{Listing, Thing},
    },
    fleet::{HostLink, coordinator::Coordinator, lease::LONGEST_CALL},
    observe::survey::HostObservation,
    words::{
        fault::Fault,
        naming::{GENERATION, NODE, Naming},
    },
};

/// What came of clearing remnants.
#[derive(Debug, Default)]
pub(crate) struct Cleared {
    /// Those of which nothing is left; they are forgotten.
    pub(crate) gone: Vec<(HostName, Remnant)>,
    /// Those that remain, and why.
    pub(crate) waiting: Vec<(HostName, Remnant, String)>,
}

/// Removes what remnants remember on these hosts, as far as they were reached and the time has come, and forgets the
/// remnants of which nothing is left.
///
/// # Errors
/// [`Fault::Store`]: the store failed. What hosts fail with is in the answer.
pub(crate) async fn clear_remnants(
    coordinator: &Coordinator,
    seen: &[HostObservation],
) -> Result<Cleared, Fault> {
    let remnants = coordinator.store.read().await?.remnants().list().await?;
    let each = seen.iter().map(|seen| {
        let here: Vec<_> = remnants.iter().filter(|r| r.what.host == seen.host.id).cloned().collect();
        clear_host(coordinator, seen, here).boxed()
    });
    let mut cleared = Cleared::default();
    for host in join_all(each).await {
        let host = host?;
        cleared.gone.extend(host.gone);
        cleared.waiting.extend(host.waiting);
    }
    Ok(cleared)
}

async fn clear_host(
    coordinator: &Coordinator,
    seen: &HostObservation,
    remnants: Vec<Remnant>,
) -> Result<Cleared, Fault> {
    let name = &seen.host.name;
    let mut cleared = Cleared::default();
    if remnants.is_empty() {
        return Ok(cleared);
    }
    let listed = match &seen.link {
        Ok(link) => listing::list_host(coordinator, &seen.host, link)
            .await
            .map(|listing| (listing, link))
            .map_err(|f| chain(&f)),
        Err(fault) => Err(chain(fault)),
    };
    let (listing, link) = match listed {
        Ok(listed) => listed,
        Err(why) => {
            cleared.waiting.extend(remnants.into_iter().map(|r| (name.clone(), r, why.clone())));
            return Ok(cleared);
        }
    };
    let known = known::read_known(coordinator).await?;
    for remnant in remnants {
        match clear(coordinator, seen, link, &listing, &known, &remnant).await? {
            None => cleared.gone.push((name.clone(), remnant)),
            Some(why) => cleared.waiting.push((name.clone(), remnant, why)),
        }
    }
    Ok(cleared)
}

/// Clears one remnant; why it remains, if it does.
async fn clear(
    coordinator: &Coordinator,
    seen: &HostObservation,
    link: &Arc<HostLink>,
    listing: &Listing,
    known: &StoreView,
    remnant: &Remnant,
) -> Result<Option<String>, Fault> {
    match due(&coordinator.naming, remnant, listing, known, coordinator.now()) {
        Due::Wait(why) => return Ok(Some(why)),
        Due::Forget => {}
        Due::Remove(things) => {
            for thing in things {
                if coordinator.stop.is_cancelled() {
                    return Ok(Some("interrupted".into()));
                }
                match remove::remove_thing(coordinator, link, &thing).await {
                    Ok(Removed::Now | Removed::Before) => {}
                    Ok(Removed::Stays(why)) => {
                        return Ok(Some(format!("{} {}: {why}", thing.kind(), thing.name())));
                    }
                    Err(fault) => return Ok(Some(chain(&fault))),
                }
            }
            let again = match listing::list_host(coordinator, &seen.host, link).await {
                Ok(listing) => listing,
                Err(fault) => return Ok(Some(chain(&fault))),
            };
            match due(
                &coordinator.naming,
                remnant,
                &again,
                &known::read_known(coordinator).await?,
                coordinator.now(),
            ) {
                Due::Forget => {}
                Due::Wait(why) => return Ok(Some(why)),
                Due::Remove(things) => {
                    let first = things.first().map(|t| format!("{} {}", t.kind(), t.name()));
                    return Ok(Some(format!("{} came back", first.unwrap_or_default())));
                }
            }
        }
    }
    let mut tx = coordinator.store.begin().await?;
    tx.remnants().delete(remnant.id).await?;
    tx.events().append(&cleared_event(coordinator, &seen.host.name, &remnant.what)).await?;
    tx.commit().await?;
    Ok(None)
}

fn cleared_event(coordinator: &Coordinator, host: &HostName, what: &NewRemnant) -> NewEvent {
    let of = match what.node {
        None => "what was left",
        Some(_) => "a node that was left",
    };
    let message = format!("{of} on {host} is gone");
    NewEvent::new(coordinator.now(), EventLevel::Info, EventKind::Host, message)
        .of(&what.realm, &what.name)
        .on(host)
}

/// What is to be done about a remnant.
#[derive(Debug, PartialEq, Eq)]
enum Due {
    /// Nothing yet.
    Wait(String),
    /// Nothing of it is there, and nothing can come any more.
    Forget,
    /// These things, in this order.
    Remove(Vec<Thing>),
}

fn due(naming: &Naming, remnant: &Remnant, listing: &Listing, known: &StoreView, now: Timestamp) -> Due {
    let what = &remnant.what;
    let place = what.node.and_then(|node| known.nodes.get(&node));
    if what.node.is_none() && known.clusters.get(&what.cluster).is_some_and(|c| c.hosts.contains(&what.host))
    {
        return Due::Wait("nodes of its cluster are placed there".into());
    }
    let terms = Terms { naming, known, now, grace: Duration::ZERO };
    let placed = |thing: &Thing| {
        let generation = thing.label(GENERATION).and_then(|g| g.parse().ok());
        let node = thing.label(NODE).and_then(|id| id.parse::<NodeId>().ok());
        place.is_some_and(|p| p.host == what.host && Some(p.generation.0) == generation && what.node == node)
    };
    let mut things: Vec<_> = listing
        .things
        .iter()
        .filter(|thing| terms.remembers(what, listing.host, thing) && !placed(thing))
        .cloned()
        .collect();
    things.sort();
    if !things.is_empty() {
        return Due::Remove(things);
    }
    match listing.at.since(what.since) > LONGEST_CALL {
        true => Due::Forget,
        false => Due::Wait("a call made before it was given up may still take effect".into()),
    }
}

#[cfg(test)]
mod tests;
