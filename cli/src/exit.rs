//! What the exit status of `shoal` says.
//!
//! | status | meaning |
//! |---|---|
//! | 0 | done |
//! | 1 | failed |
//! | 2 | used wrongly: arguments, configuration, files named on the command line |
//! | 3 | what was named is not there |
//! | 4 | the cluster does not fit on the hosts |
//! | 5 | a host cannot be reached |
//! | 130 | interrupted |
//! | any | `exec`, `enter` and `ssh`: the status of the command that ran |
//! | 125 | `exec` or `enter` itself failed |
//! | 255 | `ssh` itself failed, as OpenSSH has it |

use tonic::Code;

/// How a run of `shoal` ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Exit {
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
    /// Interrupted by a signal.
    Interrupted,
    /// The status of the command that ran inside.
    Inner(u8),
    /// `exec` or `enter` itself failed.
    ExecFailed,
    /// `ssh` itself failed.
    SshFailed,
}

impl Exit {
    /// The number a shell sees.
    pub(crate) fn code(self) -> u8 {
        match self {
            Self::Ok => 0,
            Self::Failure => 1,
            Self::Usage => 2,
            Self::NotFound => 3,
            Self::DoesNotFit => 4,
            Self::Unreachable => 5,
            Self::Interrupted => 130,
            Self::Inner(status) => status,
            Self::ExecFailed => 125,
            Self::SshFailed => 255,
        }
    }
}

impl From<Code> for Exit {
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
