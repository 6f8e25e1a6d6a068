//! A coordinator that stays: its services on a socket for local users, and clusters kept as they should be.
//!
//! ```text
//! open: private directory -> socket, address -> store -> services behind a gate at each, upkeep
//! end:  the socket goes -> nothing further is begun -> calls on their way end, leases are given back -> the store is closed
//! ```
//! What was under way is left to the next process, which goes on with it as after a crash.

use std::{net::SocketAddr, path::Path, sync::Arc, time::Duration};

use shoal_types::SchedulerAddress;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::{
    drive::upkeep::{self, KeepEvents},
    embedded::{self, Options},
    fleet::coordinator::{Coordinator, Serves},
    server::{Gate, door, door_elsewhere, remote::listen, services},
    socket::{self, Socket},
    words::fault::CoordinatorError,
};

/// How long clients may take to hear the ends of their calls.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// A server.
#[derive(Debug)]
pub struct Server {
    coordinator: Arc<Coordinator>,
    socket: Socket,
    end: CancellationToken,
    served: Vec<JoinHandle<()>>,
}

/// The door for users elsewhere, and what they may.
#[derive(Debug, Clone)]
pub struct Elsewhere {
    /// Where it listens.
    pub listen: SocketAddr,
    /// Names that clients reach it by, besides those of the address.
    pub names: Vec<String>,
    /// Most connections at once.
    pub connections: usize,
    /// Most calls of each user in a second.
    pub calls_a_second: u32,
    /// Programs that may place their clusters.
    pub schedulers: Vec<SchedulerAddress>,
}

/// Opens the store and serves it on a socket, and to users elsewhere if they are to be.
///
/// # Errors
/// [`CoordinatorError`]: the store, its key or its directory cannot be used, or the socket or address; it says which and why.
pub async fn serve(
    options: Options,
    path: &Path,
    events: KeepEvents,
    elsewhere: Option<Elsewhere>,
) -> Result<Server, CoordinatorError> {
    embedded::make_private(&options.state_dir)?;
    // Before the store: who connects meanwhile waits.
    let (socket, listener) = Socket::bind(path).await?;
    let door_out = match &elsewhere {
        Some(elsewhere) => Some(listen(elsewhere.listen, &elsewhere.names).await?),
        None => None,
    };
    let mut serves = Serves { store: options.place()?, ..Serves::default() };
    if let (Some(listener), Some(elsewhere)) = (&door_out, &elsewhere) {
        serves.addresses = listener.addresses(&elsewhere.names);
        serves.schedulers = elsewhere.schedulers.clone();
    }
    let (store, surroundings) = embedded::open(options).await?;
    let coordinator = Coordinator::serving(store, surroundings, serves);
    let (end, users) = (CancellationToken::new(), socket::users());
    let services = services(&coordinator);
    let mut served = Vec::new();
    if let (Some(listener), Some(elsewhere)) = (door_out, elsewhere) {
        let connections = listener.connections(&coordinator, elsewhere.connections, end.clone()).await;
        let connections = connections.map_err(CoordinatorError::Certificate)?;
        let gate = Gate::new(&coordinator, users.clone(), elsewhere.calls_a_second);
        let door = door_elsewhere(services.clone(), gate);
        served.push(spawn(door.serve_with_incoming_shutdown(connections, end.clone().cancelled_owned())));
    }
    let connections = socket::connections(listener, users.clone());
    let door = door(services, Gate::new(&coordinator, users, 0));
    served.push(spawn(door.serve_with_incoming_shutdown(connections, end.clone().cancelled_owned())));
    coordinator.tasks.spawn(upkeep::keep(coordinator.clone(), events));
    Ok(Server { coordinator, socket, end, served })
}

fn spawn(door: impl Future<Output = Result<(), tonic::transport::Error>> + Send + 'static) -> JoinHandle<()> {
    tokio::spawn(async move {
        if let Err(error) = door.await {
            tracing::error!(%error, "the services ended");
        }
    })
}

impl Server {
    /// Its socket.
    #[must_use]
    pub fn socket(&self) -> &Path {
        self.socket.path()
    }

    /// Where users elsewhere reach it, `HOST:PORT`.
    #[must_use]
    pub fn addresses(&self) -> &[String] {
        &self.coordinator.serves.addresses
    }

    /// The installation that it serves.
    #[must_use]
    pub fn installation(&self) -> String {
        self.coordinator.store.installation().to_string()
    }

    /// Ends it: what is under way is left to the next process.
    pub async fn leave(self) {
        drop(self.socket);
        self.end.cancel();
        self.coordinator.leave().await;
        let served = futures_util::future::join_all(self.served);
        if tokio::time::timeout(LAST_WORDS, served).await.is_err() {
            tracing::debug!("connections that are still there are closed");
        }
    }
}
