//! Brings a cluster's image to the member hosts that lack it, before anything is made there.
//!
//! ```text
//! members --lack it?--> claim (host, digest) --pull by digest--> there?
//!                          |  another has it: wait, look again    | no registry has it, or it refuses
//!                          v                                      v
//!                     one read of a host that has it --> up to FAN hosts at once --> checked by digest --> named
//! ```
//! A host that has received it is a source for the next, so every host is copied to once and no source is read by all. What
//! was begun and not ended is nothing: an engine has an image whole or not at all, and the next pass begins again.

mod claim;
mod copy;
pub(crate) mod pull;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use futures_util::{FutureExt, future::join_all};
use shoal_docker::ImageInfo;
use shoal_storage::{Host, ImageOnHost};
use shoal_types::{Bytes, EventKind, EventLevel, HostId, ImageRef, NewEvent, Progress, chain};

use crate::{
    fleet::{HostLink, coordinator::Coordinator, liveness::while_alive},
    observe::intent::Intent,
    pass::{
        failure::sort,
        work::{Halt, Work},
    },
    words::fault::{Fault, ImageFault},
};

use self::{claim::Claim, pull::Credentials};

/// Receivers of one read of a source. With more, hosts that have the image by then are the faster sources.
const FAN: usize = 4;
/// How often a host is tried in one pass: the first source may die, the next one has it.
const TRIES: u32 = 3;
/// How long to leave whoever brings it already between two looks.
const LOOK_PAUSE: Duration = Duration::from_secs(1);
/// How long a host may take to say whether it has the image.
const LOOK: Duration = Duration::from_secs(8);

/// What an archive has besides layers; and an engine may keep those compressed, and save them as they are.
const SLACK: u64 = 64 << 20;
/// Largest archive of all.
const LARGEST: u64 = 64 << 30;

/// What came of bringing the image to a host.
#[derive(Debug)]
enum Transfer {
    /// It is there, under its digest.
    There,
    /// The host could not take it.
    Failed(Fault),
    /// Where it was read from failed: another may do.
    NotRead(Fault),
}

/// A host that has the image.
#[derive(Debug, Clone)]
struct Source {
    link: Arc<HostLink>,
    info: ImageInfo,
    /// Most bytes of its archive: more cannot be the image.
    limit: u64,
}

impl Work {
    /// Brings the image to every linked member that lacks it. What could not be brought is in `met`, and those hosts are not
    /// in `links` any more.
    pub(crate) async fn supply(
        &self,
        intent: &Intent,
        links: &mut BTreeMap<HostId, Arc<HostLink>>,
        met: &mut BTreeMap<HostId, Fault>,
    ) -> Result<(), Halt> {
        let mut lacking = self.lacking(intent, links, met).await?;
        let (mut tries, mut spoiled) = (BTreeMap::<HostId, u32>::new(), BTreeSet::new());
        let mut waits_told = false;
        while !lacking.is_empty() {
            if self.stop.is_cancelled() {
                return Err(Halt::Stopped);
            }
            let sources = self.sources(intent, &spoiled).await?;
            let room = (sources.len() * FAN).max(1);
            let claims = self.claims(intent, lacking.values().take(room)).await?;
            if claims.is_empty() {
                if !std::mem::replace(&mut waits_told, true) {
                    let words = "another create brings the image already: waiting for it";
                    self.note(intent, EventKind::Image, None, words).await;
                }
                tokio::time::sleep(LOOK_PAUSE).await;
            } else {
                for (host, brought) in self.bring(intent, &sources, claims, &mut spoiled).await? {
                    let tried = tries.entry(host).or_default();
                    *tried += 1;
                    match brought {
                        Transfer::There => {}
                        Transfer::NotRead(fault) if *tried < TRIES => {
                            self.warn(intent, host, links, &format!("{}: trying again", chain(&fault))).await;
                        }
                        Transfer::NotRead(fault) | Transfer::Failed(fault) => {
                            // Nothing of the cluster can be there: no doubt is left behind.
                            sort(host, fault, met)?;
                            lacking.remove(&host);
                        }
                    }
                }
            }
            lacking = self.lacking(intent, &lacking, met).await?;
        }
        links.retain(|host, _| !met.contains_key(host));
        Ok(())
    }

    /// Those of these hosts that have not got it; hosts that could not be asked are in `met`.
    async fn lacking(
        &self,
        intent: &Intent,
        links: &BTreeMap<HostId, Arc<HostLink>>,
        met: &mut BTreeMap<HostId, Fault>,
    ) -> Result<BTreeMap<HostId, Arc<HostLink>>, Halt> {
        let id = &intent.cluster.image_id;
        let each = links.values().filter(|link| !met.contains_key(&link.id)).map(|link| {
            let asked = async {
                let there = link.engine.inspect_image(id).await;
                there.map_err(|error| Halt::Fault(Fault::engine(&link.name)(error)))
            };
            while_alive(link, self.short_patience(), asked).map(move |answer| (link, answer)).boxed()
        });
        let mut lacking = BTreeMap::new();
        for (link, answer) in join_all(each).await {
            match answer {
                // Whoever brought it died before it had a name.
                // An engine that answers with another content has not got this one.
                Ok(Some(info)) if info.id != *id => drop(lacking.insert(link.id, link.clone())),
                Ok(Some(info)) if info.repo_tags.is_empty() => {
                    if let Transfer::Failed(fault) = self.named(intent, link).await {
                        sort(link.id, fault, met)?;
                    }
                }
                Ok(Some(_)) => {}
                Ok(None) => drop(lacking.insert(link.id, link.clone())),
                Err(Halt::Fault(fault)) => sort(link.id, fault, met)?,
                Err(Halt::Stopped) => return Err(Halt::Stopped),
            }
        }
        Ok(lacking)
    }

    /// All holders of the image, members or not, without the hosts that failed to give it.
    async fn sources(&self, intent: &Intent, spoiled: &BTreeSet<HostId>) -> Result<Vec<Source>, Halt> {
        let coordinator = &self.coordinator;
        let hosts = coordinator.store.read().await?.hosts().list().await?;
        let asks = hosts.iter().filter(|host| !spoiled.contains(&host.id)).map(|host| {
            let ask = async {
                let link = coordinator.fleet.link(&coordinator.store, host).await.ok()?;
                let info = link.engine.inspect_image(&intent.cluster.image_id).await.ok()??;
                (info.id == intent.cluster.image_id).then_some((link, info))
            };
            tokio::time::timeout(LOOK, ask).boxed()
        });
        let holders: Vec<_> =
            join_all(asks).await.into_iter().filter_map(|answer| answer.ok().flatten()).collect();
        let limit = archive_limit(holders.iter().map(|(_, info)| info.size));
        Ok(holders.into_iter().map(|(link, info)| Source { link, info, limit }).collect())
    }

    /// The right to bring it to these hosts, for those nobody else brings it to.
    async fn claims<'l>(
        &self,
        intent: &Intent,
        hosts: impl Iterator<Item = &'l Arc<HostLink>>,
    ) -> Result<Vec<(Arc<HostLink>, Claim)>, Halt> {
        let mut claims = Vec::new();
        for link in hosts {
            if let Some(claim) = Claim::on(&self.coordinator, link.id, &intent.cluster.image_id).await? {
                claims.push((link.clone(), claim));
            }
        }
        Ok(claims)
    }

    /// Pulls where a registry is known to have this very content, and streams to the others.
    async fn bring(
        &self,
        intent: &Intent,
        sources: &[Source],
        claims: Vec<(Arc<HostLink>, Claim)>,
        spoiled: &mut BTreeSet<HostId>,
    ) -> Result<Vec<(HostId, Transfer)>, Halt> {
        let reference = ImageRef::of(&intent.cluster.spec.image);
        let digest = sources.iter().flat_map(|s| &s.info.repo_digests).find(|digest| {
            reference.is_remote
                && digest.split_once('@').is_some_and(|(name, _)| name == reference.repository)
        });
        let (mut outcomes, mut left) = (Vec::new(), claims);
        if let Some(digest) = digest {
            let known = Credentials::of(&self.coordinator, digest).await?;
            let may = self.may_pull(known.as_ref()).await?;
            let auth = known.as_ref().map(|known| &known.auth);
            let (pulling, streamed): (Vec<_>, Vec<_>) =
                left.into_iter().partition(|(link, _)| may.contains(&link.id));
            let pulls = pulling.into_iter().map(|(link, claim)| {
                async move { (self.pull(intent, &link, digest, auth).await, link, claim) }.boxed()
            });
            left = streamed;
            for (pulled, link, claim) in join_all(pulls).await {
                match pulled {
                    Ok(()) => {
                        let outcome = self.named(intent, &link).await;
                        // The registry's content is another, so who named its digest does not have it from there. Asked for
                        // by that digest, the registry's is the right one: nobody else's is taken for it.
                        let differs =
                            matches!(outcome, Transfer::Failed(Fault::Image(ImageFault::Differs { .. })));
                        if differs && !reference.names_content {
                            let words = format!(
                                "it pulled {digest}, which is another content than the cluster's image: that is streamed to it"
                            );
                            let warning = self.event(
                                intent,
                                EventLevel::Warn,
                                EventKind::Image,
                                Some(&link.name),
                                words,
                            );
                            self.recorder.event(warning).await;
                            left.push((link, claim));
                        } else {
                            outcomes.push((link.id, outcome));
                            claim.release().await;
                        }
                    }
                    Err(Halt::Stopped) => return Err(Halt::Stopped),
                    Err(Halt::Fault(fault)) => {
                        let words = format!(
                            "it could not pull the image, which is streamed to it: {}",
                            chain(&fault)
                        );
                        let warning =
                            self.event(intent, EventLevel::Warn, EventKind::Image, Some(&link.name), words);
                        self.recorder.event(warning).await;
                        left.push((link, claim));
                    }
                }
            }
        }
        if sources.is_empty() {
            for (link, claim) in left {
                claim.release().await;
                let image = intent.cluster.spec.image.clone();
                outcomes.push((
                    link.id,
                    Transfer::Failed(Fault::Image(ImageFault::NoSource { host: link.name.clone(), image })),
                ));
            }
            return Ok(outcomes);
        }
        let mut groups: Vec<Vec<_>> = sources.iter().map(|_| Vec::new()).collect();
        for (number, claimed) in left.into_iter().enumerate() {
            groups[number % sources.len()].push(claimed);
        }
        let copies = sources.iter().zip(groups).filter(|(_, group)| !group.is_empty());
        let copies = copies.map(|(source, group)| self.copy(intent, source, group).boxed());
        for copied in join_all(copies).await {
            spoiled.extend(copied.spoiled);
            outcomes.extend(copied.outcomes);
            if copied.stopped {
                return Err(Halt::Stopped);
            }
        }
        Ok(outcomes)
    }

    /// The hosts that may ask a registry: those that are given the credentials for it, or all if it has none.
    async fn may_pull(&self, known: Option<&Credentials>) -> Result<BTreeSet<HostId>, Halt> {
        let hosts = self.coordinator.store.read().await?.hosts().list().await?;
        let may = |host: &Host| known.is_none_or(|known| known.are_for(&host.settings.labels));
        Ok(hosts.into_iter().filter(may).map(|host| host.id).collect())
    }

    /// Verifies the image by its digest, tags it against prune, records it.
    async fn named(&self, intent: &Intent, link: &HostLink) -> Transfer {
        let (id, spec) = (&intent.cluster.image_id, &intent.cluster.spec);
        let fault = Fault::engine(&link.name);
        let nameless = match link.engine.inspect_image(id).await {
            Ok(Some(info)) if info.id == *id => info.repo_tags.is_empty(),
            Ok(Some(_) | None) => {
                let (host, image) = (link.name.clone(), spec.image.clone());
                return Transfer::Failed(Fault::Image(ImageFault::Differs {
                    host,
                    image,
                    digest: id.clone(),
                }));
            }
            Err(error) => return Transfer::Failed(fault(error)),
        };
        let reference = ImageRef::of(&spec.image);
        let taken = match link.engine.inspect_image(&spec.image).await {
            Ok(there) => there.map(|info| info.id),
            Err(error) => return Transfer::Failed(fault(error)),
        };
        // A name that means something else there is the user's and stays so; without any name a prune would take it.
        let short: String = id.trim_start_matches("sha256:").chars().take(12).collect();
        let tagged = match taken {
            Some(there) if there == *id && !(reference.names_content && nameless) => Ok(()),
            None if !reference.names_content => {
                link.engine.tag_image(id, reference.repository, reference.tag.unwrap_or("latest")).await
            }
            Some(_) | None => link.engine.tag_image(id, "shoal-image", &short).await,
        };
        if let Err(error) = tagged {
            return Transfer::Failed(fault(error));
        }
        match note_image(&self.coordinator, link.id, &spec.image, id).await {
            Ok(()) => Transfer::There,
            Err(fault) => Transfer::Failed(fault),
        }
    }

    async fn warn(
        &self,
        intent: &Intent,
        host: HostId,
        links: &BTreeMap<HostId, Arc<HostLink>>,
        message: &str,
    ) {
        let name = links.get(&host).map(|link| &link.name);
        let warning = self.event(intent, EventLevel::Warn, EventKind::Image, name, message.to_owned());
        self.recorder.event(warning).await;
    }

    /// Tells how far the image has come.
    async fn told(&self, intent: &Intent, link: &HostLink, message: String, progress: Progress) {
        let event = self.event(intent, EventLevel::Info, EventKind::Image, Some(&link.name), message);
        self.recorder.event(NewEvent { progress: Some(progress), ..event }).await;
    }
}

/// Most bytes of an archive of an image of which hosts claim these sizes. The least counts, so that one host alone cannot have the
/// others take more than there is.
fn archive_limit(claims: impl Iterator<Item = Bytes>) -> u64 {
    let claimed = claims.map(|size| size.0).min().unwrap_or(0);
    claimed.saturating_mul(2).saturating_add(SLACK).min(LARGEST)
}

/// Records that a host has an image.
async fn note_image(
    coordinator: &Coordinator,
    host: HostId,
    reference: &str,
    image_id: &str,
) -> Result<(), Fault> {
    let mut tx = coordinator.store.begin().await?;
    let row = ImageOnHost {
        host,
        reference: reference.to_owned(),
        image_id: image_id.to_owned(),
        seen: coordinator.now(),
    };
    tx.images().add(&row).await?;
    Ok(tx.commit().await?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_least_claim_bounds_an_archive() {
        let limit = |claims: &[u64]| archive_limit(claims.iter().map(|mib| Bytes::mib(*mib)));
        assert_eq!(limit(&[100, 1 << 30]), (2 * 100 + 64) << 20);
        assert_eq!(limit(&[1 << 30]), LARGEST);
    }
}
