//! Node images as shown: what the engines of all hosts list now, one row per content.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use futures_util::{FutureExt, future::join_all};
use shoal_docker::{ImageSummary, LabelFilter};
use shoal_proto::v1;
use shoal_storage::{Cluster, Host};
use shoal_types::chain;

use crate::{
    fleet::{coordinator::Coordinator, liveness::limited},
    words::fault::Fault,
};

/// How long a host may take to list its images.
const LOOK: Duration = Duration::from_secs(8);
/// Labels of node images, as they are built.
const SLURM_VERSION: &str = "shoal.slurm.version";
const SUITE: &str = "shoal.image.suite";

/// Node images and images of clusters, by host.
pub(crate) async fn shown_images(coordinator: &Coordinator) -> Result<v1::ListImagesResponse, Fault> {
    let mut read = coordinator.store.read().await?;
    let hosts = read.hosts().list().await?;
    let clusters = read.clusters().list().await?;
    drop(read);
    let lists = join_all(hosts.iter().map(|host| images_of(coordinator, host).boxed())).await;
    let mut silent = Vec::new();
    let mut answered = Vec::new();
    for (host, listed) in hosts.iter().zip(lists) {
        match listed {
            Ok(images) => answered.push((host.name.to_string(), images)),
            Err(fault) => {
                silent.push(v1::SilentHost { host: host.name.to_string(), error: chain(&fault) });
            }
        }
    }
    Ok(v1::ListImagesResponse { images: gathered(&answered, &clusters), silent })
}

async fn images_of(coordinator: &Coordinator, host: &Host) -> Result<Vec<ImageSummary>, Fault> {
    let ask = async {
        let link = coordinator.fleet.link(&coordinator.store, host).await?;
        link.engine.list_images(&LabelFilter::all()).await.map_err(Fault::engine(&host.name))
    };
    limited(&host.name, LOOK, ask).await
}

/// One row per content that is a node's or in use, in order of its names.
fn gathered(answered: &[(String, Vec<ImageSummary>)], clusters: &[Cluster]) -> Vec<v1::Image> {
    let mut users: BTreeMap<&str, Vec<&Cluster>> = BTreeMap::new();
    for cluster in clusters {
        users.entry(&cluster.image_id).or_default().push(cluster);
    }
    let mut rows: BTreeMap<&str, (v1::Image, BTreeSet<String>)> = BTreeMap::new();
    for (host, images) in answered {
        for image in images {
            let of = users.get(image.id.as_str()).map_or(&[][..], Vec::as_slice);
            if of.is_empty() && !image.labels.contains_key(SUITE) && !image.labels.contains_key(SLURM_VERSION)
            {
                continue;
            }
            let (row, references) =
                rows.entry(&image.id).or_insert_with(|| (fresh(image, of), BTreeSet::new()));
            row.hosts.push(host.clone());
            references.extend(image.repo_tags.iter().filter(|tag| *tag != "<none>:<none>").cloned());
        }
    }
    // In use, and on no host that answered.
    for (id, of) in &users {
        rows.entry(id).or_insert_with(|| (fresh_unseen(id, of), BTreeSet::new()));
    }
    let mut images: Vec<v1::Image> = rows
        .into_values()
        .map(|(mut row, mut references)| {
            references
                .extend(users.get(row.image_id.as_str()).into_iter().flatten().map(|c| c.spec.image.clone()));
            row.references = references.into_iter().collect();
            row.missing = answered
                .iter()
                .map(|(host, _)| host)
                .filter(|host| !row.hosts.contains(host))
                .cloned()
                .collect();
            row
        })
        .collect();
    images.sort_by(|a, b| (&a.references, &a.image_id).cmp(&(&b.references, &b.image_id)));
    images
}

fn fresh(image: &ImageSummary, of: &[&Cluster]) -> v1::Image {
    let label = |key: &str| image.labels.get(key).cloned();
    let unseen = fresh_unseen(&image.id, of);
    v1::Image {
        size_bytes: image.size.0,
        slurm_version: label(SLURM_VERSION).unwrap_or_else(|| unseen.slurm_version.clone()),
        suite: label(SUITE).unwrap_or_default(),
        ..unseen
    }
}

/// What the store alone knows of an image that clusters run.
fn fresh_unseen(id: &str, of: &[&Cluster]) -> v1::Image {
    v1::Image {
        image_id: id.to_owned(),
        slurm_version: of.iter().find_map(|c| c.slurm_version.clone()).unwrap_or_default(),
        clusters: of.iter().map(|c| format!("{}/{}", c.spec.realm, c.spec.name)).collect(),
        ..v1::Image::default()
    }
}

#[cfg(test)]
mod tests {
    use shoal_types::Bytes;

    use super::*;

    #[test]
    fn one_row_per_content_with_who_has_it_and_who_has_not() {
        let image = |id: &str, tag: &str, node: bool| ImageSummary {
            id: id.into(),
            labels: node.then(|| (SUITE.to_owned(), "trixie".to_owned())).into_iter().collect(),
            repo_tags: vec![tag.into()],
            size: Bytes(7),
        };
        let answered = [
            ("h1".to_owned(), vec![image("sha256:a", "n:1", true), image("sha256:z", "postgres:17", false)]),
            ("h2".to_owned(), vec![image("sha256:a", "<none>:<none>", true), image("sha256:b", "a:1", true)]),
        ];
        let rows = gathered(&answered, &[]);
        let shown: Vec<_> =
            rows.iter().map(|r| (&*r.image_id, &r.references, &r.hosts, &r.missing)).collect();
        let words = |words: &[&str]| words.iter().map(|w| (*w).to_owned()).collect::<Vec<_>>();
        assert_eq!(
            shown,
            [
                ("sha256:b", &words(&["a:1"]), &words(&["h2"]), &words(&["h1"])),
                ("sha256:a", &words(&["n:1"]), &words(&["h1", "h2"]), &words(&[])),
            ]
        );
        assert_eq!(rows[0].suite, "trixie");
    }
}
