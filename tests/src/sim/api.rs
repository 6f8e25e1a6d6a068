//! The Docker Engine API of a simulated host, on a unix socket: for a coordinator in another process, with the real client.
//!
//! ```text
//! shoal_docker::connect --HTTP/1.1--> Api --dyn Engine--> FakeEngine
//!        attached exec <--101, frames--'
//! ```
//! It has the calls of a create and of its way back; any other is answered with 501. What requests and answers look like is in
//! `json.rs`.

mod json;

use std::{
    collections::HashMap,
    io,
    path::Path,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use bytes::Bytes;
use futures_util::{FutureExt as _, StreamExt as _, stream};
use http_body_util::{BodyExt as _, Full};
use hyper::{
    Request, Response, StatusCode,
    body::Incoming,
    header::{CONNECTION, UPGRADE},
    server::conn::http1,
    service::service_fn,
    upgrade::{OnUpgrade, Upgraded},
};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use shoal_docker::{Engine, EngineError, ExecChunk, ExecSession, ExecSpec, Removal};
use shoal_docker_fake::FakeEngine;
use tokio::{
    io::{AsyncWriteExt as _, copy, split},
    net::{UnixListener, UnixStream},
    task::JoinSet,
};

use self::json::{Query, Refused};

/// Who asks, in the eyes of the engine.
const CLIENT: &str = "api";
/// Byte of a frame's header that says which stream it is of (docs.docker.com, "Attach to a container").
const STDOUT: u8 = 1;
const STDERR: u8 = 2;

type Answer = Result<Response<Full<Bytes>>, Refused>;

/// A command that was made.
#[derive(Debug)]
enum Exec {
    Made { container: String, spec: ExecSpec },
    Running,
    Ended(i64),
}

/// One engine's API.
#[derive(Debug)]
struct Api {
    engine: Arc<dyn Engine>,
    execs: Mutex<HashMap<String, Exec>>,
    made: AtomicU64,
}

/// Serves the API of an engine on a socket. It ends with what is returned.
///
/// # Errors
/// The socket cannot be made.
pub(super) fn serve(engine: &FakeEngine, socket: &Path) -> io::Result<JoinSet<()>> {
    let listener = UnixListener::bind(socket)?;
    let api = Api { engine: engine.client(CLIENT), execs: Mutex::default(), made: AtomicU64::new(1) };
    let api = Arc::new(api);
    let mut serving = JoinSet::new();
    serving.spawn(async move {
        let mut connections = JoinSet::new();
        while let Ok((stream, _)) = listener.accept().await {
            connections.spawn(api.clone().connection(stream));
            while connections.try_join_next().is_some() {}
        }
    });
    Ok(serving)
}

impl Api {
    fn execs(&self) -> MutexGuard<'_, HashMap<String, Exec>> {
        self.execs.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn connection(self: Arc<Self>, stream: UnixStream) {
        let service = service_fn(move |request| {
            let api = self.clone();
            async move { io::Result::Ok(api.answer(request).await.unwrap_or_else(refused)) }
        });
        // A client that goes away ends its connection.
        drop(http1::Builder::new().serve_connection(TokioIo::new(stream), service).with_upgrades().await);
    }

    async fn answer(self: Arc<Self>, mut request: Request<Incoming>) -> Answer {
        let upgrade = hyper::upgrade::on(&mut request);
        let (head, body) = request.into_parts();
        let query = Query::new(head.uri.query().unwrap_or_default());
        let path = head.uri.path().to_owned();
        // `/v1.41/info` and `/info` are the same.
        let bare =
            path.strip_prefix("/v1.").and_then(|rest| rest.split_once('/')).map_or(&path[1..], |p| p.1);
        let words: Vec<&str> = bare.split('/').collect();
        let body = body.collect().await.map_err(|error| Refused(400, error.to_string()))?.to_bytes();
        let engine = &self.engine;
        match (head.method.as_str(), words.as_slice()) {
            ("GET", ["_ping"]) => {
                engine.ping().await?;
                let facts = engine.facts().await?;
                let answer = Response::builder().header("Api-Version", facts.api_version);
                answer
                    .header("Server", format!("Docker/{} (linux)", facts.version))
                    .body(Full::from("OK"))
                    .map_err(|error| Refused(500, error.to_string()))
            }
            ("GET", ["info"]) => ok(&json::facts(&engine.facts().await?)),
            ("GET", ["containers", "json"]) => {
                let listed = engine.list_containers(&query.labels()?).await?;
                ok(&listed.iter().map(json::container).collect())
            }
            ("POST", ["containers", "create"]) => {
                let spec = json::container_spec(query.need("name")?, &parsed(&body)?)?;
                match engine.create_container(&spec).await? {
                    shoal_docker::Created::New { id } => created(&id),
                    shoal_docker::Created::Exists(there) => Err(Refused::name_in_use(&there.id)),
                }
            }
            ("GET", ["containers", id, "json"]) => {
                let found = engine.inspect_container(id).await?;
                ok(&json::container_detail(&found.ok_or_else(|| Refused::no_container(id))?))
            }
            ("PUT", ["containers", id, "archive"]) => {
                engine.put_archive(id, query.need("path")?, body).await?;
                ok(&Value::Null)
            }
            ("GET", ["containers", id, "archive"]) => {
                let found = engine.get_archive(id, query.need("path")?, usize::MAX).await?;
                Ok(Response::new(found.ok_or_else(|| Refused::no_container(id))?.into()))
            }
            ("POST", ["containers", id, "start"]) => {
                engine.start(id).await?;
                ok(&Value::Null)
            }
            ("DELETE", ["containers", id]) => gone(engine.remove_container(id).await?),
            ("POST", ["containers", id, "exec"]) => {
                let exec = self.made.fetch_add(1, Ordering::Relaxed).to_string();
                let made = Exec::Made { container: (*id).to_owned(), spec: json::exec_spec(&parsed(&body)?) };
                self.execs().insert(exec.clone(), made);
                created(&exec)
            }
            ("POST", ["exec", exec, "start"]) => self.clone().start(exec, upgrade).await,
            ("GET", ["exec", exec, "json"]) => {
                let status = match self.execs().get(*exec) {
                    Some(Exec::Ended(status)) => Some(*status),
                    Some(Exec::Made { .. } | Exec::Running) => None,
                    None => return Err(Refused::no_exec()),
                };
                ok(&json!({ "Running": status.is_none(), "ExitCode": status }))
            }
            ("GET", ["networks"]) => {
                let listed = engine.list_networks(&query.labels()?).await?;
                ok(&listed.iter().map(json::network).collect())
            }
            ("POST", ["networks", "create"]) => {
                created(&engine.create_network(&json::network_spec(&parsed(&body)?)?).await?)
            }
            ("DELETE", ["networks", id]) => gone(engine.remove_network(id).await?),
            ("GET", ["volumes"]) => {
                let listed = engine.list_volumes(&query.labels()?).await?;
                ok(&json!({ "Volumes": listed.iter().map(json::volume).collect::<Value>() }))
            }
            ("POST", ["volumes", "create"]) => {
                let (name, labels) = json::volume_spec(&parsed(&body)?)?;
                ok(&json::volume(&engine.create_volume(&name, &labels).await?))
            }
            ("DELETE", ["volumes", name]) => gone(engine.remove_volume(name).await?),
            ("POST", ["images", "load"]) => {
                let loaded = engine.load_image(stream::iter([Ok(body)]).boxed()).await?;
                let line =
                    |reference| json!({ "stream": format!("Loaded image: {reference}\n") }).to_string();
                Ok(Response::new(loaded.into_iter().map(line).collect::<Vec<_>>().join("\n").into()))
            }
            ("GET", ["images", reference @ .., "json"]) => {
                let reference = reference.join("/");
                let found = engine.inspect_image(&reference).await?;
                ok(&json::image(&found.ok_or_else(|| Refused(404, format!("No such image: {reference}")))?))
            }
            (method, _) => Err(Refused(501, format!("{method} {path} is not simulated"))),
        }
    }

    /// Begins a command; its streams take the connection over.
    async fn start(self: Arc<Self>, exec: &str, upgrade: OnUpgrade) -> Answer {
        let made = self.execs().insert(exec.to_owned(), Exec::Running);
        let Some(Exec::Made { container, spec }) = made else { return Err(Refused::no_exec()) };
        let session = self.engine.attach_exec(&container, &spec).await?;
        let (api, exec) = (self.clone(), exec.to_owned());
        tokio::spawn(async move {
            let status = match upgrade.await {
                Ok(client) => carry(session, client).await,
                Err(_) => session.exit.await,
            };
            // Its host lost the command: as an engine that was started anew.
            api.execs().insert(exec, Exec::Ended(status.unwrap_or(255)));
        });
        let answer = Response::builder().status(StatusCode::SWITCHING_PROTOCOLS);
        let answer = answer.header(CONNECTION, "Upgrade").header(UPGRADE, "tcp").body(Full::default());
        answer.map_err(|error| Refused(500, error.to_string()))
    }
}

/// Carries a command's streams until its output ends, and returns its status.
async fn carry(session: ExecSession, client: Upgraded) -> Result<i64, EngineError> {
    let (mut from_client, mut to_client) = split(TokioIo::new(client));
    let ExecSession { mut stdin, mut output, exit, .. } = session;
    let up = async move {
        drop(copy(&mut from_client, &mut stdin).await);
        drop(stdin.shutdown().await);
    };
    let down = async {
        while let Some(Ok(chunk)) = output.next().await {
            let (of, bytes) = match chunk {
                ExecChunk::Stdout(bytes) => (STDOUT, bytes),
                ExecChunk::Stderr(bytes) => (STDERR, bytes),
            };
            let [a, b, c, d] = u32::try_from(bytes.len()).unwrap_or(u32::MAX).to_be_bytes();
            let frame = [&[of, 0, 0, 0, a, b, c, d], &*bytes].concat();
            if to_client.write_all(&frame).await.is_err() {
                break;
            }
        }
        drop(to_client.shutdown().await);
    };
    // A client may end its side and go on reading.
    let mut up = Box::pin(up.then(|()| std::future::pending::<()>()));
    tokio::select! {
        () = down => {}
        () = &mut up => {}
    }
    drop(up);
    exit.await
}

fn parsed(body: &[u8]) -> Result<Value, Refused> {
    serde_json::from_slice(body).map_err(|error| Refused(400, error.to_string()))
}

fn ok(value: &Value) -> Answer {
    Ok(Response::new(value.to_string().into()))
}

fn created(id: &str) -> Answer {
    ok(&json!({ "Id": id, "Warnings": [], "Warning": "" }))
}

fn gone(removal: Removal) -> Answer {
    match removal {
        Removal::Removed => ok(&Value::Null),
        Removal::AlreadyGone => Err(Refused::no_container("of this name")),
    }
}

fn refused(Refused(status, message): Refused) -> Response<Full<Bytes>> {
    let mut answer = Response::new(json!({ "message": message }).to_string().into());
    *answer.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    answer
}
