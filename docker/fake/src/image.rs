//! Images: read from a docker-archive once, shared by every engine that has them.

use std::{
    collections::BTreeMap,
    fmt,
    sync::{Arc, OnceLock},
};

use bytes::Bytes;
use serde::Deserialize;
use sha2::{Digest as _, Sha256};
use shoal_docker::PackedImage;

use crate::files::{Entry, Files, file_of, tar_of};

/// How an engine saves images.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Saves {
    /// As they are.
    #[default]
    Whole,
    /// Its connection breaks in the middle.
    Broken,
    /// With these names beside their own, whatever they are names of elsewhere.
    Named(Vec<String>),
    /// It does not stop.
    Endless,
}

/// What is no docker-archive, in the engine's words.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct NotAnImage(String);

/// The content of an image, without the references an engine knows it by.
pub struct Image {
    /// Its id, `sha256:<hex>` of its configuration.
    pub id: String,
    /// Its architecture in the image format's words.
    pub architecture: String,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
    /// Program and first arguments.
    pub entrypoint: Vec<String>,
    /// Further arguments, unless a container has its own.
    pub cmd: Vec<String>,
    /// Environment, `NAME=value`.
    pub env: Vec<String>,
    /// References in the archive it came from.
    pub tags: Vec<String>,
    config: Bytes,
    layers: Vec<Bytes>,
    files: OnceLock<Arc<Files>>,
}

impl fmt::Debug for Image {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Image").field("id", &self.id).finish_non_exhaustive()
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Manifest {
    config: String,
    #[serde(default)]
    repo_tags: Option<Vec<String>>,
    layers: Vec<String>,
}

#[derive(Deserialize)]
struct Config {
    architecture: String,
    #[serde(default)]
    config: Run,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Run {
    entrypoint: Option<Vec<String>>,
    cmd: Option<Vec<String>>,
    env: Option<Vec<String>>,
    labels: Option<BTreeMap<String, String>>,
}

impl Image {
    /// Reads a docker-archive that holds one image.
    ///
    /// # Errors
    /// [`NotAnImage`].
    pub fn read(archive: &Bytes) -> Result<Arc<Self>, NotAnImage> {
        let tar = |e: std::io::Error| NotAnImage(format!("archive/tar: invalid tar header: {e}"));
        let file = |name: &str| {
            let found = file_of(archive, name).map_err(tar)?;
            found.ok_or_else(|| NotAnImage(format!("unrecognized image format: no {name}")))
        };
        let json = |e: serde_json::Error| NotAnImage(format!("unrecognized image format: {e}"));
        let manifest: Vec<Manifest> = serde_json::from_slice(&file("manifest.json")?).map_err(json)?;
        let [manifest] = <[Manifest; 1]>::try_from(manifest)
            .map_err(|all| NotAnImage(format!("{} images in one archive", all.len())))?;
        let config = file(&manifest.config)?;
        let layers = manifest.layers.iter().map(|name| file(name)).collect::<Result<Vec<_>, _>>()?;
        let Config { architecture, config: run } = serde_json::from_slice(&config).map_err(json)?;
        Ok(Arc::new(Self {
            id: format!("sha256:{}", hex::encode(Sha256::digest(&config))),
            architecture,
            labels: run.labels.unwrap_or_default(),
            entrypoint: run.entrypoint.unwrap_or_default(),
            cmd: run.cmd.unwrap_or_default(),
            env: run.env.unwrap_or_default(),
            tags: manifest.repo_tags.unwrap_or_default(),
            config,
            layers,
            files: OnceLock::new(),
        }))
    }

    /// The image that was packed, without an engine in between. Blocks.
    ///
    /// # Errors
    /// [`NotAnImage`]: its layer cannot be read, or is no tar.
    pub fn packed(image: &PackedImage) -> Result<Arc<Self>, NotAnImage> {
        let mut archive = Vec::new();
        image.write_to(&mut archive).map_err(|error| NotAnImage(error.to_string()))?;
        Self::read(&archive.into())
    }

    /// Bytes of all its layers.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.layers.iter().map(|layer| layer.len() as u64).sum()
    }

    /// The content of one of its files, by absolute path.
    #[must_use]
    pub fn file(&self, path: &str) -> Option<Bytes> {
        self.files().get(path)?.content.clone()
    }

    /// Its file system; an unreadable layer holds nothing.
    pub(crate) fn files(&self) -> &Arc<Files> {
        self.files.get_or_init(|| {
            let mut all = Files::default();
            for layer in &self.layers {
                for (path, entry) in crate::files::entries("/", layer).unwrap_or_default() {
                    // Only a file in the place of a directory is refused, and a layer may not do that.
                    drop(all.insert(&path, entry));
                }
            }
            Arc::new(all)
        })
    }

    /// A docker-archive of it, known by `tags`.
    pub(crate) fn archive(&self, tags: &[String]) -> std::io::Result<Bytes> {
        let layers: Vec<String> = (0..self.layers.len()).map(|n| format!("{n}/layer.tar")).collect();
        let config = format!("{}.json", self.id.trim_start_matches("sha256:"));
        let manifest = serde_json::json!([{ "Config": config, "RepoTags": tags, "Layers": layers }]);
        let entry = |content: Bytes| Entry { mode: 0o644, uid: 0, gid: 0, content: Some(content) };
        let mut files = vec![(config, entry(self.config.clone()))];
        files.extend(layers.into_iter().zip(self.layers.iter().map(|layer| entry(layer.clone()))));
        files.push(("manifest.json".to_owned(), entry(manifest.to_string().into())));
        tar_of(files.iter().map(|(name, entry)| (name.clone(), entry)))
    }
}
