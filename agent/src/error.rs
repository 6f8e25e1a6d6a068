//! Why the agent, or a session with it, ended.

use std::{io, path::PathBuf};

use crate::state::StateError;

/// What ends [`serve`](crate::serve) or [`connect`](crate::connect).
#[derive(Debug, thiserror::Error)]
pub enum AgentError {
    /// The state directory cannot be used, or another agent uses it.
    #[error("cannot keep state")]
    State(#[from] StateError),
    /// The agent's socket cannot be bound or, by a session, reached.
    #[error("cannot use socket {}", path.display())]
    Socket {
        /// The socket.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// The kernel gives no netlink socket.
    #[error("cannot open a netlink socket")]
    Netlink(#[source] io::Error),
    /// The gRPC server failed.
    #[error("cannot serve")]
    Serve(#[from] tonic::transport::Error),
    /// The task that keeps the networks ended by itself.
    #[error("the network reconciler ended")]
    ReconcilerEnded,
    /// The kernel closed the netlink socket, or said what cannot be read.
    #[error("the netlink socket ended")]
    NetlinkEnded,
    /// Standard input or output is not a pipe, as an exec's are.
    #[error("cannot use {stream} as a pipe")]
    Stdio {
        /// `standard input` or `standard output`.
        stream: &'static str,
        /// Why not.
        source: io::Error,
    },
    /// A session broke between the two.
    #[error("session broken")]
    Session(#[source] io::Error),
}
