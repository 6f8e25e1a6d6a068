//! Docker-archives (the format of `docker save`): how images get onto hosts that have no registry. One-layer images are written
//! here; of what a host gives, one image is let through ([`OneImage`]); of what a user brings, digests are computed ([`contents`]).
//!
//! ```text
//! <id>.json            configuration; its SHA-256 is the image's id
//! <diff id>/layer.tar  the layer; its SHA-256 is the diff id in the configuration
//! manifest.json        which is which, and the references
//! ```
//!
//! Nothing of time or place goes in (mtime 0, no creation date), so the same content has the same id on every machine,
//! and comparing ids tells whether a host has the image. Layers are read twice, once to hash and once to send, and never
//! held in memory.

use std::{
    collections::BTreeMap,
    io::{self, Write},
    path::PathBuf,
};

use serde::{Deserialize, Serialize};
use serde_json::json;
use sha2::{Digest as _, Sha256};

use crate::UploadStream;

mod contents;
mod layer;
mod one_image;
mod stream;

pub use contents::contents;
pub use layer::{FileContent, ImageFile, Layer};
pub use one_image::{NotOneImage, OneImage};

/// Longest text in an archive that is read, in bytes: a manifest, a configuration. An engine's are a few KiB.
const LONGEST_TEXT: u64 = 4 << 20;

/// An image in `manifest.json`.
#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
struct ManifestEntry {
    /// Path of its configuration.
    config: String,
    #[serde(default)]
    repo_tags: Option<Vec<String>>,
    layers: Vec<String>,
}

/// An image that cannot be packed.
#[derive(Debug, thiserror::Error)]
pub enum ArchiveError {
    /// A file cannot be read, or the archive not be written.
    #[error("cannot pack {}", path.as_ref().map_or_else(|| "the image".to_owned(), |p| p.display().to_string()))]
    Io {
        /// Which file, if it was one.
        path: Option<PathBuf>,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// A layer that is compressed: its digest would not be that of its content.
    #[error("{} is compressed with {how}: unpack it first", path.display())]
    Compressed {
        /// Which file.
        path: PathBuf,
        /// `gzip`, `xz` or `zstd`.
        how: &'static str,
    },
    /// A file changed while it was packed.
    #[error("the image's files changed while it was packed")]
    Changed,
}

/// What an image is made of.
#[derive(Debug, Clone)]
pub struct ImageArchive {
    /// `repository:tag` it is known by once loaded.
    pub reference: String,
    /// Architecture in the image format's words: see [`ImageArchive::architecture_of`].
    pub architecture: String,
    /// Program and first arguments.
    pub entrypoint: Vec<String>,
    /// Further arguments, replaced by a container's own.
    pub cmd: Vec<String>,
    /// Environment, name -> value.
    pub env: BTreeMap<String, String>,
    /// Labels.
    pub labels: BTreeMap<String, String>,
    /// Signal that ends it; SIGTERM if `None`.
    pub stop_signal: Option<String>,
    /// Its one layer.
    pub layer: Layer,
}

impl ImageArchive {
    /// The image format's word for one of the kernel's: `amd64` for `x86_64`.
    #[must_use]
    pub fn architecture_of(kernel: &str) -> &str {
        match kernel {
            "x86_64" => "amd64",
            "aarch64" => "arm64",
            other => other,
        }
    }

    /// Reads and hashes the layer. Blocks.
    ///
    /// # Errors
    /// `Io`: a file cannot be read; `Compressed`: the layer is no plain tar.
    pub fn pack(self) -> Result<PackedImage, ArchiveError> {
        let mut sink = Hashed::new(io::sink());
        self.layer.write(&mut sink)?;
        let (diff_id, layer_bytes) = sink.finish();
        let config = json!({
            "architecture": self.architecture,
            "os": "linux",
            "config": {
                "Entrypoint": self.entrypoint,
                "Cmd": self.cmd,
                "Env": self.env.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>(),
                "Labels": self.labels,
                "StopSignal": self.stop_signal,
            },
            "rootfs": { "type": "layers", "diff_ids": [format!("sha256:{diff_id}")] },
        });
        let config = config.to_string().into_bytes();
        let id = hex::encode(Sha256::digest(&config));
        Ok(PackedImage { reference: self.reference, layer: self.layer, layer_bytes, diff_id, config, id })
    }
}

/// An image ready to be sent, its id known.
#[derive(Debug, Clone)]
pub struct PackedImage {
    reference: String,
    layer: Layer,
    layer_bytes: u64,
    diff_id: String,
    config: Vec<u8>,
    id: String,
}

impl PackedImage {
    /// Its id, `sha256:<hex>`, as engines with a graph driver report it.
    #[must_use]
    pub fn id(&self) -> String {
        format!("sha256:{}", self.id)
    }

    /// `repository:tag` it is known by once loaded.
    #[must_use]
    pub fn reference(&self) -> &str {
        &self.reference
    }

    /// Writes the archive. Blocks.
    ///
    /// # Errors
    /// `Io`: a file cannot be read or `out` not be written; `Changed`: the layer is not what was hashed.
    pub fn write_to(&self, out: impl Write) -> Result<(), ArchiveError> {
        let mut out = out;
        let layer_path = format!("{}/layer.tar", self.diff_id);
        let config_path = format!("{}.json", self.id);
        let manifest =
            json!([{ "Config": config_path, "RepoTags": [self.reference], "Layers": [layer_path] }])
                .to_string();
        entry(&mut out, &config_path, &self.config)?;
        layer::header(&mut out, &layer_path, self.layer_bytes, 0o644)?;
        let mut hashed = Hashed::new(&mut out);
        self.layer.write(&mut hashed)?;
        let (diff_id, bytes) = hashed.finish();
        if (&diff_id, bytes) != (&self.diff_id, self.layer_bytes) {
            return Err(ArchiveError::Changed);
        }
        layer::pad(&mut out, bytes)?;
        entry(&mut out, "manifest.json", manifest.as_bytes())?;
        layer::end(&mut out)
    }

    /// The archive as a stream, made on a blocking thread that ends when the stream is dropped. A fault of
    /// [`PackedImage::write_to`] ends the stream with that error.
    ///
    /// # Panics
    /// Outside a tokio runtime.
    #[must_use]
    pub fn stream(self) -> UploadStream {
        stream::of(move |out| self.write_to(out).map_err(io::Error::other))
    }
}

fn entry(out: &mut impl Write, path: &str, bytes: &[u8]) -> Result<(), ArchiveError> {
    let size = bytes.len() as u64;
    layer::header(out, path, size, 0o644)?;
    out.write_all(bytes).map_err(unwritten)?;
    layer::pad(out, size)
}

fn unwritten(source: io::Error) -> ArchiveError {
    ArchiveError::Io { path: None, source }
}

/// Counts and hashes what passes.
struct Hashed<W> {
    inner: W,
    sha: Sha256,
    bytes: u64,
}

impl<W> Hashed<W> {
    fn new(inner: W) -> Self {
        Self { inner, sha: Sha256::new(), bytes: 0 }
    }

    fn finish(self) -> (String, u64) {
        (hex::encode(self.sha.finalize()), self.bytes)
    }
}

impl<W: Write> Write for Hashed<W> {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        let n = self.inner.write(buf)?;
        self.sha.update(&buf[..n]);
        self.bytes += n as u64;
        Ok(n)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

#[cfg(test)]
mod tests;
