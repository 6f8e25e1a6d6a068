//! Building the node image: mmdebstrap makes the file system, the result is written as a docker archive.
//!
//! ```text
//! checked (root, mmdebstrap) -> layer.tar in a directory of its own -> packed -> OUTPUT, renamed into place when it is whole
//! ```

use std::{
    collections::{BTreeMap, VecDeque},
    env,
    fs::{self, File},
    io::{self, BufRead, BufReader, BufWriter, Read},
    os::unix::process::CommandExt as _,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use shoal_docker::{ArchiveError, ImageArchive, Layer};

use crate::{LABEL_SLURM_VERSION, LABEL_SUITE, Package, Stop, Suite, overlay, recipe};

/// Lines of mmdebstrap that an error quotes: its last words and what led to them.
const QUOTED_LINES: usize = 12;

/// An image to be built.
#[derive(Debug, Clone)]
pub struct BuildRequest {
    /// `repository:tag` it is known by once loaded; see [`crate::DEFAULT_TAG`].
    pub tag: String,
    /// The release it is made from.
    pub suite: Suite,
    /// Packages besides those every node has.
    pub with: Vec<Package>,
    /// Take a mirror's lists although they have expired, as those of a snapshot have.
    pub stale: bool,
    /// Where the docker archive goes, about 180 MB; a file that is there is replaced. Beside it, as much again is used while building.
    pub output: PathBuf,
}

/// An image that was built.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Built {
    /// `repository:tag` it is known by once loaded.
    pub tag: String,
    /// Its id, `sha256:<hex>`: the same wherever it is loaded.
    pub image_id: String,
    /// The docker archive.
    pub path: PathBuf,
    /// Size of the archive in bytes.
    pub size: u64,
    /// The release it was made from.
    pub suite: Suite,
    /// Slurm's version, such as `22.05.8`.
    pub slurm_version: String,
}

/// An image that could not be built.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// Installing packages into a tree needs root.
    #[error("building an image needs root: run it with sudo, or build elsewhere and `shoal load image FILE`")]
    NotRoot,
    /// There is no mmdebstrap.
    #[error(
        "mmdebstrap is not installed: `apt-get install mmdebstrap`, or build elsewhere and `shoal load image FILE`"
    )]
    NoMmdebstrap,
    /// Somebody asked to stop.
    #[error("interrupted: nothing was built")]
    Stopped,
    /// mmdebstrap gave up.
    #[error("mmdebstrap failed ({status}):\n{tail}")]
    Mmdebstrap {
        /// How it ended.
        status: String,
        /// Its last lines, control characters escaped.
        tail: String,
    },
    /// The image's slurmctld does not say its version.
    #[error("slurmctld in the image does not tell its version: `{said}`")]
    NoVersion {
        /// What it said, shortened and escaped.
        said: String,
    },
    /// A file cannot be read or written.
    #[error("cannot use {}", path.display())]
    Io {
        /// The file or directory.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// The file system cannot be packed.
    #[error(transparent)]
    Archive(#[from] ArchiveError),
}

/// Builds an image; half a minute on two cores with a near mirror. `progress` gets what mmdebstrap says, line by line. Blocks: call it
/// on a thread of its own, and end it by `stop`. What it leaves behind, whatever happens, is `output` or nothing.
///
/// # Errors
/// [`BuildError`]: the machine cannot build images, or the first step that failed.
pub fn build(
    request: &BuildRequest,
    stop: &Stop,
    progress: &mut dyn FnMut(&str),
) -> Result<Built, BuildError> {
    if !nix::unistd::geteuid().is_root() {
        return Err(BuildError::NotRoot);
    }
    let directory = match request.output.parent() {
        Some(parent) if parent != Path::new("") => parent,
        Some(_) | None => Path::new("."),
    };
    fs::create_dir_all(directory).map_err(at(directory))?;
    // In the same directory, so that the last step is a rename; removed when dropped.
    let work =
        tempfile::Builder::new().prefix(".shoal-image-").tempdir_in(directory).map_err(at(directory))?;
    // mmdebstrap and its hooks work in directories of their own.
    let root = fs::canonicalize(work.path()).map_err(at(work.path()))?;
    let (layer, slurm_version) = install(request, &root, stop, progress)?;

    progress("packing the image");
    let packed = archive(request, layer, &slurm_version).pack()?;
    let whole = root.join("image.tar");
    let mut file = BufWriter::new(File::create(&whole).map_err(at(&whole))?);
    packed.write_to(&mut file)?;
    let file = file.into_inner().map_err(|error| at(&whole)(error.into_error()))?;
    file.sync_all().map_err(at(&whole))?;
    let size = file.metadata().map_err(at(&whole))?.len();
    if stop.is_asked() {
        return Err(BuildError::Stopped);
    }
    fs::rename(&whole, &request.output).map_err(at(&request.output))?;
    Ok(Built {
        tag: request.tag.clone(),
        image_id: packed.id(),
        path: request.output.clone(),
        size,
        suite: request.suite,
        slurm_version,
    })
}

/// The image's configuration around its layer.
fn archive(request: &BuildRequest, layer: PathBuf, slurm_version: &str) -> ImageArchive {
    let labels = [(LABEL_SLURM_VERSION, slurm_version), (LABEL_SUITE, request.suite.as_str())]
        .map(|(k, v)| (k.into(), v.into()));
    ImageArchive {
        reference: request.tag.clone(),
        architecture: ImageArchive::architecture_of(env::consts::ARCH).into(),
        entrypoint: Vec::new(),
        cmd: vec!["/sbin/init".into()],
        // By this systemd knows where it is (https://systemd.io/CONTAINER_INTERFACE).
        env: BTreeMap::from([("container".into(), "docker".into())]),
        labels: BTreeMap::from(labels),
        // systemd's "halt": shuts services down in order (systemd(1), SIGNALS).
        stop_signal: Some("SIGRTMIN+3".into()),
        layer: Layer::Tar(layer),
    }
}

/// Runs mmdebstrap in `root`: the layer's path and Slurm's version.
fn install(
    request: &BuildRequest,
    root: &Path,
    stop: &Stop,
    progress: &mut dyn FnMut(&str),
) -> Result<(PathBuf, String), BuildError> {
    let [layer, laid_over, version] = ["layer.tar", "overlay.tar", "version"].map(|name| root.join(name));
    File::create(&laid_over).and_then(overlay::write).map_err(at(&laid_over))?;
    let mut child = Command::new("mmdebstrap")
        .args(recipe::arguments(request, &layer))
        .env(recipe::OVERLAY_VARIABLE, &laid_over)
        .env(recipe::VERSION_VARIABLE, &version)
        .env("SOURCE_DATE_EPOCH", recipe::SOURCE_DATE_EPOCH)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        // A group of its own: it ends when we say so, and all of it.
        .process_group(0)
        .spawn()
        .map_err(|source| match source.kind() == io::ErrorKind::NotFound {
            true => BuildError::NoMmdebstrap,
            false => at(Path::new("mmdebstrap"))(source),
        })?;
    stop.began(child.id());
    let mut tail = VecDeque::with_capacity(QUOTED_LINES);
    if let Some(stderr) = child.stderr.take() {
        follow(stderr, &mut tail, progress);
    }
    let status = child.wait().map_err(at(Path::new("mmdebstrap")))?;
    stop.ended();
    if stop.is_asked() {
        return Err(BuildError::Stopped);
    }
    if !status.success() {
        let tail = tail.make_contiguous().join("\n");
        return Err(BuildError::Mmdebstrap { status: status.to_string(), tail });
    }
    let said = fs::read_to_string(&version).map_err(at(&version))?;
    let slurm_version = recipe::slurm_version(&said)
        .ok_or_else(|| BuildError::NoVersion { said: escaped(said.chars().take(80)) })?
        .to_owned();
    Ok((layer, slurm_version))
}

/// Reads to the end, lines as they come: to `progress`, and the last ones to `tail`. A progress bar redraws its line with CR.
fn follow(output: impl Read, tail: &mut VecDeque<String>, progress: &mut dyn FnMut(&str)) {
    for line in BufReader::new(output).split(b'\n').map_while(Result::ok) {
        let line = String::from_utf8_lossy(&line);
        let line = escaped(line.trim_end().rsplit('\r').next().unwrap_or_default().chars());
        if line.is_empty() {
            continue;
        }
        progress(&line);
        if tail.len() == QUOTED_LINES {
            tail.pop_front();
        }
        tail.push_back(line);
    }
}

/// Control characters made visible; other text as it is.
fn escaped(text: impl Iterator<Item = char>) -> String {
    text.flat_map(|c| {
        let escape = c.is_control().then(|| c.escape_default());
        let plain = (!c.is_control()).then_some(c);
        escape.into_iter().flatten().chain(plain)
    })
    .collect()
}

fn at(path: &Path) -> impl FnOnce(io::Error) -> BuildError + use<> {
    let path = path.to_owned();
    move |source| BuildError::Io { path, source }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request() -> BuildRequest {
        BuildRequest {
            tag: crate::DEFAULT_TAG.into(),
            suite: Suite::Bookworm,
            with: Vec::new(),
            stale: false,
            output: "/nowhere/x.tar".into(),
        }
    }

    #[test]
    fn the_images_configuration() {
        let mut archive = archive(&request(), "/layer.tar".into(), "22.05.8");
        archive.architecture = "amd64".into();
        insta::assert_debug_snapshot!(archive);
    }

    #[test]
    fn what_mmdebstrap_says() {
        let output: String = (0..20).map(|n| format!("I: {n}\r 50%\rI: line {n}\n\n")).collect();
        let (mut tail, mut seen) = (VecDeque::new(), Vec::new());
        follow(output.as_bytes(), &mut tail, &mut |line| seen.push(line.to_owned()));
        assert_eq!(seen.len(), 20);
        assert_eq!((tail.len(), tail[0].as_str()), (QUOTED_LINES, "I: line 8"));
        follow(&b"\x1b[31mE: \xff no"[..], &mut tail, &mut |_| ());
        assert_eq!(tail.back().map(String::as_str), Some("\\u{1b}[31mE: \u{fffd} no"));
    }

    #[test]
    fn errors_say_what_to_do() {
        let error = BuildError::Mmdebstrap { status: "exit status: 25".into(), tail: "E: a\nE: b".into() };
        assert_eq!(error.to_string(), "mmdebstrap failed (exit status: 25):\nE: a\nE: b");
        assert!(BuildError::NoMmdebstrap.to_string().contains("apt-get install mmdebstrap"));
    }
}
