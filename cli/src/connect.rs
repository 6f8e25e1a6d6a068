//! The way to a coordinator. It runs inside this process; commands see nothing of it but gRPC clients.

use shoal_coordinator::{Embedded, Options, embedded};
use shoal_proto::v1::{
    access_client::AccessClient, clusters_client::ClustersClient, hosts_client::HostsClient,
    images_client::ImagesClient, insight_client::InsightClient, registries_client::RegistriesClient,
    upkeep_client::UpkeepClient,
};
use tonic::transport::Channel;

use crate::{args::Global, error::CliError, interrupt::Interrupt};

/// Most bytes of one answer: the list of a realm with ten of the largest clusters.
const MAX_ANSWER_BYTES: usize = 64 << 20;

/// A coordinator, running.
#[derive(Debug)]
pub(crate) struct Session {
    coordinator: Embedded,
}

impl Session {
    /// Starts a coordinator on the state directory.
    ///
    /// # Errors
    /// [`CliError::StateDir`], [`CliError::File`]: the options cannot be used. [`CliError::Coordinator`]: it does not start.
    pub(crate) async fn open(global: &Global) -> Result<Self, CliError> {
        let options = Options {
            state_dir: global.state_dir()?,
            store: global.store.clone(),
            key_file: global.key_file.clone(),
            agent_binaries: global.agent_binaries(),
        };
        Ok(Self { coordinator: embedded(options).await? })
    }

    /// Starts a coordinator, does `work` with it and ends it; an interrupt drops the work.
    ///
    /// # Errors
    /// As [`Session::open`]; those of `work`; [`CliError::Interrupted`].
    pub(crate) async fn within<T>(
        global: &Global,
        interrupt: &Interrupt,
        work: impl AsyncFnOnce(&Self) -> Result<T, CliError>,
    ) -> Result<T, CliError> {
        let session = Self::open(global).await?;
        let result = tokio::select! {
            result = work(&session) => result,
            () = interrupt.asked() => Err(CliError::Interrupted),
        };
        session.close().await;
        result
    }

    /// Ends the coordinator: what was dropped midway is rolled back first.
    pub(crate) async fn close(self) {
        self.coordinator.shutdown().await;
    }

    /// Client of the service for hosts.
    pub(crate) fn hosts(&self) -> HostsClient<Channel> {
        HostsClient::new(self.coordinator.channel()).max_decoding_message_size(MAX_ANSWER_BYTES)
    }

    /// Client of the service for clusters.
    pub(crate) fn clusters(&self) -> ClustersClient<Channel> {
        ClustersClient::new(self.coordinator.channel()).max_decoding_message_size(MAX_ANSWER_BYTES)
    }

    /// Client of the service for streams into nodes.
    pub(crate) fn access(&self) -> AccessClient<Channel> {
        AccessClient::new(self.coordinator.channel()).max_decoding_message_size(MAX_ANSWER_BYTES)
    }

    /// Client of the service for upkeep.
    pub(crate) fn upkeep(&self) -> UpkeepClient<Channel> {
        UpkeepClient::new(self.coordinator.channel()).max_decoding_message_size(MAX_ANSWER_BYTES)
    }

    /// Client of the service that says why.
    pub(crate) fn insight(&self) -> InsightClient<Channel> {
        InsightClient::new(self.coordinator.channel()).max_decoding_message_size(MAX_ANSWER_BYTES)
    }

    /// Client of the service for images.
    pub(crate) fn images(&self) -> ImagesClient<Channel> {
        ImagesClient::new(self.coordinator.channel()).max_decoding_message_size(MAX_ANSWER_BYTES)
    }

    /// Client of the service for registries' credentials.
    pub(crate) fn registries(&self) -> RegistriesClient<Channel> {
        RegistriesClient::new(self.coordinator.channel()).max_decoding_message_size(MAX_ANSWER_BYTES)
    }
}
