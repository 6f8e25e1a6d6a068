//! Node images, how they come to hosts, and the registries they may come from.

use bytes::Bytes;
use serde::Serialize;
use shoal_proto::{
    FieldError,
    v1::{self, load_image_request, load_image_response},
};
use shoal_types::{HostName, Timestamp, natural};

use crate::{
    Time,
    value::{known, messages, need, text},
};

/// Node images on all hosts.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Images {
    /// One entry per content.
    pub images: Vec<Image>,
    /// Hosts that could not be asked.
    pub silent: Vec<SilentHost>,
}

/// One content that nodes can run.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Image {
    /// Its content digest.
    pub image_id: String,
    /// References it has on any host, or in a cluster.
    pub references: Vec<String>,
    /// Its size, all layers; null if no host that answered has it.
    pub size_bytes: Option<u64>,
    /// Slurm's version in it.
    pub slurm_version: Option<String>,
    /// Debian release it was made from.
    pub suite: Option<String>,
    /// Clusters that run it, REALM/NAME.
    pub clusters: Vec<String>,
    /// Hosts that have it.
    pub hosts: Vec<String>,
    /// Hosts that answered and have not.
    pub missing: Vec<String>,
}

/// A host that could not be asked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct SilentHost {
    /// Its name.
    pub host: String,
    /// Why.
    pub error: String,
}

/// A registry that credentials are known for. What they are is never told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Registry {
    /// Its address, as image references name it.
    pub registry: String,
    /// The user's name there.
    pub username: String,
    /// Label expression of the hosts that are given the credentials, and so pull; null: every host.
    pub hosts: Option<String>,
    /// When they were last set.
    #[cfg_attr(feature = "schema", schemars(with = "Option<String>"))]
    pub updated: Option<Time>,
}

impl From<v1::Image> for Image {
    /// Hosts come in natural order.
    fn from(mut image: v1::Image) -> Self {
        image.hosts.sort_by(|a, b| natural::cmp(a, b));
        image.missing.sort_by(|a, b| natural::cmp(a, b));
        Self {
            image_id: image.image_id,
            references: image.references,
            size_bytes: (image.size_bytes > 0).then_some(image.size_bytes),
            slurm_version: known(image.slurm_version),
            suite: known(image.suite),
            clusters: image.clusters,
            hosts: image.hosts,
            missing: image.missing,
        }
    }
}

impl From<v1::ListImagesResponse> for Images {
    /// Silent hosts come in natural order.
    fn from(mut answer: v1::ListImagesResponse) -> Self {
        answer.silent.sort_by(|a, b| natural::cmp(&a.host, &b.host));
        let silent = |silent: v1::SilentHost| SilentHost { host: silent.host, error: silent.error };
        Self {
            images: answer.images.into_iter().map(Into::into).collect(),
            silent: answer.silent.into_iter().map(silent).collect(),
        }
    }
}

impl From<v1::Registry> for Registry {
    fn from(v1::Registry { registry, username, hosts, updated_ms }: v1::Registry) -> Self {
        let hosts = Some(hosts).filter(|hosts| !hosts.is_empty());
        Self { registry, username, hosts, updated: Time::known(Timestamp(updated_ms)) }
    }
}

impl From<Image> for v1::Image {
    fn from(image: Image) -> Self {
        Self {
            image_id: image.image_id,
            references: image.references,
            size_bytes: image.size_bytes.unwrap_or(0),
            slurm_version: text(image.slurm_version),
            suite: text(image.suite),
            clusters: image.clusters,
            hosts: image.hosts,
            missing: image.missing,
        }
    }
}

impl From<Images> for v1::ListImagesResponse {
    fn from(Images { images, silent }: Images) -> Self {
        let silent = silent.into_iter().map(|SilentHost { host, error }| v1::SilentHost { host, error });
        Self { images: messages(images), silent: silent.collect() }
    }
}

impl From<Registry> for v1::Registry {
    fn from(Registry { registry, username, hosts, updated }: Registry) -> Self {
        Self { registry, username, hosts: text(hosts), updated_ms: Time::wire(updated) }
    }
}

/// Where an archive goes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LoadOpen {
    /// None: every host.
    pub hosts: Vec<HostName>,
    /// Size of the archive in bytes, if known.
    pub size: Option<u64>,
}

/// What is sent of an archive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LoadFrame {
    /// Where it goes: the first.
    Open(LoadOpen),
    /// The next of its bytes.
    Data(Bytes),
}

impl From<LoadFrame> for v1::LoadImageRequest {
    fn from(frame: LoadFrame) -> Self {
        let frame = match frame {
            LoadFrame::Open(LoadOpen { hosts, size }) => {
                let hosts = hosts.iter().map(ToString::to_string).collect();
                load_image_request::Frame::Open(v1::LoadImageOpen { hosts, size })
            }
            LoadFrame::Data(bytes) => load_image_request::Frame::Data(bytes),
        };
        Self { frame: Some(frame) }
    }
}

/// What became of an image on one host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Loaded {
    /// The host.
    pub host: String,
    /// References the image has there.
    pub references: Vec<String>,
    /// Its content digest.
    pub image_id: Option<String>,
    /// How long it took.
    pub elapsed_ms: Option<u64>,
    /// Why it is not there.
    pub error: Option<String>,
}

/// What is told of a load.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LoadStep {
    /// How far a host is.
    Progress {
        /// The host.
        host: HostName,
        /// Bytes of the archive it has taken.
        done_bytes: u64,
        /// All of them.
        total_bytes: u64,
    },
    /// A host has ended.
    Ended(Loaded),
}

impl TryFrom<v1::LoadImageResponse> for LoadStep {
    type Error = FieldError;

    fn try_from(answer: v1::LoadImageResponse) -> Result<Self, FieldError> {
        Ok(match need("step", answer.step)? {
            load_image_response::Step::Progress(progress) => Self::Progress {
                host: progress.host.parse().map_err(|reason| FieldError::new("progress.host", reason))?,
                done_bytes: progress.done_bytes,
                total_bytes: progress.total_bytes,
            },
            load_image_response::Step::Loaded(loaded) => Self::Ended(Loaded {
                host: loaded.host,
                references: loaded.references,
                image_id: known(loaded.image_id),
                elapsed_ms: Some(loaded.elapsed_ms),
                error: None,
            }),
            load_image_response::Step::Failure(v1::LoadImageFailure { host, error }) => Self::Ended(Loaded {
                host,
                references: Vec::new(),
                image_id: None,
                elapsed_ms: None,
                error: Some(error),
            }),
        })
    }
}

impl From<LoadStep> for v1::LoadImageResponse {
    fn from(step: LoadStep) -> Self {
        let step = match step {
            LoadStep::Progress { host, done_bytes, total_bytes } => {
                let host = host.to_string();
                load_image_response::Step::Progress(v1::LoadImageProgress { host, done_bytes, total_bytes })
            }
            LoadStep::Ended(Loaded { host, error: Some(error), .. }) => {
                load_image_response::Step::Failure(v1::LoadImageFailure { host, error })
            }
            LoadStep::Ended(Loaded { host, references, image_id, elapsed_ms, error: None }) => {
                load_image_response::Step::Loaded(v1::LoadedImage {
                    host,
                    references,
                    image_id: text(image_id),
                    elapsed_ms: elapsed_ms.unwrap_or(0),
                })
            }
        };
        Self { step: Some(step) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_survive_the_wire() {
        let whole = Image {
            image_id: "sha256:1".into(),
            references: vec!["n:1".into()],
            size_bytes: Some(7),
            slurm_version: Some("22.05.8".into()),
            suite: Some("bookworm".into()),
            clusters: vec!["lab/dev".into()],
            hosts: vec!["host2".into(), "host10".into()],
            missing: vec!["host3".into()],
        };
        let silent = vec![SilentHost { host: "host4".into(), error: "refused".into() }];
        let images = Images { images: vec![whole, Image::default()], silent };
        assert_eq!(Images::from(v1::ListImagesResponse::from(images.clone())), images);
        for updated in [None, Time::known(Timestamp(1_700_000_000_001))] {
            let registry = Registry {
                registry: "r:1".into(),
                username: "ann".into(),
                hosts: Some("a,b=c".into()),
                updated,
            };
            assert_eq!(Registry::from(v1::Registry::from(registry.clone())), registry);
        }
        let loaded = |image_id: Option<&str>| Loaded {
            host: "host1".into(),
            references: vec!["n:1".into()],
            image_id: image_id.map(Into::into),
            elapsed_ms: Some(9),
            error: None,
        };
        let failed = Loaded {
            host: "host1".into(),
            references: vec![],
            image_id: None,
            elapsed_ms: None,
            error: Some("refused".into()),
        };
        let progress = LoadStep::Progress { host: "host1".parse().unwrap(), done_bytes: 5, total_bytes: 9 };
        let ended = [loaded(None), loaded(Some("sha256:1")), failed].map(LoadStep::Ended);
        for step in ended.into_iter().chain([progress]) {
            assert_eq!(LoadStep::try_from(v1::LoadImageResponse::from(step.clone())), Ok(step));
        }
    }

    #[test]
    fn hosts_come_in_natural_order_and_what_is_zero_is_not_known() {
        let image = v1::Image { hosts: vec!["h10".into(), "h2".into()], ..v1::Image::default() };
        let silent = |host: &str| v1::SilentHost { host: host.into(), error: String::new() };
        let answer = v1::ListImagesResponse { images: vec![image], silent: vec![silent("b"), silent("a")] };
        let images = Images::from(answer);
        assert_eq!(
            (&images.images[0].hosts, images.images[0].size_bytes),
            (&vec!["h2".into(), "h10".into()], None)
        );
        assert_eq!(images.silent[0].host, "a");
    }

    #[test]
    fn a_step_of_a_load() {
        let failure = v1::LoadImageFailure { host: "host1".into(), error: "refused".into() };
        let answer = v1::LoadImageResponse { step: Some(load_image_response::Step::Failure(failure)) };
        let LoadStep::Ended(loaded) = LoadStep::try_from(answer).unwrap() else { panic!("not ended") };
        assert_eq!((loaded.error.as_deref(), loaded.elapsed_ms), (Some("refused"), None));
        assert_eq!(LoadStep::try_from(v1::LoadImageResponse { step: None }).unwrap_err().field, "step");
        let nowhere = load_image_response::Step::Progress(v1::LoadImageProgress::default());
        let nowhere = LoadStep::try_from(v1::LoadImageResponse { step: Some(nowhere) });
        assert_eq!(nowhere.unwrap_err().field, "progress.host");
    }
}
