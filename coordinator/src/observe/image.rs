//! The image of a cluster: which content its reference means, who has it, and which accounts are in it.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    time::Duration,
};

use futures_util::future::join_all;
use shoal_docker::{ContainerSpec, Created, EngineError, ImageInfo, Removal};
use shoal_scheduler::ImageState;
use shoal_slurm::{Accounts, Owner};
use shoal_storage::{AccountIds, Cluster, ImageFacts, ImageOnHost};
use shoal_types::{HostId, HostName, ImageRef, chain, nodeset};

use crate::{
    fleet::{HostLink, coordinator::Coordinator, removal::remove_container},
    observe::survey::HostObservation,
    words::{
        fault::{Fault, HostFault, ImageFault},
        naming::ROLE,
    },
};

/// Longest /etc/passwd taken from an image, as a tar archive in bytes.
const PASSWD_LIMIT: usize = 4 << 20;
/// How often a probe is made again that another process removes at the same time.
const PROBES: usize = 20;
/// How long to leave that other process between two looks.
const PROBE_PAUSE: Duration = Duration::from_millis(250);

/// One image, as the hosts have it.
#[derive(Debug, Clone)]
pub(crate) struct ImageOfCluster {
    /// Content digest of the one every node will run.
    pub(crate) id: String,
    /// Architecture in the engine's words.
    pub(crate) architecture: String,
    holders: BTreeMap<HostId, String>,
    /// Hosts whose engine keeps images in containerd's store.
    containerd: BTreeSet<HostId>,
}

impl ImageOfCluster {
    /// No image: nothing is asked about one.
    pub(crate) fn none() -> Self {
        Self {
            id: String::new(),
            architecture: String::new(),
            holders: BTreeMap::new(),
            containerd: BTreeSet::new(),
        }
    }

    /// The image's state on a host, for the scheduler. A host without the image gets it from a holder; so does a host with
    /// another content under the reference, because nodes are made of the digest and the reference there stays.
    pub(crate) fn on(&self, host: HostId) -> ImageState {
        let held = self.holders.get(&host);
        if held == Some(&self.id) {
            return ImageState::Present;
        }
        // The same content has different ids in engines' two kinds of stores: it cannot be told to be the same.
        let kind = |host: &HostId| self.containerd.contains(host);
        let mut sources = self.holders.iter().filter(|(_, id)| **id == self.id);
        if sources.any(|(source, _)| kind(source) == kind(&host)) {
            return ImageState::Obtainable;
        }
        held.map_or(ImageState::Absent, |other| ImageState::Different { digest: other.clone() })
    }
}

/// An engine's answer to the question for a reference.
#[derive(Debug)]
struct Claim {
    host: HostId,
    name: HostName,
    id: String,
    architecture: String,
    /// Its engine keeps images in containerd's store.
    containerd: bool,
}

/// Asks every reachable host for the image. Hosts that disagree about its content are an error, unless the operator loaded one
/// of the contents.
pub(crate) async fn resolve(
    coordinator: &Coordinator,
    reference: &str,
    seen: &[HostObservation],
) -> Result<ImageOfCluster, Fault> {
    let reached: Vec<_> = seen.iter().filter_map(|s| s.link.as_ref().ok()).collect();
    if let ([], Some(fault)) = (&reached[..], seen.iter().find_map(|s| s.link.as_ref().err())) {
        return Err(Fault::Host(HostFault::NoneReachable { count: seen.len(), reason: chain(fault) }));
    }
    let asks = join_all(reached.iter().map(|link| link.engine.inspect_image(reference))).await;
    let containerd = containerd(seen);
    let (mut claims, mut mistaken) = (Vec::new(), Vec::new());
    for (link, info) in reached.into_iter().zip(asks) {
        match info {
            Ok(Some(info)) => {
                let right = is_answer(reference, &info);
                let ImageInfo { id, architecture, .. } = info;
                let (host, name) = (link.id, link.name.clone());
                let claim = Claim { host, name, id, architecture, containerd: containerd.contains(&host) };
                if right {
                    claims.push(claim);
                } else {
                    let id = &claim.id;
                    tracing::warn!(host.name = %link.name, image = reference, %id, "engine answers with another image");
                    mistaken.push(claim);
                }
            }
            Ok(None) => {}
            Err(error) => tracing::warn!(host.name = %link.name, %error, "image could not be looked up"),
        }
    }
    let now = coordinator.now();
    let mut tx = coordinator.store.begin().await?;
    let loaded = tx.images().loaded(&ImageRef::listed(reference)).await?;
    let meant = meant(reference, &claims, loaded.as_deref()).map_err(Fault::Image)?;
    let Some(Claim { id, architecture, .. }) = meant else {
        return Err(Fault::Image(match mistaken.is_empty() {
            true => ImageFault::NotFound { image: reference.into() },
            false => ImageFault::Mistaken { image: reference.into(), claims: told(&mistaken) },
        }));
    };
    for claim in &claims {
        let (reference, image_id) = (reference.into(), claim.id.clone());
        tx.images().add(&ImageOnHost { host: claim.host, reference, image_id, seen: now }).await?;
    }
    tx.commit().await?;
    let (id, architecture) = (id.clone(), in_engines_words(architecture));
    let holders = claims.into_iter().map(|claim| (claim.host, claim.id)).collect();
    Ok(ImageOfCluster { id, architecture, holders, containerd })
}

/// Whether an engine's answer is the content that was asked for; a tag may mean any.
fn is_answer(reference: &str, info: &ImageInfo) -> bool {
    match reference.split_once('@') {
        Some((_, digest)) => {
            info.repo_digests.iter().any(|known| known.split_once('@').is_some_and(|(_, d)| d == digest))
        }
        None => !reference.starts_with("sha256:") || info.id.starts_with(reference),
    }
}

/// The content that is meant: what the operator loaded, or what all hosts have. Engines' two kinds of stores call one content by
/// different digests, so each kind is asked for itself; of the two, the one that more hosts have counts.
fn meant<'c>(
    reference: &str,
    claims: &'c [Claim],
    loaded: Option<&str>,
) -> Result<Option<&'c Claim>, ImageFault> {
    let of = |containerd: bool| claims.iter().filter(move |claim| claim.containerd == containerd);
    if let Some(loaded) = loaded {
        if let Some(claim) = of(false).find(|claim| claim.id == loaded) {
            return Ok(Some(claim));
        }
        if of(false).next().is_some() {
            let (image, digest) = (reference.to_owned(), loaded.to_owned());
            return Err(ImageFault::NotAsLoaded { image, digest, claims: told(of(false)) });
        }
    }
    for containerd in [false, true] {
        let mut claims = of(containerd);
        if claims.next().is_some_and(|first| claims.any(|claim| claim.id != first.id)) {
            return Err(ImageFault::Disagreed { image: reference.into(), claims: told(of(containerd)) });
        }
    }
    let kind = of(true).count() > of(false).count();
    Ok(of(kind).next())
}

/// Who has what: `h[1-2] have sha256:0a, h3 has sha256:0b`.
fn told<'c>(claims: impl IntoIterator<Item = &'c Claim>) -> String {
    let mut hosts: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for claim in claims {
        hosts.entry(&claim.id).or_default().push(claim.name.as_str());
    }
    let one = |(id, hosts): (&str, Vec<&str>)| {
        let verb = if hosts.len() == 1 { "has" } else { "have" };
        format!("{} {verb} {id}", nodeset::compress(hosts))
    };
    hosts.into_iter().map(one).collect::<Vec<_>>().join(", ")
}

/// Which of these hosts have the content of a cluster's image.
pub(crate) async fn resolve_id(reference: &str, id: &str, seen: &[HostObservation]) -> ImageOfCluster {
    let reached: Vec<_> = seen.iter().filter_map(|s| s.link.as_ref().ok()).collect();
    let asks = join_all(reached.iter().map(|link| link.engine.inspect_image(id))).await;
    let mut image = ImageOfCluster {
        id: id.into(),
        architecture: String::new(),
        holders: BTreeMap::new(),
        containerd: containerd(seen),
    };
    for (link, info) in reached.into_iter().zip(asks) {
        match info {
            Ok(Some(info)) if info.id == id => {
                image.architecture = in_engines_words(&info.architecture);
                image.holders.insert(link.id, info.id);
            }
            Ok(Some(info)) => {
                tracing::warn!(host.name = %link.name, image = id, id = %info.id, "engine answers with another image");
            }
            Ok(None) => {}
            Err(error) => {
                tracing::warn!(host.name = %link.name, image = reference, %error, "image could not be looked up");
            }
        }
    }
    image
}

/// What hosts said of the accounts in an image.
#[derive(Debug)]
pub(crate) struct Said {
    host: HostId,
    name: HostName,
    accounts: Accounts,
}

/// The accounts of a cluster's image as they were read before: on two hosts, or on all of these `members`.
pub(crate) async fn known_accounts(
    coordinator: &Coordinator,
    cluster: &Cluster,
    members: &BTreeSet<HostId>,
) -> Result<Option<Accounts>, Fault> {
    let facts = coordinator.store.read().await?.images().facts(&cluster.image_id).await?;
    let facts = facts.filter(|facts| facts.said_by.len() >= 2 || members.is_subset(&facts.said_by));
    Ok(facts.as_ref().and_then(kept))
}

/// The accounts of an image as one host says: read from the image's own /etc/passwd.
pub(crate) async fn ask_accounts(
    coordinator: &Coordinator,
    cluster: &Cluster,
    link: &HostLink,
) -> Result<Said, Fault> {
    let accounts = read_accounts(coordinator, cluster, link).await?;
    Ok(Said { host: link.id, name: link.name.clone(), accounts })
}

/// The accounts that two hosts agree about, or that the only one says; kept with who said so.
pub(crate) async fn agree_on_accounts(
    coordinator: &Coordinator,
    cluster: &Cluster,
    link: &HostLink,
    said: &[Said],
) -> Result<Option<Accounts>, Fault> {
    let (reference, image_id) = (&cluster.spec.image, &cluster.image_id);
    let Some((first, others)) = said.split_first() else { return Ok(None) };
    if let Some(other) = others.iter().find(|other| other.accounts != first.accounts) {
        return Err(Fault::Image(ImageFault::AccountsDiffer {
            image: reference.clone(),
            claims: format!("{first}; {other}"),
        }));
    }
    let info = link.engine.inspect_image(image_id).await;
    let info = info.map_err(Fault::engine(&link.name))?;
    let info = info.ok_or_else(|| Fault::Image(ImageFault::NotFound { image: reference.clone() }))?;
    let ids = |owner: Owner| AccountIds { uid: owner.uid, gid: owner.gid };
    let Accounts { munge, slurm } = first.accounts;
    let accounts = [("munge".to_owned(), ids(munge)), ("slurm".to_owned(), ids(slurm))].into();
    let mut said_by: BTreeSet<HostId> = said.iter().map(|said| said.host).collect();
    let mut tx = coordinator.store.begin().await?;
    // Who said the same for another cluster counts too.
    let before = tx.images().facts(image_id).await?;
    said_by.extend(before.filter(|before| before.accounts == accounts).into_iter().flat_map(|f| f.said_by));
    let facts = ImageFacts {
        architecture: info.architecture,
        slurm_version: info.labels.get("shoal.slurm.version").cloned(),
        accounts,
        said_by,
    };
    tx.images().set_facts(image_id, &facts).await?;
    tx.commit().await?;
    Ok(Some(first.accounts))
}

impl fmt::Display for Said {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (name, Accounts { munge, slurm }) = (&self.name, self.accounts);
        write!(f, "{name}: munge {}:{}, slurm {}:{}", munge.uid, munge.gid, slurm.uid, slurm.gid)
    }
}

async fn read_accounts(
    coordinator: &Coordinator,
    cluster: &Cluster,
    link: &HostLink,
) -> Result<Accounts, Fault> {
    let image_id = &cluster.image_id;
    let fault = Fault::engine(&link.name);
    let bad = |reason: String| Fault::Image(ImageFault::Unfit { image: cluster.spec.image.clone(), reason });
    // A thing of the cluster: what stays of it goes with the cluster's other things.
    let mut labels = coordinator.naming.cluster_labels(cluster.id, &cluster.spec.realm);
    labels.insert(ROLE.into(), "probe".into());
    let digest: String = image_id.trim_start_matches("sha256:").chars().take(12).collect();
    let spec = ContainerSpec {
        // Deterministic name, so the next caller finds a dead caller's container.
        name: format!("shoal-probe-{}-{digest}", coordinator.naming.installation()),
        image: image_id.clone(),
        labels,
        cmd: Some(vec!["/bin/true".into()]),
        ..ContainerSpec::default()
    };
    for _ in 0..PROBES {
        let id = match link.engine.create_container(&spec).await {
            Ok(Created::New { id }) => id,
            Ok(Created::Exists(there)) => there.id,
            Err(EngineError::NameInUse { .. } | EngineError::RemovalInProgress { .. }) => {
                tokio::time::sleep(PROBE_PAUSE).await;
                continue;
            }
            Err(error) => return Err(fault(error)),
        };
        // The container was never started; it goes whatever the archive holds.
        let archive = link.engine.get_archive(&id, "/etc/passwd", PASSWD_LIMIT).await;
        match remove_container(link, &id).await.map_err(fault)? {
            Removal::Removed => {}
            // Another who asks was faster, perhaps than the archive too.
            Removal::AlreadyGone if matches!(archive, Ok(None)) => continue,
            Removal::AlreadyGone => {}
        }
        let archive = archive.map_err(fault)?.ok_or_else(|| bad("it has no /etc/passwd".into()))?;
        let passwd = only_file(&archive).ok_or_else(|| bad("its /etc/passwd cannot be read".into()))?;
        return Accounts::parse(&passwd).map_err(|error| bad(error.to_string()));
    }
    Err(Fault::Host(HostFault::NameHeld { host: link.name.clone(), name: spec.name }))
}

/// Hosts whose engine has the containerd image store, which calls its driver `overlayfs` where graph drivers say `overlay2`.
fn containerd(seen: &[HostObservation]) -> BTreeSet<HostId> {
    seen.iter().filter(|s| s.host.engine.storage_driver == "overlayfs").map(|s| s.host.id).collect()
}

/// An architecture of an image (`amd64`) as engines say it of themselves (`x86_64`).
fn in_engines_words(architecture: &str) -> String {
    match architecture {
        "amd64" => "x86_64".into(),
        "arm64" => "aarch64".into(),
        other => other.into(),
    }
}

fn kept(facts: &ImageFacts) -> Option<Accounts> {
    let owner = |name: &str| facts.accounts.get(name).map(|ids| Owner { uid: ids.uid, gid: ids.gid });
    Some(Accounts { munge: owner("munge")?, slurm: owner("slurm")? })
}

/// Text of the one file in a tar archive.
fn only_file(archive: &[u8]) -> Option<String> {
    use std::io::Read;
    let mut archive = tar::Archive::new(archive);
    let mut entry = archive.entries().ok()?.next()?.ok()?;
    let mut text = String::new();
    entry.read_to_string(&mut text).ok()?;
    Some(text)
}

#[cfg(test)]
mod tests;
