//! What outlives its request: commands in containers and the stream of events.

use std::{
    io,
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll},
};

use bytes::Bytes;
use futures_util::{FutureExt as _, Stream, StreamExt as _, stream};
use shoal_docker::{
    CallClass, EngineError, EngineEvent, ExecChunk, ExecOutput, ExecSession, ExecSpec, LabelFilter, Resize,
    Subject, TtySize,
};
use tokio::{
    io::{AsyncWrite, DuplexStream, duplex, empty},
    sync::{mpsc, oneshot, watch},
    time::sleep,
};
use tokio_util::io::ReaderStream;

use crate::{
    Inside, Method, Refusal, Stdio,
    client::Client,
    flight::{broken, noticed},
    state::{Line, State, Subscriber},
};

/// Bytes of a command's stream that may wait for their reader; three such streams for each agent of a large fleet.
const WAITING: usize = 4 << 10;
/// Status of a command whose container was killed: 128 + 9.
const KILLED: i64 = 137;

/// Returns once this run of a container is over.
async fn over(mut run: watch::Receiver<()>) {
    // Nothing is ever sent: it ends with its sender.
    while run.changed().await.is_ok() {}
}

/// Output of a command that nobody reads while it runs, up to a limit.
#[derive(Clone, Default)]
struct Kept {
    limit: usize,
    bytes: Arc<Mutex<(Vec<u8>, bool)>>,
}

impl Kept {
    fn take(&self) -> (Bytes, bool) {
        let mut bytes = self.bytes.lock().unwrap_or_else(PoisonError::into_inner);
        (std::mem::take(&mut bytes.0).into(), bytes.1)
    }
}

impl AsyncWrite for Kept {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let mut bytes = self.bytes.lock().unwrap_or_else(PoisonError::into_inner);
        let room = self.limit.saturating_sub(bytes.0.len()).min(buf.len());
        bytes.1 |= room < buf.len();
        bytes.0.extend_from_slice(&buf[..room]);
        Poll::Ready(Ok(buf.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

/// A container that runs, and until when.
type Begun = (Inside, watch::Receiver<()>);

impl Client {
    /// The effect of beginning a command.
    fn begin(
        &self,
        id: &str,
    ) -> impl FnOnce(&mut State, shoal_types::Timestamp) -> Result<Begun, Refusal> + use<> {
        let (machine, id) = (Arc::clone(&self.machine), id.to_owned());
        move |state, _| {
            let number = state.seek(&id)?;
            let engine = Arc::clone(&state.name);
            let container = state.container(number).ok_or(Refusal::NotFound(None))?;
            let Some(run) = container.running.as_ref().map(watch::Sender::subscribe) else {
                return Err(Refusal::Conflict(format!("container {} is not running", container.id)));
            };
            Ok((Inside { container: container.view(&engine), machine }, run))
        }
    }

    pub(crate) async fn run(
        &self,
        id: &str,
        spec: &ExecSpec,
        limit: usize,
    ) -> Result<ExecOutput, EngineError> {
        let call = self.request(Method::Exec, Subject::Container(id.to_owned()));
        let (programs, spec) = (self.machine.shared.programs(), spec.clone());
        let then = |(inside, run): Begun| async move {
            let kept = || Kept { limit, ..Kept::default() };
            let (stdout, stderr) = (kept(), kept());
            let stdio = Stdio {
                stdin: Box::pin(empty()),
                stdout: Box::pin(stdout.clone()),
                stderr: Box::pin(stderr.clone()),
                tty: None,
            };
            let status = tokio::select! {
                biased;
                () = over(run) => KILLED,
                status = programs.run(inside, spec, stdio) => status,
            };
            let ((stdout, cut_out), (stderr, cut_err)) = (stdout.take(), stderr.take());
            Ok(ExecOutput { status, stdout, stderr, truncated: cut_out || cut_err })
        };
        self.call_then(&call, self.machine.timeouts.limit(CallClass::Exec), self.begin(id), then).await
    }

    pub(crate) async fn attach(&self, id: &str, spec: &ExecSpec) -> Result<ExecSession, EngineError> {
        let call = self.request(Method::Exec, Subject::Container(id.to_owned()));
        let line = self.dial().await?;
        let (client, programs, spec) = (self.clone(), self.machine.shared.programs(), spec.clone());
        let then = |(inside, run): Begun| async move {
            let ((stdin, input), (stdout, out), (stderr, err)) =
                (duplex(WAITING), duplex(WAITING), duplex(WAITING));
            let (sizes, tty) = spec.tty.map(watch::channel).unzip();
            let (stdin_end, stdout_end, stderr_end) = (Box::pin(input), Box::pin(out), Box::pin(err));
            let stdio = Stdio { stdin: stdin_end, stdout: stdout_end, stderr: stderr_end, tty };
            let merged = sizes.is_some();
            let command = programs.run(inside, spec, stdio);
            let (ended, exit) = oneshot::channel();
            let mut standing = line.clone();
            tokio::spawn(async move {
                let status = tokio::select! {
                    biased;
                    () = broken(&mut standing) => return,
                    () = over(run) => KILLED,
                    status = command => status,
                };
                // Nobody asks for it any more if this fails.
                let _nobody_asks = ended.send(status);
            });
            let (asked, asking) = (client.clone(), line.clone());
            let exit = async move {
                match exit.await {
                    Ok(status) => Ok(status),
                    Err(_) => {
                        noticed(&asking).await;
                        Err(asked.unreachable(io::ErrorKind::ConnectionReset))
                    }
                }
            };
            let output = output(client, line, stdout, stderr);
            // A terminal has one output.
            let output = output.map(move |chunk| match chunk {
                Ok(ExecChunk::Stderr(bytes)) if merged => Ok(ExecChunk::Stdout(bytes)),
                chunk => chunk,
            });
            let resize = sizes.map(resize);
            Ok(ExecSession { stdin: Box::pin(stdin), output: output.boxed(), resize, exit: Box::pin(exit) })
        };
        self.call_then(&call, self.machine.timeouts.limit(CallClass::Write), self.begin(id), then).await
    }

    pub(crate) async fn watch(&self, filter: &LabelFilter) -> Result<Events, EngineError> {
        let call = self.request(Method::Events, Subject::Engine);
        let line = self.dial().await?;
        let (sender, events) = mpsc::unbounded_channel();
        let filter = filter.clone();
        let subscribe = move |state: &mut State, _| {
            state.subscribers.push(Subscriber { filter, events: sender });
            Ok(())
        };
        self.call(&call, subscribe).await?;
        Ok(Events { client: self.clone(), line, events })
    }
}

/// What tells a command's terminal its size.
fn resize(sizes: watch::Sender<TtySize>) -> Resize {
    Arc::new(move |size| {
        // A command that has ended does not look.
        sizes.send_replace(size);
        std::future::ready(Ok(())).boxed()
    })
}

/// Both outputs of a command, until it has closed both; then nothing, or that the connection broke.
fn output(
    client: Client,
    line: watch::Receiver<Line>,
    stdout: DuplexStream,
    stderr: DuplexStream,
) -> impl Stream<Item = Result<ExecChunk, EngineError>> {
    let pieces = |end| ReaderStream::with_capacity(end, WAITING);
    let chunks = stream::select(
        pieces(stdout).map(|piece| piece.map(ExecChunk::Stdout)),
        pieces(stderr).map(|piece| piece.map(ExecChunk::Stderr)),
    );
    stream::unfold(Some((client, line, chunks)), |open| async move {
        let (client, mut line, mut chunks) = open?;
        let next = tokio::select! {
            biased;
            () = broken(&mut line) => None,
            next = chunks.next() => Some(next),
        };
        match next {
            Some(Some(Ok(chunk))) => Some((Ok(chunk), Some((client, line, chunks)))),
            // Broken at its other end: the task that ran the command may have seen the line break first.
            Some(_) if *line.borrow() == Line::Stands => None,
            Some(_) | None => {
                noticed(&line).await;
                Some((Err(client.unreachable(io::ErrorKind::ConnectionReset)), None))
            }
        }
    })
}

/// What happens to containers and networks, as it happens.
pub(crate) struct Events {
    client: Client,
    line: watch::Receiver<Line>,
    events: mpsc::UnboundedReceiver<EngineEvent>,
}

impl Events {
    pub(crate) fn into_stream(self) -> impl Stream<Item = Result<EngineEvent, EngineError>> {
        stream::unfold(Some(self), |open| async move {
            let mut events = open?;
            match events.next().await {
                Some(event) => Some((Ok(event), Some(events))),
                None => {
                    noticed(&events.line).await;
                    let broken = events.client.unreachable(io::ErrorKind::ConnectionReset);
                    Some((Err(broken), None))
                }
            }
        })
    }

    async fn next(&mut self) -> Option<EngineEvent> {
        loop {
            // Looking at the engine makes it do what is due; then nothing happens by itself before the next thing is.
            let due = self.client.machine.state().next_due();
            let wait = async {
                match due {
                    Some(due) => sleep(due.since(self.client.machine.shared.clock.now())).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                biased;
                () = broken(&mut self.line) => return None,
                event = self.events.recv() => return event,
                () = wait => {}
            }
        }
    }
}
