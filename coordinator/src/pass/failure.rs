//! What a host's failure means for a cluster that is being brought up: try again, reschedule, or give up. Pure.
//!
//! ```text
//! fault of a host --Retry--> Later      --for longer than the host's patience--+--> unfit: its nodes are rescheduled,
//!                            Elsewhere  ---------------------------------------'    or the create fails with the reasons
//!                            Never      no host would do better: the create fails
//! ```

use std::{collections::BTreeMap, time::Duration};

use shoal_types::{HostId, Timestamp};

use crate::{
    pass::work::Halt,
    words::fault::{Fault, Retry},
};

/// How long a host may fail or say nothing before its nodes are rescheduled, as long as none of them was started. A dockerd
/// that is restarted answers again within 3 to 8 s (measured 2026-11-21).
pub(crate) const PATIENCE: Duration = Duration::from_secs(10);
/// The same once nodes were started there: they cannot be rescheduled, so the host gets more time.
pub(crate) const PATIENCE_STARTED: Duration = Duration::from_secs(30);

/// Classifies a host's fault: a fault that any host would meet ends the pass.
pub(crate) fn sort(host: HostId, fault: Fault, met: &mut BTreeMap<HostId, Fault>) -> Result<(), Halt> {
    if matches!(fault, Fault::Store(_)) || fault.class().retry == Retry::Never {
        return Err(fault.into());
    }
    met.insert(host, fault);
    Ok(())
}

/// Hosts that fail, and since when.
#[derive(Debug, Default)]
pub(crate) struct Failures {
    since: BTreeMap<HostId, (Timestamp, String)>,
}

impl Failures {
    /// Takes over what a pass met, and for how long each host had said nothing then: hosts that did not fail in it are forgotten.
    /// Returns the failures that are new or have changed, as text.
    pub(crate) fn note(
        &mut self,
        met: &BTreeMap<HostId, (String, Duration)>,
        now: Timestamp,
    ) -> BTreeMap<HostId, String> {
        self.since.retain(|host, _| met.contains_key(host));
        let mut news = BTreeMap::new();
        for (&host, (text, silence)) in met {
            let (_, last) = self.since.entry(host).or_insert_with(|| (now.before(*silence), String::new()));
            if last != text {
                last.clone_from(text);
                news.insert(host, text.clone());
            }
        }
        news
    }

    /// Whether a host has failed for longer than this.
    pub(crate) fn beyond(&self, host: HostId, patience: Duration, now: Timestamp) -> bool {
        self.since.get(&host).is_some_and(|(since, _)| now.since(*since) >= patience)
    }

    /// What the hosts that fail said last.
    pub(crate) fn texts(&self) -> impl Iterator<Item = &str> {
        self.since.values().map(|(_, text)| text.as_str())
    }
}

#[cfg(test)]
mod tests {
    use shoal_docker::{Endpoint, EngineError, Subject};

    use super::*;
    use crate::words::fault::HostFault;

    fn retry(fault: &Fault) -> Retry {
        fault.class().retry
    }

    fn of(source: EngineError) -> Fault {
        Fault::engine(&"host1".parse().unwrap())(source)
    }

    fn endpoint() -> Endpoint {
        "tcp://10.0.0.1:2376".parse().unwrap()
    }

    #[test]
    fn a_user_is_told_at_once_and_a_full_or_emptied_host_is_left() {
        let image = || Subject::Image("shoal-node:bookworm".into());
        let bad = EngineError::BadRequest {
            endpoint: endpoint(),
            call: "create",
            subject: image(),
            message: "no".into(),
        };
        assert_eq!(retry(&of(bad)), Retry::Never);
        let full = EngineError::DiskFull { endpoint: endpoint(), call: "create", subject: image() };
        assert_eq!(retry(&of(full)), Retry::Elsewhere);
        assert_eq!(
            retry(&of(EngineError::NotFound { endpoint: endpoint(), subject: image() })),
            Retry::Elsewhere
        );
        let network = Subject::Network("n".into());
        assert_eq!(
            retry(&of(EngineError::NotFound { endpoint: endpoint(), subject: network })),
            Retry::Later
        );
        let refused = EngineError::Refused { endpoint: endpoint(), source: std::io::Error::other("no") };
        assert_eq!(retry(&of(refused)), Retry::Later);
        assert_eq!(
            retry(&Fault::Host(HostFault::Lost { host: "host1".parse().unwrap(), seconds: 15 })),
            Retry::Elsewhere
        );
    }

    #[test]
    fn patience_counts_from_the_first_failure_in_a_row() {
        let (a, b) = (HostId::new(1, [1; 10]), HostId::new(1, [2; 10]));
        let said = |silence| ("refused".to_owned(), Duration::from_secs(silence));
        let met = |hosts: &[HostId]| hosts.iter().map(|h| (*h, said(0))).collect();
        let at = |s: u64| Timestamp(s * 1000);
        let mut failures = Failures::default();
        assert_eq!(failures.note(&met(&[a, b]), at(0)).len(), 2);
        assert!(failures.note(&met(&[a]), at(10)).is_empty());
        failures.note(&met(&[a, b]), at(14));
        let patience = Duration::from_secs(15);
        assert!(!failures.beyond(a, patience, at(14)));
        assert!(failures.beyond(a, patience, at(15)));
        assert!(!failures.beyond(b, patience, at(15)));
        // A call that waited in vain was a part of it.
        let mut failures = Failures::default();
        failures.note(&[(a, said(15))].into(), at(30));
        assert!(failures.beyond(a, patience, at(30)));
    }
}
