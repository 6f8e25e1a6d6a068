//! What of ours on the hosts no row explains: listings and the store's word in, a fate for each thing out. Pure.
//!
//! ```text
//! explained by a row               not in the plan
//! remembered by a remnant          Remnant   goes when its host has been back for long enough
//! its cluster is being worked on   Stay      whoever works on it knows better
//! younger than the grace time      Stay      its row may have been read too early
//! nothing says that it may go      Stay      volumes, and what carries no cluster's id
//! everything else                  Go
//! ```
//! Rows are written before anything is made on a host, and listings are taken before the store is read: what a listing
//! holds and the store does not explain was given up. The grace time is a second guard. Networks as agents keep them,
//! their devices and images have no age to be told.

use std::time::Duration;

use shoal_api::TooMuch;
use shoal_types::{ClusterId, Generation, HostId, HostName, NodeId, Timestamp, Vni};

use crate::{
    drive::sweep::{
        known::StoreView,
        thing::{Listing, Thing},
    },
    words::naming::{BUILD, CLUSTER, GENERATION, NODE, Naming, ROLE},
};

/// At most so many things go at once without being asked for expressly, whatever their share is.
const FEW: usize = 3;
/// At most this share of what is there, in per cent.
const SHARE: usize = 30;

/// What is to become of a thing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Fate {
    /// It goes; under the lease of this cluster, if the store has it.
    Go {
        /// The cluster.
        under: Option<ClusterId>,
    },
    /// A remnant remembers it.
    Remnant,
    /// It stays, although nothing explains it.
    Stay,
}

/// A thing that no row explains.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Item {
    pub(crate) host: HostId,
    pub(crate) name: HostName,
    pub(crate) thing: Thing,
    pub(crate) fate: Fate,
    /// Why nothing explains it, or why it stays all the same.
    pub(crate) why: String,
    pub(crate) age: Option<Duration>,
}

/// What is to be done on all hosts.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Plan {
    /// What nothing explains, host by host in the order it goes.
    pub(crate) items: Vec<Item>,
    /// How much of ours is there; images are not counted.
    pub(crate) total: usize,
}

impl Plan {
    /// The things that go.
    pub(crate) fn going(&self) -> impl Iterator<Item = &Item> {
        self.items.iter().filter(|item| matches!(item.fate, Fate::Go { .. }))
    }

    /// Whether more would go than goes unasked: a lost or wrong store makes everything look left behind. An agent's old
    /// image counts for nothing: it is loaded again where it is missing.
    pub(crate) fn too_much(&self) -> Option<TooMuch> {
        let going = self.going().filter(|item| counts(&item.thing)).count();
        let over = going > FEW && going * 100 > self.total * SHARE;
        over.then(|| TooMuch { going: count(going), total: count(self.total) })
    }
}

/// What decisions are made with, besides the listings.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Terms<'a> {
    pub(crate) naming: &'a Naming,
    pub(crate) known: &'a StoreView,
    pub(crate) now: Timestamp,
    /// What was made later than this long ago stays.
    pub(crate) grace: Duration,
}

impl Terms<'_> {
    /// The plan for what was listed.
    pub(crate) fn plan(self, listings: &[Listing]) -> Plan {
        let mut plan = Plan::default();
        for listing in listings {
            plan.total += listing.things.iter().filter(|thing| counts(thing)).count();
            let mut things: Vec<_> = listing.things.iter().collect();
            things.sort();
            plan.items.extend(things.into_iter().filter_map(|thing| self.item(listing, thing)));
        }
        plan
    }

    /// What is to become of one thing; `None` if a row explains it.
    pub(crate) fn item(self, listing: &Listing, thing: &Thing) -> Option<Item> {
        let suspicion = self.suspicion(listing, thing)?;
        let created = thing.created();
        let age = created.map(|at| self.now.since(at));
        let (fate, why) = self.fate(listing.host, thing, suspicion, age);
        Some(Item { host: listing.host, name: listing.name.clone(), thing: thing.clone(), fate, why, age })
    }

    fn fate(
        self,
        host: HostId,
        thing: &Thing,
        suspicion: Suspicion,
        age: Option<Duration>,
    ) -> (Fate, String) {
        let (why, cluster) = match suspicion {
            Suspicion::Doubt(why) => return (Fate::Stay, why),
            Suspicion::Orphan { why, cluster } => (why, cluster),
        };
        if let Some(remnant) = self.known.remnants.iter().find(|r| self.remembers(&r.what, host, thing)) {
            return (Fate::Remnant, format!("left behind: {}", remnant.what.reason));
        }
        let under = cluster.filter(|id| self.known.clusters.contains_key(id));
        let busy = under.and_then(|id| self.known.clusters.get(&id)).and_then(|c| c.busy.as_ref());
        if let Some(busy) = busy {
            return (Fate::Stay, format!("its cluster {busy}"));
        }
        match age {
            Some(age) if age < self.grace => {
                (Fate::Stay, format!("it is younger than {} s: {why}", self.grace.as_secs()))
            }
            None if thing.has_age() => (Fate::Stay, format!("its age is unknown: {why}")),
            Some(_) | None => (Fate::Go { under }, why),
        }
    }

    fn suspicion(self, listing: &Listing, thing: &Thing) -> Option<Suspicion> {
        match thing {
            Thing::Container(c) => match c.labels.get(ROLE).map(String::as_str) {
                Some("agent") => None,
                Some("probe") => orphan("a probe that was not removed", None),
                Some(_) | None => self.container(listing.host, thing),
            },
            Thing::Mesh { network, .. } => {
                let cluster = self.known.networks.get(network).copied();
                self.segment(listing.host, cluster, "its network is not in the store")
            }
            Thing::Device { name } => match self.vni(name) {
                None => doubt("its name ends in no VNI"),
                Some(vni) => {
                    let cluster = self.known.vnis.get(&vni).copied();
                    self.segment(listing.host, cluster, "no network in the store has its VNI")
                }
            },
            Thing::Network(n) => match n.labels.get(CLUSTER) {
                None => doubt("it carries no cluster's id"),
                Some(id) => self.segment(listing.host, id.parse().ok(), "its cluster is not in the store"),
            },
            Thing::Volume(v) => match v.labels.get(ROLE).map(String::as_str) {
                Some("agent") => None,
                Some(_) | None => self.volume(v.labels.get(CLUSTER)),
            },
            Thing::Image(image) => {
                let used = listing.things.iter().any(|t| t.image_id() == Some(&image.id));
                match (&listing.build, image.labels.get(BUILD)) {
                    _ if used => None,
                    (None, _) => doubt("which agent belongs here is unknown: its executable was not given"),
                    (Some(ours), Some(build)) if ours == build => None,
                    (Some(_), _) => orphan("an agent of another build, in use by none", None),
                }
            }
        }
    }

    fn container(self, host: HostId, thing: &Thing) -> Option<Suspicion> {
        let Some(label) = thing.label(CLUSTER) else { return doubt("it carries no cluster's id") };
        let cluster = label.parse().ok().filter(|id| self.known.clusters.contains_key(id));
        let Some(cluster) = cluster else { return orphan("its cluster is not in the store", None) };
        let node = thing.label(NODE).and_then(|id| id.parse::<NodeId>().ok());
        let generation = thing.label(GENERATION).and_then(|g| g.parse().ok()).map(Generation);
        let place = node.and_then(|id| self.known.nodes.get(&id)).filter(|p| p.cluster == cluster);
        match place {
            None => orphan("its node is not in the store", Some(cluster)),
            Some(place) if place.host != host => orphan("its node is placed on another host", Some(cluster)),
            Some(place) if Some(place.generation) != generation => {
                orphan(&format!("its node is of generation {} now", place.generation), Some(cluster))
            }
            Some(_) => None,
        }
    }

    /// A cluster's part of a host's network.
    fn segment(self, host: HostId, cluster: Option<ClusterId>, unknown: &str) -> Option<Suspicion> {
        match cluster.and_then(|id| Some((id, self.known.clusters.get(&id)?))) {
            None => orphan(unknown, None),
            Some((_, cluster)) if cluster.hosts.contains(&host) => None,
            Some((id, _)) => orphan("no node of its cluster is placed here", Some(id)),
        }
    }

    fn volume(self, label: Option<&String>) -> Option<Suspicion> {
        match label.and_then(|id| id.parse::<ClusterId>().ok()) {
            Some(id) if self.known.clusters.contains_key(&id) => None,
            Some(id) if self.known.deleted.contains(&id) => orphan("its cluster was deleted", None),
            Some(_) | None => doubt("no row says that its cluster was deleted"),
        }
    }

    /// Whether a remnant speaks of this thing: of all of a cluster, or of one node's container.
    pub(crate) fn remembers(self, remnant: &shoal_storage::NewRemnant, host: HostId, thing: &Thing) -> bool {
        let of_cluster = match thing {
            Thing::Mesh { device, .. } | Thing::Device { name: device } => {
                *device == self.naming.device(remnant.vni)
            }
            Thing::Container(_) | Thing::Network(_) | Thing::Volume(_) => {
                thing.label(CLUSTER) == Some(&remnant.cluster.to_string())
            }
            Thing::Image(_) => false,
        };
        let of_node = match remnant.node {
            None => true,
            Some(node) => {
                matches!(thing, Thing::Container(_)) && thing.label(NODE) == Some(&node.to_string())
            }
        };
        remnant.host == host && of_cluster && of_node
    }

    fn vni(self, device: &str) -> Option<Vni> {
        self.naming.vni_of_device(device)
    }
}

/// Why a row does not explain a thing.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Suspicion {
    /// It was given up.
    Orphan { why: String, cluster: Option<ClusterId> },
    /// Nothing says that it may go.
    Doubt(String),
}

#[expect(clippy::unnecessary_wraps, reason = "reads as one of the answers of `suspicion`")]
fn orphan(why: &str, cluster: Option<ClusterId>) -> Option<Suspicion> {
    Some(Suspicion::Orphan { why: why.into(), cluster })
}

#[expect(clippy::unnecessary_wraps, reason = "reads as one of the answers of `suspicion`")]
fn doubt(why: &str) -> Option<Suspicion> {
    Some(Suspicion::Doubt(why.into()))
}

/// How many there are, as is told.
pub(super) fn count(things: usize) -> u32 {
    u32::try_from(things).unwrap_or(u32::MAX)
}

fn counts(thing: &Thing) -> bool {
    !matches!(thing, Thing::Image(_))
}

#[cfg(test)]
pub(crate) mod tests;
