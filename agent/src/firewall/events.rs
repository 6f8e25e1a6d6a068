//! Changes of nftables: somebody changed some table, perhaps the agent's.

use std::io;

use bytes::BytesMut;
use netlink_sys::{AsyncSocket, AsyncSocketExt, SocketAddr, TokioSocket, protocols::NETLINK_NETFILTER};
use nix::errno::Errno;

/// `NFNLGRP_NFTABLES` as a bit.
const CHANGES: u32 = 1 << 6;
/// What a message says is not read: the rest of it is cut off.
const SCRAP: usize = 64;

/// A subscription to all changes.
pub(crate) struct Changes(TokioSocket);

impl Changes {
    /// Subscribes, in the namespace of the calling thread.
    ///
    /// # Errors
    /// The kernel has no netfilter, or the socket cannot be opened.
    pub(crate) fn subscribe() -> io::Result<Self> {
        let mut socket = TokioSocket::new(NETLINK_NETFILTER)?;
        socket.socket_mut().bind(&SocketAddr::new(0, CHANGES))?;
        Ok(Self(socket))
    }

    /// Waits for a change; changes that were missed count as one.
    ///
    /// # Errors
    /// The socket is gone.
    pub(crate) async fn next(&mut self) -> io::Result<()> {
        let answer = self.0.recv(&mut BytesMut::with_capacity(SCRAP)).await;
        let overrun = |error: &io::Error| error.raw_os_error().map(Errno::from_raw) == Some(Errno::ENOBUFS);
        answer.or_else(|error| if overrun(&error) { Ok(()) } else { Err(error) })
    }
}
