//! Images an engine has, and what it knows them by.

use std::{collections::BTreeSet, sync::Arc};

use bytes::Bytes;
use shoal_docker::{ImageInfo, ImageSummary, LabelFilter, Subject};

use super::State;
use crate::{Image, Refusal, Saves};

/// An image on an engine.
pub(crate) struct Stored {
    image: Arc<Image>,
    tags: BTreeSet<String>,
    /// Its digests in the registries it was pulled from.
    digests: BTreeSet<String>,
}

impl Stored {
    pub(crate) fn summary(&self) -> ImageSummary {
        ImageSummary {
            id: self.image.id.clone(),
            labels: self.image.labels.clone(),
            repo_tags: self.tags.iter().cloned().collect(),
            size: shoal_types::Bytes(self.image.size()),
        }
    }
}

/// `latest` is what a reference without a tag means.
fn with_tag(reference: &str) -> String {
    let name = reference.rsplit('/').next().unwrap_or(reference);
    if name.contains(':') { reference.to_owned() } else { format!("{reference}:latest") }
}

/// What a registry calls an image it has under a reference. Its manifest's digest stands for the content, as ours does.
pub(crate) fn digest_of(image: &Image, reference: &str) -> String {
    let name = reference.split('@').next().unwrap_or(reference);
    let slash = name.rfind('/').map_or(0, |slash| slash + 1);
    let end = name[slash..].find(':').map_or(name.len(), |colon| slash + colon);
    format!("{}@{}", &name[..end], image.id)
}

impl State {
    /// Id of the image of a reference or an id, or of the beginning of one.
    fn find_image(&self, reference: &str) -> Option<String> {
        let tag = with_tag(reference);
        let by_tag = self.images.values().find(|stored| stored.tags.contains(&tag));
        if let Some(stored) = by_tag {
            return Some(stored.image.id.clone());
        }
        if let Some(stored) = self.images.values().find(|stored| stored.digests.contains(reference)) {
            return Some(stored.image.id.clone());
        }
        let hex = reference.strip_prefix("sha256:").unwrap_or(reference);
        let is_id = hex.len() >= 4 && hex.bytes().all(|b| b.is_ascii_hexdigit());
        let mut fit =
            self.images.keys().filter(|id| is_id && id.trim_start_matches("sha256:").starts_with(hex));
        fit.next().filter(|_| fit.next().is_none()).cloned()
    }

    pub(crate) fn image_of(&self, reference: &str) -> Option<Arc<Image>> {
        self.images.get(&self.find_image(reference)?).map(|stored| Arc::clone(&stored.image))
    }

    pub(crate) fn list_images(&self, filter: &LabelFilter) -> Vec<ImageSummary> {
        let fit = self.images.values().filter(|stored| filter.matches(&stored.image.labels));
        fit.map(Stored::summary).collect()
    }

    pub(crate) fn inspect_image(&self, reference: &str) -> Result<ImageInfo, Refusal> {
        let stored = self.find_image(reference).and_then(|id| self.images.get(&id));
        let stored = stored.ok_or(Refusal::NotFound(None))?;
        let ImageSummary { id, labels, repo_tags, size } = stored.summary();
        let architecture = stored.image.architecture.clone();
        let repo_digests = stored.digests.iter().cloned().collect();
        Ok(ImageInfo { id, labels, repo_tags, repo_digests, size, architecture })
    }

    /// Adds what a registry has under a reference: a tag, or a digest that leaves all tags as they are.
    pub(crate) fn pulled(&mut self, image: &Arc<Image>, reference: &str) {
        let by_digest = reference.contains('@');
        let tags: Vec<String> = (!by_digest).then(|| with_tag(reference)).into_iter().collect();
        self.load(image, &tags);
        if let Some(stored) = self.images.get_mut(&image.id) {
            stored.digests.insert(digest_of(image, reference));
        }
    }

    /// Adds an image and moves its tags from other images to it; returns the engine's words for it.
    pub(crate) fn load(&mut self, image: &Arc<Image>, tags: &[String]) -> Vec<String> {
        self.images.entry(image.id.clone()).or_insert_with(|| Stored {
            image: Arc::clone(image),
            tags: BTreeSet::new(),
            digests: BTreeSet::new(),
        });
        for tag in tags {
            self.give_tag(&image.id, tag.clone());
        }
        if tags.is_empty() { vec![image.id.clone()] } else { tags.to_vec() }
    }

    fn give_tag(&mut self, id: &str, tag: String) {
        for stored in self.images.values_mut() {
            stored.tags.remove(&tag);
        }
        if let Some(stored) = self.images.get_mut(id) {
            stored.tags.insert(tag);
        }
    }

    pub(crate) fn save(&self, reference: &str) -> Result<Bytes, Refusal> {
        let image = self.image_of(reference).ok_or(Refusal::NotFound(None))?;
        // Saved by an id, it has no name in the archive.
        let tag = with_tag(reference);
        let known = self.images.get(&image.id).is_some_and(|stored| stored.tags.contains(&tag));
        let mut tags: Vec<String> = known.then_some(tag).into_iter().collect();
        if let Saves::Named(names) = &self.saves {
            tags.extend_from_slice(names);
        }
        image.archive(&tags).map_err(|error| Refusal::ServerError(500, error.to_string()))
    }

    pub(crate) fn tag(&mut self, reference: &str, repository: &str, tag: &str) -> Result<(), Refusal> {
        let name = |text: &str| {
            !text.is_empty()
                && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b"._-/:".contains(&b))
        };
        if !name(repository) || !name(&tag.to_ascii_lowercase()) {
            return Err(Refusal::BadRequest("invalid reference format".into()));
        }
        let id = self.find_image(reference);
        let id = id.ok_or_else(|| Refusal::missing(Subject::Image(reference.to_owned())))?;
        self.give_tag(&id, format!("{repository}:{tag}"));
        Ok(())
    }

    /// Removes a reference, or by its id an image that has one at most; the image goes with its last reference.
    pub(crate) fn remove_image(&mut self, reference: &str) -> Result<(), Refusal> {
        let id = self.find_image(reference).ok_or(Refusal::NotFound(None))?;
        let tag = with_tag(reference);
        let Some(stored) = self.images.get_mut(&id) else { return Err(Refusal::NotFound(None)) };
        let by_tag = stored.tags.contains(&tag);
        if by_tag && stored.tags.len() > 1 {
            stored.tags.remove(&tag);
            return Ok(());
        }
        if !by_tag && stored.tags.len() > 1 {
            let words = format!(
                "unable to delete {id} (must be forced) - image is referenced in multiple repositories"
            );
            return Err(Refusal::Conflict(words));
        }
        if let Some(user) = self.containers.values().find(|container| container.image.id == id) {
            let words = format!("unable to remove {reference}: container {} is using its image", user.id);
            return Err(Refusal::Conflict(words));
        }
        self.images.remove(&id);
        Ok(())
    }

    pub(crate) fn lose_image(&mut self, reference: &str) {
        if let Some(id) = self.find_image(reference) {
            self.images.remove(&id);
        }
    }
}
