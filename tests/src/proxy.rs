//! A proxy in front of an engine's socket: fails as a host fails, at the request a test names.
//!
//! ```text
//! shoal --unix socket--> Proxy --unix socket--> engine
//!                          |
//!                          +-- Mode: what the whole host is like now: passing, refusing, hanging, slow
//!                          `-- Rules: before the n-th such request, or after its answer: kill who asked, drop, hang, ...
//! ```
//! It speaks HTTP/1.1, so it knows every request; what was upgraded (exec, attach) is passed through as bytes. A request that makes
//! or starts an exec is known with the command: `POST /exec/3f.../start runs sinfo --noheader`.

use std::{
    collections::HashMap,
    future::{pending, ready},
    io,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, PoisonError,
        mpsc::{Receiver, Sender, channel},
    },
};

use anyhow::Context;
use futures_util::{StreamExt, TryStreamExt, stream::once};
use http_body_util::{BodyExt, Full, StreamBody, combinators::BoxBody};
use hyper::{
    Method, Request, Response, StatusCode,
    body::{Bytes, Frame, Incoming},
    client, server,
    service::service_fn,
    upgrade::OnUpgrade,
};
use hyper_util::rt::TokioIo;
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use tempfile::TempDir;
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, split},
    net::{UnixListener, UnixStream},
    runtime::Runtime,
    sync::watch,
    time::sleep,
};

mod rule;

pub use self::rule::{Action, Mode, Rule, When};

type Body = BoxBody<Bytes, hyper::Error>;

/// A proxy; it ends when this is dropped.
#[derive(Debug)]
pub struct Proxy {
    socket: PathBuf,
    shared: Arc<Shared>,
    runtime: Option<Runtime>,
    _dir: TempDir,
}

#[derive(Debug)]
struct Shared {
    engine: PathBuf,
    mode: watch::Sender<Mode>,
    rules: Mutex<Vec<Armed>>,
    seen: Mutex<Vec<String>>,
    /// Id of an exec -> the command it runs.
    commands: Mutex<HashMap<String, String>>,
}

#[derive(Debug)]
struct Armed {
    rule: Rule,
    matched: u32,
    fired: Sender<String>,
}

/// A request that ends with its connection.
#[derive(Debug, thiserror::Error)]
enum Broken {
    #[error("the connection ends here")]
    Wanted,
    #[error(transparent)]
    Http(#[from] hyper::Error),
    #[error(transparent)]
    Io(#[from] io::Error),
}

impl Proxy {
    /// In front of the engine that listens on this socket.
    ///
    /// # Errors
    /// There is no room for its own socket.
    pub fn new(engine: &Path) -> anyhow::Result<Self> {
        let dir = tempfile::tempdir()?;
        let socket = dir.path().join("engine.sock");
        let (mode, _) = watch::channel(Mode::Pass);
        let shared = Arc::new(Shared {
            engine: engine.into(),
            mode,
            rules: Mutex::default(),
            seen: Mutex::default(),
            commands: Mutex::default(),
        });
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
        let listener = {
            let _inside = runtime.enter();
            UnixListener::bind(&socket).with_context(|| socket.display().to_string())?
        };
        runtime.spawn(shared.clone().listen(socket.clone(), listener));
        Ok(Self { socket, shared, runtime: Some(runtime), _dir: dir })
    }

    /// Where it listens, as `shoal register` takes it.
    #[must_use]
    pub fn endpoint(&self) -> String {
        format!("unix://{}", self.socket.display())
    }

    /// The host is like this from now on.
    pub fn set(&self, mode: Mode) {
        self.shared.mode.send_replace(mode);
    }

    /// Adds a rule; the receiver gets the request each time it has acted.
    pub fn arm(&self, rule: Rule) -> Receiver<String> {
        let (fired, acted) = channel();
        locked(&self.shared.rules).push(Armed { rule, matched: 0, fired });
        acted
    }

    /// Forgets all rules and passes everything.
    pub fn mend(&self) {
        locked(&self.shared.rules).clear();
        self.set(Mode::Pass);
    }

    /// Every request so far, as `METHOD path`.
    #[must_use]
    pub fn seen(&self) -> Vec<String> {
        locked(&self.shared.seen).clone()
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

impl Shared {
    async fn listen(self: Arc<Self>, socket: PathBuf, first: UnixListener) -> io::Result<()> {
        let mut mode = self.mode.subscribe();
        let mut listener = first;
        loop {
            tokio::select! {
                () = refused(&mut mode) => {
                    drop(listener);
                    let _ = mode.wait_for(|mode| *mode != Mode::Refuse).await;
                    std::fs::remove_file(&socket)?;
                    listener = UnixListener::bind(&socket)?;
                }
                accepted = listener.accept() => {
                    let (stream, _) = accepted?;
                    tokio::spawn(self.clone().converse(stream));
                }
            }
        }
    }

    /// One connection, to its end or the host's.
    async fn converse(self: Arc<Self>, stream: UnixStream) {
        let asker = stream.peer_cred().ok().and_then(|peer| peer.pid());
        let mut mode = self.mode.subscribe();
        let service = service_fn(move |request| self.clone().answer(asker, request));
        let connection = server::conn::http1::Builder::new()
            .serve_connection(TokioIo::new(stream), service)
            .with_upgrades();
        // How it ended is the asker's to tell.
        tokio::select! {
            _ = connection => {}
            () = refused(&mut mode) => {}
        }
    }

    async fn answer(
        self: Arc<Self>,
        asker: Option<i32>,
        request: Request<Incoming>,
    ) -> Result<Response<Body>, Broken> {
        let mut line = format!("{} {}", request.method(), request.uri());
        let (mut request, made) = self.command(request).await?;
        let started = line.strip_suffix("/start").and_then(|line| line.rsplit('/').next());
        let started = started.and_then(|exec| locked(&self.commands).get(exec).cloned());
        if let Some(command) = made.as_ref().or(started.as_ref()) {
            line += " runs ";
            line += command;
        }
        locked(&self.seen).push(line.clone());
        self.moving().await;
        let hit = self.hit(request.method().as_str(), &line);
        if let Some((Rule { when: When::Before, action, .. }, fired)) = &hit {
            if let Action::KillThenPass(late) = action {
                let (head, body) = request.into_parts();
                let request = Request::from_parts(head, whole(body).await?);
                let (fired, late) = (fired.clone(), *late);
                tokio::spawn(async move {
                    sleep(late).await;
                    let answered = self.forward(request).await;
                    // The test may have ended.
                    let _ = fired.send(answered.map_or_else(|e| e.to_string(), |a| a.status().to_string()));
                });
                slay(asker);
                return pending().await;
            }
            if let Some(answer) = self.act(*action, asker, fired, &line).await? {
                return Ok(answer);
            }
        }
        let client = hyper::upgrade::on(&mut request);
        let request = request.map(|body| match &hit {
            Some((Rule { when: When::Before, action: Action::Part(bytes), .. }, fired)) => {
                part(body, *bytes, fired.clone(), line.clone())
            }
            Some(_) | None => body,
        });
        let mut answer = self.forward(request).await?;
        let upgraded = answer.status() == StatusCode::SWITCHING_PROTOCOLS;
        let engine = hyper::upgrade::on(&mut answer);
        let mut answer = match made {
            Some(command) => self.remember(answer, command).await?,
            None => answer.map(|body| body.boxed()),
        };
        if let Some((Rule { when: When::After, action, .. }, fired)) = &hit {
            if !upgraded {
                let (head, body) = answer.into_parts();
                answer = Response::from_parts(head, whole(body).await?);
            }
            if let Some(other) = self.act(*action, asker, fired, &line).await? {
                return Ok(other);
            }
        }
        let mode = *self.mode.borrow();
        if let Mode::Slow(late) = mode {
            sleep(late).await;
        }
        self.moving().await;
        if upgraded {
            tokio::spawn(self.clone().stream(client, engine));
        }
        Ok(answer)
    }

    /// The request, and the command if it makes an exec.
    async fn command(&self, request: Request<Incoming>) -> Result<(Request<Body>, Option<String>), Broken> {
        if request.method() != Method::POST || !request.uri().path().ends_with("/exec") {
            return Ok((request.map(|body| body.boxed()), None));
        }
        let (head, body) = request.into_parts();
        let body = body.collect().await?.to_bytes();
        let asked: serde_json::Value = serde_json::from_slice(&body).map_err(io::Error::other)?;
        let words = asked["Cmd"].as_array().into_iter().flatten().filter_map(serde_json::Value::as_str);
        let command = words.collect::<Vec<_>>().join(" ");
        Ok((Request::from_parts(head, full(body)), Some(command)))
    }

    /// The answer, after its exec's command was noted under the exec's id.
    async fn remember(&self, answer: Response<Incoming>, command: String) -> Result<Response<Body>, Broken> {
        let (head, body) = answer.into_parts();
        let body = body.collect().await?.to_bytes();
        // One that is refused has none.
        let said: Option<serde_json::Value> = serde_json::from_slice(&body).ok();
        if let Some(id) = said.as_ref().and_then(|said| said["Id"].as_str()) {
            locked(&self.commands).insert(id.to_owned(), command);
        }
        Ok(Response::from_parts(head, full(body)))
    }

    /// Applies the fault; returns the answer if the fault is an answer.
    async fn act(
        &self,
        action: Action,
        asker: Option<i32>,
        fired: &Sender<String>,
        line: &str,
    ) -> Result<Option<Response<Body>>, Broken> {
        if let Action::Part(_) = action {
            // Its body acts, as it goes.
            return Ok(None);
        }
        if let Action::Become(mode) = action {
            self.mode.send_replace(mode);
        }
        // The test may not listen.
        let _ = fired.send(line.to_owned());
        match action {
            Action::Kill | Action::KillThenPass(_) => {
                slay(asker);
                pending().await
            }
            Action::Drop | Action::Become(Mode::Refuse) => Err(Broken::Wanted),
            Action::Hang => pending().await,
            Action::Delay(late) => {
                sleep(late).await;
                Ok(None)
            }
            Action::Answer(status, message) => {
                let status = StatusCode::from_u16(status).map_err(io::Error::other)?;
                let text = serde_json::json!({ "message": message }).to_string();
                let mut answer = Response::new(full(text.into()));
                *answer.status_mut() = status;
                answer
                    .headers_mut()
                    .insert("content-type", hyper::header::HeaderValue::from_static("application/json"));
                Ok(Some(answer))
            }
            Action::Become(_) | Action::Part(_) => {
                self.moving().await;
                Ok(None)
            }
        }
    }

    /// Counts a request and finds the rule that acts on it.
    fn hit(&self, method: &str, line: &str) -> Option<(Rule, Sender<String>)> {
        let mut hit = None;
        for armed in locked(&self.rules).iter_mut() {
            if armed.rule.matches(method, line) {
                armed.matched += 1;
                if armed.rule.which.contains(&armed.matched) && hit.is_none() {
                    hit = Some((armed.rule.clone(), armed.fired.clone()));
                }
            }
        }
        hit
    }

    /// Has the engine answer, on a connection of its own that ends with the asker's.
    async fn forward(&self, request: Request<Body>) -> Result<Response<Incoming>, Broken> {
        let stream = UnixStream::connect(&self.engine).await?;
        let (mut sender, connection) = client::conn::http1::handshake(TokioIo::new(stream)).await?;
        tokio::spawn(connection.with_upgrades());
        Ok(sender.send_request(request).await?)
    }

    async fn stream(self: Arc<Self>, client: OnUpgrade, engine: OnUpgrade) -> Result<(), Broken> {
        let (client, engine) = (TokioIo::new(client.await?), TokioIo::new(engine.await?));
        let ((from_client, to_client), (from_engine, to_engine)) = (split(client), split(engine));
        let mut mode = self.mode.subscribe();
        tokio::select! {
            both = async { tokio::try_join!(self.pump(from_client, to_engine), self.pump(from_engine, to_client)) } => {
                both?;
            }
            () = refused(&mut mode) => {}
        }
        Ok(())
    }

    async fn pump(
        &self,
        mut from: impl AsyncRead + Unpin,
        mut to: impl AsyncWrite + Unpin,
    ) -> io::Result<()> {
        let mut buffer = vec![0; 64 << 10];
        loop {
            let count = from.read(&mut buffer).await?;
            self.moving().await;
            if count == 0 {
                return to.shutdown().await;
            }
            to.write_all(&buffer[..count]).await?;
        }
    }

    /// Returns when nothing hangs.
    async fn moving(&self) {
        // It cannot fail: the sender is in `self`.
        let _ = self.mode.subscribe().wait_for(|mode| *mode != Mode::Hang).await;
    }
}

async fn refused(mode: &mut watch::Receiver<Mode>) {
    let _ = mode.wait_for(|mode| *mode == Mode::Refuse).await;
}

async fn whole<B>(body: B) -> Result<Body, hyper::Error>
where
    B: hyper::body::Body<Data = Bytes, Error = hyper::Error>,
{
    Ok(full(body.collect().await?.to_bytes()))
}

fn full(bytes: Bytes) -> Body {
    Full::new(bytes).map_err(|never| match never {}).boxed()
}

/// A body that stalls after this many bytes, and signals the stall.
fn part(body: Body, bytes: usize, fired: Sender<String>, line: String) -> Body {
    let mut left = bytes;
    let pieces = body.into_data_stream().map_ok(Frame::data);
    let pieces = pieces.take_while(move |piece| {
        let length = piece.as_ref().ok().and_then(Frame::data_ref).map_or(0, Bytes::len);
        let whole = length <= left;
        left = left.saturating_sub(length);
        ready(whole)
    });
    let end = once(async move {
        // The test may not listen.
        let _ = fired.send(line);
        pending().await
    });
    BoxBody::new(StreamBody::new(pieces.chain(end)))
}

/// Kills the process that asked; one that is gone already is fine.
fn slay(asker: Option<i32>) {
    if let Some(pid) = asker.filter(|pid| *pid > 1) {
        let _ = kill(Pid::from_raw(pid), Signal::SIGKILL);
    }
}

fn locked<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
