//! The image of a cluster: which content its reference means, who has it, and which accounts are in it.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use futures_util::future::join_all;
use shoal_docker::{ContainerSpec, Created, EngineError, Removal};
use shoal_scheduler::ImageState;
use shoal_slurm::{Accounts, Owner};
use shoal_storage::{AccountIds, Cluster, ImageFacts, ImageOnHost};
use shoal_types::{HostId, chain};

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

/// Asks every reachable host for the image. The content most hosts have is the one meant; a tie goes to the lesser
/// digest, so that the answer does not depend on the order of the hosts.
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
    let mut holders = BTreeMap::new();
    let mut architectures = BTreeMap::new();
    for (link, info) in reached.into_iter().zip(asks) {
        match info {
            Ok(Some(info)) => {
                architectures.insert(info.id.clone(), info.architecture);
                holders.insert(link.id, info.id);
            }
            Ok(None) => {}
            Err(error) => tracing::warn!(host.name = %link.name, %error, "image could not be looked up"),
        }
    }
    let votes = |id: &String| holders.values().filter(|held| *held == id).count();
    let most = architectures.iter().min_by_key(|(id, _)| (std::cmp::Reverse(votes(id)), *id));
    let (id, architecture) =
        most.ok_or_else(|| Fault::Image(ImageFault::NotFound { image: reference.into() }))?;
    let now = coordinator.now();
    let mut tx = coordinator.store.begin().await?;
    for (host, image_id) in &holders {
        let row =
            ImageOnHost { host: *host, reference: reference.into(), image_id: image_id.clone(), seen: now };
        tx.images().add(&row).await?;
    }
    tx.commit().await?;
    let architecture = in_engines_words(architecture);
    Ok(ImageOfCluster { id: id.clone(), architecture, holders, containerd: containerd(seen) })
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
            Ok(Some(info)) => {
                image.architecture = in_engines_words(&info.architecture);
                image.holders.insert(link.id, info.id);
            }
            Ok(None) => {}
            Err(error) => {
                tracing::warn!(host.name = %link.name, image = reference, %error, "image could not be looked up");
            }
        }
    }
    image
}

/// The accounts of an image: read from its own /etc/passwd on a host that has it, once.
pub(crate) async fn accounts(
    coordinator: &Coordinator,
    cluster: &Cluster,
    link: &HostLink,
) -> Result<Accounts, Fault> {
    let (reference, image_id) = (&cluster.spec.image, &cluster.image_id);
    let facts = coordinator.store.read().await?.images().facts(image_id).await?;
    if let Some(accounts) = facts.as_ref().and_then(kept) {
        return Ok(accounts);
    }
    let accounts = read_accounts(coordinator, cluster, link).await?;
    let info = link.engine.inspect_image(image_id).await;
    let info = info.map_err(Fault::engine(&link.name))?;
    let info = info.ok_or_else(|| Fault::Image(ImageFault::NotFound { image: reference.clone() }))?;
    let ids = |owner: Owner| AccountIds { uid: owner.uid, gid: owner.gid };
    let facts = ImageFacts {
        architecture: info.architecture,
        slurm_version: info.labels.get("shoal.slurm.version").cloned(),
        accounts: [("munge".to_owned(), ids(accounts.munge)), ("slurm".to_owned(), ids(accounts.slurm))]
            .into(),
    };
    let mut tx = coordinator.store.begin().await?;
    tx.images().set_facts(image_id, &facts).await?;
    tx.commit().await?;
    Ok(accounts)
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
mod tests {
    use super::*;

    #[test]
    fn an_image_can_be_brought_by_who_has_it() {
        let host = |n| HostId::new(1, [n; 10]);
        let image = ImageOfCluster {
            id: "sha256:a".into(),
            architecture: "x86_64".into(),
            holders: [
                (host(1), "sha256:a".into()),
                (host(2), "sha256:b".into()),
                (host(4), "sha256:c".into()),
            ]
            .into(),
            containerd: [host(4), host(5)].into(),
        };
        assert_eq!(image.on(host(1)), ImageState::Present);
        assert_eq!(image.on(host(2)), ImageState::Obtainable);
        assert_eq!(image.on(host(3)), ImageState::Obtainable);
        assert_eq!(image.on(host(4)), ImageState::Different { digest: "sha256:c".into() });
        assert_eq!(image.on(host(5)), ImageState::Absent);
        let gone = ImageOfCluster { holders: BTreeMap::new(), ..image };
        assert_eq!(gone.on(host(1)), ImageState::Absent);
    }
}
