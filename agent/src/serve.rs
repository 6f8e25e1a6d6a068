//! The agent's life: open state and socket, keep networks, serve until told to stop.

use std::{
    fs, io,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    time::Duration,
};

use nix::sys::resource::{Resource, getrlimit, setrlimit};
use shoal_proto::{
    CONNECTION_WINDOW, HTTP2_FRAME, MAX_STREAMS, STREAM_WINDOW, v1::agent_server::AgentServer,
};
use tokio::{net::UnixListener, time::timeout};
use tokio_stream::wrappers::UnixListenerStream;
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tonic::transport::Server;

use crate::{
    AgentError, dns::Servers, mesh, mesh::Events, reconciler::Reconciler, service::Service, state::StateDir,
};

/// HTTP/2 pings: a session that answers none ends 20 s after its last sign of life.
const PING_EVERY: Duration = Duration::from_secs(10);
const PING_TIMEOUT: Duration = Duration::from_secs(10);
/// How long calls in flight may take to end once the agent is told to stop.
const LAST_CALLS: Duration = Duration::from_secs(3);

/// What an agent is started with.
#[derive(Debug, Clone)]
pub struct Config {
    /// Where networks are kept; outlives the container.
    pub state_dir: PathBuf,
    /// The unix socket sessions connect to.
    pub socket: PathBuf,
    /// Version and build, as told to coordinators.
    pub version: String,
}

impl Config {
    /// The state directory in the agent's container: a labelled volume.
    pub const STATE_DIR: &str = "/var/lib/shoal";
    /// The socket in the agent's container.
    pub const SOCKET: &str = "/run/shoal/agent.sock";

    /// The defaults of the agent's container.
    #[must_use]
    pub fn new(version: String) -> Self {
        Self { state_dir: Self::STATE_DIR.into(), socket: Self::SOCKET.into(), version }
    }
}

/// Runs the agent until `shutdown`: restores the networks it keeps, repairs them for as long as it runs, and serves
/// sessions. Devices and entries stay when it ends; traffic does not need it.
///
/// # Errors
/// [`AgentError::State`], [`AgentError::Socket`], [`AgentError::Netlink`]: it cannot start. [`AgentError::Serve`],
/// [`AgentError::ReconcilerEnded`], [`AgentError::NetlinkEnded`]: it cannot go on.
pub async fn serve(config: Config, shutdown: CancellationToken) -> Result<(), AgentError> {
    let Config { state_dir, socket, version } = config;
    raise_files();
    let state = StateDir::open(&state_dir)?;
    let agent_id = state.host_id()?;
    // The lock is held: whoever made a socket of this name is gone.
    let listener = bind(&socket).map_err(|source| AgentError::Socket { path: socket.clone(), source })?;
    let (connection, handle) = mesh::connect().map_err(AgentError::Netlink)?;
    let events = Events::subscribe().map_err(AgentError::Netlink)?;
    let mut netlink = tokio::spawn(connection);
    let (reconciler, reconciler_handle) = Reconciler::load(handle, state, Servers::new())?;
    let stop_reconciler = CancellationToken::new();
    let mut reconciler = tokio::spawn(reconciler.run(events, stop_reconciler.clone()));
    let tunnels = TaskTracker::new();
    let service = Service {
        version,
        agent_id,
        state_dir: state_dir.clone(),
        reconciler: reconciler_handle,
        tunnels: tunnels.clone(),
    };
    tracing::info!(socket = %socket.display(), state_dir = %state_dir.display(), "agent serves");
    let mut server = Box::pin(
        Server::builder()
            .http2_keepalive_interval(Some(PING_EVERY))
            .http2_keepalive_timeout(Some(PING_TIMEOUT))
            .initial_stream_window_size(STREAM_WINDOW)
            .initial_connection_window_size(CONNECTION_WINDOW)
            .max_frame_size(HTTP2_FRAME)
            .max_concurrent_streams(MAX_STREAMS)
            .serve_with_incoming_shutdown(
                AgentServer::new(service),
                UnixListenerStream::new(listener),
                shutdown.clone().cancelled_owned(),
            ),
    );
    let answer = tokio::select! {
        answer = &mut server => answer.map_err(AgentError::Serve),
        _ = &mut reconciler => Err(AgentError::ReconcilerEnded),
        _ = &mut netlink => Err(AgentError::NetlinkEnded),
        () = shutdown.cancelled() => match timeout(LAST_CALLS, &mut server).await {
            Ok(answer) => answer.map_err(AgentError::Serve),
            Err(_) => Ok(()),
        },
    };
    // Calls that have not ended are cut, and tunnels with them.
    drop(server);
    tunnels.close();
    tunnels.wait().await;
    stop_reconciler.cancel();
    if !matches!(answer, Err(AgentError::ReconcilerEnded)) {
        // It closes the name servers; its own end says nothing more.
        let _ = reconciler.await;
    }
    netlink.abort();
    tracing::info!("agent ended");
    answer
}

/// As many files as the process may have: an engine may give it fewer to begin with.
fn raise_files() {
    let raised = getrlimit(Resource::RLIMIT_NOFILE)
        .and_then(|(_, hard)| setrlimit(Resource::RLIMIT_NOFILE, hard, hard).map(|()| hard));
    match raised {
        Ok(files) => tracing::debug!(files, "limit of open files"),
        Err(error) => tracing::warn!(%error, "the limit of open files stays as it is"),
    }
}

fn bind(socket: &Path) -> io::Result<UnixListener> {
    if let Some(directory) = socket.parent() {
        fs::create_dir_all(directory)?;
    }
    match fs::remove_file(socket) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        Ok(()) | Err(_) => {}
    }
    let listener = UnixListener::bind(socket)?;
    fs::set_permissions(socket, fs::Permissions::from_mode(0o600))?;
    Ok(listener)
}
