//! The way to an engine through the user's own OpenSSH client: one connection, through which a socket here leads to the engine's.
//!
//! ```text
//! hyper --> DIR/s (0700) --> ssh -N -L DIR/s:/var/run/docker.sock --one connection--> sshd --> /var/run/docker.sock
//!                             ^
//!                             sh (guard): ends ssh at the end of its standard input, which is ours
//!
//! starting --(DIR/s is there)--> up --(ssh ended)--> down --(back-off)--> starting
//! ```
//! Every call and stream is a channel of that connection; nothing but sshd and the engine is needed there. `command.rs` has what
//! ssh is told, `words.rs` what its words mean. The guard is a process of its own, because no other way to have a child end with
//! a parent that is killed is free of unsafe code and of the thread that started it.

mod command;
mod words;

use std::{
    fs::Permissions,
    io,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::Stdio,
    sync::Arc,
    time::Duration,
};

use tempfile::TempDir;
use tokio::{
    io::AsyncReadExt as _,
    net::UnixStream,
    process::{Child, ChildStderr},
    sync::watch,
    task::JoinSet,
    time::{Instant, sleep, timeout},
};

use self::{
    command::{Keys, guarded},
    words::{End, Said, problem},
};
use crate::{SshDestination, SshMaterial, SshProblem};

/// How long a login may take, jump hosts included: less than a look at a host, so that it is ssh who says why.
const LOGIN: Duration = Duration::from_secs(7);
/// How often the socket is looked for meanwhile.
const LOOK: Duration = Duration::from_millis(20);
/// How often a socket is dialled on which nobody listens.
const DIALS: usize = 10;
/// A connection that stood for so long was good.
const HELD: Duration = Duration::from_secs(10);
/// How long an ssh that ends may take to say why.
const LAST_WORDS: Duration = Duration::from_millis(500);
/// The first wait after a login that failed; each further one is twice as long.
const BACK_OFF: Duration = Duration::from_millis(250);
/// The longest wait.
const BACK_OFF_MAX: Duration = Duration::from_secs(15);

/// How the connection is.
#[derive(Debug, Clone)]
enum State {
    /// ssh logs in.
    Starting,
    /// Its socket is there.
    Up(PathBuf),
    /// It ended, or could not log in.
    Down(SshProblem),
}

/// A connection that is kept: made anew whenever it breaks, for as long as anybody has this.
#[derive(Debug, Clone)]
pub(super) struct Way {
    to: Arc<SshDestination>,
    state: watch::Receiver<State>,
    said: Said,
    /// Ends with the last clone.
    _keeper: Arc<JoinSet<()>>,
}

impl Way {
    /// Begins to connect.
    pub(super) fn open(to: SshDestination, material: Option<&SshMaterial>) -> io::Result<Self> {
        let keys = material.map(|material| Keys::of(material, &to.host)).transpose()?;
        let (sender, state) = watch::channel(State::Starting);
        let said = Said::default();
        let to = Arc::new(to);
        let mut keeper = JoinSet::new();
        keeper.spawn(keep(to.clone(), keys, sender, said.clone()));
        Ok(Self { to, state, said, _keeper: Arc::new(keeper) })
    }

    /// Waits until the connection is up.
    ///
    /// # Errors
    /// [`SshProblem`]: why it is not.
    pub(super) async fn ready(&self) -> Result<PathBuf, SshProblem> {
        let mut state = self.state.clone();
        let settled = state.wait_for(|state| !matches!(state, State::Starting)).await;
        match settled.map(|state| state.clone()) {
            Ok(State::Up(socket)) => Ok(socket),
            Ok(State::Down(problem)) => Err(problem),
            // The task that keeps it has ended: the runtime is going down.
            Ok(State::Starting) | Err(_) => Err(SshProblem::Ended("the program is ending".into())),
        }
    }

    /// One more channel to the engine.
    ///
    /// # Errors
    /// An [`SshProblem`] as `io::Error`, or the socket's.
    pub(super) async fn dial(&self) -> io::Result<UnixStream> {
        let mut dials = 0;
        loop {
            let socket = self.ready().await.map_err(io::Error::other)?;
            match UnixStream::connect(&socket).await {
                // ssh does not listen yet, or ended just now.
                Err(error)
                    if matches!(error.kind(), io::ErrorKind::ConnectionRefused | io::ErrorKind::NotFound)
                        && dials < DIALS =>
                {
                    dials += 1;
                }
                done => return done,
            }
            sleep(LOOK).await;
        }
    }

    /// How much ssh has said by now.
    pub(super) fn mark(&self) -> u64 {
        self.said.mark()
    }

    /// Why sshd does not lead to the engine's socket, if it says so about a channel that was refused just now, after `mark`.
    pub(super) async fn refusal(&self, mark: u64) -> Option<SshProblem> {
        let late = Instant::now() + LAST_WORDS;
        loop {
            match words::refusal(&self.said, mark, &self.to) {
                None if Instant::now() < late => sleep(LOOK).await,
                said => return said,
            }
        }
    }
}

/// Keeps ssh running, for ever.
async fn keep(to: Arc<SshDestination>, keys: Option<Keys>, sender: watch::Sender<State>, said: Said) {
    let mut failures = 0u32;
    loop {
        said.clear();
        let began = Instant::now();
        let (ran, was_up) = run(&to, keys.as_ref(), &sender, &said).await;
        let held = was_up && began.elapsed() >= HELD;
        failures = if held { 0 } else { failures.saturating_add(1) };
        tracing::debug!(host = %to.host, failures, problem = %ran, "ssh ended");
        // One that held is made anew at once: who dials meanwhile waits for it.
        if !held {
            sender.send_replace(State::Down(ran));
            sleep(back_off(failures)).await;
            sender.send_replace(State::Starting);
        }
    }
}

fn back_off(failures: u32) -> Duration {
    BACK_OFF.saturating_mul(1 << failures.saturating_sub(1).min(8)).min(BACK_OFF_MAX)
}

/// Runs ssh until it ends or does not log in in time; the reason, and whether it had logged in.
async fn run(
    to: &SshDestination,
    keys: Option<&Keys>,
    sender: &watch::Sender<State>,
    said: &Said,
) -> (SshProblem, bool) {
    let (dir, mut child) = match start(to, keys).await {
        Ok(started) => started,
        Err(error) => return (SshProblem::Client(error.to_string()), false),
    };
    // Its end is the guard's sign: it is kept open for as long as ssh is wanted.
    let tie = child.stdin.take();
    let socket = dir.path().join(command::SOCKET);
    let mut words = JoinSet::new();
    words.spawn(read(child.stderr.take(), said.clone()));
    let up = async {
        let late = Instant::now() + LOGIN;
        while !socket.exists() {
            if Instant::now() >= late {
                return false;
            }
            sleep(LOOK).await;
        }
        sender.send_replace(State::Up(socket.clone()));
        std::future::pending().await
    };
    let status = tokio::select! {
        status = child.wait() => status.ok(),
        _ = up => None,
    };
    // Its socket goes with it.
    let was_up = matches!(sender.send_replace(State::Starting), State::Up(_));
    // What it wrote last may not be read yet.
    let _ = timeout(LAST_WORDS, words.join_next()).await;
    drop(tie);
    let end = match status {
        None => End::GivenUp,
        Some(status) => End::Itself { status, was_up },
    };
    (problem(said, end, to, keys.is_some()), was_up)
}

async fn start(to: &SshDestination, keys: Option<&Keys>) -> io::Result<(TempDir, Child)> {
    let dir = private_dir()?;
    let mut command = guarded(to, keys, dir.path()).await?;
    command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped());
    // Out of the terminal's group: Ctrl-C there is for us, who need the way to roll back.
    command.process_group(0);
    Ok((dir, command.spawn()?))
}

/// A directory for nobody else, whose path leaves room for a socket.
fn private_dir() -> io::Result<TempDir> {
    let runtime = std::env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from);
    let runtime = runtime.filter(|dir| command::is_plain(dir) && dir.is_dir());
    let private = Permissions::from_mode(0o700);
    let made =
        |dir: &Path| tempfile::Builder::new().prefix("shoal-").permissions(private.clone()).tempdir_in(dir);
    // One that cannot be written serves as little as none.
    if let Some(Ok(dir)) = runtime.as_deref().map(made) {
        return Ok(dir);
    }
    made(Path::new("/tmp"))
}

/// Notes what ssh says, to the end.
async fn read(from: Option<ChildStderr>, said: Said) {
    let Some(mut from) = from else { return };
    let mut piece = [0; 1024];
    while let Ok(length @ 1..) = from.read(&mut piece).await {
        said.note(&piece[..length]);
    }
}

#[cfg(test)]
mod tests;
