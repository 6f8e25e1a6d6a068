//! Why the coordinator did not do what was asked: an enum per subject, each with what it means for whoever is at work
//! ([`Class`]) and what a person can do about it. The one map to gRPC statuses is `server/status.rs`.

use shoal_docker::{EndpointError, EngineError, SshMaterialError, TlsMaterialError};
use shoal_proto::FieldError;
use shoal_storage::StoreError;
use shoal_types::HostName;

mod address;
mod agent;
mod class;
mod cluster;
mod host;
mod image;
mod placing;
mod readiness;
mod start;
pub(crate) mod store;
mod user;
mod ways;

pub(crate) use self::class::{Class, Retry};
pub use self::{
    address::NoAddress,
    agent::{AgentError, BinaryError},
    cluster::{After, ClusterFault},
    host::HostFault,
    image::ImageFault,
    placing::{NoPlan, PlacementFault, ProgramError, Unreadable},
    readiness::{NotReady, StuckNode},
    start::CoordinatorError,
    user::UserFault,
    ways::{LostWay, LostWays},
};

/// What to do next, or why there is nothing to be said.
pub(crate) type Hint = Result<String, &'static str>;

/// No hint: the text ends with what to do.
const SAID: &str = "its text ends with what to do";
/// No hint: it is what the user asked for.
const UNWANTED: &str = "the user wanted it so";
/// What to do about wrong use.
const WRONG_USE: &str = "`shoal COMMAND --help` says what it takes";

/// Why a request was not carried out.
#[derive(Debug, thiserror::Error)]
pub enum Fault {
    /// A field of the request cannot be what it says.
    #[error(transparent)]
    Field(#[from] FieldError),
    /// The endpoint cannot be read.
    #[error(transparent)]
    Endpoint(#[from] EndpointError),
    /// The TLS material cannot be used.
    #[error(transparent)]
    Material(#[from] TlsMaterialError),
    /// The SSH material cannot be used.
    #[error(transparent)]
    Ssh(#[from] SshMaterialError),
    /// Something about a host or its engine.
    #[error(transparent)]
    Host(#[from] HostFault),
    /// An agent failed or cannot be reached.
    #[error(transparent)]
    Agent(#[from] AgentError),
    /// Something about an image.
    #[error(transparent)]
    Image(#[from] ImageFault),
    /// Something about a placement.
    #[error(transparent)]
    Placement(#[from] PlacementFault),
    /// Something about a cluster or one of its nodes.
    #[error(transparent)]
    Cluster(#[from] ClusterFault),
    /// Something about a user of servers.
    #[error(transparent)]
    User(#[from] UserFault),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A file of this machine could not be written or read.
    #[error("{what} failed on this machine")]
    Local {
        /// What was tried.
        what: &'static str,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// The coordinator is to stop.
    #[error("interrupted")]
    Stopped,
}

impl Fault {
    /// Makes the error of an engine that of its host.
    pub(crate) fn engine(host: &HostName) -> impl Fn(EngineError) -> Self + Copy {
        move |source| HostFault::Engine { host: host.clone(), source: Box::new(source) }.into()
    }

    /// What it means for whoever is at work.
    pub(crate) fn class(&self) -> Class {
        match self {
            Self::Host(fault) => fault.class(),
            Self::Agent(fault) => fault.class(),
            Self::Image(fault) => fault.class(),
            Self::Placement(fault) => fault.class(),
            Self::Cluster(fault) => fault.class(),
            Self::User(fault) => fault.class(),
            Self::Store(error) => store::class(error),
            Self::Field(_)
            | Self::Endpoint(_)
            | Self::Material(_)
            | Self::Ssh(_)
            | Self::Local { .. }
            | Self::Stopped => Class::of(Retry::Never),
        }
    }

    /// On one line, with what to do, where that is not said yet.
    pub(crate) fn told(&self) -> String {
        match self.hint() {
            Ok(hint) => format!("{}; {hint}", shoal_types::chain(self)),
            Err(_) => shoal_types::chain(self),
        }
    }

    /// What to do next, or why there is nothing to be said.
    pub(crate) fn hint(&self) -> Hint {
        match self {
            Self::Field(_) => Ok(WRONG_USE.into()),
            Self::Endpoint(_) => {
                Ok("an endpoint is unix:///path, tcp://host:port or ssh://user@host, such as tcp://10.0.0.5:2376".into())
            }
            Self::Material(_) => {
                Ok("--tls-dir takes a directory with ca.pem, cert.pem and key.pem, as docker has them".into())
            }
            Self::Ssh(_) => Ok("--ssh-key takes the file of a private key without passphrase".into()),
            Self::Host(fault) => fault.hint(),
            Self::Agent(fault) => Ok(fault.hint().into()),
            Self::Image(fault) => fault.hint(),
            Self::Placement(fault) => fault.hint(),
            Self::Cluster(fault) => fault.hint(),
            Self::User(fault) => fault.hint(),
            Self::Store(error) => store::hint(error),
            Self::Local { .. } => {
                Ok("see that this machine has room: TMPDIR names where it is spooled".into())
            }
            Self::Stopped => Err(UNWANTED),
        }
    }
}

#[cfg(test)]
mod tests {
    use shoal_docker::Endpoint;
    use shoal_types::chain;

    use super::*;

    #[test]
    fn sources_are_told_once() {
        let endpoint: Endpoint = "tcp://10.0.0.1:2376".parse().unwrap();
        let host = "host1".parse().unwrap();
        let fault = Fault::engine(&host)(EngineError::Refused {
            endpoint,
            source: std::io::Error::other("no route"),
        });
        assert_eq!(chain(&fault), "host host1: tcp://10.0.0.1:2376 refused the connection: no route");
    }
}
