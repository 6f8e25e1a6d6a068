//! Why a coordinator cannot start.

use std::path::PathBuf;

use shoal_storage::{HolderError, KeyError, NotOwn, StoreError, StoreUrlError, TransferError};

use super::store;
use crate::socket::SocketError;

/// Why a coordinator cannot start.
#[derive(Debug, thiserror::Error)]
pub enum CoordinatorError {
    /// The store's URL cannot be read.
    #[error(transparent)]
    StoreUrl(#[from] StoreUrlError),
    /// The state directory cannot be made.
    #[error("state directory {} cannot be used", path.display())]
    StateDir {
        /// The directory.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// Others can change the state directory.
    #[error("state directory {} cannot be trusted: {why} {}", path.display(), path.display())]
    OpenStateDir {
        /// The directory.
        path: PathBuf,
        /// Why not, and what makes it right.
        why: NotOwn,
    },
    /// The key that seals secrets cannot be used.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// The store cannot be opened.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// There is no store to be exported.
    #[error("there is no store at {place}")]
    NoStore {
        /// Where it would be.
        place: String,
    },
    /// It cannot be exported, or imported.
    #[error(transparent)]
    Transfer(#[from] TransferError),
    /// The socket cannot be served.
    #[error(transparent)]
    Socket(#[from] SocketError),
    /// The address for users elsewhere cannot be listened on.
    #[error("cannot listen on {address}")]
    Listen {
        /// The address.
        address: std::net::SocketAddr,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// The server has no certificate for users elsewhere.
    #[error("users elsewhere cannot be served")]
    Certificate(#[source] super::Fault),
    /// This process cannot be told from others, so it could hold no lease.
    #[error(transparent)]
    Holder(#[from] HolderError),
    /// Its own channel failed.
    #[error("the coordinator's own channel failed")]
    Channel(#[from] tonic::transport::Error),
}

impl CoordinatorError {
    /// What to do next, or why there is nothing to be said.
    ///
    /// # Errors
    /// Why there is nothing.
    pub fn hint(&self) -> Result<String, &'static str> {
        match self {
            Self::StoreUrl(_) => {
                Ok("a store is postgres://USER@HOST/DATABASE or the path of an SQLite file".into())
            }
            Self::OpenStateDir { .. } => {
                Ok("who can write there can replace store and key; or name another with --state-dir".into())
            }
            Self::StateDir { .. } => Ok("name another with --state-dir or SHOAL_STATE_DIR".into()),
            Self::Key(_) => {
                Ok("SHOAL_KEY_FILE names the key the store was made with, 32 bytes with mode 0600".into())
            }
            Self::Store(error) => store::hint(error),
            Self::NoStore { .. } => Ok("name another with --state-dir or --store".into()),
            Self::Transfer(error) => match error {
                TransferError::Store(error) => store::hint(error),
                TransferError::InUse { .. } => {
                    Ok("end that server or command first; what was killed on another machine is over within 90 s".into())
                }
                TransferError::NotEmpty { .. } => Ok("name an empty one with --store or --state-dir".into()),
                TransferError::File(_) => Ok("see that the file can be read or written, and the disk has room".into()),
                TransferError::NotAnExport { .. } | TransferError::CutOff { .. } => {
                    Ok("export the store once more: `shoal store export FILE`".into())
                }
                TransferError::OtherVersion { .. } => Err("its text ends with what to do"),
                TransferError::WrongKey { .. } => {
                    Ok("SHOAL_KEY_FILE names the key of the exported store; it lay beside that store".into())
                }
            },
            Self::Socket(error) => Ok(match error {
                SocketError::Served { .. } => {
                    "one server is enough for a state directory; end that one, or name another socket with --socket"
                        .into()
                }
                SocketError::NoSocket { .. } | SocketError::System { .. } => {
                    "name another with --socket or SHOAL_SOCKET".into()
                }
            }),
            Self::Listen { .. } => {
                Ok("--listen takes an address of this machine and a free port, such as 0.0.0.0:7443".into())
            }
            Self::Certificate(fault) => fault.hint(),
            Self::Holder(_) => Ok("see that /proc is mounted".into()),
            Self::Channel(_) => Ok("run it once more; -vv shows more".into()),
        }
    }
}
