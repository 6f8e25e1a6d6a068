//! What one owner's calls may have done on hosts beyond what is recorded.

use std::{
    collections::BTreeSet,
    sync::{Mutex, PoisonError},
};

use shoal_types::HostId;

/// What one owner's calls may have done on hosts beyond what is recorded.
#[derive(Debug, Default)]
pub(crate) struct Effects {
    started: Mutex<BTreeSet<HostId>>,
    doubtful: Mutex<BTreeSet<HostId>>,
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

    /// A call to it ended without an answer: its effect may come later.
    pub(crate) fn doubt(&self, host: HostId) {
        self.doubtful.lock().unwrap_or_else(PoisonError::into_inner).insert(host);
    }

    /// Whether one did.
    pub(crate) fn in_doubt(&self, host: HostId) -> bool {
        self.doubtful.lock().unwrap_or_else(PoisonError::into_inner).contains(&host)
    }
}
