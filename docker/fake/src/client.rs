//! The trait on a fake engine, with the real adapter's own decisions: what is missing when it is to be removed is gone
//! already, a name in use is looked at.

use std::{collections::BTreeMap, io, sync::Arc, time::Duration};

use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use futures_util::{StreamExt as _, stream};
use shoal_docker::{
    ByteStream, CallClass, ContainerDetail, ContainerSpec, ContainerState, ContainerSummary, Created,
    Endpoint, Engine, EngineError, EventStream, ExecOutput, ExecSession, ExecSpec, ImageInfo, ImageSummary,
    LabelFilter, NetworkInfo, NetworkSpec, PathStat, PullProgress, Pulse, RegistryAuth, Removal, Subject,
    UploadStream, VolumeInfo,
};
use shoal_types::EngineFacts;
use tokio::time::timeout;

use crate::{Call, Image, Method, Refusal, Saves, machine::Machine, state::State};

/// Bytes of one piece of a saved image.
const PIECE: usize = 64 << 10;
/// The oldest API the real adapter speaks.
const OLDEST_API: u32 = 41;

/// One client of one engine.
#[derive(Clone)]
pub(crate) struct Client {
    pub(crate) machine: Arc<Machine>,
    pub(crate) name: Arc<str>,
    pub(crate) pulse: Pulse,
}

impl std::fmt::Debug for Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Client").field("engine", &self.machine.name).field("name", &self.name).finish()
    }
}

fn container(id: &str) -> Subject {
    Subject::Container(id.to_owned())
}

fn path(container: &str, path: &str) -> Subject {
    Subject::Path { container: container.to_owned(), path: path.to_owned() }
}

/// What is not there has been removed already.
fn removal<T>(answer: Result<T, EngineError>) -> Result<Removal, EngineError> {
    match answer {
        Ok(_) => Ok(Removal::Removed),
        Err(EngineError::NotFound { .. }) => Ok(Removal::AlreadyGone),
        Err(error) => Err(error),
    }
}

/// What is not there is `None`.
fn if_there<T>(answer: Result<T, EngineError>) -> Result<Option<T>, EngineError> {
    match answer {
        Ok(found) => Ok(Some(found)),
        Err(EngineError::NotFound { .. }) => Ok(None),
        Err(error) => Err(error),
    }
}

fn facts(state: &State) -> EngineFacts {
    let networks = state.list_networks(&LabelFilter::all());
    let subnets = networks.into_iter().flat_map(|network| network.subnets).collect();
    EngineFacts { subnets, ..state.facts.clone() }
}

impl Client {
    pub(crate) fn new(machine: Arc<Machine>, name: Arc<str>) -> Self {
        Self { machine, name, pulse: Pulse::default() }
    }

    /// What the real adapter asks first.
    pub(crate) async fn agree(&self) -> Result<(), EngineError> {
        let call = self.request(Method::Connect, Subject::Engine);
        let facts = self.call(&call, |state, _| Ok(facts(state))).await?;
        let minor = facts.api_version.strip_prefix("1.").and_then(|minor| minor.parse::<u32>().ok());
        if minor.is_some_and(|minor| minor >= OLDEST_API) {
            return Ok(());
        }
        let endpoint = self.machine.endpoint.clone();
        Err(EngineError::TooOld { endpoint, version: facts.version, api: facts.api_version })
    }

    fn of_container(&self, method: Method, id: &str) -> Call {
        self.request(method, container(id))
    }

    async fn inspect(&self, id: &str) -> Result<Option<ContainerDetail>, EngineError> {
        let (call, id) = (self.of_container(Method::InspectContainer, id), id.to_owned());
        if_there(self.call(&call, move |state, _| state.inspect_container(&id)).await)
    }

    /// The whole of an upload.
    async fn received(&self, archive: UploadStream) -> Result<Bytes, EngineError> {
        let mut whole = BytesMut::new();
        let mut archive = archive;
        while let Some(piece) = archive.next().await {
            let piece = piece.map_err(|source| EngineError::Unreachable {
                endpoint: self.machine.endpoint.clone(),
                source,
            })?;
            whole.extend_from_slice(&piece);
        }
        Ok(whole.freeze())
    }
}

#[async_trait]
impl Engine for Client {
    fn endpoint(&self) -> &Endpoint {
        &self.machine.endpoint
    }

    fn limit(&self, class: CallClass) -> Duration {
        self.machine.timeouts.limit(class)
    }

    fn pulse(&self) -> &Pulse {
        &self.pulse
    }

    async fn ping(&self) -> Result<(), EngineError> {
        self.call(&self.request(Method::Ping, Subject::Engine), |_, _| Ok(())).await
    }

    async fn facts(&self) -> Result<EngineFacts, EngineError> {
        self.call(&self.request(Method::Facts, Subject::Engine), |state, _| Ok(facts(state))).await
    }

    async fn list_containers(&self, filter: &LabelFilter) -> Result<Vec<ContainerSummary>, EngineError> {
        let (call, filter) = (self.request(Method::ListContainers, Subject::Engine), filter.clone());
        self.call(&call, move |state, _| Ok(state.list_containers(&filter))).await
    }

    async fn create_container(&self, spec: &ContainerSpec) -> Result<Created, EngineError> {
        let (call, spec) = (self.of_container(Method::CreateContainer, &spec.name), Arc::new(spec.clone()));
        let name = spec.name.clone();
        let created = self.call(&call, move |state, now| state.create_container(&spec, now)).await;
        let in_use = match created {
            Ok(id) => return Ok(Created::New { id }),
            Err(error @ EngineError::NameInUse { .. }) => error,
            Err(error) => return Err(error),
        };
        match self.inspect(&name).await? {
            Some(detail) if detail.state == ContainerState::Removing => {
                Err(Refusal::RemovalInProgress.error(&self.machine.endpoint, &call))
            }
            Some(detail) => Ok(Created::Exists(Box::new(detail))),
            None => Err(in_use),
        }
    }

    async fn inspect_container(&self, id: &str) -> Result<Option<ContainerDetail>, EngineError> {
        self.inspect(id).await
    }

    async fn put_archive(&self, id: &str, to: &str, tar: Bytes) -> Result<(), EngineError> {
        let call = self.request(Method::PutArchive, path(id, to));
        let (id, to) = (id.to_owned(), to.to_owned());
        self.call(&call, move |state, _| state.put_archive(&id, &to, &tar)).await
    }

    async fn get_archive(&self, id: &str, from: &str, limit: usize) -> Result<Option<Bytes>, EngineError> {
        let call = self.request(Method::GetArchive, path(id, from));
        let (id, from) = (id.to_owned(), from.to_owned());
        if_there(self.call(&call, move |state, _| state.get_archive(&id, &from, limit)).await)
    }

    async fn stat_path(&self, id: &str, of: &str) -> Result<Option<PathStat>, EngineError> {
        let call = self.request(Method::StatPath, path(id, of));
        let (id, of) = (id.to_owned(), of.to_owned());
        if_there(self.call(&call, move |state, _| state.stat_path(&id, &of)).await)
    }

    async fn start(&self, id: &str) -> Result<(), EngineError> {
        let (call, id) = (self.of_container(Method::Start, id), id.to_owned());
        self.call(&call, move |state, now| state.start(&id, now)).await
    }

    async fn stop(&self, id: &str, grace: Duration) -> Result<(), EngineError> {
        let (call, id) = (self.of_container(Method::Stop, id), id.to_owned());
        let grace = Duration::from_secs(grace.as_secs());
        let limit = self.limit(CallClass::Start) + grace;
        let then = |ends| async move {
            match ends {
                Some(ends) => self.until(ends).await,
                None => Ok(()),
            }
        };
        self.call_then(&call, limit, move |state, now| state.stop(&id, grace, now), then).await
    }

    async fn kill(&self, id: &str) -> Result<(), EngineError> {
        let (call, id) = (self.of_container(Method::Kill, id), id.to_owned());
        self.call(&call, move |state, now| state.kill(&id, now)).await
    }

    async fn remove_container(&self, id: &str) -> Result<Removal, EngineError> {
        let (call, id) = (self.of_container(Method::RemoveContainer, id), id.to_owned());
        let limit = self.limit(CallClass::Write);
        let then = |gone| self.until(gone);
        removal(self.call_then(&call, limit, move |state, now| state.remove(&id, now), then).await)
    }

    async fn exec(&self, id: &str, spec: &ExecSpec, limit: usize) -> Result<ExecOutput, EngineError> {
        self.run(id, spec, limit).await
    }

    async fn attach_exec(&self, id: &str, spec: &ExecSpec) -> Result<ExecSession, EngineError> {
        self.attach(id, spec).await
    }

    async fn logs_tail(&self, id: &str, lines: u32) -> Result<String, EngineError> {
        let (call, id) = (self.of_container(Method::LogsTail, id), id.to_owned());
        self.call(&call, move |state, _| state.logs(&id, lines)).await
    }

    async fn list_networks(&self, filter: &LabelFilter) -> Result<Vec<NetworkInfo>, EngineError> {
        let (call, filter) = (self.request(Method::ListNetworks, Subject::Engine), filter.clone());
        self.call(&call, move |state, _| Ok(state.list_networks(&filter))).await
    }

    async fn create_network(&self, spec: &NetworkSpec) -> Result<String, EngineError> {
        let call = self.request(Method::CreateNetwork, Subject::Network(spec.name.clone()));
        let spec = spec.clone();
        self.call(&call, move |state, now| state.create_network(&spec, now)).await
    }

    async fn remove_network(&self, id: &str) -> Result<Removal, EngineError> {
        let call = self.request(Method::RemoveNetwork, Subject::Network(id.to_owned()));
        let id = id.to_owned();
        removal(self.call(&call, move |state, now| state.remove_network(&id, now)).await)
    }

    async fn list_volumes(&self, filter: &LabelFilter) -> Result<Vec<VolumeInfo>, EngineError> {
        let (call, filter) = (self.request(Method::ListVolumes, Subject::Engine), filter.clone());
        self.call(&call, move |state, _| Ok(state.list_volumes(&filter))).await
    }

    async fn create_volume(
        &self,
        name: &str,
        labels: &BTreeMap<String, String>,
    ) -> Result<VolumeInfo, EngineError> {
        let call = self.request(Method::CreateVolume, Subject::Volume(name.to_owned()));
        let (name, labels) = (name.to_owned(), labels.clone());
        self.call(&call, move |state, now| Ok(state.create_volume(&name, labels, now))).await
    }

    async fn remove_volume(&self, name: &str) -> Result<Removal, EngineError> {
        let call = self.request(Method::RemoveVolume, Subject::Volume(name.to_owned()));
        let name = name.to_owned();
        removal(self.call(&call, move |state, _| state.remove_volume(&name)).await)
    }

    async fn list_images(&self, filter: &LabelFilter) -> Result<Vec<ImageSummary>, EngineError> {
        let (call, filter) = (self.request(Method::ListImages, Subject::Engine), filter.clone());
        self.call(&call, move |state, _| Ok(state.list_images(&filter))).await
    }

    async fn inspect_image(&self, reference: &str) -> Result<Option<ImageInfo>, EngineError> {
        let call = self.request(Method::InspectImage, Subject::Image(reference.to_owned()));
        let reference = reference.to_owned();
        if_there(self.call(&call, move |state, _| state.inspect_image(&reference)).await)
    }

    async fn load_image(&self, archive: UploadStream) -> Result<Vec<String>, EngineError> {
        let call = self.request(Method::LoadImage, Subject::Engine);
        // Nothing is uploaded to an engine that is not there.
        drop(self.dial().await?);
        let limit = self.limit(CallClass::Transfer);
        let Ok(received) = timeout(limit, self.received(archive)).await else {
            return Err(self.unreachable(io::ErrorKind::TimedOut));
        };
        let archive = received?;
        let effect = move |state: &mut State, _| {
            let image = Image::read(&archive).map_err(|error| Refusal::BadRequest(error.to_string()))?;
            let tags = image.tags.clone();
            let image = state.shared.intern(image);
            Ok(state.load(&image, &tags))
        };
        self.call(&call, effect).await
    }

    async fn save_image(&self, reference: &str) -> Result<ByteStream, EngineError> {
        let call = self.request(Method::SaveImage, Subject::Image(reference.to_owned()));
        let reference = reference.to_owned();
        let saved = move |state: &mut State, _| Ok((state.save(&reference)?, state.saves.clone()));
        let (mut archive, saves) = self.call(&call, saved).await?;
        match saves {
            Saves::Whole | Saves::Named(_) => {}
            Saves::Broken => {
                let half = archive.split_to(archive.len() / 2);
                let broken = self.unreachable(io::ErrorKind::UnexpectedEof);
                return Ok(stream::iter([Ok(half), Err(broken)]).boxed());
            }
            Saves::Endless => {
                let mut header = tar::Header::new_ustar();
                header.set_size(1 << 40);
                header.set_cksum();
                let header = Bytes::copy_from_slice(header.as_bytes());
                let content = stream::repeat(Bytes::from_static(&[0; PIECE]));
                return Ok(stream::iter([header]).chain(content).map(Ok).boxed());
            }
        }
        let pieces = std::iter::from_fn(move || {
            let piece = archive.split_to(archive.len().min(PIECE));
            (!piece.is_empty()).then_some(Ok(piece))
        });
        Ok(stream::iter(pieces).boxed())
    }

    async fn tag_image(&self, reference: &str, repository: &str, tag: &str) -> Result<(), EngineError> {
        let call = self.request(Method::TagImage, Subject::Image(reference.to_owned()));
        let [reference, repository, tag] = [reference, repository, tag].map(str::to_owned);
        self.call(&call, move |state, _| state.tag(&reference, &repository, &tag)).await
    }

    async fn remove_image(&self, reference: &str) -> Result<Removal, EngineError> {
        let call = self.request(Method::RemoveImage, Subject::Image(reference.to_owned()));
        let reference = reference.to_owned();
        removal(self.call(&call, move |state, _| state.remove_image(&reference)).await)
    }

    async fn pull_image(
        &self,
        reference: &str,
        auth: Option<&RegistryAuth>,
        progress: PullProgress<'_>,
    ) -> Result<(), EngineError> {
        let call = self.request(Method::PullImage, Subject::Image(reference.to_owned()));
        let reference = reference.to_owned();
        let known = auth.map(|auth| (auth.username.clone(), auth.password.to_string()));
        let effect = move |state: &mut State, _| {
            let image = state.shared.in_registry(&reference, known.as_ref())?;
            state.pulled(&image, &reference);
            Ok(image.size())
        };
        let size = self.call(&call, effect).await?;
        progress(size, size);
        Ok(())
    }

    async fn events(&self, filter: &LabelFilter) -> Result<EventStream, EngineError> {
        let events = self.watch(filter).await?;
        Ok(events.into_stream().boxed())
    }
}
