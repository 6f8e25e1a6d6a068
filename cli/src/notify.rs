//! Tells the service manager how a server is (sd_notify(3)).

use std::{
    env, io,
    os::{
        linux::net::SocketAddrExt,
        unix::{
            ffi::OsStrExt,
            net::{SocketAddr, UnixDatagram},
        },
    },
};

/// What is told.
#[derive(Debug, Clone, Copy)]
pub(crate) enum State {
    /// It serves.
    Ready,
    /// It ends.
    Stopping,
}

/// Tells it, if there is a service manager that wants to know.
///
/// # Errors
/// It cannot be told.
pub(crate) fn tell(state: State) -> io::Result<()> {
    let Some(socket) = env::var_os("NOTIFY_SOCKET").filter(|socket| !socket.is_empty()) else {
        return Ok(());
    };
    let address = match socket.as_bytes().strip_prefix(b"@") {
        Some(name) => SocketAddr::from_abstract_name(name)?,
        None => SocketAddr::from_pathname(socket)?,
    };
    let words: &[u8] = match state {
        State::Ready => b"READY=1",
        State::Stopping => b"STOPPING=1",
    };
    UnixDatagram::unbound()?.send_to_addr(words, &address).map(drop)
}
