//! Named volumes.

use std::collections::BTreeMap;

use bollard::{
    models::{Volume, VolumeCreateRequest},
    query_parameters::{ListVolumesOptionsBuilder, RemoveVolumeOptions},
};

use super::{
    Docker,
    call::Call,
    containers::{removal, timestamp},
};
use crate::{CallClass, EngineError, LabelFilter, Removal, Subject, VolumeInfo};

impl Docker {
    pub(super) async fn volumes(&self, filter: &LabelFilter) -> Result<Vec<VolumeInfo>, EngineError> {
        let call = Call::new("list volumes", Subject::Engine, CallClass::Read);
        let options =
            filter.to_query().map(|filters| ListVolumesOptionsBuilder::default().filters(&filters).build());
        let listed = self.call(&call, self.bollard.list_volumes(options)).await?;
        Ok(listed.volumes.unwrap_or_default().into_iter().map(info).collect())
    }

    pub(super) async fn make_volume(
        &self,
        name: &str,
        labels: &BTreeMap<String, String>,
    ) -> Result<VolumeInfo, EngineError> {
        let call = Call::new("create volume", Subject::Volume(name.to_owned()), CallClass::Write);
        let request = VolumeCreateRequest {
            name: Some(name.to_owned()),
            labels: Some(labels.clone().into_iter().collect()),
            ..VolumeCreateRequest::default()
        };
        self.call(&call, self.bollard.create_volume(request)).await.map(info)
    }

    pub(super) async fn drop_volume(&self, name: &str) -> Result<Removal, EngineError> {
        let call = Call::new("remove volume", Subject::Volume(name.to_owned()), CallClass::Write);
        removal(self.call(&call, self.bollard.remove_volume(name, None::<RemoveVolumeOptions>)).await)
    }
}

fn info(volume: Volume) -> VolumeInfo {
    VolumeInfo {
        name: volume.name,
        labels: volume.labels.into_iter().collect(),
        created: volume.created_at.as_deref().and_then(timestamp),
    }
}
