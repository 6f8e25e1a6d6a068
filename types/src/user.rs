//! Who may use a server besides the user who runs it: a role, and the realms it holds in.

use std::{collections::BTreeSet, fmt, str::FromStr};

use serde::{Deserialize, Serialize};

use crate::RealmName;

/// What a user may do. Each role may do what the one before it may.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum UserRole {
    /// Look at clusters, and at hosts.
    Viewer,
    /// Make, change and delete clusters, and work in their nodes.
    Operator,
    /// Everything: hosts, images, registries, users.
    Admin,
}

/// No role.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no role: admin, operator or viewer")]
pub struct UserRoleError(String);

impl UserRole {
    /// Every role, the least first.
    pub const ALL: [Self; 3] = [Self::Viewer, Self::Operator, Self::Admin];

    /// The word, as given, stored and shown.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Viewer => "viewer",
            Self::Operator => "operator",
            Self::Admin => "admin",
        }
    }
}

impl fmt::Display for UserRole {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for UserRole {
    type Err = UserRoleError;

    fn from_str(text: &str) -> Result<Self, UserRoleError> {
        let shown = || text.chars().take(48).flat_map(char::escape_default).collect();
        Self::ALL.into_iter().find(|role| role.as_str() == text).ok_or_else(|| UserRoleError(shown()))
    }
}

/// The realms that a user may name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Realms {
    /// Every one.
    All,
    /// These.
    Only(BTreeSet<RealmName>),
}

impl Realms {
    /// Whether this one may be named.
    #[must_use]
    pub fn have(&self, realm: &RealmName) -> bool {
        match self {
            Self::All => true,
            Self::Only(realms) => realms.contains(realm),
        }
    }

    /// By name; none for every one.
    #[must_use]
    pub fn names(&self) -> Vec<String> {
        match self {
            Self::All => Vec::new(),
            Self::Only(realms) => realms.iter().map(ToString::to_string).collect(),
        }
    }
}

impl FromIterator<RealmName> for Realms {
    /// These; every one if there are none.
    fn from_iter<I: IntoIterator<Item = RealmName>>(realms: I) -> Self {
        let realms: BTreeSet<_> = realms.into_iter().collect();
        if realms.is_empty() { Self::All } else { Self::Only(realms) }
    }
}

impl fmt::Display for Realms {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.names().join(","))
    }
}

impl FromStr for Realms {
    type Err = crate::NameError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.split(',').filter(|name| !name.is_empty()).map(str::parse).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn roles_are_ordered_and_read_back() {
        for role in UserRole::ALL {
            assert_eq!(role.to_string().parse(), Ok(role));
        }
        assert!(UserRole::Viewer < UserRole::Operator && UserRole::Operator < UserRole::Admin);
        let error = "root\u{1b}".parse::<UserRole>().unwrap_err().to_string();
        assert_eq!(error, "`root\\u{1b}` is no role: admin, operator or viewer");
    }

    #[test]
    fn no_realm_means_every_one() {
        let (a, b): (RealmName, RealmName) = ("a".parse().unwrap(), "b".parse().unwrap());
        let one: Realms = [a.clone()].into_iter().collect();
        assert!(one.have(&a) && !one.have(&b));
        assert!("".parse::<Realms>().unwrap().have(&b));
        assert_eq!("b,a".parse::<Realms>().unwrap().to_string(), "a,b");
        assert!("a,B".parse::<Realms>().is_err());
    }
}
