//! Servers that answer as a test wants: HTTP/1.1 with kept connections, over a unix socket, TCP or TLS.

use std::{
    path::PathBuf,
    sync::{Arc, Mutex},
};

use rcgen::CertificateParams;
use rustls::ServerConfig;
use shoal_types::{Clock as _, SystemClock};
use tempfile::TempDir;
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _},
    net::{TcpListener, UnixListener},
    task::JoinSet,
};
use tokio_rustls::TlsAcceptor;

use crate::{Credential, Endpoint, TlsMaterial};

/// What a server does with a connection.
#[derive(Debug, Clone)]
pub(super) enum Manner {
    /// Answers every request with this status and body.
    Answer(u16, String),
    /// The same with these headers: lines that end in `\r\n`.
    Engine(String, String),
    /// Sends this at once and closes.
    Say(&'static [u8]),
    /// Reads and never answers.
    Hang,
    /// Reads a request and closes.
    Close,
}

impl Manner {
    /// Answers as an engine with this API version.
    pub(super) fn engine(api: &str) -> Self {
        let body = format!(r#"{{"Version":"20.10.24","ApiVersion":"{api}","Os":"linux","Arch":"amd64"}}"#);
        Self::Engine(format!("Api-Version: {api}\r\nServer: Docker/20.10.24 (linux)\r\n"), body)
    }
}

/// A server; it ends when dropped.
pub(super) struct Stub {
    pub(super) endpoint: Endpoint,
    seen: Arc<Mutex<Vec<Vec<String>>>>,
    _tasks: JoinSet<()>,
    _dir: Option<TempDir>,
}

impl Stub {
    /// Paths asked for, per connection.
    pub(super) fn seen(&self) -> Vec<Vec<String>> {
        self.seen.lock().unwrap().clone()
    }

    pub(super) fn unix(manner: Manner) -> Self {
        let dir = TempDir::new().unwrap();
        let path: PathBuf = dir.path().join("s");
        let listener = UnixListener::bind(&path).unwrap();
        let seen = Arc::default();
        let mut tasks = JoinSet::new();
        let log = Arc::clone(&seen);
        tasks.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                connections.spawn(serve(stream, manner.clone(), Arc::clone(&log)));
            }
        });
        Self { endpoint: Endpoint::Unix(path), seen, _tasks: tasks, _dir: Some(dir) }
    }

    /// On a port of 127.0.0.1, with TLS if a configuration is given.
    pub(super) async fn tcp(manner: Manner, tls: Option<ServerConfig>) -> Self {
        Self::tcp_at("127.0.0.1", manner, tls).await
    }

    /// On a port of this name or address of the machine.
    pub(super) async fn tcp_at(host: &str, manner: Manner, tls: Option<ServerConfig>) -> Self {
        let listener = TcpListener::bind((host, 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let acceptor = tls.map(|config| TlsAcceptor::from(Arc::new(config)));
        let seen = Arc::default();
        let mut tasks = JoinSet::new();
        let log = Arc::clone(&seen);
        tasks.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                let (acceptor, manner, log) = (acceptor.clone(), manner.clone(), Arc::clone(&log));
                connections.spawn(async move {
                    match acceptor {
                        None => serve(stream, manner, log).await,
                        // A failed handshake is the client's to report.
                        Some(acceptor) => {
                            if let Ok(stream) = acceptor.accept(stream).await {
                                serve(stream, manner, log).await;
                            }
                        }
                    }
                });
            }
        });
        let endpoint = Endpoint::Tcp { host: host.into(), port };
        Self { endpoint, seen, _tasks: tasks, _dir: None }
    }
}

async fn serve(
    mut stream: impl AsyncRead + AsyncWrite + Unpin,
    manner: Manner,
    seen: Arc<Mutex<Vec<Vec<String>>>>,
) {
    let connection = {
        let mut seen = seen.lock().unwrap();
        seen.push(vec![]);
        seen.len() - 1
    };
    if let Manner::Say(bytes) = manner {
        // The client may have gone.
        drop(stream.write_all(bytes).await);
        return;
    }
    let (mut buffer, mut piece) = (Vec::new(), [0; 4096]);
    loop {
        match stream.read(&mut piece).await {
            Ok(0) | Err(_) => return,
            Ok(n) => buffer.extend_from_slice(&piece[..n]),
        }
        while let Some(end) = buffer.windows(4).position(|window| window == b"\r\n\r\n") {
            let head = String::from_utf8_lossy(&buffer[..end]).into_owned();
            buffer.drain(..end + 4);
            let path = head.split(' ').nth(1).unwrap_or_default().to_owned();
            seen.lock().unwrap()[connection].push(path);
            let mut answer = async |status: u16, headers: &str, body: &str| {
                let length = body.len();
                let text = format!("HTTP/1.1 {status} X\r\n{headers}Content-Length: {length}\r\n\r\n{body}");
                drop(stream.write_all(text.as_bytes()).await);
            };
            match &manner {
                Manner::Answer(status, body) => answer(*status, "", body).await,
                Manner::Engine(headers, body) => answer(200, headers, body).await,
                Manner::Close => return,
                Manner::Hang | Manner::Say(_) => {}
            }
        }
    }
}

/// A CA and what it signed.
pub(super) struct Authority(shoal_lab::Authority);

impl Authority {
    pub(super) fn named(name: &str) -> Self {
        Self(shoal_lab::Authority::named(name).unwrap())
    }

    /// Material of a client that trusts `trusted` and has a certificate of this authority.
    pub(super) fn client(&self, trusted: &Authority) -> Credential {
        let (cert, key) = self.0.signed(&CertificateParams::new(vec!["client".into()]).unwrap()).unwrap();
        Credential::Tls(TlsMaterial::from_pem(trusted.0.pem(), cert, key, SystemClock.now()).unwrap())
    }

    /// A server with a certificate of this authority, that asks clients for one of it too.
    pub(super) fn server(&self, params: &CertificateParams) -> ServerConfig {
        self.0.server(params).unwrap()
    }
}
