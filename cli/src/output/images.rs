//! Node images and the registries they may come from.

use serde::Serialize;
use shoal_proto::v1::{Image, ListImagesResponse, Registry};
use shoal_types::{Bytes, natural};

use super::{
    Width,
    json::{known, time},
    table,
};
use crate::escape;

/// Node images on all hosts.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct ImagesJson {
    /// One entry per content.
    images: Vec<ImageJson>,
    /// Hosts that could not be asked.
    silent: Vec<SilentHostJson>,
}

/// One content that nodes can run.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct ImageJson {
    /// Its content digest.
    image_id: String,
    /// References it has on any host, or in a cluster.
    references: Vec<String>,
    /// Its size, all layers; null if no host that answered has it.
    size_bytes: Option<u64>,
    /// Slurm's version in it.
    slurm_version: Option<String>,
    /// Debian release it was made from.
    suite: Option<String>,
    /// Clusters that run it, REALM/NAME.
    clusters: Vec<String>,
    /// Hosts that have it.
    hosts: Vec<String>,
    /// Hosts that answered and have not.
    missing: Vec<String>,
}

/// A host that could not be asked.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct SilentHostJson {
    /// Its name.
    host: String,
    /// Why.
    error: String,
}

/// A registry that credentials are known for. What they are is never told.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct RegistryJson {
    /// Its address, as image references name it.
    registry: String,
    /// The user's name there.
    username: String,
    /// When they were last set.
    updated: Option<String>,
}

impl From<Image> for ImageJson {
    fn from(image: Image) -> Self {
        Self {
            image_id: image.image_id,
            references: image.references,
            size_bytes: (image.size_bytes > 0).then_some(image.size_bytes),
            slurm_version: known(image.slurm_version),
            suite: known(image.suite),
            clusters: image.clusters,
            hosts: image.hosts,
            missing: image.missing,
        }
    }
}

impl From<ListImagesResponse> for ImagesJson {
    fn from(answer: ListImagesResponse) -> Self {
        Self {
            images: answer.images.into_iter().map(ImageJson::from).collect(),
            silent: answer
                .silent
                .into_iter()
                .map(|silent| SilentHostJson { host: silent.host, error: silent.error })
                .collect(),
        }
    }
}

impl From<Registry> for RegistryJson {
    fn from(registry: Registry) -> Self {
        let Registry { registry, username, updated_ms } = registry;
        Self { registry, username, updated: time(updated_ms) }
    }
}

/// In the order people count: hosts of every list.
pub(crate) fn sorted(mut answer: ListImagesResponse) -> ListImagesResponse {
    for image in &mut answer.images {
        image.hosts.sort_by(|a, b| natural::cmp(a, b));
        image.missing.sort_by(|a, b| natural::cmp(a, b));
    }
    answer.silent.sort_by(|a, b| natural::cmp(&a.host, &b.host));
    answer
}

/// One content a row, then the hosts that could not be asked.
pub(crate) fn images_table(width: Width, answer: &ListImagesResponse) -> String {
    let header = ["REFERENCE", "DIGEST", "SIZE", "SLURM", "SUITE", "ON", "MISSING ON", "CLUSTERS"];
    let or_dash = |text: String| if text.is_empty() { "-".to_owned() } else { text };
    let rows = answer.images.iter().map(|image| {
        let digest: String = image.image_id.trim_start_matches("sha256:").chars().take(12).collect();
        [
            or_dash(image.references.join(" ")),
            digest,
            if image.size_bytes == 0 { "-".to_owned() } else { Bytes(image.size_bytes).to_string() },
            or_dash(image.slurm_version.clone()),
            or_dash(image.suite.clone()),
            or_dash(image.hosts.join(" ")),
            or_dash(image.missing.join(" ")),
            or_dash(image.clusters.join(" ")),
        ]
    });
    let none = "no node images; build one: shoal build image";
    let silent = answer.silent.iter().map(|silent| {
        let error = super::without_host(&silent.host, &silent.error);
        format!("\n{}: {}", escape::line(&silent.host), escape::line(error))
    });
    table(width, header, 6, rows, none) + &silent.collect::<String>()
}

/// One registry a row.
pub(crate) fn registries_table(width: Width, registries: &[Registry]) -> String {
    let rows = registries.iter().map(|r| [r.registry.clone(), r.username.clone()]);
    let none =
        "no registries; give one's credentials: shoal set registry HOST --username NAME --password-stdin";
    table(width, ["REGISTRY", "USERNAME"], 2, rows, none)
}

#[cfg(test)]
mod tests {
    use shoal_proto::v1::SilentHost;

    use super::*;

    #[test]
    fn who_has_what_and_who_was_not_heard() {
        let image = Image {
            image_id: "sha256:0123456789abcdef".into(),
            references: vec!["shoal-node:bookworm".into()],
            size_bytes: 181_000_000,
            slurm_version: "22.05.8".into(),
            suite: "bookworm".into(),
            clusters: vec!["default/dev".into()],
            hosts: vec!["host10".into(), "host2".into()],
            missing: vec!["host3".into()],
        };
        let lost = Image { image_id: "sha256:ff".into(), ..Image::default() };
        let silent = SilentHost { host: "host4".into(), error: "host host4: refused\u{1b}".into() };
        let answer = sorted(ListImagesResponse { images: vec![image, lost], silent: vec![silent] });
        insta::assert_snapshot!(images_table(Width(None), &answer), @r"
        REFERENCE            DIGEST        SIZE       SLURM    SUITE     ON            MISSING ON  CLUSTERS
        shoal-node:bookworm  0123456789ab  172.6 MiB  22.05.8  bookworm  host2 host10  host3       default/dev
        -                    ff            -          -        -         -             -           -
        host4: refused\u{1b}
        ");
        assert!(images_table(Width(None), &ListImagesResponse::default()).contains("shoal build image"));
    }
}
