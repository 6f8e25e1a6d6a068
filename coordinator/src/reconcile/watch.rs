//! Finds out that a host no longer answers while work is under way there: a call may hang for a minute, a ping may not.

use std::{collections::BTreeSet, future::Future, sync::Mutex, sync::PoisonError, time::Duration};

use shoal_types::HostId;
use tokio::time::{Instant, sleep, timeout};

use super::work::Halt;
use crate::{Fault, fleet::HostLink};

/// How often a host is asked for a sign of life.
const BEAT: Duration = Duration::from_secs(2);
/// How long it may take to give one: a machine that starts a hundred nodes is slow.
const PING: Duration = Duration::from_secs(5);

/// Does the work, unless the host says nothing for `patience` meanwhile: then the work is dropped where it stands.
pub(crate) async fn while_alive<T>(
    link: &HostLink,
    patience: Duration,
    work: impl Future<Output = Result<T, Halt>>,
) -> Result<T, Halt> {
    tokio::select! {
        biased;
        outcome = work => outcome,
        fault = silent(link, patience) => Err(fault.into()),
    }
}

/// Returns once the host has not answered for `patience`.
pub(crate) async fn silent(link: &HostLink, patience: Duration) -> Fault {
    silent_without(link, patience, || 0).await
}

/// The same, where a count that grows is a sign of life too: a line that is full of an image has no room for a ping.
pub(crate) async fn silent_without(
    link: &HostLink,
    patience: Duration,
    count: impl Fn() -> u64 + Send,
) -> Fault {
    let (mut heard, mut last) = (Instant::now(), count());
    loop {
        sleep(BEAT).await;
        let answered = matches!(timeout(PING, link.engine.ping()).await, Ok(Ok(())));
        let now = count();
        if answered || now != last {
            (heard, last) = (Instant::now(), now);
        } else if heard.elapsed() >= patience {
            return Fault::Lost { host: link.name.clone(), seconds: patience.as_secs() };
        }
    }
}

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
