//! Lets hosts pull: by digest where a registry is known to have a cluster's very image, by reference where no host has it yet.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use futures_util::{FutureExt, future::join_all};
use shoal_docker::{EngineError, RegistryAuth};
use shoal_storage::{RegistryCredentials, StoreError};
use shoal_types::{
    ClusterSpec, EventKind, EventLevel, ImageRef, LabelExpr, Labels, NewEvent, Progress, chain,
};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use zeroize::Zeroizing;

use crate::{
    fleet::{HostLink, coordinator::Coordinator, liveness::silent_without},
    observe::{intent::Intent, survey::HostObservation},
    pass::work::{Halt, Work},
    words::fault::{Fault, ImageFault},
};

/// How often it is told how far a pull has come.
const TELL: Duration = Duration::from_secs(1);

/// How far a pull is.
#[derive(Debug, Default)]
struct Pulled {
    done: AtomicU64,
    total: AtomicU64,
}

impl Pulled {
    fn heard(&self, done: u64, total: u64) {
        self.done.store(done, Ordering::Relaxed);
        self.total.store(total, Ordering::Relaxed);
    }

    /// Layers become known one after the other: what is there is never more than all.
    fn progress(&self) -> Progress {
        let done_bytes = self.done.load(Ordering::Relaxed);
        Progress { done_bytes, total_bytes: Some(self.total.load(Ordering::Relaxed).max(done_bytes)) }
    }
}

impl Work {
    /// Lets a host pull the content of this digest.
    pub(super) async fn pull(
        &self,
        intent: &Intent,
        link: &Arc<HostLink>,
        digest: &str,
        auth: Option<&RegistryAuth>,
    ) -> Result<(), Halt> {
        let pulled = Pulled::default();
        let heard = |done, total| pulled.heard(done, total);
        let reference = &intent.cluster.spec.image;
        let telling = async {
            let mut last = 0;
            loop {
                sleep(TELL).await;
                let progress = pulled.progress();
                if progress.done_bytes != last {
                    last = progress.done_bytes;
                    self.told(intent, link, format!("image {reference} from its registry"), progress).await;
                }
            }
        };
        let pull = async {
            tokio::select! {
                biased;
                pull = link.engine.pull_image(digest, auth, &heard) => {
                    pull.map_err(Fault::engine(&link.name))
                }
                fault = silent_without(link, self.short_patience(), || pulled.done.load(Ordering::Relaxed)) => Err(fault),
            }
        };
        tokio::select! {
            outcome = pull => outcome?,
            () = telling => {}
            () = self.stop.cancelled() => return Err(Halt::Stopped),
        }
        let bytes = pulled.progress().total_bytes.unwrap_or_default();
        let progress = Progress { done_bytes: bytes, total_bytes: Some(bytes) };
        self.told(intent, link, format!("image {reference} was pulled"), progress).await;
        Ok(())
    }
}

/// Who we are at a registry, and the hosts that are told.
#[derive(Debug)]
pub(crate) struct Credentials {
    pub(crate) auth: RegistryAuth,
    hosts: Option<LabelExpr>,
}

impl Credentials {
    /// Those for the registry of a reference, if they are known.
    pub(crate) async fn of(coordinator: &Coordinator, reference: &str) -> Result<Option<Self>, Fault> {
        let registry = ImageRef::of(reference).registry;
        let known = coordinator.store.read().await?.registries().credentials(registry).await?;
        let Some(RegistryCredentials { username, password, hosts }) = known else { return Ok(None) };
        let corrupt = || StoreError::Corrupt { table: "secrets", column: "sealed", id: registry.to_owned() };
        let password = std::str::from_utf8(&password).map_err(|_| corrupt())?;
        let password = Zeroizing::new(password.to_owned());
        let auth = RegistryAuth { registry: registry.to_owned(), username, password };
        Ok(Some(Self { auth, hosts }))
    }

    /// Whether a host with these labels is told.
    pub(crate) fn are_for(&self, labels: &Labels) -> bool {
        self.hosts.as_ref().is_none_or(|hosts| hosts.matches(labels))
    }
}

/// Lets one host pull an image that none has; if it cannot, all others at once. From then on the others can be given it.
pub(crate) async fn fetch(
    coordinator: &Coordinator,
    spec: &ClusterSpec,
    seen: &[HostObservation],
    within: Duration,
    interrupt: &CancellationToken,
) -> Result<(), Fault> {
    let mut reached: Vec<_> = seen.iter().filter(|seen| seen.link.is_ok()).collect();
    if reached.is_empty() {
        return Err(Fault::Image(ImageFault::NotFound { image: spec.image.clone() }));
    }
    let known = Credentials::of(coordinator, &spec.image).await?;
    if let Some(known) = &known {
        reached.retain(|seen| known.are_for(&seen.host.settings.labels));
    }
    let links: Vec<_> = reached.iter().filter_map(|seen| seen.link.as_ref().ok()).collect();
    let Some((first, others)) = links.split_first() else {
        let registry = &ImageRef::of(&spec.image).registry;
        return Err(Fault::Image(ImageFault::NotPulled {
            image: spec.image.clone(),
            reasons: format!(
                "no host that answers is given the credentials for {registry}: see `shoal get registries`"
            ),
        }));
    };
    let auth = known.as_ref().map(|known| &known.auth);
    let pull = async {
        let Err(refused) = pull_first(coordinator, spec, first, auth).await else { return Ok(()) };
        let pulls = others.iter().map(|link| pull_first(coordinator, spec, link, auth).boxed());
        let others = join_all(pulls).await;
        if others.iter().any(Result::is_ok) {
            return Ok(());
        }
        let reasons = std::iter::once(refused).chain(others.into_iter().filter_map(Result::err));
        let mut reasons: Vec<String> = reasons.map(|fault| chain(&fault)).collect();
        reasons.sort();
        reasons.dedup();
        Err(Fault::Image(ImageFault::NotPulled { image: spec.image.clone(), reasons: reasons.join("; ") }))
    };
    tokio::select! {
        pulled = pull => pulled,
        () = interrupt.cancelled() => Err(Fault::Stopped),
        () = sleep(within) => Err(Fault::Image(ImageFault::NotPulled {
            image: spec.image.clone(),
            reasons: format!("it took longer than {} s", within.as_secs()),
        })),
    }
}

async fn pull_first(
    coordinator: &Coordinator,
    spec: &ClusterSpec,
    link: &Arc<HostLink>,
    auth: Option<&RegistryAuth>,
) -> Result<(), Fault> {
    let pulled = Pulled::default();
    let heard = |done, total| pulled.heard(done, total);
    let telling = async {
        let mut last = 0;
        loop {
            sleep(TELL).await;
            let progress = pulled.progress();
            if progress.done_bytes != last {
                last = progress.done_bytes;
                tell_pull(coordinator, spec, link, "from its registry", progress).await;
            }
        }
    };
    let pull: Result<(), EngineError> = tokio::select! {
        pull = link.engine.pull_image(&spec.image, auth, &heard) => pull,
        () = telling => Ok(()),
    };
    pull.map_err(Fault::engine(&link.name))?;
    let bytes = pulled.progress().total_bytes.unwrap_or_default();
    let progress = Progress { done_bytes: bytes, total_bytes: Some(bytes) };
    tell_pull(coordinator, spec, link, "was pulled", progress).await;
    Ok(())
}

/// An event of the cluster that is to be; progress nobody can write down is not worth a failure.
async fn tell_pull(
    coordinator: &Coordinator,
    spec: &ClusterSpec,
    link: &HostLink,
    what: &str,
    progress: Progress,
) {
    let message = format!("image {} {what}", spec.image);
    let event = NewEvent::new(coordinator.now(), EventLevel::Info, EventKind::Image, message)
        .of(&spec.realm, &spec.name)
        .on(&link.name);
    let event = NewEvent { progress: Some(progress), ..event };
    let told = async {
        let mut tx = coordinator.store.begin().await?;
        tx.events().append(&event).await?;
        tx.commit().await
    };
    if let Err(error) = told.await {
        tracing::warn!(%error, "progress could not be recorded");
    }
}
