//! `shoal load image`: an archive into every host at once.

use std::{path::PathBuf, time::Duration};

use clap::{Args, Subcommand};
use clap_complete::ArgValueCandidates;
use shoal_api::{Answers, LoadFrame, LoadOpen, LoadStep, Loaded, without_host};
use shoal_types::{HostName, RealmName, natural};
use tokio::fs::File;

use super::{first_host::FirstHost, frames::Pump};
use crate::{
    args::Global,
    complete,
    connect::Session,
    error::CliError,
    escape,
    exit::Exit,
    interrupt::Interrupt,
    parse::word,
    progress::{Progress, ProgressArgs, Task, transfer},
};

/// Arguments of `load`.
#[derive(Debug, Args)]
pub(crate) struct Load {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Load an image archive, as `shoal build image --output` or `docker save` writes it
    Image(LoadImage),
}

#[derive(Debug, Args)]
struct LoadImage {
    /// The archive
    file: PathBuf,
    /// Only into this host; may be repeated
    #[arg(long = "host", value_name = "HOST", value_parser = word::<HostName>, add = ArgValueCandidates::new(complete::hosts))]
    hosts: Vec<HostName>,
    #[command(flatten)]
    progress: ProgressArgs,
}

impl Load {
    pub(super) async fn run(self, global: &Global, interrupt: &Interrupt) -> Result<Exit, CliError> {
        let What::Image(LoadImage { file: path, hosts, progress }) = self.what;
        let failed = |source| CliError::File { action: "read", path: path.clone(), source };
        let file = File::open(&path).await.map_err(failed)?;
        let metadata = file.metadata().await.map_err(failed)?;
        let open = LoadOpen { hosts, size: metadata.is_file().then_some(metadata.len()) };
        let mut progress =
            Progress::start(progress, global.screen(), Task::Load, path.display().to_string())?;
        let mut results = Session::within(global, interrupt, async |client| {
            let (frames, pump) = Pump::start(LoadFrame::Open(open), file, LoadFrame::Data);
            let mut first_host = FirstHost::look(client, &RealmName::default()).await?;
            let work = async { collect(client.load_image(frames).await?, &mut progress).await };
            let results = pump.during(work, failed).await?;
            first_host.announce(client, |line| progress.note(line)).await?;
            Ok(results)
        })
        .await?;
        results.sort_by(|a, b| natural::cmp(&a.host, &b.host));
        let names: Vec<_> = results.iter().filter(|r| r.error.is_none()).map(|r| r.host.clone()).collect();
        progress.result(&results, names, |_, _| {
            let lines =
                results.iter().map(|result| escape::line(&format!("{}  {}", result.host, how(result))));
            lines.collect::<Vec<_>>().join("\n")
        })?;
        match results.iter().filter(|result| result.error.is_some()).count() {
            0 => Ok(Exit::Ok),
            failed => Err(CliError::SomeHosts { failed, total: results.len() }),
        }
    }
}

/// What became of each host, told as it is known.
async fn collect(mut answers: Answers<LoadStep>, progress: &mut Progress) -> Result<Vec<Loaded>, CliError> {
    let mut results: Vec<Loaded> = Vec::new();
    while let Some(step) = answers.next().await? {
        match step {
            LoadStep::Progress { host, done_bytes, total_bytes } => {
                progress.event(&transfer(host, done_bytes, total_bytes))?;
            }
            LoadStep::Ended(result) => {
                progress.ended(&result.host, result.error.is_none(), &how(&result))?;
                results.push(result);
            }
        }
    }
    Ok(results)
}

/// How it ended on a host.
fn how(result: &Loaded) -> String {
    let Loaded { host, references, image_id, elapsed_ms, error } = result;
    if let Some(error) = error {
        return format!("failed: {}", without_host(host, error));
    }
    let named: Vec<_> = references.iter().filter(|r| !r.starts_with("sha256:")).map(String::as_str).collect();
    let what = match named.as_slice() {
        [] => image_id.clone().unwrap_or_default(),
        names => names.join(", "),
    };
    let took = Duration::from_millis(elapsed_ms.unwrap_or_default());
    format!("loaded {what} in {:.1} s", took.as_secs_f64())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_per_host() {
        let mut result = Loaded {
            host: "host1".into(),
            references: vec!["sha256:abc".into(), "shoal-node:bookworm".into()],
            image_id: Some("sha256:abc".into()),
            elapsed_ms: Some(1250),
            error: None,
        };
        assert_eq!(how(&result), "loaded shoal-node:bookworm in 1.2 s");
        result.references.truncate(1);
        assert_eq!(how(&result), "loaded sha256:abc in 1.2 s");
        result.error = Some("host host1: no space".into());
        assert_eq!(how(&result), "failed: no space");
    }
}
