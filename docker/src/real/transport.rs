//! The way to an engine: one pooled HTTP/1.1 client over a unix socket, mutual TLS or ssh.
//!
//! bollard's own transports never set TCP_NODELAY, which costs 44 ms on every small call over TCP (Nagle's algorithm
//! against delayed acknowledgements; measured 2026-11-21), open a connection per call, and trust the system's roots
//! beside the given CA. Hence this one.

use std::{fmt, future::Future, io, path::Path, sync::Arc, time::Duration};

use bollard::{API_DEFAULT_VERSION, BollardRequest, body_full, errors::Error};
use bytes::Bytes;
use futures_util::{FutureExt as _, TryFutureExt as _, future::BoxFuture};
use hyper::{Request, Response, StatusCode, Uri, body::Incoming};
use hyper_rustls::HttpsConnectorBuilder;
use hyper_util::{
    client::legacy::{
        Client,
        connect::{Connect, HttpConnector},
    },
    rt::{TokioExecutor, TokioIo, TokioTimer},
};
use rustls::ClientConfig;
use rustls_pki_types::{CertificateDer, ServerName};
use tokio::{
    io::AsyncReadExt as _,
    net::{TcpStream, UnixStream},
};
use tokio_rustls::TlsConnector;
use tower::{Service as _, service_fn};

use super::{
    bounds::{ANSWER, Endless, Meter, Metered, WORDS},
    request::collected,
    ssh::Way,
};
use crate::{Pulse, Timeouts};

/// Idle connections kept to one engine, and for how long: enough for the calls of a node, which follow each other, and few
/// enough for a thousand engines. More calls at once open further ones.
const POOLED: usize = 2;
const POOL_IDLE: Duration = Duration::from_secs(10);
/// What a connection for calls reads at once, in bytes; also the longest head of an answer there. hyper's buffer would
/// grow with the answers, to 408 KiB, and stay.
const CALL_BUFFER: usize = 8 << 10;
/// A silent peer is noticed after 10 s + 3 x 5 s of TCP keepalive (tcp(7)), also on streams that say nothing for hours.
const KEEPALIVE: Duration = Duration::from_secs(10);
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(5);
const KEEPALIVE_RETRIES: u32 = 3;
/// bollard's own limit, in seconds, out of the way: [`super::call`] sets one per call.
const BOLLARD_LIMIT: u64 = 24 * 3600;

type Requester =
    Arc<dyn Fn(BollardRequest) -> BoxFuture<'static, Result<Response<Incoming>, Error>> + Send + Sync>;

/// A pool of connections to one engine.
#[derive(Clone)]
pub(super) struct Transport {
    requester: Requester,
    /// `http://docker` for a unix socket, where the host is only for the Host header; else `https://host:port`.
    address: String,
    pulse: Pulse,
}

impl fmt::Debug for Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Transport").field("address", &self.address).finish_non_exhaustive()
    }
}

impl Transport {
    fn new(pool: Requester, address: String) -> Self {
        let pulse = Pulse::default();
        let noted = pulse.clone();
        let requester: Requester = Arc::new(move |request| {
            let noted = noted.clone();
            pool(request).inspect_ok(move |_| noted.note_answer()).boxed()
        });
        Self { requester, address, pulse }
    }

    /// Of the engine at its other end.
    pub(super) fn pulse(&self) -> &Pulse {
        &self.pulse
    }

    /// Where it leads to, as the beginning of a request's URI.
    pub(super) fn address(&self) -> &str {
        &self.address
    }

    /// Sends a request; the answer's body is limited as [`pooled`] says.
    pub(super) async fn send(&self, request: BollardRequest) -> Result<Response<Incoming>, Error> {
        (self.requester)(request).await
    }

    /// To a unix socket.
    pub(super) fn unix(path: &Path, timeouts: &Timeouts) -> Self {
        let (path, limit) = (path.to_owned(), timeouts.connect);
        let dial = service_fn(move |_: Uri| {
            let path = path.clone();
            Box::pin(async move { within(limit, UnixStream::connect(path)).await.map(metered) })
        });
        Self::new(pooled(dial), "http://docker".to_owned())
    }

    /// To a TCP port with mutual TLS.
    pub(super) fn tls(host: &str, port: u16, config: ClientConfig, timeouts: &Timeouts) -> Self {
        let limit = timeouts.connect;
        let https = HttpsConnectorBuilder::new()
            .with_tls_config(config)
            .https_only()
            .enable_http1()
            .wrap_connector(tcp(limit));
        let dial = service_fn(move |uri: Uri| {
            let mut https = https.clone();
            Box::pin(async move {
                let stream = within(limit, https.call(uri).map_err(io::Error::other)).await?;
                Ok::<_, io::Error>(metered(TokioIo::new(stream)))
            })
        });
        let host = if host.contains(':') { format!("[{host}]") } else { host.to_owned() };
        Self::new(pooled(dial), format!("https://{host}:{port}"))
    }

    /// Through an SSH connection. A channel that sshd refuses is closed for hyper: why, ssh says.
    pub(super) fn ssh(way: Way, timeouts: &Timeouts) -> Self {
        let limit = timeouts.connect;
        let dialled = way.clone();
        let dial = service_fn(move |_: Uri| {
            let way = dialled.clone();
            Box::pin(async move { within(limit, way.dial()).await.map(metered) })
        });
        let pool = pooled(dial);
        let requester: Requester = Arc::new(move |request| {
            let (way, mark, answer) = (way.clone(), way.mark(), pool(request));
            async move {
                match answer.await {
                    Err(Error::HyperLegacyError { err }) if !err.is_connect() => {
                        let refused = way.refusal(mark).await;
                        Err(refused.map_or(Error::HyperLegacyError { err }, |problem| Error::IOError {
                            err: io::Error::other(problem),
                        }))
                    }
                    answer => answer,
                }
            }
            .boxed()
        });
        Self::new(requester, "http://docker".to_owned())
    }

    /// The API version that an engine puts on its answer to a ping; `None` if the answer is not a Docker Engine's.
    ///
    /// # Errors
    /// There is no answer.
    pub(super) async fn ping(&self) -> Result<Option<String>, Error> {
        let request = Request::get(format!("{}/_ping", self.address)).body(body_full(Bytes::new()))?;
        let (head, body) = self.send(request).await?.into_parts();
        // To its end: then the connection serves the next call.
        collected(body, WORDS).await?;
        let said = |name: &str| head.headers.get(name).and_then(|value| value.to_str().ok());
        let docker =
            head.status.is_success() && said("Server").is_some_and(|name| name.starts_with("Docker/"));
        Ok(said("Api-Version").filter(|_| docker).map(str::to_owned))
    }

    /// bollard's handle over this pool.
    ///
    /// bollard 0.21 formats a version into its paths and loses it again (it joins the absolute path onto the URL), so
    /// that an engine would always speak its newest API: `api` puts it back in.
    pub(super) fn handle(&self, api: Option<&str>) -> Result<bollard::Docker, Error> {
        let requester = Arc::clone(&self.requester);
        let prefix = api.map(|api| format!("/v{api}"));
        let send = move |mut request: BollardRequest| {
            let versioned = match &prefix {
                Some(prefix) => with_prefix(request.uri(), prefix),
                None => Ok(request.uri().clone()),
            };
            let requester = Arc::clone(&requester);
            async move {
                *request.uri_mut() = versioned?;
                requester(request).await
            }
        };
        bollard::Docker::connect_with_custom_transport(
            send,
            Some(self.address.as_str()),
            BOLLARD_LIMIT,
            API_DEFAULT_VERSION,
        )
    }
}

/// Shakes hands and only listens: what an engine says of our certificate.
///
/// In TLS 1.3 a client is done before the server has looked at its certificate, and the alert of one that does not like
/// it races with the reset of a connection on which a request is under way. Who sends nothing always hears it.
///
/// # Errors
/// The alert, if there is one; otherwise it waits for the limit and says that nothing came.
pub(super) async fn verdict(
    host: &str,
    port: u16,
    config: ClientConfig,
    timeouts: &Timeouts,
) -> io::Result<usize> {
    let name = ServerName::try_from(host.to_owned()).map_err(io::Error::other)?;
    let listen = async {
        let stream = TcpStream::connect((host, port)).await?;
        TlsConnector::from(Arc::new(config)).connect(name, stream).await?.read(&mut [0]).await
    };
    within(timeouts.connect, listen).await
}

/// Shakes hands and looks at the certificate the engine shows; asks nothing.
///
/// # Errors
/// As the handshake's.
pub(super) async fn shown_certificate(
    host: &str,
    port: u16,
    config: ClientConfig,
    timeouts: &Timeouts,
) -> io::Result<Option<CertificateDer<'static>>> {
    let name = ServerName::try_from(host.to_owned()).map_err(io::Error::other)?;
    let shake = async {
        let stream = TcpStream::connect((host, port)).await?;
        let stream = TlsConnector::from(Arc::new(config)).connect(name, stream).await?;
        let chain = stream.get_ref().1.peer_certificates().unwrap_or_default();
        Ok(chain.first().map(|der| der.clone().into_owned()))
    };
    within(timeouts.connect, shake).await
}

fn with_prefix(uri: &Uri, prefix: &str) -> Result<Uri, Error> {
    let mut parts = uri.clone().into_parts();
    let path = uri.path_and_query().map_or("/", |path| path.as_str());
    parts.path_and_query = Some(format!("{prefix}{path}").parse()?);
    Ok(Uri::from_parts(parts)?)
}

fn tcp(limit: Duration) -> HttpConnector {
    let mut tcp = HttpConnector::new();
    tcp.enforce_http(false);
    tcp.set_nodelay(true);
    tcp.set_connect_timeout(Some(limit));
    tcp.set_keepalive(Some(KEEPALIVE));
    tcp.set_keepalive_interval(Some(KEEPALIVE_INTERVAL));
    tcp.set_keepalive_retries(Some(KEEPALIVE_RETRIES));
    tcp
}

async fn within<T>(limit: Duration, dial: impl Future<Output = io::Result<T>>) -> io::Result<T> {
    let late =
        || io::Error::new(io::ErrorKind::TimedOut, format!("no connection within {} s", limit.as_secs_f32()));
    tokio::time::timeout(limit, dial).await.unwrap_or_else(|_| Err(late()))
}

fn metered<T>(stream: T) -> TokioIo<Metered<T>> {
    TokioIo::new(Metered::new(stream))
}

/// Two pools: connections that bring at most [`ANSWER`] bytes in answer to a call, and those for requests marked as
/// [`Endless`], whose answers have any length unless they are errors.
fn pooled<C>(dial: C) -> Requester
where
    C: Connect + Clone + Send + Sync + 'static,
{
    let mut pool = Client::builder(TokioExecutor::new());
    pool.pool_max_idle_per_host(POOLED).pool_idle_timeout(POOL_IDLE).pool_timer(TokioTimer::new());
    let streams = pool.build(dial.clone());
    let calls = pool.http1_read_buf_exact_size(CALL_BUFFER).build(dial);
    Arc::new(move |request: BollardRequest| {
        let endless = request.extensions().get::<Endless>().is_some();
        let answer = if endless { &streams } else { &calls }.request(request);
        async move {
            let answer = answer.await?;
            let goes_well =
                answer.status().is_success() || answer.status() == StatusCode::SWITCHING_PROTOCOLS;
            if let Some(meter) = answer.extensions().get::<Meter>() {
                meter.answer(if endless && goes_well { None } else { Some(ANSWER) });
            }
            Ok(answer)
        }
        .boxed()
    })
}
