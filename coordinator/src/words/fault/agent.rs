//! Why an agent cannot be brought to a host or spoken with.

use std::{io, path::PathBuf};

use shoal_docker::EngineError;
use shoal_proto::FieldError;
use shoal_types::HostName;

use super::{Class, Retry, host};

/// Why a host's agent cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum AgentError {
    /// Its engine failed.
    #[error("the agent of {host} could not be brought there")]
    Engine {
        /// Which host.
        host: HostName,
        /// What the engine said.
        #[source]
        source: Box<EngineError>,
    },
    /// Its executable is not there.
    #[error("the agent of {host} could not be brought there")]
    Binary {
        /// Which host.
        host: HostName,
        /// Which executable, and why.
        #[source]
        source: BinaryError,
    },
    /// Something else answered.
    #[error("the agent of {host} did not greet, but said: {text}")]
    Greeting {
        /// Which host.
        host: HostName,
        /// What was said, shortened.
        text: String,
    },
    /// Another process changes the agent's container all the time.
    #[error(
        "the agent's container on {host} keeps changing: is another version of shoal working with this installation?"
    )]
    Contended {
        /// Which host.
        host: HostName,
    },
    /// No channel.
    #[error("the agent of {host} cannot be reached: {reason}")]
    Channel {
        /// Which host.
        host: HostName,
        /// Why.
        reason: String,
    },
    /// None is there, and none was to be brought.
    #[error("no agent runs there: `shoal doctor` brings one")]
    Absent {
        /// Which host.
        host: HostName,
    },
    /// What it said cannot be read.
    #[error("the agent of {host} answered {call} with what cannot be read")]
    Answer {
        /// Which host.
        host: HostName,
        /// Which call.
        call: &'static str,
        /// Which field, and why.
        #[source]
        source: FieldError,
    },
    /// It refused a call.
    #[error("the agent of {host} failed {call}: {message}")]
    Call {
        /// Which host.
        host: HostName,
        /// Which call.
        call: &'static str,
        /// What it said.
        message: String,
        /// The same call may succeed a little later.
        transient: bool,
    },
}

impl AgentError {
    pub(super) fn class(&self) -> Class {
        match self {
            Self::Engine { source, .. } => host::engine(source),
            // Nothing was asked of the host.
            Self::Binary { .. } => Class::of(Retry::Elsewhere),
            Self::Absent { .. } => Class::of(Retry::Later),
            Self::Greeting { .. } | Self::Contended { .. } | Self::Channel { .. } => answered(Retry::Later),
            Self::Call { transient: true, .. } => answered(Retry::Later),
            Self::Call { transient: false, .. } | Self::Answer { .. } => answered(Retry::Elsewhere),
        }
    }

    pub(super) fn hint(&self) -> &'static str {
        match self {
            Self::Engine { source, .. } => host::engine_hint(source),
            Self::Binary { .. } => "--agent-binary names the `shoal` for hosts of another architecture",
            Self::Contended { .. } => "use one version of `shoal` with one store",
            Self::Absent { .. } => "`shoal doctor` brings an agent to every host that answers",
            Self::Greeting { .. } | Self::Channel { .. } | Self::Answer { .. } | Self::Call { .. } => {
                "`docker logs` of the container shoal-agent on that host says more; the next command brings a new agent"
            }
        }
    }
}

/// Of an agent on whose host something is wrong; what it was asked for may have been done.
fn answered(retry: Retry) -> Class {
    Class { doubt: true, ..Class::of(retry).blaming() }
}

/// An executable that cannot be brought to a host.
#[derive(Debug, thiserror::Error)]
pub enum BinaryError {
    /// None was given for this architecture.
    #[error("no agent executable for architecture {architecture}: give one with --agent-binary")]
    Missing {
        /// Of the host, in Docker's words.
        architecture: String,
    },
    /// It cannot be read.
    #[error("the agent executable {} cannot be read", path.display())]
    Read {
        /// Which file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
}
