//! Named volumes.

use std::collections::BTreeMap;

use shoal_docker::{LabelFilter, VolumeInfo};
use shoal_types::Timestamp;

use super::{Container, State, whole_seconds};
use crate::{Refusal, files::Files};

/// A volume.
#[derive(Default)]
pub(crate) struct Volume {
    labels: BTreeMap<String, String>,
    /// In whole seconds.
    created: Timestamp,
    /// By path from its top.
    pub(crate) files: Files,
}

impl Volume {
    pub(crate) fn info(&self, name: &str) -> VolumeInfo {
        VolumeInfo { name: name.to_owned(), labels: self.labels.clone(), created: Some(self.created) }
    }
}

impl State {
    pub(crate) fn list_volumes(&self, filter: &LabelFilter) -> Vec<VolumeInfo> {
        let fit = self.volumes.iter().filter(|(_, volume)| filter.matches(&volume.labels));
        fit.map(|(name, volume)| volume.info(name)).collect()
    }

    /// The one that has the name stays as it is.
    pub(crate) fn create_volume(
        &mut self,
        name: &str,
        labels: BTreeMap<String, String>,
        now: Timestamp,
    ) -> VolumeInfo {
        let created = whole_seconds(now);
        let volume = self.volumes.entry(name.to_owned());
        volume.or_insert_with(|| Volume { labels, created, files: Files::default() }).info(name)
    }

    pub(crate) fn remove_volume(&mut self, name: &str) -> Result<(), Refusal> {
        if !self.volumes.contains_key(name) {
            return Err(Refusal::NotFound(None));
        }
        let uses = |container: &&Container| container.uses_volume(name);
        if let Some(user) = self.containers.values().find(uses) {
            let words = format!("remove {name}: volume is in use - [{}]", user.id);
            return Err(Refusal::Conflict(words));
        }
        self.volumes.remove(name);
        Ok(())
    }
}
