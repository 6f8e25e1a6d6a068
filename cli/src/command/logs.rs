//! `shoal logs`: the journal of a node, whole or of one service.

use std::str::FromStr;

use clap::Args;
use clap_complete::ArgValueCandidates;
use shoal_api::{Client, ExecOpen, ExecOutput};

use super::inside;
use crate::{
    args::Global, complete, connect::Session, duration::Wait, error::CliError, escape::Lines, exit::Exit,
    interrupt::Interrupt, node_ref::NodeRef, output::raw, parse::word,
};

/// `$1` is the unit, empty for the whole journal; the rest are journalctl's. A unit that is not there is no empty journal.
const JOURNAL: &str = r#"
unit=$1
shift
case "$unit" in
'') exec journalctl --no-pager --quiet "$@" ;;
esac
case "$(systemctl show --property LoadState --value -- "$unit")" in
not-found | masked) exit 61 ;;
esac
exec journalctl --no-pager --quiet --unit "$unit" "$@"
"#;
/// The status of a service that is not there; journalctl(1) has none like it.
const NO_SERVICE: i32 = 61;
/// Most of what is said on standard error and kept for a message.
const MESSAGE_BYTES: usize = 4096;

/// Arguments of `logs`.
#[derive(Debug, Args)]
pub(crate) struct Logs {
    /// The node; of the cluster `default` if none is named
    #[arg(value_name = "NODE[.CLUSTER]", value_parser = word::<NodeRef>, add = ArgValueCandidates::new(complete::nodes))]
    target: NodeRef,
    /// Only this service, such as slurmctld, slurmd, munge or ssh [default: the whole journal]
    #[arg(value_name = "SERVICE", value_parser = word::<Service>)]
    service: Option<Service>,
    /// Show the last 10 lines, then new ones as they are logged; Ctrl-C ends the command with status 0
    #[arg(short, long)]
    follow: bool,
    /// Only lines at most this old, such as 90s, 10m or 1h30m
    #[arg(long, value_name = "DURATION", value_parser = word::<Wait>)]
    since: Option<Wait>,
    /// Only the last N lines
    #[arg(short = 'n', long, value_name = "N")]
    lines: Option<u32>,
}

/// A unit of systemd, by the name people use.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Service(String);

/// A text that names no unit.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not a service's name: letters, digits and `:_.@-`, such as slurmd")]
struct ServiceError;

impl FromStr for Service {
    type Err = ServiceError;

    fn from_str(text: &str) -> Result<Self, ServiceError> {
        let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b':' | b'_' | b'.' | b'@' | b'-');
        let fits = text.len() <= 200 && text.starts_with(|c: char| c.is_ascii_alphanumeric());
        match fits && text.bytes().all(plain) {
            // A dot is part of a unit's full name, such as shoal-bootstrap.service or tmp.mount.
            true if text.contains('.') => Ok(Self(text.into())),
            true => Ok(Self(format!("{text}.service"))),
            false => Err(ServiceError),
        }
    }
}

impl Logs {
    pub(super) async fn run(self, global: &Global, interrupt: &Interrupt) -> Result<Exit, CliError> {
        let open = ExecOpen {
            realm: self.target.realm(global)?,
            cluster: self.target.cluster.clone(),
            node: Some(self.target.node.clone()),
            command: self.command(),
            terminal: None,
            term: String::new(),
            // The journal is root's to read.
            user: String::new(),
        };
        let shown = Session::within(global, interrupt, async |client| self.show(client, open).await).await;
        match shown {
            // That is how one ends it.
            Err(CliError::Interrupted) if self.follow => Ok(Exit::Ok),
            shown => shown.map(|()| Exit::Ok),
        }
    }

    fn command(&self) -> Vec<String> {
        let unit = self.service.as_ref().map(|service| service.0.clone()).unwrap_or_default();
        let mut words = ["sh", "-c", JOURNAL, "shoal-logs"].map(String::from).to_vec();
        words.push(unit);
        words.extend(self.follow.then(|| "--follow".into()));
        // journalctl takes whole seconds: none of what was asked for is left out.
        let seconds = self.since.map(|since| since.as_millis().div_ceil(1000));
        words.extend(seconds.filter(|s| *s > 0).map(|s| format!("--since=-{s}s")));
        words.extend(self.lines.map(|lines| format!("--lines={lines}")));
        words
    }

    async fn show(&self, client: &Client, open: ExecOpen) -> Result<(), CliError> {
        // It reads nothing: the end of the requests is the end of its input.
        let (_, mut answers) = inside::begin(client, open).await?;
        let (mut lines, mut said) = (Lines::default(), Vec::new());
        while let Some(output) = answers.next().await? {
            match output {
                ExecOutput::Stdout(bytes) => raw(lines.add(&bytes).as_bytes())?,
                ExecOutput::Stderr(bytes) => {
                    let room = MESSAGE_BYTES.saturating_sub(said.len()).min(bytes.len());
                    said.extend_from_slice(&bytes[..room]);
                }
                ExecOutput::ExitStatus(status) => {
                    raw(lines.end().as_bytes())?;
                    return self.ended(status, &said);
                }
            }
        }
        Err(CliError::Answer { missing: "the journal's end" })
    }

    fn ended(&self, status: i32, said: &[u8]) -> Result<(), CliError> {
        match (status, &self.service) {
            (0, _) => Ok(()),
            (NO_SERVICE, Some(service)) => {
                Err(CliError::NoService { target: self.target.clone(), service: service.0.clone() })
            }
            (status, _) => Err(CliError::inside(&self.target, "journalctl", status, said)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn services_are_units() {
        assert_eq!("slurmd".parse(), Ok(Service("slurmd.service".into())));
        assert_eq!("shoal-bootstrap.service".parse(), Ok(Service("shoal-bootstrap.service".into())));
        for bad in ["", "-x", "--root=/", "a b", "a\nb", "a/b", "$(id)", "a*", "\u{e4}", &"x".repeat(201)] {
            assert_eq!(bad.parse::<Service>(), Err(ServiceError), "{bad}");
        }
    }

    #[test]
    fn what_journalctl_is_told() {
        let logs = Logs {
            target: "worker-0.dev".parse().unwrap(),
            service: Some("slurmd".parse().unwrap()),
            follow: true,
            since: Some("10m".parse().unwrap()),
            lines: Some(5),
        };
        let words = logs.command();
        assert_eq!(words[4..], ["slurmd.service", "--follow", "--since=-600s", "--lines=5"]);
        let short = Logs { service: None, follow: false, since: Some("500ms".parse().unwrap()), ..logs };
        assert_eq!(short.command()[4..], ["", "--since=-1s", "--lines=5"]);
        let whole = Logs { since: None, lines: None, ..short };
        assert_eq!(whole.command()[4..], [""]);
    }
}
