//! The socket of a server, both of its ends. Who is at the other end is known by the kernel's word (unix(7), SO_PEERCRED).
//!
//! ```text
//! bind:  lock the directory -> does anybody answer there? -> remove what nobody serves -> bind, 0600 from the first moment
//! reach: connect -> is it served by this user, or root? -> gRPC
//! ```

use std::{
    collections::BTreeMap,
    fs::{self, File, Permissions},
    io,
    os::{
        fd::AsFd,
        unix::fs::{FileTypeExt, MetadataExt, PermissionsExt},
    },
    path::{Path, PathBuf},
    time::Duration,
};

use futures_util::{Stream, stream};
use hyper_util::rt::TokioIo;
use nix::unistd::{Uid, User};
use shoal_api::Caller;
use shoal_proto::{CONNECTION_WINDOW, HTTP2_FRAME, STREAM_WINDOW};
use tokio::net::{UnixListener, UnixSocket, UnixStream};
use tonic::transport::{Channel, Endpoint};
use tower::service_fn;

/// Connections that may wait to be accepted: as many as the kernel lets wait by default (listen(2), SOMAXCONN).
const BACKLOG: u32 = 4096;
/// The pause after a connection could not be accepted: what it lacks, such as files, may be there a little later.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Why a socket cannot be served, or its server not be used.
#[derive(Debug, thiserror::Error)]
pub enum SocketError {
    /// Somebody serves it.
    #[error("{} is served already{}", path.display(), pid.map_or_else(String::new, |pid| format!(" by process {pid}")))]
    Served {
        /// The socket.
        path: PathBuf,
        /// Whose it is, if that is known.
        pid: Option<i32>,
    },
    /// Something else has its name.
    #[error("{} is there and is no socket", path.display())]
    NoSocket {
        /// What.
        path: PathBuf,
    },
    /// The system said no.
    #[error("cannot {action} {}", path.display())]
    System {
        /// What was tried, as a verb.
        action: &'static str,
        /// The socket.
        path: PathBuf,
        /// What it said.
        #[source]
        source: io::Error,
    },
}

/// A socket that is listened on. Its file goes with it.
#[derive(Debug)]
pub(crate) struct Socket {
    path: PathBuf,
    /// Device and inode: what has its name later may be another server's.
    file: (u64, u64),
}

impl Socket {
    /// Listens on a path. What is there of a server that no longer lives is replaced.
    ///
    /// # Errors
    /// [`SocketError`].
    pub(crate) async fn bind(path: &Path) -> Result<(Self, UnixListener), SocketError> {
        let failed = |action| move |source| SocketError::System { action, path: path.to_owned(), source };
        let dir = path.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let dir = File::open(dir).map_err(failed("listen on"))?;
        // Of two that find what a third left behind, one removes it.
        let locked = tokio::task::spawn_blocking(move || dir.lock().map(|()| dir)).await;
        let _locked =
            locked.map_err(io::Error::other).and_then(|locked| locked).map_err(failed("listen on"))?;
        match fs::symlink_metadata(path) {
            Ok(there) if !there.file_type().is_socket() => {
                return Err(SocketError::NoSocket { path: path.to_owned() });
            }
            Ok(_) => match UnixStream::connect(path).await {
                Ok(server) => {
                    let pid = server.peer_cred().ok().and_then(|peer| peer.pid());
                    return Err(SocketError::Served { path: path.to_owned(), pid });
                }
                Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
                    fs::remove_file(path).map_err(failed("replace"))?;
                }
                // Its queue is full.
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    return Err(SocketError::Served { path: path.to_owned(), pid: None });
                }
                Err(source) => return Err(failed("look at")(source)),
            },
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(source) => return Err(failed("look at")(source)),
        }
        let listener = listen(path).map_err(failed("listen on"))?;
        let made = fs::symlink_metadata(path).map_err(failed("look at"))?;
        Ok((Self { path: path.to_owned(), file: (made.dev(), made.ino()) }, listener))
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        let ours = |there: &fs::Metadata| (there.dev(), there.ino()) == self.file;
        if fs::symlink_metadata(&self.path).as_ref().is_ok_and(ours)
            && let Err(error) = fs::remove_file(&self.path)
        {
            tracing::warn!(socket = %self.path.display(), %error, "socket stays");
        }
    }
}

fn listen(path: &Path) -> io::Result<UnixListener> {
    let socket = UnixSocket::new_stream()?;
    // The file that bind(2) makes has the mode of the socket, as far as the umask lets it (Linux, net/unix/af_unix.c).
    File::from(socket.as_fd().try_clone_to_owned()?).set_permissions(Permissions::from_mode(0o600))?;
    socket.bind(path)?;
    socket.listen(BACKLOG)
}

/// The users who may use a server of this process: uid -> name. Root could read all it has anyway.
pub(crate) fn users() -> BTreeMap<u32, Caller> {
    [nix::unistd::geteuid(), Uid::from_raw(0)].into_iter().map(|uid| (uid.as_raw(), name_of(uid))).collect()
}

/// A user by name, where the machine has one, else by number.
fn name_of(uid: Uid) -> Caller {
    let named = User::from_uid(uid).ok().flatten().map(|user| user.name);
    Caller::new(&named.unwrap_or_else(|| uid.to_string()))
}

/// Connections of these users; those of others are closed.
pub(crate) fn connections(
    listener: UnixListener,
    users: BTreeMap<u32, Caller>,
) -> impl Stream<Item = io::Result<UnixStream>> {
    stream::unfold((listener, users), |(listener, users)| async move {
        loop {
            let accepted = async {
                let (stream, _) = listener.accept().await?;
                let peer = stream.peer_cred()?;
                Ok::<_, io::Error>((stream, peer))
            };
            match accepted.await {
                Ok((stream, peer)) if users.contains_key(&peer.uid()) => {
                    return Some((Ok(stream), (listener, users)));
                }
                Ok((_, peer)) => {
                    tracing::warn!(
                        peer.uid = peer.uid(),
                        peer.pid = peer.pid(),
                        "connection of another user closed"
                    );
                }
                Err(error) => {
                    tracing::warn!(%error, "a connection could not be accepted");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    })
}

/// A channel to the server of a socket; `None` if nobody listens there.
///
/// # Errors
/// [`SocketError::System`]: it cannot be connected to, or is another user's.
pub async fn reach(path: &Path) -> Result<Option<Channel>, SocketError> {
    let failed = |source| SocketError::System { action: "connect to", path: path.to_owned(), source };
    let first = match connect(path).await {
        Ok(stream) => stream,
        Err(error) if is_nobodys(&error) => return Ok(None),
        Err(source) => return Err(failed(source)),
    };
    let (first, path_again) = (std::sync::Mutex::new(Some(first)), path.to_owned());
    let connector = service_fn(move |_| {
        let first = first.lock().unwrap_or_else(std::sync::PoisonError::into_inner).take();
        let path = path_again.clone();
        async move {
            match first {
                Some(stream) => Ok(TokioIo::new(stream)),
                None => connect(&path).await.map(TokioIo::new),
            }
        }
    });
    let endpoint = Endpoint::from_static("http://server")
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_frame_size(HTTP2_FRAME);
    let channel = endpoint.connect_with_connector(connector).await;
    channel.map(Some).map_err(|error| failed(io::Error::other(error)))
}

/// Whether an error of a connect says that nobody listens. A path that is too long for a socket is nobody's.
fn is_nobodys(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::NotFound
            | io::ErrorKind::NotADirectory
            | io::ErrorKind::ConnectionRefused
            | io::ErrorKind::InvalidInput
    )
}

/// Connects to a server of this user or of root: it is told credentials.
async fn connect(path: &Path) -> io::Result<UnixStream> {
    let stream = UnixStream::connect(path).await?;
    let (server, user) = (stream.peer_cred()?.uid(), nix::unistd::geteuid().as_raw());
    if server != 0 && server != user {
        let words = format!("its server is of user {server}, and this user is {user}");
        return Err(io::Error::new(io::ErrorKind::PermissionDenied, words));
    }
    Ok(stream)
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixListener as StdListener;

    use futures_util::{StreamExt, pin_mut};

    use super::*;

    #[tokio::test]
    async fn only_the_user_can_open_it_and_it_goes_with_its_server() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("s.sock");
        let (socket, _listener) = Socket::bind(&path).await.unwrap();
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
        drop(socket);
        assert!(!path.exists());
        // Another server's of the same name stays.
        let (socket, _listener) = Socket::bind(&path).await.unwrap();
        fs::remove_file(&path).unwrap();
        let _other = StdListener::bind(&path).unwrap();
        drop(socket);
        assert!(path.exists());
    }

    #[tokio::test]
    async fn what_nobody_serves_is_replaced_and_nothing_else() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("s.sock");
        drop(StdListener::bind(&path).unwrap());
        assert!(reach(&path).await.unwrap().is_none());
        let (_socket, _listener) = Socket::bind(&path).await.unwrap();
        let served = Socket::bind(&path).await.unwrap_err();
        let own = i32::try_from(std::process::id()).unwrap();
        assert!(matches!(served, SocketError::Served { pid, .. } if pid == Some(own)), "{served}");
        let file = dir.path().join("file");
        fs::write(&file, "x").unwrap();
        assert!(matches!(Socket::bind(&file).await, Err(SocketError::NoSocket { .. })));
        assert_eq!(fs::read(&file).unwrap(), b"x");
        assert!(reach(&file).await.unwrap().is_none());
        let nowhere = dir.path().join("nowhere/s.sock");
        assert!(matches!(Socket::bind(&nowhere).await, Err(SocketError::System { .. })));
        for nobodys in [nowhere, file.join("s.sock"), dir.path().join("x".repeat(120))] {
            assert!(reach(&nobodys).await.unwrap().is_none(), "{}", nobodys.display());
        }
    }

    #[tokio::test]
    async fn who_is_none_of_the_users_is_hung_up_on() {
        let dir = tempfile::tempdir().unwrap();
        let (path, own) = (dir.path().join("s.sock"), nix::unistd::geteuid().as_raw());
        for (uid, is_let_in) in [(own, true), (own + 1, false)] {
            let (_socket, listener) = Socket::bind(&path).await.unwrap();
            let all = connections(listener, [(uid, Caller::new("ann"))].into());
            pin_mut!(all);
            let mut client = UnixStream::connect(&path).await.unwrap();
            let mut byte = [0];
            tokio::select! {
                accepted = all.next() => assert!(is_let_in && accepted.unwrap().is_ok()),
                read = tokio::io::AsyncReadExt::read(&mut client, &mut byte) => {
                    assert!(!is_let_in && read.unwrap() == 0);
                }
            }
        }
    }

    #[test]
    fn users_are_told_by_name() {
        let users = users();
        assert_eq!(users[&0].to_string(), "root");
        assert!(users.contains_key(&nix::unistd::geteuid().as_raw()));
    }
}
