//! What a sweep found and what a resume finished: for people, and as JSON.

use std::time::Duration;

use serde::Serialize;
use shoal_proto::v1;
use shoal_types::natural;

use super::{Width, table, without_host};
use crate::escape;

/// A host as a sweep saw it.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
struct SweptHostJson {
    /// Its name.
    name: String,
    /// How many things of this installation are on it.
    things: u32,
    /// Whether its agent told of its devices.
    agent_asked: bool,
    /// Why it could not be looked at, if it could not.
    error: Option<String>,
}

/// A thing that no row explains.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
struct SweptThingJson {
    /// The host it is on.
    host: String,
    /// `container`, `mesh`, `device`, `network`, `volume` or `image`.
    kind: String,
    /// Its name.
    name: String,
    /// The engine's id of it.
    id: String,
    /// How long ago it was made, in milliseconds.
    age_ms: Option<u64>,
    /// Why it goes or stays.
    reason: String,
    /// `would-go`, `gone`, `stays` or `failed`.
    end: String,
}

/// More than is removed without being asked twice.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
struct TooMuchJson {
    /// How many would go.
    going: u32,
    /// How many there are.
    total: u32,
}

/// What a sweep did.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct SweepJson {
    /// Whether nothing was to be removed.
    dry_run: bool,
    /// Every host.
    hosts: Vec<SweptHostJson>,
    /// What no row explains.
    things: Vec<SweptThingJson>,
    /// Set if it was more than is removed without `--yes-really`.
    too_much: Option<TooMuchJson>,
}

impl SweepJson {
    /// The answer of the coordinator.
    pub(crate) fn new(dry_run: bool, mut answer: v1::SweepResponse) -> Self {
        answer.hosts.sort_by(|a, b| natural::cmp(&a.name, &b.name));
        // Stable: on a host they stay in the order they go.
        answer.things.sort_by(|a, b| natural::cmp(&a.host, &b.host));
        let host = |h: v1::SweptHost| SweptHostJson {
            name: h.name,
            things: h.things,
            agent_asked: h.agent_asked,
            error: (!h.error.is_empty()).then_some(h.error),
        };
        let thing = |t: v1::SweptThing| SweptThingJson {
            host: t.host,
            kind: t.kind,
            name: t.name,
            id: t.id,
            age_ms: t.age_ms,
            reason: t.reason,
            end: t.end,
        };
        Self {
            dry_run,
            hosts: answer.hosts.into_iter().map(host).collect(),
            things: answer.things.into_iter().map(thing).collect(),
            too_much: answer.too_much.map(|t| TooMuchJson { going: t.going, total: t.total }),
        }
    }

    /// Names of what was found.
    pub(crate) fn names(&self) -> Vec<String> {
        self.things.iter().map(|thing| thing.name.clone()).collect()
    }
}

/// A sweep's findings, one thing a row; then hosts with incomplete lists, and a line of counts.
pub(crate) fn sweep_text(width: Width, answer: &v1::SweepResponse) -> String {
    let mut things: Vec<_> = answer.things.iter().collect();
    // Stable: on a host they stay in the order they go.
    things.sort_by(|a, b| natural::cmp(&a.host, &b.host));
    let rows = things.iter().map(|thing| {
        [
            thing.host.clone(),
            thing.kind.clone(),
            thing.name.clone(),
            thing.age_ms.map(age).unwrap_or_default(),
            thing.end.replace('-', " "),
            thing.reason.clone(),
        ]
    });
    let header = ["HOST", "KIND", "NAME", "AGE", "END", "WHY"];
    let mut lines = vec![table(width, header, 6, rows, "nothing is left over")];
    let mut hosts: Vec<_> = answer.hosts.iter().collect();
    hosts.sort_by(|a, b| natural::cmp(&a.name, &b.name));
    for v1::SweptHost { name, error, agent_asked, .. } in hosts {
        if !error.is_empty() {
            let error = without_host(name, error);
            lines.push(escape::line(&format!("{name}: not looked at, nothing is removed there: {error}")));
        } else if !agent_asked {
            lines.push(escape::line(&format!("{name}: no agent there, its devices were not looked at")));
        }
    }
    let total: u32 = answer.hosts.iter().map(|host| host.things).sum();
    let ends = [("would-go", "would go"), ("gone", "gone"), ("stays", "stay"), ("failed", "failed")];
    let counts = ends.into_iter().filter_map(|(end, word)| {
        let count = answer.things.iter().filter(|thing| thing.end == end).count();
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

/// A cluster that was interrupted.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
struct ResumedClusterJson {
    /// Its name.
    name: String,
    /// `ready`, `removed`, `kept`, `busy` or `left`.
    end: String,
    /// Why it ended so.
    reason: Option<String>,
}

/// What became of what was interrupted.
#[derive(Debug, Default, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct ResumedJson {
    /// Every cluster that was interrupted.
    clusters: Vec<ResumedClusterJson>,
}

impl ResumedJson {
    /// One more cluster.
    pub(crate) fn add(&mut self, cluster: v1::ResumedCluster) {
        let v1::ResumedCluster { name, end, reason } = cluster;
        let reason = (!reason.is_empty()).then_some(reason);
        self.clusters.push(ResumedClusterJson { name, end, reason });
    }

    /// Names of the clusters.
    pub(crate) fn names(&self) -> Vec<String> {
        self.clusters.iter().map(|cluster| cluster.name.clone()).collect()
    }

    /// Whether some could not be finished.
    pub(crate) fn left(&self) -> bool {
        self.clusters.iter().any(|cluster| cluster.end == "left")
    }

    /// One cluster a line.
    pub(crate) fn text(&self) -> String {
        if self.clusters.is_empty() {
            return "nothing was interrupted".to_owned();
        }
        let line = |cluster: &ResumedClusterJson| {
            let what = match cluster.end.as_str() {
                "ready" => "is ready",
                "removed" => "is gone",
                "kept" => "failed, and is kept for inspection",
                "busy" => "was left alone",
                _ => "is not finished",
            };
            let why = cluster.reason.as_ref().map(|why| format!(": {why}")).unwrap_or_default();
            escape::line(&format!("{} {what}{why}", cluster.name))
        };
        self.clusters.iter().map(line).collect::<Vec<_>>().join("\n")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn thing(
        host: &str,
        kind: &str,
        name: &str,
        age_ms: Option<u64>,
        end: &str,
        why: &str,
    ) -> v1::SweptThing {
        v1::SweptThing {
            host: host.into(),
            kind: kind.into(),
            name: name.into(),
            id: "id".into(),
            age_ms,
            reason: why.into(),
            end: end.into(),
        }
    }

    fn host(name: &str, agent_asked: bool, error: &str) -> v1::SweptHost {
        v1::SweptHost { name: name.into(), things: 4, agent_asked, error: error.into() }
    }

    #[test]
    fn a_sweep_for_people() {
        let answer = v1::SweepResponse {
            hosts: vec![
                host("host10", false, ""),
                host("host2", true, "host host2: refused"),
                host("host1", true, ""),
            ],
            things: vec![
                thing("host10", "volume", "state.a", Some(500), "stays", "no row says so"),
                thing("host1", "container", "worker-0.dev", Some(7_500_000), "would-go", "not in the store"),
                thing("host1", "device", "sv3fa9c100000a", None, "would-go", "no network \u{1b}"),
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
        let json = serde_json::to_value(SweepJson::new(true, answer)).unwrap();
        let device = serde_json::json!({
            "host": "host1", "kind": "device", "name": "sv3fa9c100000a", "id": "id", "age_ms": null,
            "reason": "no network \u{1b}", "end": "would-go",
        });
        assert_eq!(json["things"][1], device);
        let failed = serde_json::json!({ "name": "host2", "things": 4, "agent_asked": true, "error": "host host2: refused" });
        assert_eq!((&json["hosts"][1], &json["too_much"]), (&failed, &serde_json::Value::Null));
        let nothing = v1::SweepResponse { hosts: vec![host("host1", true, "")], ..Default::default() };
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
        let mut resumed = ResumedJson::default();
        assert_eq!(resumed.text(), "nothing was interrupted");
        for (name, end, reason) in [
            ("dev", "ready", ""),
            ("old", "removed", ""),
            ("big", "busy", "it is being worked on by process 7"),
            ("far", "left", "host2 could not be reached"),
        ] {
            assert!(!resumed.left());
            resumed.add(v1::ResumedCluster { name: name.into(), end: end.into(), reason: reason.into() });
        }
        assert!(resumed.left());
        insta::assert_snapshot!(resumed.text(), @r"
        dev is ready
        old is gone
        big was left alone: it is being worked on by process 7
        far is not finished: host2 could not be reached
        ");
    }
}
