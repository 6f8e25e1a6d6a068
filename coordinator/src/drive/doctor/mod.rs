//! Checks hosts and the ways between them.
//!
//! ```text
//! survey (agents brought) -> gather, host by host at once -> judge   pure: facts -> findings     judge.rs, address.rs
//!                         -> pairs, all at once           -> pairs/verdict                       pairs.rs, observe/paths/
//! ```
//! Agents are brought to hosts that have none, as a create would do; nothing else of a host is changed, and what a check makes
//! there goes with it.

mod address;
mod judge;
mod names;
mod pairs;

use std::{collections::BTreeMap, time::Duration};

use futures_util::{FutureExt, future::join_all};
use ipnet::Ipv4Net;
use shoal_api::{Examination, HostExamination};
use shoal_docker::{Endpoint, TlsFile};
use shoal_storage::Host;
use shoal_types::{HostId, HostName, Timestamp, chain};

use crate::{
    fleet::{HostLink, coordinator::Coordinator},
    observe::{
        paths::End,
        survey::{self, Depth, HostObservation, underlay, underlay_mtu},
    },
    words::{
        agent::HostHealth,
        fault::{Fault, HostFault},
    },
};

/// How long one question to a host may take.
const LIMIT: Duration = Duration::from_secs(10);

/// What was heard of one host, for judgement.
#[derive(Debug)]
struct Evidence {
    host: Host,
    nodes: u32,
    agent: String,
    /// Until when certificates are valid; none without TLS.
    certificates: Result<Vec<(Certificate, Timestamp)>, String>,
    health: Result<(HostHealth, Skew), String>,
    images: Vec<Image>,
    /// None without a node that could be asked.
    names: Option<names::Answered>,
    now: Timestamp,
}

/// Whose certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Certificate {
    Ca,
    Client,
    Server,
}

/// How far a host's clock is ahead of the coordinator's, and how wrong that may be, in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Skew {
    ahead_ms: i64,
    error_ms: i64,
}

/// An image that should be there.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Image {
    reference: String,
    /// The content a cluster on this host runs; none if it is only wanted for later.
    of_cluster: Option<String>,
    present: Result<bool, String>,
}

/// A network of a cluster.
#[derive(Debug, Clone)]
struct Subnet {
    cluster: String,
    subnet: Ipv4Net,
    members: Vec<HostId>,
}

/// Checks these hosts, in the order they are named, or all if none is, by name; `image` is what the next cluster would use.
///
/// # Errors
/// [`HostFault::Unknown`], and the store's: what is wrong with a host is a finding.
pub(crate) async fn examine(
    coordinator: &Coordinator,
    names: &[HostName],
    image: Option<&str>,
) -> Result<Examination, Fault> {
    let mut read = coordinator.store.read().await?;
    let all = read.hosts().list().await?;
    let usage = read.hosts().usage().await?;
    let clusters = read.clusters().list().await?;
    let networks = read.networks().list().await?;
    let attachments = read.networks().attachments().await?;
    let nodes = read.nodes().list().await?;
    let pools = read.pools().await?;
    drop(read);
    let mut wanted = Vec::new();
    for name in names {
        let host = all
            .iter()
            .find(|h| h.name == *name)
            .ok_or_else(|| Fault::Host(HostFault::Unknown { name: name.clone() }))?;
        if !wanted.iter().any(|w: &Host| w.id == host.id) {
            wanted.push(host.clone());
        }
    }
    let wanted = if names.is_empty() { all.clone() } else { wanted };
    let subnets: Vec<Subnet> = attachments
        .iter()
        .filter_map(|(cluster, network)| {
            let cluster = clusters.iter().find(|c| c.id == *cluster)?;
            let network = networks.iter().find(|n| n.id == *network)?;
            let members = nodes.iter().filter(|n| n.network == network.id).map(|n| n.host).collect();
            Some(Subnet { cluster: cluster.spec.name.to_string(), subnet: network.subnet, members })
        })
        .collect();
    let seen = survey::survey_of(coordinator, wanted, Depth::Agent).await?;
    let gather = seen.iter().map(|seen| {
        let mut images: Vec<_> = image.map(|image| (image.to_owned(), None)).into_iter().collect();
        for cluster in
            clusters.iter().filter(|c| nodes.iter().any(|n| n.cluster == c.id && n.host == seen.host.id))
        {
            images.push((cluster.spec.image.clone(), Some(cluster.image_id.clone())));
        }
        // What a cluster runs under the reference is what counts; one finding says it.
        let known: Vec<String> =
            images.iter().filter(|(_, of)| of.is_some()).map(|(r, _)| r.clone()).collect();
        images.retain(|(reference, of)| of.is_some() || !known.contains(reference));
        images.dedup();
        let count = usage.get(&seen.host.id).map_or(0, |u| u.nodes);
        let question = names::question(seen.host.id, &clusters, &nodes);
        async move {
            match &seen.link {
                Ok(link) => Ok(gather(coordinator, &seen.host, link, count, (images, question)).await),
                Err(fault) => Err(chain(fault)),
            }
        }
        .boxed()
    });
    let gathered = join_all(gather).await;
    let (pairs, note, ports) = pairs::check_pairs(coordinator, &ends(&seen)).await;
    let skews: Vec<_> = gathered
        .iter()
        .flatten()
        .filter_map(|e| Some((e.host.name.clone(), e.health.as_ref().ok()?.1)))
        .collect();
    let hosts = gathered.into_iter().zip(&seen).map(|(evidence, seen)| {
        let (findings, error) = match evidence {
            Ok(evidence) => {
                let mut findings = judge::judge(&evidence, &skews, &pools);
                findings.push(address::judge(&evidence.host, &all, &subnets, &pools));
                findings.push(judge::udp(ports.get(&seen.host.id)));
                (findings, None)
            }
            Err(error) => (vec![], Some(error)),
        };
        HostExamination { host: seen.host.name.to_string(), error, findings }
    });
    Ok(Examination { hosts: hosts.collect(), pairs, note: note.map(|note| note.to_string()) })
}

async fn gather(
    coordinator: &Coordinator,
    host: &Host,
    link: &HostLink,
    nodes: u32,
    (images, question): (Vec<(String, Option<String>)>, Option<names::Question>),
) -> Evidence {
    let certificates = certificates(coordinator, host);
    let health = health(coordinator, link);
    let looks = join_all(images.into_iter().map(|(reference, of_cluster)| async {
        let asked = of_cluster.as_deref().unwrap_or(&reference);
        let present = link.engine.inspect_image(asked).await;
        let present = present.map(|found| found.is_some()).map_err(|error| chain(&error));
        Image { reference, of_cluster, present }
    }));
    let names = async { names::ask(link, question?).await };
    let (certificates, health, images, names) = tokio::join!(certificates, health, looks, names);
    Evidence {
        host: host.clone(),
        nodes,
        agent: host.agent.version.clone().unwrap_or_default(),
        certificates,
        health,
        images,
        names,
        now: coordinator.now(),
    }
}

async fn health(coordinator: &Coordinator, link: &HostLink) -> Result<(HostHealth, Skew), String> {
    // The session stands: what is measured is one round trip.
    let before = coordinator.now();
    let ask = async { link.agent().await?.health().await };
    let health = match tokio::time::timeout(LIMIT, ask).await {
        Ok(answer) => answer.map_err(|error| chain(&error))?,
        Err(_) => return Err(format!("no answer within {} s", LIMIT.as_secs())),
    };
    let skew = skew(before, coordinator.now(), health.clock);
    Ok((health, skew))
}

async fn certificates(
    coordinator: &Coordinator,
    host: &Host,
) -> Result<Vec<(Certificate, Timestamp)>, String> {
    let Some(secret) = host.settings.credential else { return Ok(vec![]) };
    let credential = coordinator
        .fleet
        .credential(&coordinator.store, host, secret)
        .await
        .map_err(|fault| chain(&fault))?;
    // SSH keys have no end.
    let Some(material) = credential.tls() else { return Ok(vec![]) };
    let own = material.expiries().map_err(|error| chain(&error))?;
    let mut all: Vec<_> = own.into_iter().map(|(file, at)| (certificate(file), at)).collect();
    let endpoint: Endpoint = host.settings.endpoint.parse().map_err(|error| chain(&error))?;
    let shown = coordinator.fleet.connect.server_expiry(&endpoint, Some(&credential)).await;
    all.extend(shown.map_err(|error| chain(&error))?.map(|at| (Certificate::Server, at)));
    Ok(all)
}

fn certificate(file: TlsFile) -> Certificate {
    match file {
        TlsFile::Ca => Certificate::Ca,
        TlsFile::Certificate | TlsFile::Key => Certificate::Client,
    }
}

/// The host's clock was read between the two.
fn skew(before: Timestamp, after: Timestamp, host: Timestamp) -> Skew {
    let signed = |t: Timestamp| i64::try_from(t.0).unwrap_or(i64::MAX);
    let (before, after, host) = (signed(before), signed(after), signed(host));
    let half = (after - before).max(0) / 2;
    Skew { ahead_ms: host - before - half, error_ms: half }
}

/// The hosts that can send tunnel packets at all.
fn ends(seen: &[HostObservation]) -> Vec<End> {
    let end = |seen: &HostObservation| {
        let facts = seen.host.facts.as_ref()?;
        let address = underlay(&seen.host)?;
        Some(End {
            id: seen.host.id,
            name: seen.host.name.clone(),
            address,
            mtu: underlay_mtu(&seen.host).unwrap_or(0),
            link: seen.link.as_ref().ok()?.clone(),
            vnis: facts.vnis.clone(),
        })
    };
    seen.iter().filter_map(end).collect()
}

/// What became of the port on each host: it could be opened, or why not.
type Ports = BTreeMap<HostId, Result<(), String>>;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_is_compared_with_the_middle_of_the_round_trip() {
        let of = |before, after, host| {
            let Skew { ahead_ms, error_ms } = skew(Timestamp(before), Timestamp(after), Timestamp(host));
            (ahead_ms, error_ms)
        };
        assert_eq!(of(1000, 1100, 1050), (0, 50));
        assert_eq!(of(1000, 1100, 7050), (6000, 50));
        assert_eq!(of(1000, 1100, 50), (-1000, 50));
        // The clock was set back meanwhile.
        assert_eq!(of(1000, 900, 1000), (0, 0));
    }
}
