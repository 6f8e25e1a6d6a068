//! What is wrong with hosts: a list per host, then the ways between them.

use serde::Serialize;
use shoal_proto::v1;
use shoal_types::natural;

use super::{Width, without_host};
use crate::escape;

/// Pairs shown of those that failed for the same reason.
const SHOWN: usize = 12;

/// What a check of hosts found.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct DoctorJson {
    /// Hosts, in natural order of their names.
    hosts: Vec<HostDoctorJson>,
    /// The ways between them, one for each direction.
    pairs: Vec<PairJson>,
    /// Why not every pair was checked; null if every one was.
    note: Option<String>,
}

/// What was found on a host.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
struct HostDoctorJson {
    host: String,
    /// Why it could not be reached; null if it was.
    error: Option<String>,
    findings: Vec<FindingJson>,
}

/// The outcome of a check.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
struct FindingJson {
    /// engine, tls, cgroup, inotify, neighbours, pids, bridge-ports, disk, clock, addresses, dns, udp, image, agent
    check: String,
    /// pass, warn, fail
    verdict: String,
    message: String,
    /// What to do; null if it passed.
    fix: Option<String>,
}

/// The way from one host to another.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
struct PairJson {
    from: String,
    to: String,
    /// pass, warn, fail
    verdict: String,
    message: String,
    /// What to do; null if it passed.
    fix: Option<String>,
    /// Size of the largest IP packet that arrived, in bytes; 0 if none did.
    largest_bytes: u32,
}

fn known(text: String) -> Option<String> {
    (!text.is_empty()).then_some(text)
}

impl From<v1::ExamineHostsResponse> for DoctorJson {
    fn from(found: v1::ExamineHostsResponse) -> Self {
        let finding = |f: v1::Finding| FindingJson {
            check: f.check,
            verdict: f.verdict,
            message: f.message,
            fix: known(f.fix),
        };
        let host = |h: v1::HostExamination| HostDoctorJson {
            error: known(without_host(&h.host, &h.error).to_owned()),
            host: h.host,
            findings: h.findings.into_iter().map(finding).collect(),
        };
        let pair = |p: v1::PairExamination| PairJson {
            from: p.from,
            to: p.to,
            verdict: p.verdict,
            message: p.message,
            fix: known(p.fix),
            largest_bytes: p.largest_bytes,
        };
        let mut hosts: Vec<_> = found.hosts.into_iter().map(host).collect();
        hosts.sort_by(|a, b| natural::cmp(&a.host, &b.host));
        let mut pairs: Vec<_> = found.pairs.into_iter().map(pair).collect();
        pairs.sort_by(|a, b| natural::cmp(&a.from, &b.from).then_with(|| natural::cmp(&a.to, &b.to)));
        Self { hosts, pairs, note: known(found.note) }
    }
}

impl DoctorJson {
    /// Whether a host could not be reached.
    pub(crate) fn any_unreachable(&self) -> bool {
        self.hosts.iter().any(|host| host.error.is_some())
    }

    /// Whether a check failed.
    pub(crate) fn any_failed(&self) -> bool {
        let findings = self.hosts.iter().flat_map(|host| &host.findings).map(|f| &f.verdict);
        findings.chain(self.pairs.iter().map(|p| &p.verdict)).any(|verdict| verdict == "fail")
    }

    fn count(&self, verdict: &str) -> usize {
        let findings = self.hosts.iter().flat_map(|host| &host.findings).map(|f| &f.verdict);
        findings.chain(self.pairs.iter().map(|p| &p.verdict)).filter(|v| *v == verdict).count()
    }

    fn headline(&self) -> String {
        let silent = self.hosts.iter().filter(|host| host.error.is_some()).count();
        let (failed, warned) = (self.count("fail"), self.count("warn"));
        let mut parts = Vec::new();
        parts.extend((silent > 0).then(|| format!("{silent} of {} hosts not reached", self.hosts.len())));
        parts.extend((failed > 0).then(|| format!("{failed} failed")));
        parts.extend(
            (warned > 0).then(|| format!("{warned} {}", if warned == 1 { "warning" } else { "warnings" })),
        );
        match (self.hosts.len(), parts.is_empty()) {
            (0, _) => "no hosts; register one: shoal register NAME --docker ENDPOINT".into(),
            (hosts, true) => format!("{hosts} hosts are well"),
            (_, false) => parts.join(", "),
        }
    }

    /// Pairs with the same outcome together.
    fn ways(&self) -> Vec<String> {
        let mut alike: Vec<(&PairJson, Vec<String>)> = Vec::new();
        for pair in &self.pairs {
            let way = format!("{} -> {}", pair.from, pair.to);
            let same = |known: &&mut (&PairJson, Vec<String>)| {
                known.0.verdict == pair.verdict
                    && known.0.message == pair.message
                    && (pair.verdict == "pass" || known.0.fix == pair.fix)
            };
            match alike.iter_mut().find(same) {
                Some((_, ways)) => ways.push(way),
                None => alike.push((pair, vec![way])),
            }
        }
        let line = |(pair, ways): (&PairJson, Vec<String>)| {
            let which = match (pair.verdict.as_str(), ways.len()) {
                ("pass", count) if count == self.pairs.len() => format!("all {count} ways between hosts"),
                ("pass", count) => format!("{count} of {} ways between hosts", self.pairs.len()),
                (_, count) if count > SHOWN => {
                    format!("{} and {} more", ways[..SHOWN].join(", "), count - SHOWN)
                }
                _ => ways.join(", "),
            };
            line(&pair.verdict, &format!("{which}: {}", pair.message), pair.fix.as_deref())
        };
        alike.into_iter().map(line).collect()
    }
}

/// `ok    engine 28.5.2`, `FAIL  ...`, with the fix on a line of its own.
fn line(verdict: &str, message: &str, fix: Option<&str>) -> String {
    let word = match verdict {
        "pass" => "ok",
        "fail" => "FAIL",
        other => other,
    };
    let fix = fix.map(|fix| format!("\n        fix: {}", escape::line(fix))).unwrap_or_default();
    format!("  {word:<4}  {}{fix}", escape::line(message))
}

/// The whole, for people.
pub(crate) fn doctor_text(_: Width, found: &DoctorJson) -> String {
    let mut lines = Vec::new();
    for host in &found.hosts {
        lines.push(escape::line(&host.host));
        if let Some(error) = &host.error {
            let fix = "see that the engine runs and listens there, then run this again";
            lines.push(line("fail", &format!("not reached: {error}"), Some(fix)));
        }
        lines.extend(host.findings.iter().map(|f| line(&f.verdict, &f.message, f.fix.as_deref())));
    }
    if !found.pairs.is_empty() {
        lines.push("between hosts".into());
        lines.extend(found.ways());
    }
    lines.extend(found.note.iter().map(|note| format!("  note  {}", escape::line(note))));
    lines.push(found.headline());
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn finding(check: &str, verdict: &str, message: &str, fix: &str) -> v1::Finding {
        v1::Finding { check: check.into(), verdict: verdict.into(), message: message.into(), fix: fix.into() }
    }

    fn pair(from: &str, to: &str, verdict: &str, message: &str, fix: &str) -> v1::PairExamination {
        v1::PairExamination {
            from: from.into(),
            to: to.into(),
            verdict: verdict.into(),
            message: message.into(),
            fix: fix.into(),
            largest_bytes: 1500,
        }
    }

    fn host(name: &str, error: &str, findings: Vec<v1::Finding>) -> v1::HostExamination {
        v1::HostExamination { host: name.into(), error: error.into(), findings }
    }

    #[test]
    fn for_people() {
        let good = || vec![finding("engine", "pass", "engine 28.5.2", "")];
        let well = v1::ExamineHostsResponse {
            hosts: vec![host("host10", "", good()), host("host2", "", good())],
            pairs: vec![
                pair("host10", "host2", "pass", "packets of 1500 bytes arrive", ""),
                pair("host2", "host10", "pass", "packets of 1500 bytes arrive", ""),
            ],
            note: String::new(),
        };
        let found = DoctorJson::from(well.clone());
        assert!(!found.any_failed() && !found.any_unreachable());
        insta::assert_snapshot!(doctor_text(Width(None), &found), @r"
        host2
          ok    engine 28.5.2
        host10
          ok    engine 28.5.2
        between hosts
          ok    all 2 ways between hosts: packets of 1500 bytes arrive
        2 hosts are well
        ");
        let ill = v1::ExamineHostsResponse {
            hosts: vec![
                host("host1", "host host1: connection refused \u{1b}[1m", vec![]),
                host(
                    "host2",
                    "",
                    vec![finding("inotify", "warn", "128 inotify instances: fits 14 nodes", "sysctl")],
                ),
            ],
            pairs: vec![
                pair("host2", "host3", "fail", "no packet to UDP port 4799 arrives", "open it"),
                pair("host3", "host2", "pass", "packets of 1500 bytes arrive", ""),
            ],
            note: "not all were tried".into(),
        };
        let found = DoctorJson::from(ill);
        crate::output::schema::assert_fits("doctor", &found);
        assert!(found.any_failed() && found.any_unreachable());
        insta::assert_snapshot!(doctor_text(Width(None), &found), @r"
        host1
          FAIL  not reached: connection refused \u{1b}[1m
                fix: see that the engine runs and listens there, then run this again
        host2
          warn  128 inotify instances: fits 14 nodes
                fix: sysctl
        between hosts
          FAIL  host2 -> host3: no packet to UDP port 4799 arrives
                fix: open it
          ok    1 of 2 ways between hosts: packets of 1500 bytes arrive
          note  not all were tried
        1 of 2 hosts not reached, 1 failed, 1 warning
        ");
        let none = DoctorJson::from(v1::ExamineHostsResponse::default());
        assert!(doctor_text(Width(None), &none).starts_with("no hosts; register one"));
    }

    #[test]
    fn for_programs() {
        let found = v1::ExamineHostsResponse {
            hosts: vec![host("host2", "", vec![finding("disk", "fail", "1 MiB free", "make room")])],
            pairs: vec![pair("host2", "host3", "pass", "arrive", "")],
            note: String::new(),
        };
        insta::assert_snapshot!(serde_json::to_string_pretty(&DoctorJson::from(found)).unwrap(), @r#"
        {
          "hosts": [
            {
              "host": "host2",
              "error": null,
              "findings": [
                {
                  "check": "disk",
                  "verdict": "fail",
                  "message": "1 MiB free",
                  "fix": "make room"
                }
              ]
            }
          ],
          "pairs": [
            {
              "from": "host2",
              "to": "host3",
              "verdict": "pass",
              "message": "arrive",
              "fix": null,
              "largest_bytes": 1500
            }
          ],
          "note": null
        }
        "#);
    }
}
