//! Containers: list, create, look at, start, end, remove, and move archives in and out.

use std::{
    collections::{BTreeMap, HashMap},
    net::Ipv4Addr,
    time::Duration,
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use bollard::{
    body_full,
    errors::Error,
    models::{
        ContainerInspectResponse, ContainerState as DockerState, ContainerSummary as DockerSummary,
        EndpointSettings,
    },
    query_parameters::{
        CreateContainerOptionsBuilder, DownloadFromContainerOptionsBuilder, ListContainersOptionsBuilder,
        LogsOptionsBuilder, RemoveContainerOptionsBuilder, StopContainerOptionsBuilder,
        UploadToContainerOptionsBuilder,
    },
};
use bytes::{Bytes, BytesMut};
use futures_util::TryStreamExt as _;
use hyper::{Method, header};
use serde::Deserialize;
use shoal_types::Timestamp;

use super::{Docker, call::Call, create::body, fault::is_not_running, frames::Output};
use crate::{
    Attachment, CallClass, ContainerDetail, ContainerSpec, ContainerState, ContainerSummary, Created,
    EngineError, ExecChunk, LabelFilter, PathStat, Removal, Subject,
};

/// Most text of a log tail, in bytes.
const LOG_BYTES: usize = 256 << 10;

/// The header that tells of a path (docs.docker.com, "Get information about files in a container").
const PATH_STAT: &str = "X-Docker-Container-Path-Stat";

/// What it holds, as JSON in base64.
#[derive(Deserialize)]
struct StatHeader {
    size: u64,
    mtime: String,
}

impl Docker {
    pub(super) async fn containers(
        &self,
        filter: &LabelFilter,
    ) -> Result<Vec<ContainerSummary>, EngineError> {
        let call = Call::new("list containers", Subject::Engine, CallClass::Read);
        let mut options = ListContainersOptionsBuilder::default().all(true);
        if let Some(filters) = filter.to_query() {
            options = options.filters(&filters);
        }
        let make = |summary| self.summary(&call, summary);
        self.list(&call, "/containers/json", Some(options.build()), make).await
    }

    fn summary(&self, call: &Call, summary: DockerSummary) -> Result<ContainerSummary, EngineError> {
        // A container being created or removed may show without a name for an instant.
        let name = summary.names.and_then(|names| names.into_iter().next()).unwrap_or_default();
        let state = self.need(call, "State", summary.state)?.to_string();
        let networks = summary.network_settings.and_then(|settings| settings.networks).unwrap_or_default();
        Ok(ContainerSummary {
            id: self.need(call, "Id", summary.id)?,
            name: bare(&name),
            labels: summary.labels.unwrap_or_default().into_iter().collect(),
            state: self.state(call, &state)?,
            image_id: self.need(call, "ImageID", summary.image_id)?,
            created: summary.created.and_then(seconds),
            attachments: attachments(networks),
        })
    }

    fn state(&self, call: &Call, text: &str) -> Result<ContainerState, EngineError> {
        text.parse().map_err(|e: crate::container::UnknownState| self.bad_answer(call, e.to_string()))
    }

    pub(super) async fn create(&self, spec: &ContainerSpec) -> Result<Created, EngineError> {
        let call = Call::container("create container", &spec.name, CallClass::Write);
        let options = CreateContainerOptionsBuilder::default().name(&spec.name).build();
        let created = self.call(&call, self.bollard.create_container(Some(options), body(spec))).await;
        let in_use = match created {
            Ok(created) => return Ok(Created::New { id: created.id }),
            Err(error @ EngineError::NameInUse { .. }) => error,
            Err(error) => return Err(error),
        };
        match self.inspect(&spec.name).await? {
            Some(detail) if detail.state == ContainerState::Removing => Err(EngineError::RemovalInProgress {
                endpoint: (*self.endpoint).clone(),
                subject: call.subject,
            }),
            Some(detail) => Ok(Created::Exists(Box::new(detail))),
            None => Err(in_use),
        }
    }

    pub(super) async fn inspect(&self, id: &str) -> Result<Option<ContainerDetail>, EngineError> {
        let call = Call::container("inspect container", id, CallClass::Read);
        match self.call(&call, self.bollard.inspect_container(id, None)).await {
            Ok(answer) => self.detail(&call, answer).map(Some),
            Err(EngineError::NotFound { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn detail(&self, call: &Call, answer: ContainerInspectResponse) -> Result<ContainerDetail, EngineError> {
        let state = self.need(call, "State", answer.state)?;
        let DockerState { status, pid, exit_code, oom_killed, error, started_at, finished_at, .. } = state;
        let status = self.state(call, self.need(call, "State.Status", status)?.as_ref())?;
        let ended = match status {
            ContainerState::Exited | ContainerState::Dead | ContainerState::Restarting => true,
            ContainerState::Created
            | ContainerState::Running
            | ContainerState::Paused
            | ContainerState::Removing => false,
        };
        let networks = answer.network_settings.and_then(|settings| settings.networks).unwrap_or_default();
        Ok(ContainerDetail {
            id: self.need(call, "Id", answer.id)?,
            name: bare(&self.need(call, "Name", answer.name)?),
            labels: answer.config.and_then(|c| c.labels).unwrap_or_default().into_iter().collect(),
            state: status,
            pid: pid.and_then(|pid| u32::try_from(pid).ok()).filter(|pid| *pid != 0),
            exit_code: exit_code.filter(|_| ended),
            oom_killed: oom_killed.unwrap_or(false),
            started: started_at.as_deref().and_then(timestamp),
            ended: finished_at.as_deref().and_then(timestamp).filter(|_| ended),
            error: error.unwrap_or_default(),
            image_id: self.need(call, "Image", answer.image)?,
            attachments: attachments(networks),
        })
    }

    pub(super) async fn put(&self, id: &str, path: &str, tar: Bytes) -> Result<(), EngineError> {
        let call = path_call("put archive", id, path, CallClass::Write);
        let options =
            UploadToContainerOptionsBuilder::default().path(path).no_overwrite_dir_non_dir("true").build();
        let sent = async {
            let request = self.begin(Method::PUT, &format!("/containers/{id}/archive"), Some(options))?;
            let request = request.header(header::CONTENT_TYPE, "application/x-tar").body(body_full(tar))?;
            self.ask(request).await.map(drop)
        };
        self.call(&call, sent).await
    }

    pub(super) async fn get(&self, id: &str, path: &str, limit: usize) -> Result<Option<Bytes>, EngineError> {
        let call = path_call("get archive", id, path, CallClass::Write);
        let options = DownloadFromContainerOptionsBuilder::default().path(path).build();
        let collected = async {
            let mut chunks = self.stream(&format!("/containers/{id}/archive"), Some(options)).await?;
            let mut tar = BytesMut::new();
            while let Some(chunk) = chunks.try_next().await? {
                tar.extend_from_slice(&chunk);
                if tar.len() > limit {
                    return Ok(None);
                }
            }
            Ok::<_, Error>(Some(tar.freeze()))
        };
        match self.call(&call, collected).await {
            Ok(Some(tar)) => Ok(Some(tar)),
            Ok(None) => Err(EngineError::TooLarge {
                endpoint: (*self.endpoint).clone(),
                call: call.name,
                subject: call.subject,
                limit,
            }),
            Err(EngineError::NotFound { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    pub(super) async fn stat(&self, id: &str, path: &str) -> Result<Option<PathStat>, EngineError> {
        let call = path_call("stat path", id, path, CallClass::Read);
        let options = DownloadFromContainerOptionsBuilder::default().path(path).build();
        let asked = async {
            let request = self.begin(Method::HEAD, &format!("/containers/{id}/archive"), Some(options))?;
            match self.ask(request.body(body_full(Bytes::new()))?).await {
                // An answer to HEAD has no words that would say what is not there.
                Err(Error::DockerResponseServerError { status_code: 404, .. }) => Ok(None),
                answer => answer.map(Some),
            }
        };
        let Some(answer) = self.call(&call, asked).await? else { return Ok(None) };
        let header = answer.headers().get(PATH_STAT);
        let json = header.and_then(|header| STANDARD.decode(header.as_bytes()).ok());
        let stat = json.and_then(|json| serde_json::from_slice::<StatHeader>(&json).ok());
        let StatHeader { size, mtime } = self.need(&call, PATH_STAT, stat)?;
        Ok(Some(PathStat { size, modified: mtime }))
    }

    pub(super) async fn start(&self, id: &str) -> Result<(), EngineError> {
        let call = Call::container("start", id, CallClass::Start);
        self.call(&call, self.bollard.start_container(id, None)).await
    }

    pub(super) async fn stop(&self, id: &str, grace: Duration) -> Result<(), EngineError> {
        let call = Call::container("stop", id, CallClass::Start);
        let seconds = i32::try_from(grace.as_secs()).unwrap_or(i32::MAX);
        let options = StopContainerOptionsBuilder::default().t(seconds).build();
        // The engine answers when the container has ended: its grace comes on top of the limit.
        self.check(&call)?;
        let limit = self.timeouts.limit(call.class) + grace;
        match tokio::time::timeout(limit, self.bollard.stop_container(id, Some(options))).await {
            Ok(answer) => answer.map_err(|error| self.fault(&call, error)),
            Err(_) => Err(self.timed_out(&call)),
        }
    }

    pub(super) async fn kill(&self, id: &str) -> Result<(), EngineError> {
        let call = Call::container("kill", id, CallClass::Write);
        match self.call(&call, self.bollard.kill_container(id, None)).await {
            Err(error) if is_not_running(&error) => Ok(()),
            answer => answer,
        }
    }

    pub(super) async fn remove(&self, id: &str) -> Result<Removal, EngineError> {
        let call = Call::container("remove container", id, CallClass::Write);
        let options = RemoveContainerOptionsBuilder::default().force(true).v(true).build();
        removal(self.call(&call, self.bollard.remove_container(id, Some(options))).await)
    }

    pub(super) async fn logs(&self, id: &str, lines: u32) -> Result<String, EngineError> {
        let call = Call::container("logs", id, CallClass::Read);
        let options =
            LogsOptionsBuilder::default().stdout(true).stderr(true).tail(&lines.to_string()).build();
        let collected = async {
            let mut pieces = self.stream(&format!("/containers/{id}/logs"), Some(options)).await?;
            let (mut output, mut text) = (Output::of(false), Vec::new());
            while let Some(mut piece) = pieces.try_next().await? {
                while let Some(ExecChunk::Stdout(bytes) | ExecChunk::Stderr(bytes)) =
                    output.next(&mut piece)?
                {
                    text.extend_from_slice(&bytes);
                }
                // The last lines are wanted: drop from the front.
                let excess = text.len().saturating_sub(LOG_BYTES);
                text.drain(..excess);
            }
            Ok::<_, Error>(text)
        };
        let text = self.call(&call, collected).await?;
        Ok(String::from_utf8_lossy(&text).into_owned())
    }
}

/// The outcome of a removal: what is not there has been removed already.
pub(super) fn removal<T>(answer: Result<T, EngineError>) -> Result<Removal, EngineError> {
    match answer {
        Ok(_) => Ok(Removal::Removed),
        Err(EngineError::NotFound { .. }) => Ok(Removal::AlreadyGone),
        Err(error) => Err(error),
    }
}

fn path_call(name: &'static str, container: &str, path: &str, class: CallClass) -> Call {
    let subject = Subject::Path { container: container.to_owned(), path: path.to_owned() };
    Call::new(name, subject, class)
}

fn bare(name: &str) -> String {
    name.strip_prefix('/').unwrap_or(name).to_owned()
}

/// In order of their networks' names.
fn attachments(networks: HashMap<String, EndpointSettings>) -> Vec<Attachment> {
    let networks: BTreeMap<_, _> = networks.into_iter().collect();
    networks.into_iter().map(|(name, settings)| attachment(name, settings)).collect()
}

fn attachment(network: String, settings: EndpointSettings) -> Attachment {
    let address = |text: Option<String>| text.and_then(|text| text.parse::<Ipv4Addr>().ok());
    let fixed = settings.ipam_config.and_then(|config| config.ipv4_address);
    Attachment {
        network,
        network_id: settings.network_id.unwrap_or_default(),
        address: address(settings.ip_address).or_else(|| address(fixed)),
        mac: settings.mac_address.and_then(|mac| mac.parse().ok()),
    }
}

/// An engine's time in seconds since 1970.
fn seconds(seconds: i64) -> Option<Timestamp> {
    u64::try_from(seconds).ok()?.checked_mul(1000).map(Timestamp)
}

/// An engine's RFC 3339 time; its zero time, in year 1, is none.
pub(super) fn timestamp(text: &str) -> Option<Timestamp> {
    let millis = text.parse::<jiff::Timestamp>().ok()?.as_millisecond();
    u64::try_from(millis).ok().map(Timestamp)
}
