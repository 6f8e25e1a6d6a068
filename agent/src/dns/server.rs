//! The sockets of one network's server, UDP and TCP on the gateway's port 53.
//!
//! They are bound with `IP_FREEBIND` (ip(7)): the gateway's address comes and goes with Docker's bridge, the sockets stay.

use std::{
    io,
    net::{Ipv4Addr, SocketAddrV4},
    os::fd::AsRawFd,
    sync::Arc,
};

use hickory_proto::ProtoError;
use hickory_server::Server;
use ipnet::IpNet;
use nix::sys::socket::{
    AddressFamily, SockFlag, SockType, SockaddrIn, bind, setsockopt, socket, sockopt::IpFreebind,
};
use tokio::{
    net::{TcpListener, TcpSocket, UdpSocket},
    sync::watch,
    task::JoinHandle,
};
use tokio_util::sync::CancellationToken;

use super::{
    forward::{Forwarder, Share},
    handler::Handler,
    tcp,
    zone::Zone,
};
use crate::network::Network;

const PORT: u16 = 53;
const TCP_BACKLOG: u32 = 128;

/// Names that cannot be served.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DnsError {
    /// Another server of the host has the port, or the address cannot be bound.
    #[error("cannot serve names on {address}")]
    Bind { address: SocketAddrV4, source: io::Error },
    /// A name does not fit the DNS.
    #[error("cannot make the names of {domain}")]
    Names { domain: String, source: ProtoError },
}

/// A running server. Ends when dropped.
#[derive(Debug)]
pub(super) struct Running {
    network: Arc<Network>,
    zone: watch::Sender<Arc<Zone>>,
    shutdown: CancellationToken,
    task: JoinHandle<()>,
}

impl Running {
    /// Binds the sockets and serves until [`Self::stop`].
    ///
    /// # Errors
    /// [`DnsError::Bind`], [`DnsError::Names`].
    pub(super) fn start(network: &Arc<Network>, forwarder: Arc<Forwarder>) -> Result<Self, DnsError> {
        let (zone, receiver) = watch::channel(zone(network)?);
        let address = SocketAddrV4::new(network.gateway, PORT);
        let bind = |source| DnsError::Bind { address, source };
        let (udp, tcp) = (bind_udp(network.gateway).map_err(bind)?, bind_tcp(address).map_err(bind)?);
        // Nodes of the network only: the gateway's address can be reached from other networks of the host.
        let asker = IpNet::V4(network.subnet);
        let handler = Handler { zone: receiver, forwarder: Share::of(forwarder) };
        let mut server = Server::with_access(handler.clone(), [], [asker]);
        server.register_socket(udp);
        let shutdown = server.shutdown_token().clone();
        let connections = tcp::serve(tcp, network.subnet, handler, shutdown.clone());
        let task = tokio::spawn(async move {
            let answer = tokio::select! {
                answer = server.block_until_done() => answer,
                () = connections => server.block_until_done().await,
            };
            if let Err(error) = answer {
                tracing::warn!(%address, %error, "name server ended");
            }
        });
        tracing::info!(%address, domain = %network.domain, "serving names");
        Ok(Self { network: network.clone(), zone, shutdown, task })
    }

    /// True if it runs on what `network` needs.
    pub(super) fn fits(&self, network: &Network) -> bool {
        let same = self.network.gateway == network.gateway && self.network.subnet == network.subnet;
        same && !self.task.is_finished()
    }

    /// Replaces the names; true if they were others.
    ///
    /// # Errors
    /// [`DnsError::Names`].
    pub(super) fn update(&mut self, network: &Arc<Network>) -> Result<bool, DnsError> {
        if Arc::ptr_eq(&self.network, network) {
            return Ok(false);
        }
        self.zone.send_replace(zone(network)?);
        self.network = network.clone();
        Ok(true)
    }

    /// Closes the sockets and waits for that.
    pub(super) async fn stop(mut self) {
        self.shutdown.cancel();
        // It has logged what there is to say.
        let _ = (&mut self.task).await;
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn zone(network: &Network) -> Result<Arc<Zone>, DnsError> {
    let names = |source| DnsError::Names { domain: network.domain.to_string(), source };
    Zone::new(network).map(Arc::new).map_err(names)
}

fn bind_udp(address: Ipv4Addr) -> io::Result<UdpSocket> {
    let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
    let fd = socket(AddressFamily::Inet, SockType::Datagram, flags, None)?;
    setsockopt(&fd, IpFreebind, &true)?;
    bind(fd.as_raw_fd(), &SockaddrIn::from(SocketAddrV4::new(address, PORT)))?;
    UdpSocket::from_std(fd.into())
}

fn bind_tcp(address: SocketAddrV4) -> io::Result<TcpListener> {
    let socket = TcpSocket::new_v4()?;
    setsockopt(&socket, IpFreebind, &true)?;
    socket.set_reuseaddr(true)?;
    socket.bind(address.into())?;
    socket.listen(TCP_BACKLOG)
}
