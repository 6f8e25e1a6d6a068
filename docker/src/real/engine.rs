//! The trait on the real engine: each method is one of the nouns' files.

use std::{collections::BTreeMap, time::Duration};

use super::Docker;
use crate::{
    ByteStream, CallClass, ContainerDetail, ContainerSpec, ContainerSummary, Created, Endpoint, Engine,
    EngineError, EventStream, ExecOutput, ExecSession, ExecSpec, ImageInfo, ImageSummary, LabelFilter,
    NetworkInfo, NetworkSpec, PathStat, PullProgress, Pulse, RegistryAuth, Removal, UploadStream, VolumeInfo,
};
use async_trait::async_trait;
use bytes::Bytes;
use shoal_types::EngineFacts;

#[async_trait]
impl Engine for Docker {
    fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    fn limit(&self, class: CallClass) -> Duration {
        self.timeouts.limit(class)
    }

    fn pulse(&self) -> &Pulse {
        self.transport.pulse()
    }

    async fn ping(&self) -> Result<(), EngineError> {
        self.alive().await
    }

    async fn facts(&self) -> Result<EngineFacts, EngineError> {
        self.describe().await
    }

    async fn list_containers(&self, filter: &LabelFilter) -> Result<Vec<ContainerSummary>, EngineError> {
        self.containers(filter).await
    }

    async fn create_container(&self, spec: &ContainerSpec) -> Result<Created, EngineError> {
        self.create(spec).await
    }

    async fn inspect_container(&self, id: &str) -> Result<Option<ContainerDetail>, EngineError> {
        self.inspect(id).await
    }

    async fn put_archive(&self, id: &str, path: &str, tar: Bytes) -> Result<(), EngineError> {
        self.put(id, path, tar).await
    }

    async fn get_archive(&self, id: &str, path: &str, limit: usize) -> Result<Option<Bytes>, EngineError> {
        self.get(id, path, limit).await
    }

    async fn stat_path(&self, id: &str, path: &str) -> Result<Option<PathStat>, EngineError> {
        self.stat(id, path).await
    }

    async fn start(&self, id: &str) -> Result<(), EngineError> {
        Docker::start(self, id).await
    }

    async fn stop(&self, id: &str, grace: Duration) -> Result<(), EngineError> {
        Docker::stop(self, id, grace).await
    }

    async fn kill(&self, id: &str) -> Result<(), EngineError> {
        Docker::kill(self, id).await
    }

    async fn remove_container(&self, id: &str) -> Result<Removal, EngineError> {
        self.remove(id).await
    }

    async fn exec(&self, id: &str, spec: &ExecSpec, limit: usize) -> Result<ExecOutput, EngineError> {
        self.run(id, spec, limit).await
    }

    async fn attach_exec(&self, id: &str, spec: &ExecSpec) -> Result<ExecSession, EngineError> {
        self.attach(id, spec).await
    }

    async fn logs_tail(&self, id: &str, lines: u32) -> Result<String, EngineError> {
        self.logs(id, lines).await
    }

    async fn list_networks(&self, filter: &LabelFilter) -> Result<Vec<NetworkInfo>, EngineError> {
        self.networks(filter).await
    }

    async fn create_network(&self, spec: &NetworkSpec) -> Result<String, EngineError> {
        self.make_network(spec).await
    }

    async fn remove_network(&self, id: &str) -> Result<Removal, EngineError> {
        self.drop_network(id).await
    }

    async fn list_volumes(&self, filter: &LabelFilter) -> Result<Vec<VolumeInfo>, EngineError> {
        self.volumes(filter).await
    }

    async fn create_volume(
        &self,
        name: &str,
        labels: &BTreeMap<String, String>,
    ) -> Result<VolumeInfo, EngineError> {
        self.make_volume(name, labels).await
    }

    async fn remove_volume(&self, name: &str) -> Result<Removal, EngineError> {
        self.drop_volume(name).await
    }

    async fn list_images(&self, filter: &LabelFilter) -> Result<Vec<ImageSummary>, EngineError> {
        self.images(filter).await
    }

    async fn inspect_image(&self, reference: &str) -> Result<Option<ImageInfo>, EngineError> {
        self.image(reference).await
    }

    async fn load_image(&self, archive: UploadStream) -> Result<Vec<String>, EngineError> {
        self.load(archive).await
    }

    async fn save_image(&self, reference: &str) -> Result<ByteStream, EngineError> {
        self.save(reference).await
    }

    async fn tag_image(&self, reference: &str, repository: &str, tag: &str) -> Result<(), EngineError> {
        self.tag(reference, repository, tag).await
    }

    async fn remove_image(&self, reference: &str) -> Result<Removal, EngineError> {
        self.drop_image(reference).await
    }

    async fn pull_image(
        &self,
        reference: &str,
        auth: Option<&RegistryAuth>,
        progress: PullProgress<'_>,
    ) -> Result<(), EngineError> {
        self.pull(reference, auth, progress).await
    }

    async fn events(&self, filter: &LabelFilter) -> Result<EventStream, EngineError> {
        self.watch(filter).await
    }
}
