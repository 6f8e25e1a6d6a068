//! What is wrong with hosts: a list per host, then the ways between them.

use shoal_api::{Examination, Pair, Verdict, without_host};

use super::Width;
use crate::escape;

/// Pairs shown of those that failed for the same reason.
const SHOWN: usize = 12;

fn headline(found: &Examination) -> String {
    let silent = found.hosts.iter().filter(|host| host.error.is_some()).count();
    let (failed, warned) = (found.count(Verdict::Fail), found.count(Verdict::Warn));
    let mut parts = Vec::new();
    parts.extend((silent > 0).then(|| format!("{silent} of {} hosts not reached", found.hosts.len())));
    parts.extend((failed > 0).then(|| format!("{failed} failed")));
    parts.extend(
        (warned > 0).then(|| format!("{warned} {}", if warned == 1 { "warning" } else { "warnings" })),
    );
    match (found.hosts.len(), parts.is_empty()) {
        (0, _) => "no hosts; register one: shoal register NAME --docker ENDPOINT".into(),
        (hosts, true) => format!("{hosts} hosts are well"),
        (_, false) => parts.join(", "),
    }
}

/// Pairs with the same outcome together.
fn ways(found: &Examination) -> Vec<String> {
    let mut alike: Vec<(&Pair, Vec<String>)> = Vec::new();
    for pair in &found.pairs {
        let way = format!("{} -> {}", pair.from, pair.to);
        let same = |known: &&mut (&Pair, Vec<String>)| {
            known.0.verdict == pair.verdict
                && known.0.message == pair.message
                && (pair.verdict == Verdict::Pass || known.0.fix == pair.fix)
        };
        match alike.iter_mut().find(same) {
            Some((_, ways)) => ways.push(way),
            None => alike.push((pair, vec![way])),
        }
    }
    let line = |(pair, ways): (&Pair, Vec<String>)| {
        let which = match (pair.verdict, ways.len()) {
            (Verdict::Pass, count) if count == found.pairs.len() => {
                format!("all {count} ways between hosts")
            }
            (Verdict::Pass, count) => format!("{count} of {} ways between hosts", found.pairs.len()),
            (Verdict::Warn | Verdict::Fail, count) if count > SHOWN => {
                format!("{} and {} more", ways[..SHOWN].join(", "), count - SHOWN)
            }
            (Verdict::Warn | Verdict::Fail, _) => ways.join(", "),
        };
        line(pair.verdict, &format!("{which}: {}", pair.message), pair.fix.as_deref())
    };
    alike.into_iter().map(line).collect()
}

/// `ok    engine 28.5.2`, `FAIL  ...`, with the fix on a line of its own.
fn line(verdict: Verdict, message: &str, fix: Option<&str>) -> String {
    let word = match verdict {
        Verdict::Pass => "ok",
        Verdict::Warn => "warn",
        Verdict::Fail => "FAIL",
    };
    let fix = fix.map(|fix| format!("\n        fix: {}", escape::line(fix))).unwrap_or_default();
    format!("  {word:<4}  {}{fix}", escape::line(message))
}

/// The whole, for people.
pub(crate) fn doctor_text(_: Width, found: &Examination) -> String {
    let mut lines = Vec::new();
    for host in &found.hosts {
        lines.push(escape::line(&host.host));
        if let Some(error) = &host.error {
            let fix = "see that the engine runs and listens there, then run this again";
            lines.push(line(
                Verdict::Fail,
                &format!("not reached: {}", without_host(&host.host, error)),
                Some(fix),
            ));
        }
        lines.extend(host.findings.iter().map(|f| line(f.verdict, &f.message, f.fix.as_deref())));
    }
    if !found.pairs.is_empty() {
        lines.push("between hosts".into());
        lines.extend(ways(found));
    }
    lines.extend(found.note.iter().map(|note| format!("  note  {}", escape::line(note))));
    lines.push(headline(found));
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use shoal_api::{Check, Finding, HostExamination};

    use super::*;

    fn known(text: &str) -> Option<String> {
        (!text.is_empty()).then(|| text.to_owned())
    }

    fn finding(check: Check, verdict: Verdict, message: &str, fix: &str) -> Finding {
        Finding { check, verdict, message: message.into(), fix: known(fix) }
    }

    fn pair(from: &str, to: &str, verdict: Verdict, message: &str, fix: &str) -> Pair {
        Pair {
            from: from.into(),
            to: to.into(),
            verdict,
            message: message.into(),
            fix: known(fix),
            largest_bytes: 1500,
        }
    }

    fn host(name: &str, error: &str, findings: Vec<Finding>) -> HostExamination {
        HostExamination { host: name.into(), error: known(error), findings }
    }

    #[test]
    fn for_people() {
        let good = || vec![finding(Check::Engine, Verdict::Pass, "engine 28.5.2", "")];
        let well = Examination {
            hosts: vec![host("host2", "", good()), host("host10", "", good())],
            pairs: vec![
                pair("host2", "host10", Verdict::Pass, "packets of 1500 bytes arrive", ""),
                pair("host10", "host2", Verdict::Pass, "packets of 1500 bytes arrive", ""),
            ],
            note: None,
        };
        let found = well;
        assert!(found.count(Verdict::Fail) == 0 && !found.any_unreachable());
        insta::assert_snapshot!(doctor_text(Width(None), &found), @r"
        host2
          ok    engine 28.5.2
        host10
          ok    engine 28.5.2
        between hosts
          ok    all 2 ways between hosts: packets of 1500 bytes arrive
        2 hosts are well
        ");
        let ill = Examination {
            hosts: vec![
                host("host1", "connection refused \u{1b}[1m", vec![]),
                host(
                    "host2",
                    "",
                    vec![finding(
                        Check::Inotify,
                        Verdict::Warn,
                        "128 inotify instances: fits 14 nodes",
                        "sysctl",
                    )],
                ),
            ],
            pairs: vec![
                pair("host2", "host3", Verdict::Fail, "no packet to UDP port 4799 arrives", "open it"),
                pair("host3", "host2", Verdict::Pass, "packets of 1500 bytes arrive", ""),
            ],
            note: Some("not all were tried".into()),
        };
        let found = ill;
        crate::output::schema::assert_fits("doctor", &found);
        assert!(found.count(Verdict::Fail) == 1 && found.any_unreachable());
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
        let none = Examination::default();
        assert!(doctor_text(Width(None), &none).starts_with("no hosts; register one"));
    }

    #[test]
    fn for_programs() {
        let found = Examination {
            hosts: vec![host(
                "host2",
                "",
                vec![finding(Check::Disk, Verdict::Fail, "1 MiB free", "make room")],
            )],
            pairs: vec![pair("host2", "host3", Verdict::Pass, "arrive", "")],
            note: None,
        };
        insta::assert_snapshot!(serde_json::to_string_pretty(&found).unwrap(), @r#"
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
