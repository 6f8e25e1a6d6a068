//! A coordinator inside the process that uses it: nothing to start, and yet the same gRPC.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

use hyper_util::rt::TokioIo;
use shoal_proto::{CONNECTION_WINDOW, HTTP2_FRAME, STREAM_WINDOW};
use shoal_storage::{Holder, SealingKey, Store, StoreUrl, foreign_directory};
use shoal_types::{Clock, SystemClock};
use tokio::io::DuplexStream;
use tokio_util::sync::CancellationToken;
use tonic::transport::{Channel, Endpoint};

use crate::{
    fleet::{
        RealEngines,
        coordinator::{Coordinator, Surroundings},
    },
    server::router,
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
}

/// Opens the store and starts a coordinator on it.
///
/// # Errors
/// [`CoordinatorError`]: the store, its key or its directory cannot be used; it says which and why.
pub async fn embedded(options: Options) -> Result<Embedded, CoordinatorError> {
    let url: StoreUrl = match &options.store {
        Some(url) => url.parse()?,
        None => StoreUrl::file(options.state_dir.join("shoal.db")),
    };
    let mut rng = SystemEntropy.rng();
    make_private(&options.state_dir)?;
    let key_file = options.key_file.unwrap_or_else(|| options.state_dir.join("key"));
    let key = SealingKey::load_or_create(&key_file, &mut *rng)?;
    let store = Store::open(&url, key, SystemClock.now(), &mut *rng).await?;
    let holder = Holder::this_process(hex::encode(crate::words::entropy::draw::<6>(&mut *rng)))?;
    let surroundings = Surroundings {
        clock: Arc::new(SystemClock),
        entropy: Arc::new(SystemEntropy),
        connect: Arc::new(RealEngines),
        agent_binaries: options.agent_binaries,
        holder,
    };
    embedded_in(store, surroundings).await
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
    let served = router(&coordinator).serve_with_incoming_shutdown(incoming, end.clone().cancelled_owned());
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
fn make_private(dir: &Path) -> Result<(), CoordinatorError> {
    use std::os::unix::fs::DirBuilderExt;
    let made = std::fs::DirBuilder::new().recursive(true).mode(0o700).create(dir);
    let unusable = |source| CoordinatorError::StateDir { path: dir.into(), source };
    made.map_err(unusable)?;
    match foreign_directory(dir).map_err(unusable)? {
        Some(why) => Err(CoordinatorError::OpenStateDir { path: dir.into(), why }),
        None => Ok(()),
    }
}
