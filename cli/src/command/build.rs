//! `shoal build image`: the image of nodes, as an archive on this machine.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use shoal_images::{BuildRequest, Built, DEFAULT_TAG, Suite, build};
use shoal_types::Bytes;

use crate::{
    args::Global,
    error::CliError,
    escape,
    exit::Exit,
    interrupt::Interrupt,
    output::BuiltJson,
    progress::{Progress, ProgressArgs, Task},
    quote,
};

/// Arguments of `build`.
#[derive(Debug, Args)]
pub(crate) struct Build {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Build the image of nodes with mmdebstrap; needs root on a Debian machine
    Image(BuildImage),
}

#[derive(Debug, Args)]
struct BuildImage {
    /// What the image is called
    #[arg(long, value_name = "NAME:TAG", default_value = DEFAULT_TAG, value_parser = tag)]
    tag: String,
    /// Where the archive goes [default: the tag with dashes, .tar, here]
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
    #[command(flatten)]
    progress: ProgressArgs,
}

/// A repository and a tag: lower case, as the engine takes it.
fn tag(text: &str) -> Result<String, String> {
    let part = |part: &str, extra: &[u8]| {
        part.starts_with(|c: char| c.is_ascii_lowercase() || c.is_ascii_digit())
            && part.len() <= 128
            && part.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || extra.contains(&b))
    };
    match text.rsplit_once(':') {
        Some((name, tag)) if part(name, b"._-/:") && part(tag, b"._-") => Ok(text.to_owned()),
        Some(_) | None => Err("a tag is NAME:TAG in lower case, such as shoal-node:bookworm".into()),
    }
}

impl Build {
    pub(super) async fn run(self, global: &Global, interrupt: &Interrupt) -> Result<Exit, CliError> {
        let What::Image(BuildImage { tag, output, progress }) = self.what;
        let output = output.unwrap_or_else(|| format!("{}.tar", tag.replace([':', '/'], "-")).into());
        let subject = format!("image {tag}");
        let request = BuildRequest { tag, suite: Suite::default(), output };
        let progress = Progress::start(progress, global.screen(), Task::Build, subject)?;
        let mut build = tokio::task::spawn_blocking(move || make(&request, progress));
        let built = tokio::select! {
            built = &mut build => built,
            () = interrupt.asked() => {
                // Ctrl-C reaches mmdebstrap too: what it had begun is removed before this ends.
                let _ = build.await;
                return Err(CliError::Interrupted);
            }
        };
        let (built, progress) = built.map_err(|failed| CliError::Runtime(failed.into()))??;
        progress.result(&json(&built), [built.tag.clone()], |_, _| text(&built))?;
        Ok(Exit::Ok)
    }
}

fn make(request: &BuildRequest, mut progress: Progress) -> Result<(Built, Progress), CliError> {
    let mut shown = Ok(());
    let built = build(request, &mut |line| {
        // Who closed standard output still wants the archive.
        if shown.is_ok() {
            shown = progress.output(line);
        }
    })?;
    shown.map(|()| (built, progress))
}

fn json(built: &Built) -> BuiltJson {
    BuiltJson {
        tag: built.tag.clone(),
        image_id: built.image_id.clone(),
        path: built.path.display().to_string(),
        size_bytes: built.size,
        slurm_version: built.slurm_version.clone(),
    }
}

fn text(built: &Built) -> String {
    let path = built.path.display().to_string();
    format!(
        "built {} with Slurm {}: {} ({})\ntry: shoal load image {}",
        built.tag,
        built.slurm_version,
        escape::line(&path),
        Bytes(built.size),
        escape::line(&quote::shell(&path)),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags() {
        for good in [DEFAULT_TAG, "registry.example:5000/team/node:1.2-rc"] {
            assert!(tag(good).is_ok(), "{good}");
        }
        for bad in ["", "node", "node:", ":x", "Node:x", "a b:c", "-a:b", "a:../b", "a:b\u{1b}"] {
            assert!(tag(bad).is_err(), "{bad}");
        }
    }
}
