//! `[USER@]NODE[.CLUSTER[.REALM]]`, or a node's full name: how a person names a node. Names have no dot.

use std::{fmt, str::FromStr};

use shoal_types::{ClusterName, DNS_ZONE, NameError, NodeName, RealmName};

use crate::{args::Global, error::CliError};

/// Longest account name of shadow(5)'s tools.
const MAX_USER: usize = 32;

/// A node of a cluster; of the cluster `default` if none is named.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct NodeRef {
    /// Whom to be there; who the command says if `None`.
    pub(crate) user: Option<UserName>,
    /// The node.
    pub(crate) node: NodeName,
    /// Its cluster.
    pub(crate) cluster: ClusterName,
    /// Its cluster's realm, if the name says it.
    pub(crate) realm: Option<RealmName>,
}

/// A node of a cluster that is named elsewhere on the line, too.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct NodeArg {
    user: Option<UserName>,
    node: NodeName,
    cluster: Option<ClusterName>,
    realm: Option<RealmName>,
}

/// A text that names no node.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum NodeRefError {
    /// A part of it is no name.
    #[error(transparent)]
    Name(#[from] NameError),
    /// What is before the `@` is no account's name.
    #[error(
        "`{user}` is no account's name: up to {MAX_USER} letters, digits and `_.-`, and no dash or digit first"
    )]
    User {
        /// The part before the `@`, escaped.
        user: String,
    },
    /// Too many parts.
    #[error("a node is NODE, NODE.CLUSTER, NODE.CLUSTER.REALM or NODE.CLUSTER.REALM.{DNS_ZONE}")]
    Parts,
}

/// An account of a node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct UserName(String);

impl UserName {
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for UserName {
    type Err = NodeRefError;

    fn from_str(text: &str) -> Result<Self, NodeRefError> {
        let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.' | b'-');
        let first = |b: u8| b.is_ascii_alphabetic() || b == b'_';
        match text.len() <= MAX_USER && text.bytes().all(plain) && text.bytes().next().is_some_and(first) {
            true => Ok(Self(text.into())),
            false => Err(NodeRefError::User { user: crate::escape::line(text) }),
        }
    }
}

impl NodeRef {
    /// The account meant, for a command that runs there; empty for root.
    pub(crate) fn account(&self) -> String {
        self.user.as_ref().map(|user| user.0.clone()).unwrap_or_default()
    }

    /// The realm meant: the name's, if it says one.
    ///
    /// # Errors
    /// [`CliError::Usage`]: `--realm` says another, or `SHOAL_REALM` is no realm's name.
    pub(crate) fn realm(&self, global: &Global) -> Result<RealmName, CliError> {
        match (&self.realm, &global.realm) {
            (Some(named), Some(flag)) if named != flag => Err(CliError::usage(
                format!("{self}.{named} is in the realm {named}, and --realm says {flag}"),
                "leave one of them out".to_owned(),
            )),
            (named, _) => global.realm(named.as_ref()),
        }
    }
}

impl NodeArg {
    /// The node, in `cluster`.
    ///
    /// # Errors
    /// [`CliError::Usage`]: its name says another cluster.
    pub(crate) fn of(self, cluster: &ClusterName) -> Result<NodeRef, CliError> {
        let Self { user, node, cluster: named, realm } = self;
        match named {
            Some(named) if named != *cluster => Err(CliError::usage(
                format!("{node}.{named} is no node of {cluster}"),
                format!("leave the cluster out of the node's name, or say {named} before it"),
            )),
            Some(_) | None => Ok(NodeRef { user, node, cluster: cluster.clone(), realm }),
        }
    }
}

impl FromStr for NodeArg {
    type Err = NodeRefError;

    fn from_str(text: &str) -> Result<Self, NodeRefError> {
        let (user, name) = match text.split_once('@') {
            Some((user, name)) => (Some(user.parse()?), name),
            None => (None, text),
        };
        // DNS ends an absolute name in a dot.
        let full = name.strip_suffix('.').unwrap_or(name).strip_suffix(DNS_ZONE);
        let full = full.and_then(|name| name.strip_suffix('.')).filter(|name| name.matches('.').count() == 2);
        let parts: Vec<_> = full.unwrap_or(name).split('.').collect();
        let (node, cluster, realm) = match parts.as_slice() {
            [node] => (node, None, None),
            [node, cluster] => (node, Some(cluster), None),
            [node, cluster, realm] => (node, Some(cluster), Some(realm)),
            _ => return Err(NodeRefError::Parts),
        };
        let cluster = cluster.map(|cluster| cluster.parse()).transpose()?;
        let realm = realm.map(|realm| realm.parse()).transpose()?;
        Ok(Self { user, node: node.parse()?, cluster, realm })
    }
}

impl FromStr for NodeRef {
    type Err = NodeRefError;

    fn from_str(text: &str) -> Result<Self, NodeRefError> {
        let NodeArg { user, node, cluster, realm } = text.parse()?;
        Ok(Self { user, node, cluster: cluster.unwrap_or_default(), realm })
    }
}

impl fmt::Display for NodeRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.node, self.cluster)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_agrees_with_its_cluster() {
        let cluster: ClusterName = "dev".parse().unwrap();
        for text in ["worker-0", "worker-0.dev", "worker-0.dev.default.shoal.internal"] {
            let named = text.parse::<NodeArg>().unwrap().of(&cluster).unwrap();
            assert_eq!(named.to_string(), "worker-0.dev");
        }
        let other = "worker-0.prod".parse::<NodeArg>().unwrap().of(&cluster).unwrap_err();
        assert_eq!(other.to_string(), "worker-0.prod is no node of dev");
    }

    #[test]
    fn forms() {
        let shown = |text: &str| {
            let read: NodeRef = text.parse().unwrap();
            let user = read.user.as_ref().map_or("-", UserName::as_str).to_owned();
            (user, read.to_string(), read.realm.map(|realm| realm.to_string()).unwrap_or_default())
        };
        for (text, user, name, realm) in [
            ("worker-0.dev", "-", "worker-0.dev", ""),
            ("controller", "-", "controller.default", ""),
            ("root@controller", "root", "controller.default", ""),
            ("alice.b_c-d@worker-0.dev", "alice.b_c-d", "worker-0.dev", ""),
            ("worker-0.dev.lab", "-", "worker-0.dev", "lab"),
            ("worker-0.dev.lab.shoal.internal", "-", "worker-0.dev", "lab"),
            ("worker-0.dev.lab.shoal.internal.", "-", "worker-0.dev", "lab"),
            ("_x@worker-0.dev.lab.shoal.internal", "_x", "worker-0.dev", "lab"),
            // A cluster and a realm may be called as the zone's words.
            ("worker-0.shoal.internal", "-", "worker-0.shoal", "internal"),
        ] {
            assert_eq!(shown(text), (user.into(), name.into(), realm.into()), "{text}");
        }
        for bad in [
            "",
            ".dev",
            "worker-0.",
            "a.b.c.d",
            "a.b.c.shoal.internal.x",
            "a.b.c.d.shoal.internal",
            "-oProxyCommand=x",
            "a/b",
            "@a",
            "-l@a",
            "0@a",
            "a b@a",
            "a@b@c",
            "root@",
            &format!("{}@a", "x".repeat(33)),
        ] {
            assert!(bad.parse::<NodeRef>().is_err(), "{bad}");
        }
    }
}
