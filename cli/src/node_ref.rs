//! `NODE[.CLUSTER]`: how a person names a node. Split at the first dot; names have none.

use std::{fmt, str::FromStr};

use shoal_types::{ClusterName, NameError, NodeName};

/// A node of a cluster; of the cluster `default` if none is named.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct NodeRef {
    /// The node.
    pub(crate) node: NodeName,
    /// Its cluster.
    pub(crate) cluster: ClusterName,
}

impl FromStr for NodeRef {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        match text.split_once('.') {
            Some((node, cluster)) => Ok(Self { node: node.parse()?, cluster: cluster.parse()? }),
            None => Ok(Self { node: text.parse()?, cluster: ClusterName::default() }),
        }
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
    fn forms() {
        assert_eq!("worker-0.dev".parse::<NodeRef>().unwrap().to_string(), "worker-0.dev");
        assert_eq!("controller".parse::<NodeRef>().unwrap().to_string(), "controller.default");
        for bad in ["", ".dev", "worker-0.", "a.b.c", "-oProxyCommand=x", "a/b"] {
            assert!(bad.parse::<NodeRef>().is_err(), "{bad}");
        }
    }
}
