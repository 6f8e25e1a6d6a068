//! Progress as lines with their time, for pipes and logs. Of a transfer only its begin, its end, and now and then how far it is.

use std::collections::BTreeMap;

use shoal_proto::v1::Event;

/// How often a transfer is told of.
const EVERY_MS: u64 = 10_000;

/// Which transfers were told of, and when.
#[derive(Debug, Default)]
pub(super) struct Plain {
    told: BTreeMap<String, u64>,
}

impl Plain {
    /// Whether an event is worth a line.
    pub(super) fn tells(&mut self, event: &Event) -> bool {
        let Some(done) = event.done_bytes else { return true };
        let last = self.told.get(&event.host);
        let tells = event.total_bytes == Some(done) || last.is_none_or(|at| at + EVERY_MS <= event.at_ms);
        if tells {
            self.told.insert(event.host.clone(), event.at_ms);
        }
        tells
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_transfer_is_told_of_now_and_then() {
        let mut plain = Plain::default();
        let at = |second: u64, done: u64| Event {
            host: "host1".into(),
            at_ms: second * 1000,
            done_bytes: Some(done),
            total_bytes: Some(25),
            ..Event::default()
        };
        let told: Vec<u64> = (0..=25).filter(|second| plain.tells(&at(*second, *second))).collect();
        assert_eq!(told, [0, 10, 20, 25]);
        assert!(plain.tells(&Event::default()) && plain.tells(&Event::default()));
    }
}
