//! The seam: what Shoal asks of a Docker engine, as one object-safe trait.
//!
//! Two rules hold for every method and every implementation:
//! - **Level-triggered.** Asking for what is already so succeeds; the return value says which it was where a caller
//!   could care.
//! - **Cancel-safe.** A dropped future leaves nothing locked; the call may or may not have taken effect on the engine
//!   (20.10 finishes `create` and `start` of a vanished client), and observing by label finds out.

use std::{collections::BTreeMap, fmt, io, time::Duration};

use crate::{
    CallClass, ContainerDetail, ContainerSpec, ContainerSummary, Created, Endpoint, EngineError, EngineEvent,
    ExecOutput, ExecSession, ExecSpec, ImageInfo, ImageSummary, LabelFilter, NetworkInfo, NetworkSpec,
    PathStat, Pulse, RegistryAuth, Removal, VolumeInfo,
};
use async_trait::async_trait;
use bytes::Bytes;
use futures_util::stream::BoxStream;
use shoal_types::EngineFacts;

/// Bytes from an engine, in chunks, ending at the first error.
pub type ByteStream = BoxStream<'static, Result<Bytes, EngineError>>;
/// Bytes to an engine, in chunks; an error of the source aborts the upload.
pub type UploadStream = BoxStream<'static, io::Result<Bytes>>;
/// Told of a pull's bytes: how many are there, of how many that are known so far.
pub type PullProgress<'a> = &'a (dyn Fn(u64, u64) + Send + Sync);
/// What happens to containers and networks, as it happens, until the connection ends.
pub type EventStream = BoxStream<'static, Result<EngineEvent, EngineError>>;

/// One Docker engine. `id` arguments take a container's id or name.
///
/// # Errors
/// Every method returns [`EngineError`] with the endpoint and the subject inside; the variants every method can give
/// are the connection's (`Refused`, `Unreachable`, `Tls`, `Timeout`), `ServerError` and `BadAnswer`. Others are named
/// at the method.
#[async_trait]
pub trait Engine: Send + Sync + fmt::Debug {
    /// Where this engine is.
    fn endpoint(&self) -> &Endpoint;

    /// The longest a call of this class takes before it ends in [`EngineError::Timeout`].
    fn limit(&self, class: CallClass) -> Duration;

    /// Its signs of life.
    fn pulse(&self) -> &Pulse;

    /// Whether the engine answers at all.
    async fn ping(&self) -> Result<(), EngineError>;

    /// What the engine says of itself and its machine.
    async fn facts(&self) -> Result<EngineFacts, EngineError>;

    /// Containers in any state that carry the labels, in no particular order.
    async fn list_containers(&self, filter: &LabelFilter) -> Result<Vec<ContainerSummary>, EngineError>;

    /// Creates a container, or says which one has its name. Starts nothing.
    ///
    /// # Errors
    /// `NotFound` (image or network), `BadRequest`, `NameInUse` (the holder of the name vanished while it was looked
    /// at), `RemovalInProgress`.
    async fn create_container(&self, spec: &ContainerSpec) -> Result<Created, EngineError>;

    /// The container, or `None` if there is none.
    async fn inspect_container(&self, id: &str) -> Result<Option<ContainerDetail>, EngineError>;

    /// Unpacks a tar archive into directory `path` of the container, running or not.
    ///
    /// # Errors
    /// `NotFound` (container or path), `BadRequest` (not a tar).
    async fn put_archive(&self, id: &str, path: &str, tar: Bytes) -> Result<(), EngineError>;

    /// A tar archive of the file or directory `path` of the container, at most `limit` bytes; `None` if the path or
    /// the container is not there.
    ///
    /// # Errors
    /// `TooLarge`.
    async fn get_archive(&self, id: &str, path: &str, limit: usize) -> Result<Option<Bytes>, EngineError>;

    /// What the file or directory `path` of the container is, running or not; `None` if the path or the container is not there.
    async fn stat_path(&self, id: &str, path: &str) -> Result<Option<PathStat>, EngineError>;

    /// Starts the container; success if it runs already.
    ///
    /// # Errors
    /// `NotFound` (container or its network), `AddressInUse`, `Conflict`, `BadRequest` (its command cannot run).
    async fn start(&self, id: &str) -> Result<(), EngineError>;

    /// Sends the stop signal, after `grace` (whole seconds) SIGKILL; success if it does not run.
    ///
    /// # Errors
    /// `NotFound`, `Conflict`.
    async fn stop(&self, id: &str, grace: Duration) -> Result<(), EngineError>;

    /// Sends SIGKILL; success if it does not run.
    ///
    /// # Errors
    /// `NotFound`.
    async fn kill(&self, id: &str) -> Result<(), EngineError>;

    /// Removes the container, killing it first, with its anonymous volumes.
    ///
    /// # Errors
    /// `RemovalInProgress` (somebody else removes it: wait and look again), `Conflict`.
    async fn remove_container(&self, id: &str) -> Result<Removal, EngineError>;

    /// Runs a command to its end without input; each of its outputs is cut after `limit` bytes.
    ///
    /// A command that cannot be run is an outcome: its status is 126 or 127 and the reason is in its output.
    ///
    /// # Errors
    /// `NotFound`, `Conflict` (the container does not run), `Timeout` after `CallClass::Exec`; the command may then live
    /// on.
    async fn exec(&self, id: &str, spec: &ExecSpec, limit: usize) -> Result<ExecOutput, EngineError>;

    /// Runs a command with its streams attached, for as long as it lasts.
    ///
    /// # Errors
    /// `NotFound`, `Conflict` (the container does not run).
    async fn attach_exec(&self, id: &str, spec: &ExecSpec) -> Result<ExecSession, EngineError>;

    /// The last `lines` lines of the container's output, both streams in order, as text (at most 256 KiB).
    ///
    /// # Errors
    /// `NotFound`.
    async fn logs_tail(&self, id: &str, lines: u32) -> Result<String, EngineError>;

    /// Networks that carry the labels; all with an empty filter.
    async fn list_networks(&self, filter: &LabelFilter) -> Result<Vec<NetworkInfo>, EngineError>;

    /// Creates a bridge network and returns its id.
    ///
    /// 20.10 makes a second network of one name without complaint: list by label first.
    ///
    /// # Errors
    /// `PoolOverlap`, `NameInUse`, `Conflict` (bridge name in use), `BadRequest`.
    async fn create_network(&self, spec: &NetworkSpec) -> Result<String, EngineError>;

    /// Removes a network.
    ///
    /// # Errors
    /// `Conflict` (a container is attached).
    async fn remove_network(&self, id: &str) -> Result<Removal, EngineError>;

    /// Named volumes that carry the labels.
    async fn list_volumes(&self, filter: &LabelFilter) -> Result<Vec<VolumeInfo>, EngineError>;

    /// Creates a named volume, or returns the one that has the name, with its own labels.
    async fn create_volume(
        &self,
        name: &str,
        labels: &BTreeMap<String, String>,
    ) -> Result<VolumeInfo, EngineError>;

    /// Removes a named volume.
    ///
    /// # Errors
    /// `Conflict` (a container uses it).
    async fn remove_volume(&self, name: &str) -> Result<Removal, EngineError>;

    /// Images that carry the labels; all with an empty filter.
    async fn list_images(&self, filter: &LabelFilter) -> Result<Vec<ImageSummary>, EngineError>;

    /// The image of this reference or id, or `None` if it is not there.
    async fn inspect_image(&self, reference: &str) -> Result<Option<ImageInfo>, EngineError>;

    /// Loads a docker-archive; the references and ids the engine says it loaded.
    ///
    /// # Errors
    /// `BadRequest` (not an archive), `Unreachable` (the source failed or the connection broke).
    async fn load_image(&self, archive: UploadStream) -> Result<Vec<String>, EngineError>;

    /// A docker-archive of the image.
    ///
    /// # Errors
    /// `NotFound`.
    async fn save_image(&self, reference: &str) -> Result<ByteStream, EngineError>;

    /// Gives the image one more `repository:tag`; another image with this tag loses it.
    ///
    /// # Errors
    /// `NotFound`, `BadRequest`.
    async fn tag_image(&self, reference: &str, repository: &str, tag: &str) -> Result<(), EngineError>;

    /// Removes a reference, and the image with its last one.
    ///
    /// # Errors
    /// `Conflict` (a container uses it).
    async fn remove_image(&self, reference: &str) -> Result<Removal, EngineError>;

    /// Lets the engine fetch the image from its registry. `progress` is told how many bytes of how many known ones were
    /// downloaded, many times a second.
    ///
    /// # Errors
    /// `NotFound`, `BadRequest` (no such reference), `Registry` (it cannot be reached, refused, or failed).
    async fn pull_image(
        &self,
        reference: &str,
        auth: Option<&RegistryAuth>,
        progress: PullProgress<'_>,
    ) -> Result<(), EngineError>;

    /// Starts, deaths and removals of containers that carry the labels, and removals of networks and of containers from networks,
    /// whatever these carry: engines tell no labels of networks. From now on.
    async fn events(&self, filter: &LabelFilter) -> Result<EventStream, EngineError>;
}
