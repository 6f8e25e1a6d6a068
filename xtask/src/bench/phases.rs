//! How long each phase of a creation took, read from the events it recorded.

use std::collections::BTreeMap;

use anyhow::Context;
use jiff::Timestamp;
use serde_json::Value;

use crate::shoal::entries;

/// The kinds of events that end a phase, in their order: the phase is over with the last of its kind.
const ENDS: [(&str, &str); 5] = [
    ("admitted", "admitted"),
    ("network", "networks"),
    ("node-created", "created"),
    ("node-started", "started"),
    ("node-ready", "ready"),
];

/// Seconds from `begin` to the end of each phase, by the phase's name, in order. Phases without an event since then are left
/// out: a cluster of the same name may have been there before.
///
/// # Errors
/// An event has no time.
pub(super) fn ends(events: &Value, begin: Timestamp) -> anyhow::Result<Vec<(&'static str, f64)>> {
    let mut last: BTreeMap<&str, Timestamp> = BTreeMap::new();
    for event in entries(events) {
        let at: Timestamp = event["at"].as_str().context("an event without a time")?.parse()?;
        if let Some(kind) = event["kind"].as_str().filter(|_| at >= begin) {
            last.entry(kind).and_modify(|last| *last = at.max(*last)).or_insert(at);
        }
    }
    let seconds = |at: &Timestamp| at.duration_since(begin).as_secs_f64();
    Ok(ENDS.iter().filter_map(|(kind, phase)| Some((*phase, seconds(last.get(kind)?)))).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_phase_ends_with_the_last_of_its_kind() {
        let begin: Timestamp = "2026-01-01T00:00:10Z".parse().unwrap();
        let event = |at: &str, kind: &str| serde_json::json!({"at": at, "kind": kind});
        let events = Value::from(vec![
            event("2026-01-01T00:00:01Z", "network"),
            event("2026-01-01T00:00:10Z", "admitted"),
            event("2026-01-01T00:00:11Z", "node-started"),
            event("2026-01-01T00:00:12.500Z", "node-started"),
            event("2026-01-01T00:00:11Z", "step"),
            event("2026-01-01T00:00:14Z", "node-ready"),
        ]);
        assert_eq!(ends(&events, begin).unwrap(), [("admitted", 0.0), ("started", 2.5), ("ready", 4.0)]);
        assert_eq!(ends(&Value::Null, begin).unwrap(), []);
        assert!(ends(&Value::from(vec![serde_json::json!({"kind": "step"})]), begin).is_err());
    }
}
