//! `shoal drain`: a host whose nodes go to others.

use clap::Args;
use clap_complete::ArgValueCandidates;
use jiff::tz::TimeZone;
use shoal_api::{Drain as Drained, DrainStep};
use shoal_types::{HostName, Scheduling, natural};

use crate::{
    args::Global,
    complete,
    connect::Session,
    duration::Wait,
    error::CliError,
    exit::Exit,
    interrupt::Interrupt,
    output::{drain_text, event_line},
    parse::word,
};

/// Arguments of `drain`.
#[derive(Debug, Args)]
pub(crate) struct Drain {
    /// The host
    #[arg(value_parser = word::<HostName>, add = ArgValueCandidates::new(complete::hosts))]
    name: HostName,
    /// Show where the nodes would go and do nothing
    #[arg(long)]
    dry_run: bool,
    /// Do not wait for jobs: they go back to the queue, or end if they may not be run twice
    #[arg(long)]
    now: bool,
    /// Time limit for jobs to end; 0 for no limit
    #[arg(long, value_name = "DURATION", default_value = "1h", value_parser = word::<Wait>)]
    timeout: Wait,
}

impl Drain {
    pub(super) async fn run(self, global: &Global, interrupt: &Interrupt) -> Result<Exit, CliError> {
        let Self { name, dry_run, now, timeout } = self;
        let (screen, zone) = (global.screen(), TimeZone::system());
        let result = Session::within(global, interrupt, async |client| {
            let host = name.to_string();
            let scheduling = Scheduling::Draining;
            let mut result = Drained { host, scheduling, dry_run, clusters: vec![] };
            let mut steps = client.drain_host(&name, dry_run, now, timeout.as_millis()).await?;
            while let Some(step) = steps.next().await? {
                match step {
                    DrainStep::Event(event) => screen.progress(&event_line(&event, &zone))?,
                    DrainStep::Cluster(cluster) => result.clusters.push(cluster),
                    DrainStep::Ended(scheduling) => result.scheduling = scheduling,
                }
            }
            let by_name = |a: &str, b: &str| natural::cmp(a, b);
            result.clusters.sort_by(|a, b| by_name(&a.realm, &b.realm).then(by_name(&a.name, &b.name)));
            for cluster in &mut result.clusters {
                cluster.moved.sort_by(|a, b| by_name(&a.node, &b.node));
            }
            Ok(result)
        })
        .await?;
        screen.named(&result, [result.host.clone()], |width, _| drain_text(width, &result))?;
        Ok(if result.is_done() { Exit::Ok } else { Exit::Failure })
    }
}
