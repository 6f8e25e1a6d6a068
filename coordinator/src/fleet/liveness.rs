//! Finds out that a host no longer answers while work is under way there: a call may hang for a minute, a ping may not.

use std::{future::Future, time::Duration};

use shoal_types::HostName;
use tokio::time::{Instant, sleep_until, timeout};

use crate::{
    fleet::HostLink,
    words::fault::{Fault, HostFault},
};

/// How often a host is asked for a sign of life.
const BEAT: Duration = Duration::from_secs(2);
/// How long it may take to give one: a machine that starts a hundred nodes is slow.
const PING: Duration = Duration::from_secs(5);

/// How long a host may say nothing while somebody is at work there. It counts from the first call that was not answered after the
/// last that was: a call that waited in vain for half a minute was half a minute of silence.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Patience {
    /// When the work began: before, nobody asked.
    pub(crate) began: Instant,
    pub(crate) limit: Duration,
}

impl Patience {
    /// Since when the host has been silent.
    pub(crate) fn silent_since(&self, link: &HostLink) -> Instant {
        link.engine.pulse().silent_since().map_or_else(Instant::now, |missed| missed.max(self.began))
    }
}

/// Does the work, unless the host says nothing for too long meanwhile: then the work is dropped where it stands.
pub(crate) async fn while_alive<T, E: From<Fault>>(
    link: &HostLink,
    patience: Patience,
    work: impl Future<Output = Result<T, E>>,
) -> Result<T, E> {
    tokio::select! {
        biased;
        outcome = work => outcome,
        fault = silent(link, patience) => Err(fault.into()),
    }
}

/// Returns once the host has not answered for that long.
pub(crate) async fn silent(link: &HostLink, patience: Patience) -> Fault {
    silent_without(link, patience, || 0).await
}

/// The same, where a count that grows is a sign of life too: a line that is full of an image has no room for a ping.
pub(crate) async fn silent_without(
    link: &HostLink,
    patience: Patience,
    count: impl Fn() -> u64 + Send,
) -> Fault {
    let (mut heard, mut last) = (patience.silent_since(link), count());
    let mut next = heard + BEAT;
    loop {
        sleep_until(next).await;
        // An answer to a call is a sign of life, too. A ping beside calls that are answered would open a second connection to
        // every host at work, and a connection costs 25 KiB here, as long as it is kept.
        if let Some(answer) = link.engine.pulse().answered().filter(|answer| answer.elapsed() < BEAT) {
            (heard, last, next) = (answer, count(), answer + BEAT);
            continue;
        }
        let answered = matches!(timeout(PING, link.engine.ping()).await, Ok(Ok(())));
        let now = count();
        if answered || now != last {
            (heard, last) = (Instant::now(), now);
        }
        // Other calls may have been answered while the ping was not.
        heard = link.engine.pulse().answered().map_or(heard, |answer| answer.max(heard));
        if heard.elapsed() >= patience.limit {
            return Fault::Host(HostFault::Lost {
                host: link.name.clone(),
                seconds: patience.limit.as_secs(),
            });
        }
        next = Instant::now() + BEAT;
    }
}

/// Asks a host for something; one that has not answered within the limit is [`HostFault::Silent`].
pub(crate) async fn limited<T, E: From<Fault>>(
    host: &HostName,
    limit: Duration,
    ask: impl Future<Output = Result<T, E>>,
) -> Result<T, E> {
    let silent = |_| Fault::Host(HostFault::Silent { host: host.clone(), seconds: limit.as_secs() });
    timeout(limit, ask).await.map_err(silent)?
}
