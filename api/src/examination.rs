//! What is wrong with hosts, and with the ways between them.

use serde::Serialize;
use shoal_proto::{FieldError, Word, v1};
use shoal_types::natural;

use crate::{
    Check, Verdict,
    value::{all, known, messages, text, without_host},
};

/// What a check of hosts found.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Examination {
    /// Hosts, in natural order of their names.
    pub hosts: Vec<HostExamination>,
    /// The ways between them, one for each direction.
    pub pairs: Vec<Pair>,
    /// Why not every pair was checked; null if every one was.
    pub note: Option<String>,
}

/// What was found on a host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct HostExamination {
    /// Its name.
    pub host: String,
    /// Why it could not be reached; null if it was.
    pub error: Option<String>,
    /// The outcome of every check.
    pub findings: Vec<Finding>,
}

/// The outcome of a check.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Finding {
    /// engine, tls, cgroup, inotify, neighbours, pids, bridge-ports, disk, clock, addresses, dns, udp, image, agent
    #[cfg_attr(feature = "schema", schemars(with = "String"))]
    pub check: Check,
    /// pass, warn, fail
    #[cfg_attr(feature = "schema", schemars(with = "String"))]
    pub verdict: Verdict,
    /// What was found.
    pub message: String,
    /// What to do; null if it passed.
    pub fix: Option<String>,
}

impl Finding {
    /// Nothing is wrong.
    #[must_use]
    pub fn pass(check: Check, message: impl Into<String>) -> Self {
        Self { check, verdict: Verdict::Pass, message: message.into(), fix: None }
    }

    /// It works, but not as well as it could.
    #[must_use]
    pub fn warn(check: Check, message: impl Into<String>, fix: impl Into<String>) -> Self {
        Self { check, verdict: Verdict::Warn, message: message.into(), fix: Some(fix.into()) }
    }

    /// It cannot work.
    #[must_use]
    pub fn fail(check: Check, message: impl Into<String>, fix: impl Into<String>) -> Self {
        Self { check, verdict: Verdict::Fail, message: message.into(), fix: Some(fix.into()) }
    }
}

/// The way from one host to another.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Pair {
    /// The host that sends.
    pub from: String,
    /// The host that receives.
    pub to: String,
    /// pass, warn, fail
    #[cfg_attr(feature = "schema", schemars(with = "String"))]
    pub verdict: Verdict,
    /// What was found.
    pub message: String,
    /// What to do; null if it passed.
    pub fix: Option<String>,
    /// Size of the largest IP packet that arrived, in bytes; 0 if none did.
    pub largest_bytes: u32,
}

impl Examination {
    /// Whether a host could not be reached.
    #[must_use]
    pub fn any_unreachable(&self) -> bool {
        self.hosts.iter().any(|host| host.error.is_some())
    }

    /// How many checks of hosts and pairs ended so.
    #[must_use]
    pub fn count(&self, verdict: Verdict) -> usize {
        let findings = self.hosts.iter().flat_map(|host| &host.findings).map(|f| f.verdict);
        findings.chain(self.pairs.iter().map(|p| p.verdict)).filter(|v| *v == verdict).count()
    }
}

impl TryFrom<v1::ExamineHostsResponse> for Examination {
    type Error = FieldError;

    fn try_from(found: v1::ExamineHostsResponse) -> Result<Self, FieldError> {
        let mut hosts: Vec<HostExamination> = all(found.hosts)?;
        hosts.sort_by(|a, b| natural::cmp(&a.host, &b.host));
        let mut pairs: Vec<Pair> = all(found.pairs)?;
        pairs.sort_by(|a, b| natural::cmp(&a.from, &b.from).then_with(|| natural::cmp(&a.to, &b.to)));
        Ok(Self { hosts, pairs, note: known(found.note) })
    }
}

impl TryFrom<v1::HostExamination> for HostExamination {
    type Error = FieldError;

    fn try_from(host: v1::HostExamination) -> Result<Self, FieldError> {
        Ok(Self {
            error: known(without_host(&host.host, &host.error).to_owned()),
            host: host.host,
            findings: all(host.findings)?,
        })
    }
}

impl TryFrom<v1::Finding> for Finding {
    type Error = FieldError;

    fn try_from(finding: v1::Finding) -> Result<Self, FieldError> {
        Ok(Self {
            check: Check::read("finding.check", finding.check)?,
            verdict: Verdict::read("finding.verdict", finding.verdict)?,
            message: finding.message,
            fix: known(finding.fix),
        })
    }
}

impl TryFrom<v1::PairExamination> for Pair {
    type Error = FieldError;

    fn try_from(pair: v1::PairExamination) -> Result<Self, FieldError> {
        Ok(Self {
            from: pair.from,
            to: pair.to,
            verdict: Verdict::read("pair.verdict", pair.verdict)?,
            message: pair.message,
            fix: known(pair.fix),
            largest_bytes: pair.largest_bytes,
        })
    }
}

impl From<Examination> for v1::ExamineHostsResponse {
    fn from(Examination { hosts, pairs, note }: Examination) -> Self {
        Self { hosts: messages(hosts), pairs: messages(pairs), note: text(note) }
    }
}

impl From<HostExamination> for v1::HostExamination {
    fn from(HostExamination { host, error, findings }: HostExamination) -> Self {
        Self { host, error: text(error), findings: messages(findings) }
    }
}

impl From<Finding> for v1::Finding {
    fn from(Finding { check, verdict, message, fix }: Finding) -> Self {
        Self { check: check.wire(), verdict: verdict.wire(), message, fix: text(fix) }
    }
}

impl From<Pair> for v1::PairExamination {
    fn from(Pair { from, to, verdict, message, fix, largest_bytes }: Pair) -> Self {
        Self { from, to, verdict: verdict.wire(), message, fix: text(fix), largest_bytes }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_survive_the_wire() {
        let host = |name: &str, error: Option<&str>, findings| HostExamination {
            host: name.into(),
            error: error.map(Into::into),
            findings,
        };
        let findings = vec![
            Finding::pass(Check::Engine, "engine 28.5.2"),
            Finding::warn(Check::Disk, "2 GiB free", "`docker system df`"),
            Finding::fail(Check::Udp, "in use", "`ss -ulnp`"),
        ];
        let pair = |to: &str, verdict, fix: Option<&str>| Pair {
            from: "host2".into(),
            to: to.into(),
            verdict,
            message: "packets of 1500 bytes".into(),
            fix: fix.map(Into::into),
            largest_bytes: 1500,
        };
        let found = Examination {
            hosts: vec![host("host2", None, findings), host("host10", Some("refused"), vec![])],
            pairs: vec![pair("host9", Verdict::Pass, None), pair("host10", Verdict::Fail, Some("raise"))],
            note: Some("1 of 2".into()),
        };
        for found in [found, Examination::default()] {
            assert_eq!(Examination::try_from(v1::ExamineHostsResponse::from(found.clone())), Ok(found));
        }
    }

    fn found() -> v1::ExamineHostsResponse {
        let finding = v1::Finding {
            check: Check::Disk.wire(),
            verdict: Verdict::Fail.wire(),
            ..v1::Finding::default()
        };
        let host = |name: &str, error: &str| v1::HostExamination {
            host: name.into(),
            error: error.into(),
            findings: vec![finding.clone()],
        };
        v1::ExamineHostsResponse {
            hosts: vec![host("host10", ""), host("host2", "host host2: refused")],
            pairs: vec![v1::PairExamination {
                verdict: Verdict::Pass.wire(),
                ..v1::PairExamination::default()
            }],
            note: String::new(),
        }
    }

    #[test]
    fn hosts_come_in_natural_order_and_their_names_once() {
        let found = Examination::try_from(found()).unwrap();
        assert_eq!(
            (found.hosts[0].host.as_str(), found.hosts[0].error.as_deref()),
            ("host2", Some("refused"))
        );
        assert!(found.any_unreachable());
        assert_eq!((found.count(Verdict::Fail), found.count(Verdict::Pass)), (2, 1));
    }

    #[test]
    fn what_is_unknown_is_refused_by_field() {
        for (field, change) in [
            ("finding.check", (|a| a.hosts[0].findings[0].check = 0) as fn(&mut v1::ExamineHostsResponse)),
            ("finding.verdict", |a| a.hosts[1].findings[0].verdict = 99),
            ("pair.verdict", |a| a.pairs[0].verdict = 0),
        ] {
            let mut wire = found();
            change(&mut wire);
            assert_eq!(Examination::try_from(wire).unwrap_err().field, field);
        }
    }
}
