//! The only crate that speaks to Docker.
//!
//! ```text
//! Endpoint + Credential --connect()--> Arc<dyn Engine> ---> typed outcomes (Created, Removal, EngineError)
//!                                          |
//!                                          +-- real::Docker   one pooled transport (unix socket, mutual TLS or ssh), answers bounded
//! ```
//!
//! Above this seam nobody sees an HTTP status, a bollard type or a rustls error: an engine's answers become typed
//! outcomes once, in [`EngineError`]'s map. "Already there" and "already gone" are values, not errors, so that a
//! reconciler may repeat every call.

mod archive;
mod container;
mod credential;
mod endpoint;
mod engine;
mod error;
mod event;
mod exec;
mod image;
mod label;
mod network;
mod pulse;
mod real;
mod refusal;
mod registry;
mod ssh;
mod timeouts;
mod tls;
mod volume;

pub use archive::{
    ArchiveError, FileContent, ImageArchive, ImageFile, Layer, NotOneImage, OneImage, PackedImage, contents,
};
pub use container::{
    Attachment, ContainerDetail, ContainerNetwork, ContainerSpec, ContainerState, ContainerSummary, Created,
    LogLimits, Mount, PathStat, ProcessLimit, Removal, RestartPolicy,
};
pub use credential::Credential;
pub use endpoint::{DEFAULT_TLS_PORT, Endpoint, EndpointError, SshDestination};
pub use engine::{ByteStream, Engine, EventStream, PullProgress, UploadStream};
pub use error::{EngineError, RetryClass, SshProblem, Subject, TlsProblem};
pub use event::{ContainerAction, ContainerEvent, EngineEvent, NetworkAction, NetworkEvent};
pub use exec::{ExecChunk, ExecDuplex, ExecOutput, ExecSession, ExecSpec, Resize, TtySize};
pub use image::{ImageInfo, ImageSummary};
pub use label::LabelFilter;
pub use network::{NetworkInfo, NetworkSpec};
pub use pulse::Pulse;
pub use real::{connect, server_expiry};
pub use refusal::{Unusable, refusal};
pub use registry::RegistryAuth;
pub use ssh::{SshMaterial, SshMaterialError};
pub use timeouts::{CallClass, Timeouts};
pub use tls::{TlsFile, TlsMaterial, TlsMaterialError, TlsMaterialProblem};
pub use volume::VolumeInfo;
