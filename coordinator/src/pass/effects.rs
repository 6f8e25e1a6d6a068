//! What one owner's calls may have done on hosts beyond what is recorded.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Mutex, PoisonError},
};

use shoal_types::{HostId, NodeId};

/// What one owner's calls may have done on hosts beyond what is recorded.
#[derive(Debug, Default)]
pub(crate) struct Effects {
    started: Mutex<BTreeSet<HostId>>,
    doubtful: Mutex<BTreeSet<HostId>>,
    ends: Mutex<BTreeMap<NodeId, u32>>,
}

impl Effects {
    /// A node is about to be started there.
    pub(crate) fn starting(&self, host: HostId) {
        self.started.lock().unwrap_or_else(PoisonError::into_inner).insert(host);
    }

    /// Whether one was, as far as this owner knows.
    pub(crate) fn started(&self, host: HostId) -> bool {
        self.started.lock().unwrap_or_else(PoisonError::into_inner).contains(&host)
    }

    /// A node was seen to have ended: how often by now.
    pub(crate) fn ended(&self, node: NodeId) -> u32 {
        let mut ends = self.ends.lock().unwrap_or_else(PoisonError::into_inner);
        let ends = ends.entry(node).or_default();
        *ends += 1;
        *ends
    }

    /// A call to it ended without an answer: its effect may come later.
    pub(crate) fn doubt(&self, host: HostId) {
        self.doubtful.lock().unwrap_or_else(PoisonError::into_inner).insert(host);
    }

    /// Whether one did.
    pub(crate) fn in_doubt(&self, host: HostId) -> bool {
        self.doubtful.lock().unwrap_or_else(PoisonError::into_inner).contains(&host)
    }
}
