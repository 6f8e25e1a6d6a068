//! A coordinator that stays: its services on a socket for local users, and clusters kept as they should be.
//!
//! ```text
//! open: private directory -> socket -> store -> services, upkeep
//! end:  the socket goes -> nothing further is begun -> calls on their way end, leases are given back -> the store is closed
//! ```
//! What was under way is left to the next process, which goes on with it as after a crash.

use std::{path::Path, sync::Arc, time::Duration};

use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::{
    drive::upkeep::{self, KeepEvents},
    embedded::{self, Options},
    fleet::coordinator::Coordinator,
    server::router,
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
    served: JoinHandle<()>,
}

/// Opens the store and serves it on a socket.
///
/// # Errors
/// [`CoordinatorError`]: the store, its key or its directory cannot be used, or the socket; it says which and why.
pub async fn serve(options: Options, path: &Path, events: KeepEvents) -> Result<Server, CoordinatorError> {
    embedded::make_private(&options.state_dir)?;
    // Before the store: who connects meanwhile waits.
    let (socket, listener) = Socket::bind(path).await?;
    let place = options.place()?;
    let (store, surroundings) = embedded::open(options).await?;
    let coordinator = Coordinator::serving(store, surroundings, place);
    let (end, users) = (CancellationToken::new(), socket::users());
    let connections = socket::connections(listener, users.clone());
    let services =
        router(&coordinator, users).serve_with_incoming_shutdown(connections, end.clone().cancelled_owned());
    let served = tokio::spawn(async move {
        if let Err(error) = services.await {
            tracing::error!(%error, "the services ended");
        }
    });
    coordinator.tasks.spawn(upkeep::keep(coordinator.clone(), events));
    Ok(Server { coordinator, socket, end, served })
}

impl Server {
    /// Its socket.
    #[must_use]
    pub fn socket(&self) -> &Path {
        self.socket.path()
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
        if tokio::time::timeout(LAST_WORDS, self.served).await.is_err() {
            tracing::debug!("connections that are still there are closed");
        }
    }
}
