//! Lets users in who come over the network.

use std::{
    io,
    net::SocketAddr,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use rustls::ServerConfig;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::{TcpListener, TcpStream},
    sync::mpsc,
    time::timeout,
};
use tokio_rustls::{TlsAcceptor, server::TlsStream};
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};
use tonic::transport::server::Connected;

use super::{
    peers::{Peer, Peers, Seat},
    tls,
};
use crate::{
    drive::authority::{names_of, user_of},
    fleet::coordinator::Coordinator,
    words::fault::{CoordinatorError, Fault},
};

/// How long a handshake may take.
const HANDSHAKE: Duration = Duration::from_secs(10);
/// The pause after a connection could not be accepted: what it lacks, such as files, may be there a little later.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// Connections that wait for their first bytes to be read.
const QUEUE: usize = 16;

/// Where a server listens for users elsewhere.
#[derive(Debug)]
pub(crate) struct Listener {
    socket: TcpListener,
    /// As bound: the port is known.
    pub(crate) address: SocketAddr,
    names: Vec<String>,
}

/// Listens on an address; nobody is let in yet.
///
/// # Errors
/// [`CoordinatorError::Listen`]: the system said no.
pub(crate) async fn listen(at: SocketAddr, given: &[String]) -> Result<Listener, CoordinatorError> {
    let failed = |source| CoordinatorError::Listen { address: at, source };
    let socket = TcpListener::bind(at).await.map_err(failed)?;
    let address = socket.local_addr().map_err(failed)?;
    let hostname = nix::unistd::gethostname().ok().and_then(|name| name.into_string().ok());
    Ok(Listener { socket, address, names: names_of(address.ip(), given, hostname) })
}

impl Listener {
    /// Where clients reach it, `HOST:PORT`: by the names that were given, else by the first of its own.
    pub(crate) fn addresses(&self, given: &[String]) -> Vec<String> {
        let own = self.names.get(..1).unwrap_or_default();
        let names = if given.is_empty() { own } else { given };
        let port = self.address.port();
        let at = |name: &String| {
            if name.contains(':') { format!("[{name}]:{port}") } else { format!("{name}:{port}") }
        };
        names.iter().map(at).collect()
    }

    /// The connections of users, at most so many at once.
    ///
    /// # Errors
    /// The store's; the certificate cannot be made.
    pub(crate) async fn connections(
        self,
        coordinator: &Arc<Coordinator>,
        most: usize,
        end: CancellationToken,
    ) -> Result<ReceiverStream<io::Result<Connection>>, Fault> {
        let (config, shown) = tls::config(coordinator, self.names).await?;
        let peers = Peers::new(most);
        coordinator.tasks.spawn(shown.keep(coordinator.clone()));
        coordinator.tasks.spawn(peers.clone().watch(coordinator.clone()));
        let (out, connections) = mpsc::channel(QUEUE);
        coordinator.tasks.spawn(accept(self.socket, config, peers, coordinator.clone(), out, end));
        Ok(ReceiverStream::new(connections))
    }
}

async fn accept(
    socket: TcpListener,
    config: Arc<ServerConfig>,
    peers: Arc<Peers>,
    coordinator: Arc<Coordinator>,
    out: mpsc::Sender<io::Result<Connection>>,
    end: CancellationToken,
) {
    let acceptor = TlsAcceptor::from(config);
    loop {
        let accepted = tokio::select! {
            () = end.cancelled() => return,
            accepted = socket.accept() => accepted,
        };
        let (stream, from) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                tracing::warn!(%error, "a connection could not be accepted");
                tokio::time::sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        let Some(seat) = peers.seat(from.ip()) else {
            tracing::warn!(%from, "connection closed: there are too many");
            continue;
        };
        let (acceptor, coordinator, out, end) =
            (acceptor.clone(), coordinator.clone(), out.clone(), end.clone());
        // Its end is that of the handshake, which has a limit.
        tokio::spawn(async move {
            let shaken = tokio::select! {
                () = end.cancelled() => return,
                shaken = timeout(HANDSHAKE, let_in(&acceptor, &coordinator, stream, seat)) => shaken,
            };
            match shaken {
                Ok(Ok(connection)) => drop(out.send(Ok(connection)).await),
                Ok(Err(error)) => tracing::warn!(%from, %error, "handshake failed"),
                Err(_) => tracing::warn!(%from, "handshake took too long"),
            }
        });
    }
}

async fn let_in(
    acceptor: &TlsAcceptor,
    coordinator: &Coordinator,
    stream: TcpStream,
    seat: Seat,
) -> io::Result<Connection> {
    stream.set_nodelay(true)?;
    let stream = acceptor.accept(stream).await?;
    let shown = stream.get_ref().1.peer_certificates().and_then(|chain| chain.first());
    let nobody = || io::Error::other("the certificate names no user");
    let id = shown.and_then(user_of).ok_or_else(nobody)?;
    let user = async { coordinator.store.read().await?.users().get(id).await };
    let peer = seat.of(id, user.await.map_err(io::Error::other)?);
    let gone = Box::pin(seat.gone().clone().cancelled_owned());
    Ok(Connection { stream, peer, gone, _seat: seat })
}

/// A connection of a user: it breaks when the user may not be there any more.
pub(crate) struct Connection {
    stream: TlsStream<TcpStream>,
    peer: Peer,
    gone: Pin<Box<WaitForCancellationFutureOwned>>,
    _seat: Seat,
}

impl Connected for Connection {
    type ConnectInfo = Peer;

    fn connect_info(&self) -> Peer {
        self.peer.clone()
    }
}

impl Connection {
    fn is_gone(&mut self, context: &mut Context<'_>) -> io::Result<()> {
        match self.gone.as_mut().poll(context) {
            Poll::Ready(()) => Err(io::ErrorKind::ConnectionAborted.into()),
            Poll::Pending => Ok(()),
        }
    }
}

impl AsyncRead for Connection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.is_gone(context)?;
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl AsyncWrite for Connection {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.is_gone(context)?;
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.is_gone(context)?;
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
