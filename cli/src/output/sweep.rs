//! What a sweep found and what a resume finished: for people, and as JSON.

use std::time::Duration;

use shoal_api::{ResumeEnd, Resumed, ResumedCluster, Sweep, SweepEnd, SweptHost, without_host};

use super::{Width, table};
use crate::escape;

/// A sweep's findings, one thing a row; then hosts with incomplete lists, and a line of counts.
pub(crate) fn sweep_text(width: Width, answer: &Sweep) -> String {
    let rows = answer.things.iter().map(|thing| {
        [
            thing.host.clone(),
            thing.kind.to_string(),
            thing.name.clone(),
            thing.age_ms.map(age).unwrap_or_default(),
            thing.end.as_str().replace('-', " "),
            thing.reason.clone(),
        ]
    });
    let header = ["HOST", "KIND", "NAME", "AGE", "END", "WHY"];
    let mut lines = vec![table(width, header, 6, rows, "nothing is left over")];
    for SweptHost { name, error, agent_asked, .. } in &answer.hosts {
        if let Some(error) = error {
            let error = without_host(name, error);
            lines.push(escape::line(&format!("{name}: not looked at, nothing is removed there: {error}")));
        } else if !agent_asked {
            lines.push(escape::line(&format!("{name}: no agent there, its devices were not looked at")));
        }
    }
    let total: u32 = answer.hosts.iter().map(|host| host.things).sum();
    let counts = SweepEnd::ALL.iter().filter_map(|end| {
        let word = match end {
            SweepEnd::WouldGo => "would go",
            SweepEnd::Gone => "gone",
            SweepEnd::Stays => "stay",
            SweepEnd::Failed => "failed",
        };
        let count = answer.things.iter().filter(|thing| thing.end == *end).count();
        (count > 0).then(|| format!("{count} {word}"))
    });
    let counts: Vec<_> = counts.collect();
    if !counts.is_empty() {
        lines.push(format!("{} (of {total} things)", counts.join(", ")));
    }
    lines.join("\n")
}

/// `4d3h`, `2h5m`, `3m20s`, `12s`.
fn age(ms: u64) -> String {
    let seconds = Duration::from_millis(ms).as_secs();
    let units = [("d", 86_400), ("h", 3600), ("m", 60), ("s", 1)];
    let parts = units.iter().scan(seconds, |left, (unit, length)| {
        let count = *left / length;
        *left %= length;
        Some((count, unit))
    });
    let parts: Vec<_> = parts.skip_while(|(count, _)| *count == 0).take(2).collect();
    let text: String = parts.iter().filter(|(n, _)| *n > 0).map(|(n, unit)| format!("{n}{unit}")).collect();
    if text.is_empty() { "0s".into() } else { text }
}

/// What became of what was interrupted: one cluster a line.
pub(crate) fn resumed_text(resumed: &Resumed) -> String {
    if resumed.clusters.is_empty() {
        return "nothing was interrupted".to_owned();
    }
    let line = |cluster: &ResumedCluster| {
        let what = match cluster.end {
            ResumeEnd::Ready => "is ready",
            ResumeEnd::Removed => "is gone",
            ResumeEnd::Kept => "failed, and is kept for inspection",
            ResumeEnd::Busy => "was left alone",
            ResumeEnd::Left => "is not finished",
        };
        let why = cluster.reason.as_ref().map(|why| format!(": {why}")).unwrap_or_default();
        escape::line(&format!("{} {what}{why}", cluster.name))
    };
    resumed.clusters.iter().map(line).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use shoal_api::{SweptThing, ThingKind};

    use super::*;

    fn thing(
        host: &str,
        kind: ThingKind,
        name: &str,
        age_ms: Option<u64>,
        end: SweepEnd,
        why: &str,
    ) -> SweptThing {
        SweptThing {
            host: host.into(),
            kind,
            name: name.into(),
            id: "id".into(),
            age_ms,
            reason: why.into(),
            end,
        }
    }

    fn host(name: &str, agent_asked: bool, error: &str) -> SweptHost {
        let error = (!error.is_empty()).then(|| error.to_owned());
        SweptHost { name: name.into(), things: 4, agent_asked, error }
    }

    #[test]
    fn a_sweep_for_people() {
        let would_go = SweepEnd::WouldGo;
        let old = Some(7_500_000);
        let answer = Sweep {
            dry_run: true,
            hosts: vec![
                host("host1", true, ""),
                host("host2", true, "host host2: refused"),
                host("host10", false, ""),
            ],
            things: vec![
                thing("host1", ThingKind::Container, "worker-0.dev", old, would_go, "not in the store"),
                thing("host1", ThingKind::Device, "sv3fa9c100000a", None, would_go, "no network \u{1b}"),
                thing("host10", ThingKind::Volume, "state.a", Some(500), SweepEnd::Stays, "no row says so"),
            ],
            too_much: None,
        };
        insta::assert_snapshot!(sweep_text(Width(None), &answer), @r"
        HOST    KIND       NAME            AGE   END       WHY
        host1   container  worker-0.dev    2h5m  would go  not in the store
        host1   device     sv3fa9c100000a        would go  no network \u{1b}
        host10  volume     state.a         0s    stays     no row says so
        host2: not looked at, nothing is removed there: refused
        host10: no agent there, its devices were not looked at
        2 would go, 1 stay (of 12 things)
        ");
        let json = serde_json::to_value(answer).unwrap();
        let device = serde_json::json!({
            "host": "host1", "kind": "device", "name": "sv3fa9c100000a", "id": "id", "age_ms": null,
            "reason": "no network \u{1b}", "end": "would-go",
        });
        assert_eq!(json["things"][1], device);
        let failed = serde_json::json!({ "name": "host2", "things": 4, "agent_asked": true, "error": "host host2: refused" });
        assert_eq!((&json["hosts"][1], &json["too_much"]), (&failed, &serde_json::Value::Null));
        let nothing = Sweep { hosts: vec![host("host1", true, "")], ..Default::default() };
        assert_eq!(sweep_text(Width(None), &nothing), "nothing is left over");
    }

    #[test]
    fn ages() {
        for (ms, text) in [
            (0, "0s"),
            (12_999, "12s"),
            (200_000, "3m20s"),
            (3_600_000, "1h"),
            (7_500_000, "2h5m"),
            (86_400_000 * 4 + 3 * 3_600_000 + 5000, "4d3h"),
        ] {
            assert_eq!(age(ms), text);
        }
    }

    #[test]
    fn a_resume_for_people() {
        let mut resumed = Resumed::default();
        assert_eq!(resumed_text(&resumed), "nothing was interrupted");
        for (name, end, reason) in [
            ("dev", ResumeEnd::Ready, ""),
            ("old", ResumeEnd::Removed, ""),
            ("big", ResumeEnd::Busy, "it is being worked on by process 7"),
            ("far", ResumeEnd::Left, "host2 could not be reached"),
        ] {
            assert!(!resumed.any_left());
            let reason = (!reason.is_empty()).then(|| reason.to_owned());
            resumed.clusters.push(ResumedCluster { name: name.into(), end, reason });
        }
        assert!(resumed.any_left());
        insta::assert_snapshot!(resumed_text(&resumed), @r"
        dev is ready
        old is gone
        big was left alone: it is being worked on by process 7
        far is not finished: host2 could not be reached
        ");
    }
}
