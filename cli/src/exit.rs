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
//! | 6 | `cp`: done, but for what cannot be copied, which is named |
//! | 130 | interrupted |
//! | any | `exec`, `enter` and `ssh`: the status of the command that ran |
//! | 125 | `exec` or `enter` itself failed |
//! | 255 | `ssh` itself failed, as OpenSSH has it |

use shoal_api::ExitClass;

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
    /// Copied in part: the rest is named.
    InPart,
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
            Self::Ok => ExitClass::Ok.code(),
            Self::Failure => ExitClass::Failure.code(),
            Self::Usage => ExitClass::Usage.code(),
            Self::NotFound => ExitClass::NotFound.code(),
            Self::DoesNotFit => ExitClass::DoesNotFit.code(),
            Self::Unreachable => ExitClass::Unreachable.code(),
            Self::InPart => 6,
            Self::Interrupted => ExitClass::Interrupted.code(),
            Self::Inner(status) => status,
            Self::ExecFailed => 125,
            Self::SshFailed => 255,
        }
    }
}

impl From<ExitClass> for Exit {
    fn from(class: ExitClass) -> Self {
        match class {
            ExitClass::Ok => Self::Ok,
            ExitClass::Failure => Self::Failure,
            ExitClass::Usage => Self::Usage,
            ExitClass::NotFound => Self::NotFound,
            ExitClass::DoesNotFit => Self::DoesNotFit,
            ExitClass::Unreachable => Self::Unreachable,
            ExitClass::Interrupted => Self::Interrupted,
        }
    }
}
