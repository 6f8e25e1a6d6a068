//! `shoal build image`: the image of nodes, as an archive on this machine.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use shoal_images::{BuildRequest, Built, Package, Stop, Suite, build, write_dockerfile};
use shoal_types::Bytes;

use crate::{
    args::Global,
    error::CliError,
    escape,
    exit::Exit,
    interrupt::Interrupt,
    parse::word,
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
    ///
    /// Packages come from Debian's mirror. With a near mirror a build takes half a minute, and about 400 MB of disk beside the
    /// archive. Ctrl-C ends the build and removes its files.
    Image(BuildImage),
    /// Write a Dockerfile of the same image and the files it copies, for `docker build` and a registry
    Dockerfile(BuildDockerfile),
}

#[derive(Debug, Args)]
struct Content {
    /// Debian release of the image: bookworm, trixie or forky
    #[arg(long, value_name = "SUITE", default_value_t, value_parser = word::<Suite>)]
    suite: Suite,
    /// Debian packages to add to the image; may be repeated, or a list with commas
    #[arg(long, value_name = "PACKAGE", value_delimiter = ',', value_parser = word::<Package>)]
    with: Vec<Package>,
}

#[derive(Debug, Args)]
struct BuildDockerfile {
    #[command(flatten)]
    content: Content,
    /// Directory for the Dockerfile and the files it copies; created if missing
    #[arg(long, value_name = "DIR", default_value = "shoal-node")]
    output: PathBuf,
}

#[derive(Debug, Args)]
struct BuildImage {
    #[command(flatten)]
    content: Content,
    /// Accept the mirror's expired package lists, as snapshots and frozen mirrors have
    #[arg(long)]
    allow_stale: bool,
    /// Name of the image [default: shoal-node:SUITE]
    #[arg(long, value_name = "NAME:TAG", value_parser = tag)]
    tag: Option<String>,
    /// Path of the archive [default: the tag with dashes and .tar, in the current directory]
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
        let BuildImage { content, allow_stale, tag, output, progress } = match self.what {
            What::Image(image) => image,
            What::Dockerfile(file) => return file.run(global),
        };
        let tag = tag.unwrap_or_else(|| content.suite.default_tag());
        let output = output.unwrap_or_else(|| format!("{}.tar", tag.replace([':', '/'], "-")).into());
        let subject = format!("image {tag}");
        let request =
            BuildRequest { tag, suite: content.suite, with: content.with, stale: allow_stale, output };
        let progress = Progress::start(progress, global.screen(), Task::Build, subject)?;
        let stop = Stop::default();
        let asked = stop.clone();
        let mut build = tokio::task::spawn_blocking(move || make(&request, &asked, progress));
        let built = tokio::select! {
            built = &mut build => built,
            () = interrupt.asked() => {
                stop.ask();
                // What it had begun is removed before this ends.
                let _ = build.await;
                return Err(CliError::Interrupted);
            }
        };
        let (built, progress) = built.map_err(|failed| CliError::Runtime(failed.into()))??;
        progress.result(&json(&built), [built.tag.clone()], |_, _| text(&built))?;
        Ok(Exit::Ok)
    }
}

impl BuildDockerfile {
    fn run(self, global: &Global) -> Result<Exit, CliError> {
        let Self { content: Content { suite, with }, output } = self;
        let failed = |source| CliError::File { action: "write", path: output.clone(), source };
        write_dockerfile(suite, &with, &output).map_err(failed)?;
        let path = output.display().to_string();
        let written = shoal_api::Dockerfile { directory: path.clone(), suite: suite.to_string() };
        global.screen().result(&written, |_| {
            let path = escape::line(&quote::shell(&path));
            format!("wrote {path}\ntry: docker build -t REGISTRY/{} {path}", suite.default_tag())
        })?;
        Ok(Exit::Ok)
    }
}

fn make(request: &BuildRequest, stop: &Stop, mut progress: Progress) -> Result<(Built, Progress), CliError> {
    let mut shown = Ok(());
    let built = build(request, stop, &mut |line| {
        // Who closed standard output still wants the archive.
        if shown.is_ok() {
            shown = progress.output(line);
        }
    })?;
    shown.map(|()| (built, progress))
}

fn json(built: &Built) -> shoal_api::Built {
    shoal_api::Built {
        tag: built.tag.clone(),
        image_id: built.image_id.clone(),
        path: built.path.display().to_string(),
        size_bytes: built.size,
        suite: built.suite.to_string(),
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
        for good in [shoal_images::DEFAULT_TAG, "registry.example:5000/team/node:1.2-rc"] {
            assert!(tag(good).is_ok(), "{good}");
        }
        for bad in ["", "node", "node:", ":x", "Node:x", "a b:c", "-a:b", "a:../b", "a:b\u{1b}"] {
            assert!(tag(bad).is_err(), "{bad}");
        }
    }
}
