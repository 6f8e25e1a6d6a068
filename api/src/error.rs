//! Why a call has no answer.

use shoal_proto::FieldError;
use tonic::{Code, Status};

/// A call without an answer.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// The coordinator says why.
    // Not as its cause: the message is the whole text for a person.
    #[error("{}", .0.message())]
    Refused(Status),
    /// The answer is not what the protocol promises.
    #[error("the coordinator's answer cannot be read")]
    Answer(#[from] FieldError),
}

impl ClientError {
    /// Whether what was named is not there.
    #[must_use]
    pub fn is_not_found(&self) -> bool {
        match self {
            Self::Refused(status) => status.code() == Code::NotFound,
            Self::Answer(_) => false,
        }
    }
}

impl From<Status> for ClientError {
    fn from(status: Status) -> Self {
        Self::Refused(status)
    }
}
