//! Progress as lines with their time, for pipes and logs. Of a transfer only its begin, its end, and now and then how far it is.

use std::collections::BTreeMap;

use shoal_types::{Event, HostName};

/// How often a transfer is told of.
const EVERY_MS: u64 = 10_000;

/// Which transfers were told of, and when.
#[derive(Debug, Default)]
pub(super) struct Plain {
    told: BTreeMap<Option<HostName>, u64>,
}

impl Plain {
    /// Whether an event is worth a line.
    pub(super) fn tells(&mut self, event: &Event) -> bool {
        let (at_ms, host) = (event.event.at.0, &event.event.host);
        let Some(progress) = event.event.progress else { return true };
        let last = self.told.get(host);
        let whole = progress.total_bytes == Some(progress.done_bytes);
        let tells = whole || last.is_none_or(|at| at + EVERY_MS <= at_ms);
        if tells {
            self.told.insert(host.clone(), at_ms);
        }
        tells
    }
}

#[cfg(test)]
mod tests {
    use shoal_types::{EventKind, EventLevel, NewEvent, Progress, Timestamp};

    use super::*;

    #[test]
    fn a_transfer_is_told_of_now_and_then() {
        let mut plain = Plain::default();
        let at = |second: u64, done_bytes: Option<u64>| NewEvent {
            at: Timestamp(second * 1000),
            level: EventLevel::Info,
            kind: EventKind::Image,
            cluster: None,
            node: None,
            host: Some("host1".parse().unwrap()),
            message: String::new(),
            progress: done_bytes.map(|done_bytes| Progress { done_bytes, total_bytes: Some(25) }),
            user: None,
        };
        let mut tells = |second, done| plain.tells(&Event { seq: 0, event: at(second, done) });
        let told: Vec<u64> = (0..=25).filter(|second| tells(*second, Some(*second))).collect();
        assert_eq!(told, [0, 10, 20, 25]);
        assert!(tells(0, None) && tells(0, None));
    }
}
