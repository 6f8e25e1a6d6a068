//! A coordinator inside the process that uses it: nothing to start, and yet the same gRPC.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

use hyper_util::rt::TokioIo;
use shoal_proto::{CONNECTION_WINDOW, HTTP2_FRAME, STREAM_WINDOW};
use shoal_storage::{Holder, SealingKey, Store, StoreUrl, StoreUrlError, foreign_directory};
use shoal_types::{Clock, SystemClock};
use tokio::io::DuplexStream;
use tokio_util::sync::CancellationToken;
use tonic::transport::{Channel, Endpoint};

use crate::{
    drive::upkeep::{self, KeepEvents},
    fleet::{
        RealEngines,
        coordinator::{Coordinator, Surroundings},
    },
    server::{Gate, door, services},
    words::{
        entropy::{Entropy, SystemEntropy},
        fault::CoordinatorError,
    },
};

/// Bytes in flight between a client and a coordinator in one process.
const PIPE: usize = 1 << 20;

/// What a coordinator needs to know to start.
#[derive(Debug, Clone)]
pub struct Options {
    /// Directory of the store and its key; made 0700 if it is not there, refused if others can change it.
    pub state_dir: PathBuf,
    /// `postgres://...` or a path; the SQLite file in the state directory if `None`.
    pub store: Option<String>,
    /// File of the key that seals secrets; `key` in the state directory if `None`.
    pub key_file: Option<PathBuf>,
    /// Executables of the agent for hosts of another architecture, in Docker's words (`aarch64`) -> path.
    pub agent_binaries: BTreeMap<String, PathBuf>,
}

impl Options {
    pub(crate) fn url(&self) -> Result<StoreUrl, StoreUrlError> {
        match &self.store {
            Some(url) => url.parse(),
            None => Ok(StoreUrl::file(self.state_dir.join("shoal.db"))),
        }
    }

    /// Where the store is, wherever one stands: the absolute path of its file, or host, port, user and database; no password.
    ///
    /// # Errors
    /// [`CoordinatorError::StoreUrl`].
    pub fn place(&self) -> Result<String, CoordinatorError> {
        let url = self.url()?;
        let Some(path) = url.path() else { return Ok(url.to_string()) };
        let real = path.canonicalize().or_else(|_| std::path::absolute(path));
        Ok(real.unwrap_or_else(|_| path.to_owned()).display().to_string())
    }

    /// Whether there may be a store: one in a file is not made by a look.
    pub(crate) fn is_there(&self) -> Result<bool, StoreUrlError> {
        Ok(self.url()?.path().is_none_or(Path::exists))
    }

    /// Where the key is.
    pub(crate) fn key_path(&self) -> PathBuf {
        self.key_file.clone().unwrap_or_else(|| self.state_dir.join("key"))
    }

    /// Which installation the store is of; `None` if there is no store yet.
    ///
    /// # Errors
    /// As [`embedded`].
    pub async fn installation(self) -> Result<Option<String>, CoordinatorError> {
        if !self.is_there()? {
            return Ok(None);
        }
        make_private(&self.state_dir)?;
        let (store, _) = open(self).await?;
        let id = store.installation().to_string();
        store.close().await;
        Ok(Some(id))
    }

    /// What a person should know of the store's URL before it is used: that nothing proves who the server is.
    #[must_use]
    pub fn warning(&self) -> Option<String> {
        // One that cannot be read is the error of the start.
        let url: StoreUrl = self.store.as_ref()?.parse().ok()?;
        let mode = url.weak_tls()?;
        Some(format!(
            "store {url}: with sslmode={mode} nothing proves that it is the server asked for; sslmode=verify-full does, with \
             sslrootcert=FILE for an authority of your own"
        ))
    }
}

/// A running coordinator and the way to speak with it.
#[derive(Debug)]
pub struct Embedded {
    channel: Channel,
    coordinator: Arc<Coordinator>,
    /// Ends the server, once nothing is under way.
    end: CancellationToken,
}

impl Embedded {
    /// A channel to the coordinator.
    #[must_use]
    pub fn channel(&self) -> Channel {
        self.channel.clone()
    }

    /// Ends what is under way: running creates are rolled back, then everything stops.
    pub async fn shutdown(self) {
        self.coordinator.shutdown().await;
        self.end.cancel();
    }

    /// Keeps clusters as they should be from now on, as a server does.
    pub fn keep(&self, events: KeepEvents) {
        self.coordinator.tasks.spawn(upkeep::keep(self.coordinator.clone(), events));
    }

    /// Ends as a server does: what is under way is left to the next process.
    pub async fn leave(self) {
        self.coordinator.leave().await;
        self.end.cancel();
    }
}

/// Opens the store and starts a coordinator on it.
///
/// # Errors
/// [`CoordinatorError`]: the store, its key or its directory cannot be used; it says which and why.
pub async fn embedded(options: Options) -> Result<Embedded, CoordinatorError> {
    make_private(&options.state_dir)?;
    let (store, surroundings) = open(options).await?;
    embedded_in(store, surroundings).await
}

/// Opens the store, in the surroundings of this process.
pub(crate) async fn open(options: Options) -> Result<(Store, Surroundings), CoordinatorError> {
    let url = options.url()?;
    let mut rng = SystemEntropy.rng();
    let key = SealingKey::load_or_create(&options.key_path(), &mut *rng)?;
    let store = Store::open(&url, key, SystemClock.now(), &mut *rng).await?;
    let holder = Holder::of_this_machine(&hex::encode(crate::words::entropy::draw::<6>(&mut *rng)))?;
    let surroundings = Surroundings {
        clock: Arc::new(SystemClock),
        entropy: Arc::new(SystemEntropy),
        connect: Arc::new(RealEngines),
        agent_binaries: options.agent_binaries,
        holder,
    };
    Ok((store, surroundings))
}

/// Starts a coordinator on a store that is open, in surroundings of the caller's: its services, on a pipe within the process.
///
/// # Errors
/// [`CoordinatorError::Channel`].
pub async fn embedded_in(store: Store, surroundings: Surroundings) -> Result<Embedded, CoordinatorError> {
    let coordinator = Coordinator::new(store, surroundings);
    let (client, server) = tokio::io::duplex(PIPE);
    let end = CancellationToken::new();
    let incoming = futures_util::stream::StreamExt::chain(
        tokio_stream::once(Ok::<_, std::io::Error>(server)),
        futures_util::stream::pending(),
    );
    let gate = Gate::new(&coordinator, BTreeMap::new(), 0);
    let served = door(services(&coordinator), gate)
        .serve_with_incoming_shutdown(incoming, end.clone().cancelled_owned());
    tokio::spawn(async move {
        if let Err(error) = served.await {
            tracing::error!(%error, "the coordinator's services ended");
        }
    });
    let pipe = Arc::new(Mutex::new(Some(client)));
    let connector = tower::service_fn(move |_| {
        let pipe = pipe.clone();
        async move { take(&pipe).map(TokioIo::new) }
    });
    let endpoint = Endpoint::from_static("http://coordinator")
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_frame_size(HTTP2_FRAME);
    let channel = endpoint.connect_with_connector(connector).await?;
    Ok(Embedded { channel, coordinator, end })
}

/// The pipe's one end: there is nothing to reconnect to.
fn take(pipe: &Mutex<Option<DuplexStream>>) -> std::io::Result<DuplexStream> {
    let gone = || std::io::Error::new(std::io::ErrorKind::NotConnected, "the coordinator has ended");
    pipe.lock().unwrap_or_else(PoisonError::into_inner).take().ok_or_else(gone)
}

/// Makes the directory if it is not there; one that others can change is not used.
pub(crate) fn make_private(dir: &Path) -> Result<(), CoordinatorError> {
    use std::os::unix::fs::DirBuilderExt;
    let made = std::fs::DirBuilder::new().recursive(true).mode(0o700).create(dir);
    let unusable = |source| CoordinatorError::StateDir { path: dir.into(), source };
    made.map_err(unusable)?;
    match foreign_directory(dir).map_err(unusable)? {
        Some(why) => Err(CoordinatorError::OpenStateDir { path: dir.into(), why }),
        None => Ok(()),
    }
}
