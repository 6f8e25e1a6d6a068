//! Faults of users of servers and their certificates.

use shoal_types::UserName;

use super::{Class, Hint, class::Retry};

/// Something about a user.
#[derive(Debug, thiserror::Error)]
pub enum UserFault {
    /// There is none of this name, or it is revoked.
    #[error("there is no user {name}")]
    Unknown {
        /// The name.
        name: UserName,
    },
    /// There is one of this name.
    #[error("there is a user {name} already")]
    Taken {
        /// The name.
        name: UserName,
    },
    /// An administrator of some realms alone cannot be: hosts serve all of them.
    #[error("an admin has every realm")]
    AdminOfRealms,
    /// A certificate would hold for no time, or for too long.
    #[error("a certificate holds for 1 to 3650 days, and not for {days}")]
    Days {
        /// How many were asked for.
        days: u32,
    },
    /// A key that is none.
    #[error("the public key is no point of P-256")]
    Point,
    /// Who calls has no certificate: the user of this machine needs none.
    #[error("only a user who comes with a certificate has one to renew")]
    NoCertificate,
    /// The authority cannot be used, or cannot sign what is asked for.
    #[error("a certificate cannot be made: {why}")]
    Authority {
        /// Why not.
        why: String,
    },
}

impl From<rcgen::Error> for UserFault {
    fn from(error: rcgen::Error) -> Self {
        Self::Authority { why: error.to_string() }
    }
}

impl UserFault {
    pub(crate) fn class(&self) -> Class {
        Class::of(Retry::Never)
    }

    pub(crate) fn hint(&self) -> Hint {
        match self {
            Self::Unknown { .. } => Ok("`shoal get users` lists them".into()),
            Self::Taken { name } => {
                Ok(format!("choose another name, or revoke that one first: `shoal revoke user {name}`"))
            }
            Self::AdminOfRealms => Ok("leave --realm out, or make an operator".into()),
            Self::Days { .. } => {
                Ok("give --days, or leave it out: a certificate is renewed by itself".into())
            }
            Self::Point => Ok("keys are made by `shoal create user` itself".into()),
            Self::NoCertificate => Ok("a context of another server has one: `shoal context list`".into()),
            Self::Authority { .. } => {
                Ok("see that the names of --name are names of the DNS or addresses".into())
            }
        }
    }
}
