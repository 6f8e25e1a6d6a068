//! Users of servers, and the certificates they come with.

use serde::Serialize;
use shoal_proto::{FieldError, Word, v1};
use shoal_types::{RealmName, UserName, UserRole};

use crate::{Time, value::need};

/// A user of servers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct User {
    /// Unique among those that are not revoked.
    pub name: String,
    /// `admin`, `operator` or `viewer`.
    #[cfg_attr(feature = "schema", schemars(with = "String"))]
    pub role: UserRole,
    /// Realms that the user may name; none: every one.
    pub realms: Vec<String>,
    /// When the user was made.
    #[cfg_attr(feature = "schema", schemars(with = "Option<String>"))]
    pub created: Option<Time>,
    /// When the last certificate ends.
    #[cfg_attr(feature = "schema", schemars(with = "Option<String>"))]
    pub expires: Option<Time>,
    /// When the user was revoked; null if not.
    #[cfg_attr(feature = "schema", schemars(with = "Option<String>"))]
    pub revoked: Option<Time>,
}

impl TryFrom<v1::User> for User {
    type Error = FieldError;

    fn try_from(said: v1::User) -> Result<Self, FieldError> {
        let time = |ms| Time::known(shoal_types::Timestamp(ms));
        Ok(Self {
            role: UserRole::read("user.role", said.role)?,
            name: said.name,
            realms: said.realms,
            created: time(said.created_ms),
            expires: time(said.not_after_ms),
            revoked: time(said.revoked_ms),
        })
    }
}

impl From<User> for v1::User {
    fn from(told: User) -> Self {
        Self {
            name: told.name,
            role: told.role.wire(),
            realms: told.realms,
            created_ms: Time::wire(told.created),
            not_after_ms: Time::wire(told.expires),
            revoked_ms: Time::wire(told.revoked),
        }
    }
}

/// A certificate that an installation's authority signed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Certificate {
    /// The certificate, PEM.
    pub certificate: String,
    /// That of the authority, PEM.
    pub authority: String,
    /// When it ends, milliseconds since the epoch.
    pub not_after_ms: u64,
}

impl From<v1::Certificate> for Certificate {
    fn from(said: v1::Certificate) -> Self {
        let v1::Certificate { certificate, authority, not_after_ms } = said;
        Self { certificate, authority, not_after_ms }
    }
}

impl From<Certificate> for v1::Certificate {
    fn from(told: Certificate) -> Self {
        let Certificate { certificate, authority, not_after_ms } = told;
        Self { certificate, authority, not_after_ms }
    }
}

/// A user to be made.
#[derive(Debug, Clone)]
pub struct NewUser {
    /// The name.
    pub name: UserName,
    /// What the user may do.
    pub role: UserRole,
    /// Realms that the user may name; none: every one.
    pub realms: Vec<RealmName>,
    /// How long the certificate holds.
    pub days: u32,
    /// The public half of the user's key, a point of P-256.
    pub point: Vec<u8>,
}

impl From<NewUser> for v1::CreateUserRequest {
    fn from(new: NewUser) -> Self {
        Self {
            name: new.name.to_string(),
            role: new.role.wire(),
            realms: new.realms.iter().map(ToString::to_string).collect(),
            days: new.days,
            point: new.point.into(),
        }
    }
}

/// A user that was made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MadeUser {
    /// As kept.
    pub user: User,
    /// The certificate.
    pub certificate: Certificate,
    /// Where the server that answers is reached.
    pub addresses: Vec<String>,
}

impl TryFrom<v1::CreateUserResponse> for MadeUser {
    type Error = FieldError;

    fn try_from(said: v1::CreateUserResponse) -> Result<Self, FieldError> {
        Ok(Self {
            user: need("user", said.user)?.try_into()?,
            certificate: need("certificate", said.certificate)?.into(),
            addresses: said.addresses,
        })
    }
}

impl From<MadeUser> for v1::CreateUserResponse {
    fn from(told: MadeUser) -> Self {
        Self {
            user: Some(told.user.into()),
            certificate: Some(told.certificate.into()),
            addresses: told.addresses,
        }
    }
}

#[cfg(test)]
mod tests {
    use shoal_types::Timestamp;

    use super::*;

    #[test]
    fn survives_the_wire() {
        let user = User {
            name: "ann".into(),
            role: UserRole::Operator,
            realms: vec!["a".into()],
            created: Time::known(Timestamp(5)),
            expires: Time::known(Timestamp(6)),
            revoked: None,
        };
        let certificate = Certificate { certificate: "c".into(), authority: "a".into(), not_after_ms: 6 };
        let told = MadeUser { user, certificate, addresses: vec!["h:1".into()] };
        let said = v1::CreateUserResponse::from(told.clone());
        assert_eq!(MadeUser::try_from(said.clone()), Ok(told));
        let without = v1::CreateUserResponse { user: None, ..said.clone() };
        assert_eq!(MadeUser::try_from(without).unwrap_err().field, "user");
        let mut other = said;
        other.user.as_mut().unwrap().role = 9;
        assert_eq!(MadeUser::try_from(other).unwrap_err().field, "user.role");
    }
}
