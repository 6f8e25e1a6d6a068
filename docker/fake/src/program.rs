//! What runs inside containers, played by the test: the first process of each, and the commands run in them.

use std::{fmt, net::Ipv4Addr, pin::Pin, sync::Arc, time::Duration};

use bytes::Bytes;
use futures_util::future::BoxFuture;
use shoal_docker::{ContainerSpec, ExecSpec, TtySize};
use shoal_types::MacAddr;
use tokio::{
    io::{AsyncRead, AsyncWrite, AsyncWriteExt as _},
    sync::watch,
};

use crate::{Image, machine::Machine};

/// A container as its programs see it.
#[derive(Debug, Clone)]
pub struct ContainerView {
    /// Name of the engine it is on.
    pub engine: Arc<str>,
    /// Its id.
    pub id: Arc<str>,
    /// What it was made from; its name and labels are there.
    pub spec: Arc<ContainerSpec>,
    /// Its image.
    pub image: Arc<Image>,
    /// Its first process on the host.
    pub pid: Option<u32>,
    /// Its address on its network, while it runs.
    pub address: Option<Ipv4Addr>,
    /// Its MAC address there.
    pub mac: Option<MacAddr>,
    /// How often it was started.
    pub run: u64,
}

impl ContainerView {
    /// Program and arguments of its first process.
    #[must_use]
    pub fn argv(&self) -> Vec<String> {
        let entrypoint = self.spec.entrypoint.as_ref();
        // An entrypoint of its own drops the image's command (docker run, "--entrypoint").
        let cmd = match (&self.spec.cmd, entrypoint) {
            (Some(cmd), _) => cmd.as_slice(),
            (None, Some(_)) => &[],
            (None, None) => self.image.cmd.as_slice(),
        };
        entrypoint.unwrap_or(&self.image.entrypoint).iter().chain(cmd).cloned().collect()
    }

    /// Environment of its first process, `NAME=value`.
    #[must_use]
    pub fn env(&self) -> Vec<String> {
        let own = self.spec.env.iter().map(|(name, value)| format!("{name}={value}"));
        self.image.env.iter().cloned().chain(own).collect()
    }
}

/// A running container with its files.
#[derive(Clone)]
pub struct Inside {
    /// The container when the command began.
    pub container: ContainerView,
    pub(crate) machine: Arc<Machine>,
}

impl fmt::Debug for Inside {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Inside").field("container", &self.container).finish_non_exhaustive()
    }
}

impl Inside {
    /// A file's content as a program inside sees it: mounts hide files of the image and of archives.
    #[must_use]
    pub fn read(&self, path: &str) -> Option<Bytes> {
        self.machine.state().read_inside(&self.container.id, path)
    }

    /// Writes a file. Nothing happens once the container is gone.
    pub fn write(&self, path: &str, content: impl Into<Bytes>) {
        self.machine.state().write_inside(&self.container.id, path, content.into());
    }
}

/// The streams of a command.
pub struct Stdio {
    /// Ends when the caller closes it or goes away.
    pub stdin: Pin<Box<dyn AsyncRead + Send>>,
    /// Fails once the caller is gone.
    pub stdout: Pin<Box<dyn AsyncWrite + Send>>,
    /// Fails once the caller is gone.
    pub stderr: Pin<Box<dyn AsyncWrite + Send>>,
    /// The size of its terminal, as it changes; `None` if it has none.
    pub tty: Option<watch::Receiver<TtySize>>,
}

impl fmt::Debug for Stdio {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stdio").finish_non_exhaustive()
    }
}

/// The first process of a container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Main {
    /// Its first output.
    pub output: Bytes,
    /// How it ends.
    pub end: End,
}

/// How a first process ends, unless it is killed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum End {
    /// When it gets the stop signal, with this exit status and these last words.
    Told(i64, Bytes),
    /// Not even when it gets the stop signal.
    Never,
    /// By itself, this long after its start, with this exit status.
    After(Duration, i64),
    /// It never begins: the engine refuses the start with these words.
    CannotRun(String),
}

impl Default for Main {
    /// Says nothing and ends with 0 when told to.
    fn default() -> Self {
        Self { output: Bytes::new(), end: End::Told(0, Bytes::new()) }
    }
}

/// What runs inside containers.
pub trait Programs: Send + Sync {
    /// The first process of a container that is being started. Called while the engine is busy: it must not ask the engine
    /// anything.
    fn main(&self, _container: &ContainerView) -> Main {
        Main::default()
    }

    /// A command inside a running container, until it ends with an exit status. It is dropped when the container ends, and
    /// when its caller is gone.
    fn run(&self, inside: Inside, command: ExecSpec, stdio: Stdio) -> BoxFuture<'static, i64>;
}

/// Containers without programs: they run until they are told to end, and no command is found in them.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoPrograms;

impl Programs for NoPrograms {
    fn run(&self, _inside: Inside, command: ExecSpec, stdio: Stdio) -> BoxFuture<'static, i64> {
        Box::pin(not_found(command, stdio))
    }
}

/// What an engine answers for a command that is not there: its words on the standard output, and status 127.
pub async fn not_found(command: ExecSpec, mut stdio: Stdio) -> i64 {
    let program = command.cmd.first().cloned().unwrap_or_default();
    let text = format!(
        "OCI runtime exec failed: exec failed: unable to start container process: exec: \"{program}\": stat {program}: no \
         such file or directory: unknown\r\n"
    );
    // A caller that is gone does not read it.
    drop(stdio.stdout.write_all(text.as_bytes()).await);
    127
}
