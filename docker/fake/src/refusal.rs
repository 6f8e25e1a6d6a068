//! An engine's refusal of a call, before the client adds endpoint and subject.

use shoal_docker::{Endpoint, EngineError, Subject};

use crate::Call;

/// An answer with an error status.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    /// 404: this is missing, or if `None`, what the call is about.
    NotFound(Option<Subject>),
    /// 409, first kind.
    NameInUse,
    /// 409, second kind.
    RemovalInProgress,
    /// 409, third kind, with the engine's words.
    Conflict(String),
    /// Another container has the address.
    AddressInUse,
    /// The subnet overlaps another one.
    PoolOverlap,
    /// 400, with the engine's words.
    BadRequest(String),
    /// No space left on device.
    DiskFull,
    /// 5xx, with the engine's words.
    ServerError(u16, String),
    /// The registry failed the engine.
    Registry(String),
    /// More bytes than the caller wants. Said by the client, never by an engine.
    TooLarge(usize),
}

impl Refusal {
    /// Something else than the call's subject is missing.
    pub(crate) fn missing(subject: Subject) -> Self {
        Self::NotFound(Some(subject))
    }

    /// As the caller of `call` gets it.
    pub(crate) fn error(self, endpoint: &Endpoint, call: &Call) -> EngineError {
        let (endpoint, subject, call) = (endpoint.clone(), call.subject.clone(), call.method.name());
        match self {
            Self::NotFound(missing) => {
                EngineError::NotFound { endpoint, subject: missing.unwrap_or(subject) }
            }
            Self::NameInUse => EngineError::NameInUse { endpoint, subject },
            Self::RemovalInProgress => EngineError::RemovalInProgress { endpoint, subject },
            Self::Conflict(message) => EngineError::Conflict { endpoint, call, subject, message },
            Self::AddressInUse => EngineError::AddressInUse { endpoint, subject },
            Self::PoolOverlap => EngineError::PoolOverlap { endpoint, subject },
            Self::BadRequest(message) => EngineError::BadRequest { endpoint, call, subject, message },
            Self::DiskFull => EngineError::DiskFull { endpoint, call, subject },
            Self::ServerError(status, message) => {
                EngineError::ServerError { endpoint, call, subject, status, message }
            }
            Self::Registry(message) => EngineError::Registry { endpoint, subject, message },
            Self::TooLarge(limit) => EngineError::TooLarge { endpoint, call, subject, limit },
        }
    }
}
