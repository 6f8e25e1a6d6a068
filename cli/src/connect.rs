//! The way to a coordinator; commands see nothing of it but a client.
//!
//! ```text
//! is a server elsewhere meant? --yes--> TLS, its certificate and ours --> the same program? --> its client
//!  no
//! does anybody serve the socket of this state directory? --yes--> the same program, the same store? --> its client
//!                                                          `-no--> a coordinator inside this process, with its client
//! ```

use std::{
    env,
    error::Error,
    path::{Path, PathBuf},
};

use nix::sys::resource::{Resource, getrlimit, setrlimit};
use shoal_api::{Caller, Client, ClientError};
use shoal_coordinator::{CoordinatorError, Embedded, Options, UserKey, embedded, reach, reach_elsewhere};
use shoal_types::{Clock, ContextName, SystemClock, Timestamp, chain};
use tonic::{Code, Status};

use crate::{
    args::Global,
    error::CliError,
    interrupt::Interrupt,
    report,
    server_context::{Choice, ContextFile, Shelf, choose},
};

/// Why a server is not used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ServerError {
    /// A socket was named, and nobody serves it.
    #[error("no server listens on {}", socket.display())]
    Absent {
        /// The socket.
        socket: PathBuf,
    },
    /// Its program is another one.
    #[error("the server of {} is shoal {theirs}, and this is shoal {}", socket.display(), VERSION)]
    OtherVersion {
        /// Its socket.
        socket: PathBuf,
        /// Its version.
        theirs: String,
    },
    /// The program of a server elsewhere is another one.
    #[error("the server of context {context} ({because}) is shoal {theirs}, and this is shoal {}", VERSION)]
    OtherVersionThere {
        /// The context.
        context: ContextName,
        /// What named it.
        because: &'static str,
        /// Its version.
        theirs: String,
    },
    /// Its store is another one.
    #[error("the server of {} (process {pid}) keeps {theirs}, and this command is about {ours}", socket.display())]
    OtherStore {
        /// Its socket.
        socket: PathBuf,
        /// Its process.
        pid: u32,
        /// Its store.
        theirs: String,
        /// The one that was named.
        ours: String,
    },
    /// It would go on with what it knew.
    #[error("a server serves {}", socket.display())]
    Serves {
        /// Its socket.
        socket: PathBuf,
    },
    /// It does not answer any more.
    #[error("the connection to the server broke: {how}")]
    Gone {
        /// What the channel says.
        how: String,
    },
}

impl ServerError {
    /// The error of a channel that failed.
    pub(crate) fn broke(status: &Status) -> Self {
        Self::Gone { how: status.source().map_or_else(|| status.message().to_owned(), chain) }
    }

    /// What to do next.
    pub(crate) fn hint(&self) -> String {
        match self {
            Self::Absent { .. } => {
                "start one with `shoal serve`, or leave --socket and SHOAL_SOCKET out: then the command works by itself".into()
            }
            Self::OtherVersion { .. } => "end that server and start it with this program: `shoal serve`".into(),
            Self::OtherVersionThere { .. } => {
                "use the server's version here; `--server-context local` is this machine".into()
            }
            Self::OtherStore { .. } => {
                "give command and server the same --state-dir and --store, or name another server's socket with --socket".into()
            }
            Self::Serves { .. } => "end that server first: a store is moved while nothing works with it".into(),
            Self::Gone { .. } => {
                "see that `shoal serve` runs; without it, the next command goes on with what was under way".into()
            }
        }
    }
}

/// Which program this is.
const VERSION: &str = env!("CARGO_PKG_VERSION");

/// A coordinator, to be asked.
#[derive(Debug)]
pub(crate) struct Session {
    /// `None`: a server.
    inside: Option<Embedded>,
    client: Client,
}

impl Session {
    /// Finds the server of the state directory, or starts a coordinator on it; what is unwise about its store is said first.
    ///
    /// # Errors
    /// [`CliError::StateDir`], [`CliError::File`]: the options cannot be used. [`CliError::Server`]: there is a server and it cannot
    /// be used. [`CliError::Coordinator`]: there is none, and the coordinator does not start.
    pub(crate) async fn open(global: &Global) -> Result<Self, CliError> {
        if let Choice::Elsewhere { name, because } = choose(global).map_err(CliError::Choice)? {
            if !global.agent_binaries().is_empty() {
                report::warning("--agent-binary counts for nothing here: give it to `shoal serve`");
            }
            return Ok(Self { inside: None, client: elsewhere(&name, because).await? });
        }
        if let Some(client) = served(global).await? {
            if !global.agent_binaries().is_empty() {
                report::warning("--agent-binary counts for nothing here: give it to `shoal serve`");
            }
            return Ok(Self { inside: None, client });
        }
        Self::start(told_options(global)?).await
    }

    /// The same for a shell that completes a word, without a word of its own.
    ///
    /// # Errors
    /// As [`Session::open`].
    pub(crate) async fn quietly(global: &Global) -> Result<Self, CliError> {
        if let Choice::Elsewhere { name, because } = choose(global).map_err(CliError::Choice)? {
            return Ok(Self { inside: None, client: elsewhere(&name, because).await? });
        }
        match served(global).await? {
            Some(client) => Ok(Self { inside: None, client }),
            None => Self::start(options(global)?).await,
        }
    }

    async fn start(options: Options) -> Result<Self, CliError> {
        allow_many_files();
        let coordinator = embedded(options).await?;
        let client = Client::new(coordinator.channel(), &user());
        Ok(Self { inside: Some(coordinator), client })
    }

    /// Opens a session, does `work` with it and ends it; an interrupt drops the work.
    ///
    /// # Errors
    /// As [`Session::open`]; those of `work`; [`CliError::Interrupted`].
    pub(crate) async fn within<T>(
        global: &Global,
        interrupt: &Interrupt,
        work: impl AsyncFnOnce(&Client) -> Result<T, CliError>,
    ) -> Result<T, CliError> {
        let session = Self::open(global).await?;
        let result = tokio::select! {
            result = work(&session.client) => result,
            () = interrupt.asked() => Err(CliError::Interrupted),
        };
        session.close().await;
        result
    }

    /// Ends a coordinator inside this process: what is under way is rolled back first. A server goes on.
    pub(crate) async fn close(self) {
        if let Some(coordinator) = self.inside {
            coordinator.shutdown().await;
        }
    }

    /// Whether what was begun goes on when this process ends.
    pub(crate) fn is_served(&self) -> bool {
        self.inside.is_none()
    }

    /// The client.
    pub(crate) fn client(&self) -> &Client {
        &self.client
    }
}

/// Said where a password is an argument.
const SHOWN_PASSWORD: &str = "the password in --store is shown to every user of this machine while the command runs; give \
                              the URL in SHOAL_STORE, or the password in ~/.pgpass";

/// A client of the server of a context; its certificate is renewed if that is due.
async fn elsewhere(name: &ContextName, because: &'static str) -> Result<Client, CliError> {
    let shelf = Shelf::locate(|key| env::var_os(key))?;
    let now = SystemClock.now();
    let mut context = shelf.get(name, now)?;
    let channel =
        reach_elsewhere(&context.servers, &context.credentials()).await.map_err(CliError::Remote)?;
    let client = Client::new(channel, &Caller::new(&context.user)).elsewhere();
    let theirs = match client.server().await {
        Ok(server) => server.version,
        Err(ClientError::Refused(status)) if status.code() == Code::Unimplemented => {
            "of another version".into()
        }
        Err(error) => return Err(error.into()),
    };
    if theirs != VERSION {
        let (context, because) = (name.clone(), because);
        return Err(ServerError::OtherVersionThere { context, because, theirs }.into());
    }
    if context.is_due(now)
        && let Err(error) = renew(&client, &mut context, &shelf.path(name), now).await
    {
        report::warning(&format!(
            "the certificate of context {name} could not be renewed: {}",
            chain(&error)
        ));
    }
    Ok(client)
}

/// Has another certificate signed, for another key, and keeps both.
async fn renew(
    client: &Client,
    context: &mut ContextFile,
    path: &Path,
    now: Timestamp,
) -> Result<(), CliError> {
    let key = UserKey::generate().map_err(CliError::Remote)?;
    let certificate = client.renew_certificate(key.point.clone()).await?;
    context.renew(certificate, &key, now);
    context.write(path).map_err(|error| CliError::Shelf(error.into()))
}

/// A client of the server of the socket, if there is one.
async fn served(global: &Global) -> Result<Option<Client>, CliError> {
    let socket = global.socket()?;
    let Some(channel) = reach(&socket).await.map_err(CoordinatorError::from)? else {
        // One that was named is not silently done without.
        return match global.socket {
            Some(_) => Err(ServerError::Absent { socket }.into()),
            None => Ok(None),
        };
    };
    let client = Client::new(channel, &user());
    let server = match client.server().await {
        Ok(server) => server,
        Err(ClientError::Refused(status)) if status.code() == Code::Unimplemented => {
            return Err(ServerError::OtherVersion { socket, theirs: "of another version".into() }.into());
        }
        Err(error) => return Err(error.into()),
    };
    if server.version != VERSION {
        return Err(ServerError::OtherVersion { socket, theirs: server.version }.into());
    }
    let options = options(global)?;
    let ours = options.place()?;
    // One store may be named in two ways.
    let is_same = server.store == ours || options.installation().await? == Some(server.installation);
    let other = ServerError::OtherStore { socket, pid: server.pid, theirs: server.store, ours };
    if is_same { Ok(Some(client)) } else { Err(other.into()) }
}

/// The options of a coordinator in this process; what is unwise about its store is said.
///
/// # Errors
/// As [`Session::open`].
pub(crate) fn told_options(global: &Global) -> Result<Options, CliError> {
    if let Some(store) = &global.store
        && names_password(store)
        && env::args_os().any(|arg| arg.to_string_lossy().contains(store.as_str()))
    {
        report::warning(SHOWN_PASSWORD);
    }
    let options = options(global)?;
    if let Some(warning) = options.warning() {
        report::warning(&warning);
    }
    Ok(options)
}

fn options(global: &Global) -> Result<Options, CliError> {
    Ok(Options {
        state_dir: global.state_dir()?,
        store: global.store.clone(),
        key_file: global.key_file.clone(),
        agent_binaries: global.agent_binaries(),
    })
}

/// Whether a URL of a store has a password: before the host, or as a parameter.
fn names_password(store: &str) -> bool {
    let Some((_, rest)) = store.split_once("://") else { return false };
    let (place, query) = rest.split_once('?').unwrap_or((rest, ""));
    let user = place.rsplit_once('@').map_or("", |(user, _)| user);
    user.contains(':') || query.split('&').any(|pair| pair.starts_with("password="))
}

/// Open files that a process may want: thirty thousand hosts. Programs that it starts inherit the limit, and some count up to it.
const FILES: u64 = 65_536;

/// Raises the limit of open files as far as the system allows: a host at work takes two connections, and the customary 1,024 are
/// then gone with 500 hosts. A process that may not have more works with fewer hosts.
pub(crate) fn allow_many_files() {
    if let Ok((now, most)) = getrlimit(Resource::RLIMIT_NOFILE) {
        let _ = setrlimit(Resource::RLIMIT_NOFILE, most.min(FILES).max(now), most);
    }
}

/// The user of this process: by name where the machine has one, else by number.
fn user() -> Caller {
    let uid = nix::unistd::getuid();
    let named = nix::unistd::User::from_uid(uid).ok().flatten().map(|user| user.name);
    Caller::new(&named.unwrap_or_else(|| uid.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_in_a_url_is_found() {
        for with in
            ["postgres://ann:x@db/s", "postgresql://ann@db/s?a=b&password=x", "postgres://ann:a@b@db/s"]
        {
            assert!(names_password(with), "{with}");
        }
        for without in ["postgres://ann@db:5432/s", "postgres://db:5432/s?x=password", "/a:b@c", "x.db"] {
            assert!(!names_password(without), "{without}");
        }
    }
}
