//! Images an engine has.

use std::collections::BTreeMap;

use shoal_types::Bytes;

/// An image as an engine lists it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImageSummary {
    /// Its id, `sha256:<hex>`: the digest of its configuration on engines with a graph driver.
    pub id: String,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
    /// References to it, `repository:tag`.
    pub repo_tags: Vec<String>,
    /// Its size in bytes, all layers.
    pub size: Bytes,
}

/// An image as an engine describes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImageInfo {
    /// Its id, `sha256:<hex>`: the digest of its configuration on engines with a graph driver.
    pub id: String,
    /// Its architecture in the image format's words, such as `amd64`.
    pub architecture: String,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
    /// References to it, `repository:tag`.
    pub repo_tags: Vec<String>,
    /// Its digests in registries, `repository@sha256:<hex>`; empty for a built or loaded image.
    pub repo_digests: Vec<String>,
    /// Its size in bytes, all layers.
    pub size: Bytes,
}
