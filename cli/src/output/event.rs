//! Events as lines: `12:01:02  host1  worker-3  started`.

use jiff::{Timestamp, tz::TimeZone};
use shoal_types::{Event, EventLevel};

use super::{Detail, Width, table};
use crate::escape;

/// `ms`, milliseconds since the epoch, in `zone` and the form of strftime(3).
fn format(ms: u64, zone: &TimeZone, form: &str) -> String {
    let at = i64::try_from(ms).ok().and_then(|ms| Timestamp::from_millisecond(ms).ok());
    at.map_or_else(|| "-".into(), |at| at.to_zoned(zone.clone()).strftime(form).to_string())
}

fn message(Event { event, .. }: &Event) -> String {
    let by = event.user.as_ref().map(|user| format!("{user}: ")).unwrap_or_default();
    match event.level {
        EventLevel::Warn => format!("warning: {by}{}", event.message),
        EventLevel::Error => format!("error: {by}{}", event.message),
        EventLevel::Info => format!("{by}{}", event.message),
    }
}

fn shown<T: ToString>(name: Option<&T>) -> String {
    name.map(ToString::to_string).unwrap_or_default()
}

/// Events one a row, with their dates.
pub(crate) fn events_table(width: Width, detail: Detail, events: &[Event], zone: &TimeZone) -> String {
    let time = |event: &Event| format(event.event.at.0, zone, "%Y-%m-%d %H:%M:%S");
    let of = |Event { event, .. }: &Event| {
        let (realm, cluster) = event.cluster.as_ref().map(|(realm, cluster)| (realm, cluster)).unzip();
        (shown(realm), shown(cluster), shown(event.host.as_ref()), shown(event.node.as_ref()))
    };
    match detail {
        Detail::Usual => {
            let rows = events.iter().map(|event| {
                let (_, cluster, host, node) = of(event);
                [time(event), cluster, host, node, message(event)]
            });
            table(width, ["TIME", "CLUSTER", "HOST", "NODE", "EVENT"], 5, rows, "no events")
        }
        Detail::Wide => {
            let rows = events.iter().map(|event| {
                let (realm, cluster, host, node) = of(event);
                let (seq, level, kind) =
                    (event.seq.to_string(), event.event.level.as_str().into(), event.event.kind.to_string());
                let user = event.event.user.clone().unwrap_or_default();
                [seq, time(event), level, kind, realm, cluster, host, node, user, event.event.message.clone()]
            });
            let header =
                ["SEQ", "TIME", "LEVEL", "KIND", "REALM", "CLUSTER", "HOST", "NODE", "USER", "EVENT"];
            table(width, header, 10, rows, "no events")
        }
    }
}

/// The event on one line, with its time of day.
pub(crate) fn event_line(event: &Event, zone: &TimeZone) -> String {
    let host = event.event.host.as_ref().map(|host| format!("{host:<9}"));
    let node = event.event.node.as_ref().map(|node| format!("{node:<10}"));
    let parts = [Some(format(event.event.at.0, zone, "%H:%M:%S")), host, node, Some(message(event))];
    escape::line(&parts.into_iter().flatten().collect::<Vec<_>>().join("  "))
}

#[cfg(test)]
mod tests {
    use shoal_types::{EventKind, NewEvent, Timestamp};

    use super::*;

    #[test]
    fn forms() {
        let event = NewEvent {
            at: Timestamp(43_262_000),
            level: EventLevel::Info,
            kind: EventKind::NodeStarted,
            cluster: None,
            node: Some("worker-3".parse().unwrap()),
            host: Some("host1".parse().unwrap()),
            message: "started".into(),
            progress: None,
            user: None,
        };
        let line = |event: &NewEvent| event_line(&Event { seq: 1, event: event.clone() }, &TimeZone::UTC);
        assert_eq!(line(&event), "12:01:02  host1      worker-3    started");
        let event = NewEvent { host: None, node: None, level: EventLevel::Warn, ..event };
        let event = NewEvent { message: "slow\n\u{1b}[1m".into(), ..event };
        assert_eq!(line(&event), "12:01:02  warning: slow\\n\\u{1b}[1m");
        let event = NewEvent { at: Timestamp(u64::MAX), ..event };
        assert!(line(&event).starts_with("-  warning"));
    }
}
