//! Everything that can end a command, with its exit status and what to do next.

use std::{error::Error as _, io, net::SocketAddr, path::PathBuf};

use shoal_agent::AgentError;
use shoal_api::{ClientError, ExitClass, FieldError, hint_of, retry_of};
use shoal_coordinator::{CoordinatorError, RemoteError, TransferError};
use shoal_images::BuildError;
use tonic::Status;

use crate::{
    config::ConfigError,
    connect::ServerError,
    docker_cli::ContextError,
    exit::Exit,
    node_ref::NodeRef,
    pem::PemError,
    quote::QuoteError,
    server_context::{ChoiceError, ShelfError},
    ssh::files::SshFilesError,
    state_dir::StateDirError,
};

/// Why a command did not do what it was asked to.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CliError {
    /// Arguments that make no sense together.
    #[error("{message}")]
    Usage {
        /// What is wrong.
        message: String,
        /// What to do instead.
        hint: Option<String>,
    },
    /// The cluster's configuration cannot be used.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// TLS files cannot be used.
    #[error(transparent)]
    Pem(#[from] PemError),
    /// A context of Docker's client cannot be used.
    #[error(transparent)]
    Context(#[from] ContextError),
    /// There is no state directory.
    #[error(transparent)]
    StateDir(#[from] StateDirError),
    /// The coordinator cannot start.
    #[error(transparent)]
    Coordinator(#[from] CoordinatorError),
    /// There is a server, and it cannot be used.
    #[error(transparent)]
    Server(#[from] ServerError),
    /// It is not known which coordinator is meant.
    #[error(transparent)]
    Choice(ChoiceError),
    /// A context of a server elsewhere cannot be used.
    #[error(transparent)]
    Shelf(ShelfError),
    /// A server elsewhere cannot be used.
    #[error(transparent)]
    Remote(RemoteError),
    /// The coordinator answered with an error.
    #[error("{}", .0.message())]
    Status(Status),
    /// The coordinator's answer is not what the protocol promises.
    #[error("the coordinator's answer lacks {missing}")]
    Answer {
        /// What is not there.
        missing: &'static str,
    },
    /// The coordinator's answer has a field that cannot be what it says.
    #[error("the coordinator's answer cannot be read")]
    Unreadable(#[source] FieldError),
    /// What is needed does not fit on the hosts.
    #[error("{reason}")]
    DoesNotFit {
        /// The coordinator's one line.
        reason: String,
    },
    /// Some hosts failed; what failed on each was printed before.
    #[error("{failed} of {total} hosts failed")]
    SomeHosts {
        /// How many failed.
        failed: usize,
        /// How many were tried.
        total: usize,
    },
    /// A sweep would take away so much that it must be asked for expressly.
    #[error(
        "{going} of {total} things would go, more than 30 %: the store may be lost or wrong; nothing was removed"
    )]
    TooMuch {
        /// How many would go.
        going: u32,
        /// How many are there.
        total: u32,
    },
    /// Some hosts could not be looked at; why not was printed before.
    #[error("{failed} of {total} hosts could not be looked at")]
    Unseen {
        /// How many.
        failed: usize,
        /// How many there are.
        total: usize,
    },
    /// A file named on the command line cannot be used.
    #[error("cannot {action} {}", path.display())]
    File {
        /// What was tried, as a verb.
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// A cluster has no such node.
    #[error("cluster `{}` has no node `{}`", target.cluster, target.node)]
    NoNode {
        /// What was named.
        target: NodeRef,
    },
    /// The runtime or its signal handlers cannot be set up.
    #[error("cannot start")]
    Runtime(#[source] io::Error),
    /// The image cannot be built.
    #[error(transparent)]
    Build(#[from] BuildError),
    /// The agent cannot run, or a session with it.
    #[error(transparent)]
    Agent(#[from] AgentError),
    /// Files for the SSH client cannot be written.
    #[error(transparent)]
    SshFiles(#[from] SshFilesError),
    /// The SSH client cannot be started.
    #[error("cannot run `ssh`")]
    SshClient(#[source] io::Error),
    /// A path cannot be written down for the SSH client.
    #[error(transparent)]
    Quote(#[from] QuoteError),
    /// The terminal cannot be handed on.
    #[error("cannot use this terminal")]
    Terminal(#[source] io::Error),
    /// A port of this machine cannot be listened on.
    #[error("cannot listen on {address}")]
    Listen {
        /// Which.
        address: SocketAddr,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// A forwarded connection broke.
    #[error("the tunnel to the node broke")]
    Connection {
        /// The failed read or write.
        #[source]
        source: io::Error,
    },
    /// A node does not run a service.
    #[error("{target} does not run {service}")]
    NoService {
        /// The node.
        target: NodeRef,
        /// The unit.
        service: String,
    },
    /// A node does not have a file.
    #[error("there is no {path}")]
    NoPath {
        /// Node and path.
        path: String,
    },
    /// A program that a command needs failed in the node.
    #[error("{program} in {target} ended with status {status}: {said}")]
    Inside {
        /// The node.
        target: String,
        /// The program.
        program: &'static str,
        /// Its exit status.
        status: i32,
        /// The last lines of its standard error.
        said: String,
    },
    /// Standard input cannot be read.
    #[error("cannot read standard input")]
    Stdin(#[source] io::Error),
    /// Standard output cannot be written.
    #[error("cannot write standard output")]
    Stdout(#[source] io::Error),
    /// A value cannot be shown as JSON.
    #[error("cannot write JSON")]
    Json(#[from] serde_json::Error),
    /// A value cannot be shown as YAML.
    #[error("cannot write YAML")]
    Yaml(#[source] Box<serde_saphyr::ser::Error>),
    /// A signal ended the command.
    #[error("interrupted")]
    Interrupted,
}

impl From<ClientError> for CliError {
    /// A status not as its cause: the message is the whole text for a person. One with a cause is of the channel.
    fn from(error: ClientError) -> Self {
        match error {
            ClientError::Refused(status) if status.source().is_some() => ServerError::broke(&status).into(),
            ClientError::Refused(status) => Self::Status(status),
            ClientError::Answer(error) => Self::Unreadable(error),
        }
    }
}

impl CliError {
    /// A usage error.
    pub(crate) fn usage(message: impl Into<String>, hint: impl Into<Option<String>>) -> Self {
        Self::Usage { message: message.into(), hint: hint.into() }
    }

    /// A program that failed in a node.
    pub(crate) fn inside(target: &NodeRef, program: &'static str, status: i32, said: &[u8]) -> Self {
        let said = String::from_utf8_lossy(said).trim().replace('\n', "; ");
        Self::Inside { target: target.to_string(), program, status, said }
    }

    /// The exit status it means.
    pub(crate) fn exit(&self) -> Exit {
        match self {
            Self::Usage { .. }
            | Self::Config(_)
            | Self::Pem(_)
            | Self::Context(_)
            | Self::StateDir(_)
            | Self::File { .. }
            | Self::Quote(_)
            | Self::Coordinator(
                CoordinatorError::StoreUrl(_)
                | CoordinatorError::Transfer(
                    TransferError::NotAnExport { .. }
                    | TransferError::CutOff { .. }
                    | TransferError::OtherVersion { .. },
                ),
            ) => Exit::Usage,
            Self::Choice(ChoiceError::Shelf(ShelfError::Unknown { .. }))
            | Self::Shelf(ShelfError::Unknown { .. }) => Exit::NotFound,
            Self::Choice(_) | Self::Shelf(_) => Exit::Usage,
            Self::Remote(RemoteError::Credentials { .. } | RemoteError::Address { .. }) => Exit::Usage,
            Self::Remote(RemoteError::Unreachable { .. }) => Exit::Unreachable,
            // It called too soon, and nothing lacks room.
            Self::Status(status) if retry_of(status).is_some() => Exit::Failure,
            Self::Status(status) => ExitClass::from(status.code()).into(),
            Self::DoesNotFit { .. } => Exit::DoesNotFit,
            Self::NoNode { .. } | Self::NoService { .. } | Self::NoPath { .. } => Exit::NotFound,
            Self::Unseen { .. } => Exit::Unreachable,
            // `shoal ... | head` is no failure: the reader has what it wanted.
            Self::Stdout(error) if error.kind() == io::ErrorKind::BrokenPipe => Exit::Ok,
            Self::Coordinator(_)
            | Self::Server(_)
            | Self::Remote(RemoteError::NotTheServer { .. } | RemoteError::NotTaken { .. })
            | Self::Answer { .. }
            | Self::Unreadable(_)
            | Self::SomeHosts { .. }
            | Self::TooMuch { .. }
            | Self::Runtime(_)
            | Self::Build(_)
            | Self::Agent(_)
            | Self::SshFiles(_)
            | Self::SshClient(_)
            | Self::Terminal(_)
            | Self::Listen { .. }
            | Self::Connection { .. }
            | Self::Inside { .. }
            | Self::Stdin(_)
            | Self::Stdout(_)
            | Self::Json(_)
            | Self::Yaml(_) => Exit::Failure,
            Self::Interrupted => Exit::Interrupted,
        }
    }

    /// What to do next, where there is something to do.
    pub(crate) fn hint(&self) -> Option<String> {
        self.next().ok()
    }

    /// What to do next, or why nothing is said of it.
    fn next(&self) -> Result<String, &'static str> {
        let once_more = || Ok("run the command once more; -vvv shows more".to_owned());
        match self {
            Self::Usage { hint: Some(hint), .. } => Ok(hint.clone()),
            Self::Usage { hint: None, .. } => Ok("`shoal COMMAND --help` says what it takes".into()),
            Self::Config(error) => Ok(error.hint()),
            Self::Pem(_) => {
                Ok("--tls-dir takes a directory with ca.pem, cert.pem and key.pem, as docker has them".into())
            }
            Self::Context(error) => Ok(error.hint()),
            Self::StateDir(_) => Ok("name one with --state-dir or SHOAL_STATE_DIR".into()),
            Self::Coordinator(error) => error.hint(),
            Self::Server(error) => Ok(error.hint()),
            Self::Choice(error) => Ok(error.hint()),
            Self::Shelf(error) => Ok(error.hint()),
            Self::Remote(error) => Ok(error.hint().into()),
            // Some say themselves what to do: those come without.
            Self::Status(status) => hint_of(status).ok_or("the coordinator has none"),
            Self::DoesNotFit { .. } => Ok(FREE.into()),
            Self::SomeHosts { .. } => {
                Ok("the lines above say why; --host names the hosts to try once more".into())
            }
            Self::Quote(_) => Ok("name a state directory without such characters: --state-dir or SHOAL_STATE_DIR".into()),
            Self::Listen { source, .. } if source.kind() == io::ErrorKind::AddrInUse => {
                Ok("leave LOCAL out, and a free port is chosen".into())
            }
            Self::Listen { .. } => Ok("see that --address is one of this machine, and the port from 1024".into()),
            Self::NoService { .. } => Ok(
                "slurmctld runs on the controller, slurmd on workers, munge and ssh on every node; without a service the \
                 whole journal is shown"
                    .into(),
            ),
            Self::NoPath { .. } => Ok("`shoal exec CLUSTER --node NODE -- ls` shows what is there".into()),
            Self::Terminal(_) => Ok("leave -t out where there is no terminal".into()),
            Self::Connection { .. } => Ok("see that a program listens on the port of the node".into()),
            Self::Inside { .. } => Ok("`shoal status CLUSTER` shows how the node is".into()),
            Self::TooMuch { .. } => {
                Ok("if every line above is right, `shoal sweep --yes-really` removes them".into())
            }
            Self::Unseen { .. } => Ok(UNSEEN.into()),
            Self::File { .. } => Ok("check the path and its permissions".into()),
            Self::NoNode { target } => Ok(format!("`shoal get nodes {}` lists them", target.cluster)),
            Self::SshFiles(_) => Ok("see that the state directory can be written".into()),
            Self::SshClient(error) if error.kind() == io::ErrorKind::NotFound => {
                Ok("install the OpenSSH client".into())
            }
            Self::SshClient(_) => Ok("see that `ssh` of PATH can be run".into()),
            Self::Stdin(_) => Ok("see that standard input is open for reading".into()),
            Self::Stdout(_) => Ok("see that standard output is open and has room".into()),
            Self::Runtime(_)
            | Self::Answer { .. }
            | Self::Unreadable(_)
            | Self::Json(_)
            | Self::Yaml(_) => once_more(),
            Self::Build(error) => match error {
                BuildError::NotRoot | BuildError::NoMmdebstrap => Err("its text ends with what to do"),
                BuildError::Stopped => Err("the user wanted it so"),
                BuildError::Mmdebstrap { .. } => {
                    Ok("see that the mirror can be reached; the last lines above say what failed".into())
                }
                BuildError::NoVersion { .. } => Ok("build the image once more, with another suite or mirror".into()),
                BuildError::Io { .. } | BuildError::Archive(_) => {
                    Ok("see that the disk has room; --output names another place".into())
                }
            },
            Self::Agent(_) => Err("the coordinator that started the agent reads it"),
            Self::Interrupted => Err("the user wanted it so"),
        }
    }
}

/// Where to look when something does not fit.
const FREE: &str = "`shoal get hosts` shows what is free; `--dry-run` shows every refusal";
/// Where to look when a host does not answer.
const UNSEEN: &str = "see that the engine runs and listens there; `shoal get hosts` shows which hosts answer";

#[cfg(test)]
mod tests {
    use shoal_types::chain;

    use super::*;

    #[test]
    fn causes_follow_on_the_same_line() {
        let error = CliError::File {
            action: "read",
            path: "a.tar".into(),
            source: io::Error::new(io::ErrorKind::NotFound, "no such file"),
        };
        assert_eq!(chain(&error), "cannot read a.tar: no such file");
    }

    #[test]
    fn statuses_become_exit_codes() {
        for (status, code) in [
            (Status::invalid_argument(""), 2),
            (Status::not_found(""), 3),
            (Status::resource_exhausted(""), 4),
            (Status::unavailable(""), 5),
            (Status::cancelled(""), 130),
            (Status::already_exists(""), 1),
            (Status::failed_precondition(""), 1),
            (Status::internal(""), 1),
        ] {
            assert_eq!(CliError::Status(status).exit().code(), code);
        }
    }

    #[test]
    fn every_error_ends_with_what_to_do_next() {
        let io = || io::Error::other("no");
        let target = "worker-0.dev".parse().unwrap();
        let with = [
            CliError::usage("wrong", None),
            ConfigError::TooLarge { name: "dev.yaml".into() }.into(),
            StateDirError::NoHome.into(),
            ContextError::NoHome.into(),
            CoordinatorError::StateDir { path: "/x".into(), source: io() }.into(),
            ServerError::Absent { socket: "/s".into() }.into(),
            CliError::Answer { missing: "the host" },
            CliError::Unreadable(FieldError::new("host.state", "is missing")),
            CliError::DoesNotFit { reason: "no".into() },
            CliError::SomeHosts { failed: 1, total: 2 },
            CliError::TooMuch { going: 1, total: 2 },
            CliError::Unseen { failed: 1, total: 2 },
            CliError::File { action: "read", path: "x".into(), source: io() },
            CliError::NoNode { target },
            CliError::Runtime(io()),
            BuildError::NoVersion { said: String::new() }.into(),
            CliError::SshClient(io()),
            CliError::Stdin(io()),
            CliError::Stdout(io()),
            serde_json::from_str::<u8>("x").unwrap_err().into(),
        ];
        for error in with {
            assert!(error.hint().is_some_and(|hint| !hint.is_empty()), "{error}");
        }
        // Their texts say it, or there is nothing to do.
        for error in [BuildError::NotRoot.into(), CliError::Interrupted] {
            assert!(error.next().is_err_and(|why| !why.is_empty()), "{error}");
        }
    }

    #[test]
    fn a_closed_pipe_is_no_failure() {
        assert_eq!(CliError::Stdout(io::ErrorKind::BrokenPipe.into()).exit(), Exit::Ok);
        assert_eq!(CliError::Stdout(io::ErrorKind::StorageFull.into()).exit(), Exit::Failure);
    }
}
