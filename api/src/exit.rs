//! What the end of a call means to whoever called, as the exit status of a program.

use tonic::Code;

/// How a command ended that did nothing but call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExitClass {
    /// Done.
    Ok,
    /// Failed.
    Failure,
    /// Used wrongly.
    Usage,
    /// What was named is not there.
    NotFound,
    /// The cluster does not fit.
    DoesNotFit,
    /// A host cannot be reached.
    Unreachable,
    /// Interrupted.
    Interrupted,
}

impl ExitClass {
    /// The number a shell sees.
    #[must_use]
    pub fn code(self) -> u8 {
        match self {
            Self::Ok => 0,
            Self::Failure => 1,
            Self::Usage => 2,
            Self::NotFound => 3,
            Self::DoesNotFit => 4,
            Self::Unreachable => 5,
            Self::Interrupted => 130,
        }
    }
}

impl From<Code> for ExitClass {
    fn from(code: Code) -> Self {
        match code {
            Code::Ok => Self::Ok,
            Code::InvalidArgument | Code::OutOfRange => Self::Usage,
            Code::NotFound => Self::NotFound,
            Code::ResourceExhausted => Self::DoesNotFit,
            Code::Unavailable => Self::Unreachable,
            Code::Cancelled => Self::Interrupted,
            Code::Unknown
            | Code::DeadlineExceeded
            | Code::AlreadyExists
            | Code::PermissionDenied
            | Code::FailedPrecondition
            | Code::Aborted
            | Code::Unimplemented
            | Code::Internal
            | Code::DataLoss
            | Code::Unauthenticated => Self::Failure,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_become_exit_statuses() {
        for (code, status) in [
            (Code::Ok, 0),
            (Code::InvalidArgument, 2),
            (Code::NotFound, 3),
            (Code::ResourceExhausted, 4),
            (Code::Unavailable, 5),
            (Code::Cancelled, 130),
            (Code::AlreadyExists, 1),
            (Code::FailedPrecondition, 1),
            (Code::Internal, 1),
        ] {
            assert_eq!(ExitClass::from(code).code(), status, "{code}");
        }
    }
}
