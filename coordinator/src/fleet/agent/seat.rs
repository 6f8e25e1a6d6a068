//! Brings the agent to a host and speaks with it through `docker exec`.
//!
//! ```text
//! connect: list by label --same build, running--> exec `shoal agent connect` --greeting--> gRPC
//!             |  other build, dead                                             ^
//!             `--> remove --> load image unless it is this --> create --> start
//! ```
//! The whole way is the connector of the gRPC channel, so a channel that breaks (agent replaced, host rebooted) heals on
//! the next call. Docker's credential is the only one: whoever may exec there is root on that host already.

use std::{
    io,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use hyper_util::rt::TokioIo;
use shoal_docker::{
    ContainerNetwork, ContainerSpec, ContainerState, ContainerSummary, Created, Engine, EngineError,
    ExecDuplex, ExecSpec, FileContent, ImageArchive, ImageFile, Layer, Mount, PackedImage, ProcessLimit,
    RestartPolicy,
};
use shoal_proto::{CONNECTION_WINDOW, GREETING_PREFIX, HTTP2_FRAME, STREAM_WINDOW};
use shoal_types::{Bytes, HostName};
use tokio::{io::AsyncReadExt, time::timeout};
use tonic::transport::Endpoint;
use tower::service_fn;

use crate::{
    fleet::{
        agent::Agent,
        binary::{Binaries, Binary},
    },
    words::{
        fault::AgentError,
        naming::{BUILD, Naming, ROLE},
    },
};

/// Where the agent keeps its networks' states: a volume, so that they outlive its container.
const STATE_DIR: &str = "/var/lib/shoal";
/// Where its socket is.
const SOCKET_DIR: &str = "/run";
/// What an agent may take of its host. With 1,000 nodes' entries it has 5 MB of its own, with 16 readers that stop 16 MiB more
/// (measured 2026-11).
const MEMORY: Bytes = Bytes::mib(256);
/// Processes and threads, its sessions' included.
const PIDS: u32 = 512;
/// Files: 64 connections to each name server and a few hundred tunnels. The limit is made by whoever starts the container, and
/// cannot be above the engine's own where it lacks SYS_RESOURCE.
const FILES: u64 = 16_384;
/// How long the agent may take to greet: its process must be started in its container first.
const GREETING_TIMEOUT: Duration = Duration::from_secs(20);
/// A session whose other side answers no ping for this long is dead.
const KEEPALIVE: Duration = Duration::from_secs(10);
/// Longest greeting; anything longer is an engine's error text.
const GREETING_LIMIT: usize = 4096;
/// How often a container is looked at again that another process creates or removes at the same time.
const RACES: usize = 20;
/// How long to leave that other process between two looks.
const RACE_PAUSE: Duration = Duration::from_millis(250);

/// Which agent is spoken with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Which {
    /// One made of the executable that asks: brought there if there is none.
    OfThisBuild,
    /// Whichever runs there, for who only looks: none is brought, and nothing is read but its name.
    Present,
}

/// What is needed to bring an agent to one host and reach it there.
#[derive(Debug)]
pub(crate) struct Seat {
    pub(crate) host: HostName,
    pub(crate) engine: Arc<dyn Engine>,
    pub(crate) naming: Naming,
    pub(crate) binaries: Arc<Binaries>,
    /// The host's, in Docker's words.
    pub(crate) architecture: String,
}

impl Seat {
    /// A client of this host's agent, connected.
    pub(crate) async fn client(self: Arc<Self>, which: Which) -> Result<Agent, AgentError> {
        let host = self.host.clone();
        // The first session is opened here, where its errors keep their type; the channel opens the later ones.
        let first = Arc::new(Mutex::new(Some(self.open(which).await?)));
        let connector = service_fn(move |_| {
            let (seat, first) = (self.clone(), first.clone());
            async move {
                let opened = first.lock().unwrap_or_else(PoisonError::into_inner).take();
                match opened {
                    Some(stream) => Ok(TokioIo::new(stream)),
                    None => seat.open(which).await.map(TokioIo::new),
                }
            }
        });
        let endpoint = Endpoint::from_static("http://agent")
            .initial_stream_window_size(STREAM_WINDOW)
            .initial_connection_window_size(CONNECTION_WINDOW)
            .max_frame_size(HTTP2_FRAME)
            .http2_keep_alive_interval(KEEPALIVE)
            .keep_alive_timeout(KEEPALIVE)
            .keep_alive_while_idle(true);
        match endpoint.connect_with_connector(connector).await {
            Ok(channel) => Ok(Agent::new(host, channel)),
            Err(error) => Err(AgentError::Channel { host, reason: shoal_types::chain(&error) }),
        }
    }

    /// The version the agent runs: the build it was made of, shortened as in its image's tag.
    pub(crate) async fn build(&self) -> Result<String, AgentError> {
        Ok(self.binary().await?.build[..12].to_owned())
    }

    /// Whether the agent that is there is of this build.
    pub(crate) async fn is_current(&self) -> Result<bool, AgentError> {
        let binary = self.binary().await?;
        Ok(self.listed().await?.iter().any(|agent| is_of(agent, &binary)))
    }

    async fn binary(&self) -> Result<Arc<Binary>, AgentError> {
        let binary = self.binaries.get(&self.architecture).await;
        binary.map_err(|source| AgentError::Binary { host: self.host.clone(), source })
    }

    /// The containers of agents that are there, whatever their build and state.
    async fn listed(&self) -> Result<Vec<ContainerSummary>, AgentError> {
        let filter = self.naming.all().with(ROLE, "agent");
        self.engine.list_containers(&filter).await.map_err(|e| self.engine_error(e))
    }

    async fn open(&self, which: Which) -> Result<ExecDuplex, AgentError> {
        let container = match which {
            Which::OfThisBuild => self.ensure().await?,
            Which::Present => self.naming.agent(),
        };
        let spec = ExecSpec { lasting: true, ..ExecSpec::new(["/shoal", "agent", "connect"]) };
        let session =
            self.engine.attach_exec(&container, &spec).await.map_err(|error| match (which, error) {
                // It is spoken with by name.
                (Which::Present, EngineError::NotFound { .. }) => {
                    AgentError::Absent { host: self.host.clone() }
                }
                (Which::OfThisBuild | Which::Present, error) => self.engine_error(error),
            })?;
        let mut stream = session.into_duplex(format!("agent of {}", self.host));
        let greeting = timeout(GREETING_TIMEOUT, greeting(&mut stream)).await;
        let text = match greeting {
            Ok(Ok(line)) if line.starts_with(GREETING_PREFIX) => return Ok(stream),
            Ok(Ok(text)) => text,
            Ok(Err(error)) => error.to_string(),
            Err(_) => format!("nothing for {} s", GREETING_TIMEOUT.as_secs()),
        };
        Err(AgentError::Greeting { host: self.host.clone(), text: text.trim().escape_debug().to_string() })
    }

    /// Sees to it that an agent of our build runs, and returns its container.
    async fn ensure(&self) -> Result<String, AgentError> {
        let binary = self.binary().await?;
        for _ in 0..RACES {
            let there = self.listed().await?;
            if let Some(agent) =
                there.iter().find(|c| is_of(c, &binary) && c.state == ContainerState::Running)
            {
                return Ok(agent.id.clone());
            }
            // Another process may be between creating and starting it.
            let made =
                |c: &&ContainerSummary| matches!(c.state, ContainerState::Created | ContainerState::Exited);
            if let Some(agent) = there.iter().filter(|c| is_of(c, &binary)).find(made) {
                match self.engine.start(&agent.id).await {
                    Ok(()) | Err(EngineError::NotFound { .. } | EngineError::Conflict { .. }) => continue,
                    Err(error) => return Err(self.engine_error(error)),
                }
            }
            for old in &there {
                match self.engine.remove_container(&old.id).await {
                    Ok(_) | Err(EngineError::RemovalInProgress { .. }) => {}
                    Err(error) => return Err(self.engine_error(error)),
                }
            }
            let image = self.load(&binary).await?;
            match self.install(&binary, image).await {
                Ok(Some(id)) => return Ok(id),
                Ok(None)
                | Err(
                    EngineError::NameInUse { .. }
                    | EngineError::RemovalInProgress { .. }
                    | EngineError::NotFound { .. }
                    | EngineError::Conflict { .. },
                ) => {
                    tokio::time::sleep(RACE_PAUSE).await;
                }
                Err(error) => return Err(self.engine_error(error)),
            }
        }
        Err(AgentError::Contended { host: self.host.clone() })
    }

    /// Loads the image unless it is there; what it is called. Whatever else had that name, from wherever it came, has it no more.
    async fn load(&self, binary: &Arc<Binary>) -> Result<String, AgentError> {
        let image = format!("shoal-agent:{}", &binary.build[..12]);
        let packed = tokio::task::spawn_blocking(self.image(&image, binary)).await;
        let packed = packed.map_err(io::Error::other).and_then(|packed| packed);
        let packed = packed
            .map_err(|source| AgentError::Binary { host: self.host.clone(), source: binary.error(source) })?;
        let there = self.engine.inspect_image(&image).await.map_err(|e| self.engine_error(e))?;
        if there.is_none_or(|there| there.id != packed.id()) {
            self.engine.load_image(packed.stream()).await.map_err(|e| self.engine_error(e))?;
        }
        Ok(image)
    }

    /// Creates the container and starts it. `None`: somebody else did at the same time.
    async fn install(&self, binary: &Binary, image: String) -> Result<Option<String>, EngineError> {
        let name = self.naming.agent();
        let labels = self.naming.agent_labels(&binary.build);
        self.engine.create_volume(&name, &labels).await?;
        let spec = ContainerSpec {
            name: name.clone(),
            image,
            labels,
            cmd: Some(["agent", "serve", "--state-dir", STATE_DIR].map(Into::into).into()),
            network: ContainerNetwork::Host,
            host_pids: true,
            memory: Some(MEMORY),
            pids: Some(PIDS),
            limits: vec![ProcessLimit { name: "nofile".into(), soft: Some(FILES), hard: Some(FILES) }],
            read_only: true,
            mounts: vec![
                Mount::Volume { name, target: STATE_DIR.into() },
                Mount::Tmpfs { target: SOCKET_DIR.into(), size: Some(Bytes::mib(1)), mode: 0o700 },
            ],
            cap_drop: vec!["ALL".into()],
            cap_add: vec!["NET_ADMIN".into(), "NET_BIND_SERVICE".into()],
            security_opts: vec!["no-new-privileges".into()],
            restart: RestartPolicy::Always,
            ..ContainerSpec::default()
        };
        match self.engine.create_container(&spec).await? {
            Created::New { id } => {
                self.engine.start(&id).await?;
                tracing::info!(host.name = %self.host, agent.build = &binary.build[..12], "agent started");
                Ok(Some(id))
            }
            Created::Exists(_) => Ok(None),
        }
    }

    /// Packs the image: the executable and the directories it mounts on, nothing else.
    fn image(
        &self,
        reference: &str,
        binary: &Arc<Binary>,
    ) -> impl FnOnce() -> io::Result<PackedImage> + use<> {
        let dir = |path: &str| ImageFile { path: path.into(), mode: 0o755, content: FileContent::Directory };
        let mut files = vec![dir("run/"), dir("tmp/"), dir("var/"), dir("var/lib/"), dir("var/lib/shoal/")];
        let (reference, binary) = (reference.to_owned(), binary.clone());
        let architecture = ImageArchive::architecture_of(&self.architecture).into();
        let labels = self.naming.agent_labels(&binary.build);
        move || {
            let content = FileContent::Bytes(binary.read()?);
            files.push(ImageFile { path: "shoal".into(), mode: 0o755, content });
            let archive = ImageArchive {
                reference,
                architecture,
                entrypoint: vec!["/shoal".into()],
                cmd: vec![],
                env: std::collections::BTreeMap::new(),
                labels,
                stop_signal: None,
                layer: Layer::Files(files),
            };
            archive.pack().map_err(io::Error::other)
        }
    }

    fn engine_error(&self, source: EngineError) -> AgentError {
        AgentError::Engine { host: self.host.clone(), source: Box::new(source) }
    }
}

/// Reads to the end of the first line, or of the stream.
/// Whether an agent's container is of this build.
fn is_of(agent: &ContainerSummary, binary: &Binary) -> bool {
    agent.labels.get(BUILD) == Some(&binary.build)
}

async fn greeting(stream: &mut ExecDuplex) -> io::Result<String> {
    let mut line = Vec::new();
    while line.len() < GREETING_LIMIT {
        match stream.read_u8().await {
            Ok(b'\n') => break,
            Ok(byte) => line.push(byte),
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => break,
            Err(error) => return Err(error),
        }
    }
    Ok(String::from_utf8_lossy(&line).into_owned())
}
