//! Events as lines: `12:01:02  host1  worker-3  started`.

use jiff::{Timestamp, tz::TimeZone};
use shoal_proto::v1::Event;

use super::{Detail, Width, table};
use crate::escape;

/// `ms`, milliseconds since the epoch, in `zone` and the form of strftime(3).
fn format(ms: u64, zone: &TimeZone, form: &str) -> String {
    let at = i64::try_from(ms).ok().and_then(|ms| Timestamp::from_millisecond(ms).ok());
    at.map_or_else(|| "-".into(), |at| at.to_zoned(zone.clone()).strftime(form).to_string())
}

fn message(event: &Event) -> String {
    match event.level.as_str() {
        "warn" => format!("warning: {}", event.message),
        "error" => format!("error: {}", event.message),
        _ => event.message.clone(),
    }
}

/// Events one a row, with their dates.
pub(crate) fn events_table(width: Width, detail: Detail, events: &[Event], zone: &TimeZone) -> String {
    let time = |event: &Event| format(event.at_ms, zone, "%Y-%m-%d %H:%M:%S");
    match detail {
        Detail::Usual => {
            let rows = events.iter().map(|event| {
                [time(event), event.cluster.clone(), event.host.clone(), event.node.clone(), message(event)]
            });
            table(width, ["TIME", "CLUSTER", "HOST", "NODE", "EVENT"], 5, rows, "no events")
        }
        Detail::Wide => {
            let rows = events.iter().map(|event| {
                [
                    event.seq.to_string(),
                    time(event),
                    event.level.clone(),
                    event.kind.clone(),
                    event.realm.clone(),
                    event.cluster.clone(),
                    event.host.clone(),
                    event.node.clone(),
                    event.message.clone(),
                ]
            });
            let header = ["SEQ", "TIME", "LEVEL", "KIND", "REALM", "CLUSTER", "HOST", "NODE", "EVENT"];
            table(width, header, 9, rows, "no events")
        }
    }
}

/// The event on one line, with its time of day.
pub(crate) fn event_line(event: &Event, zone: &TimeZone) -> String {
    let host = (!event.host.is_empty()).then(|| format!("{:<9}", event.host));
    let node = (!event.node.is_empty()).then(|| format!("{:<10}", event.node));
    let parts = [Some(format(event.at_ms, zone, "%H:%M:%S")), host, node, Some(message(event))];
    escape::line(&parts.into_iter().flatten().collect::<Vec<_>>().join("  "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms() {
        let event = Event {
            at_ms: 43_262_000,
            level: "info".into(),
            host: "host1".into(),
            node: "worker-3".into(),
            message: "started".into(),
            ..Event::default()
        };
        assert_eq!(event_line(&event, &TimeZone::UTC), "12:01:02  host1      worker-3    started");
        let event = Event { host: String::new(), node: String::new(), level: "warn".into(), ..event };
        let event = Event { message: "slow\n\u{1b}[1m".into(), ..event };
        assert_eq!(event_line(&event, &TimeZone::UTC), "12:01:02  warning: slow\\n\\u{1b}[1m");
        let event = Event { at_ms: u64::MAX, ..event };
        assert!(event_line(&event, &TimeZone::UTC).starts_with("-  warning"));
    }
}
