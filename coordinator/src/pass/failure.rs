//! What a host's failure means for a cluster that is being brought up: try again, reschedule, or give up. Pure.
//!
//! ```text
//! fault of a host --verdict--> Again   --for longer than the host's patience--+--> unfit: its nodes are rescheduled,
//!                              Unfit   ---------------------------------------'    or the create fails with the reasons
//!                              Fatal   no host would do better: the create fails
//! ```

use std::{collections::BTreeMap, time::Duration};

use shoal_docker::{EngineError, RetryClass, Subject};
use shoal_types::{HostId, Timestamp};

use crate::{pass::work::Halt, words::fault::Fault};

/// How long a host may fail or say nothing before its nodes are rescheduled, as long as none of them was started. A dockerd
/// that is restarted answers again within 3 to 8 s (measured 2026-11-21).
pub(crate) const PATIENCE: Duration = Duration::from_secs(10);
/// The same once nodes were started there: they cannot be rescheduled, so the host gets more time.
pub(crate) const PATIENCE_STARTED: Duration = Duration::from_secs(30);

/// What to do about a failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// The same may succeed a little later.
    Again,
    /// This host cannot do it; another may.
    Unfit,
    /// What was asked for cannot be had anywhere.
    Fatal,
}

/// What a fault met on a host means.
pub(crate) fn verdict(fault: &Fault) -> Verdict {
    if let Some(error) = fault.of_engine() {
        return engine(error);
    }
    if matches!(fault, Fault::Lost { .. } | Fault::OtherEngine { .. } | Fault::ImageDiffers { .. }) {
        Verdict::Unfit
    } else if fault.is_transient() {
        Verdict::Again
    } else if matches!(fault, Fault::Agent(_)) {
        Verdict::Unfit
    } else {
        Verdict::Fatal
    }
}

fn engine(error: &EngineError) -> Verdict {
    if matches!(
        error,
        EngineError::DiskFull { .. } | EngineError::NotFound { subject: Subject::Image(_), .. }
    ) {
        return Verdict::Unfit;
    }
    match error.class() {
        RetryClass::Retry | RetryClass::Observe => Verdict::Again,
        RetryClass::Fatal => Verdict::Unfit,
        RetryClass::User => Verdict::Fatal,
    }
}

/// Whether a call that ended so may yet have an effect on its host.
pub(crate) fn leaves_doubt(fault: &Fault) -> bool {
    match fault.of_engine() {
        Some(error) => error.effect_unknown(),
        None => matches!(fault, Fault::Agent(_) | Fault::Lost { .. } | Fault::Silent { .. }),
    }
}

/// Whether the host said nothing at all: asking it for more only costs time.
pub(crate) fn is_silence(fault: &Fault) -> bool {
    match fault.of_engine() {
        Some(error) => matches!(
            error,
            EngineError::Refused { .. } | EngineError::Unreachable { .. } | EngineError::Timeout { .. }
        ),
        None => matches!(fault, Fault::Lost { .. } | Fault::Silent { .. }),
    }
}

/// Classifies a host's fault: a fault that any host would meet ends the pass.
pub(crate) fn sort(host: HostId, fault: Fault, met: &mut BTreeMap<HostId, Fault>) -> Result<(), Halt> {
    if matches!(fault, Fault::Store(_)) || verdict(&fault) == Verdict::Fatal {
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
    /// Takes over what a pass met: hosts that did not fail in it are out of trouble. Returns the failures that are new or
    /// have changed, as text.
    pub(crate) fn note(
        &mut self,
        met: &BTreeMap<HostId, String>,
        now: Timestamp,
    ) -> BTreeMap<HostId, String> {
        self.since.retain(|host, _| met.contains_key(host));
        let mut news = BTreeMap::new();
        for (&host, text) in met {
            let (_, last) = self.since.entry(host).or_insert_with(|| (now, String::new()));
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

    /// What the hosts in trouble said last.
    pub(crate) fn texts(&self) -> impl Iterator<Item = &str> {
        self.since.values().map(|(_, text)| text.as_str())
    }
}

#[cfg(test)]
mod tests {
    use shoal_docker::Endpoint;

    use super::*;

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
        assert_eq!(verdict(&of(bad)), Verdict::Fatal);
        let full = EngineError::DiskFull { endpoint: endpoint(), call: "create", subject: image() };
        assert_eq!(verdict(&of(full)), Verdict::Unfit);
        assert_eq!(
            verdict(&of(EngineError::NotFound { endpoint: endpoint(), subject: image() })),
            Verdict::Unfit
        );
        let network = Subject::Network("n".into());
        assert_eq!(
            verdict(&of(EngineError::NotFound { endpoint: endpoint(), subject: network })),
            Verdict::Again
        );
        let refused = EngineError::Refused { endpoint: endpoint(), source: std::io::Error::other("no") };
        assert_eq!(verdict(&of(refused)), Verdict::Again);
        assert_eq!(verdict(&Fault::Lost { host: "host1".parse().unwrap(), seconds: 15 }), Verdict::Unfit);
    }

    #[test]
    fn patience_counts_from_the_first_failure_in_a_row() {
        let (a, b) = (HostId::new(1, [1; 10]), HostId::new(1, [2; 10]));
        let met = |hosts: &[HostId]| hosts.iter().map(|h| (*h, "refused".to_owned())).collect();
        let at = |s: u64| Timestamp(s * 1000);
        let mut troubles = Failures::default();
        assert_eq!(troubles.note(&met(&[a, b]), at(0)).len(), 2);
        assert!(troubles.note(&met(&[a]), at(10)).is_empty());
        troubles.note(&met(&[a, b]), at(14));
        let patience = Duration::from_secs(15);
        assert!(!troubles.beyond(a, patience, at(14)));
        assert!(troubles.beyond(a, patience, at(15)));
        assert!(!troubles.beyond(b, patience, at(15)));
    }
}
