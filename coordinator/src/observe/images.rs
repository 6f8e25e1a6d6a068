//! Node images as shown: what the engines of all hosts list now, one row per content.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use futures_util::{FutureExt, future::join_all};
use shoal_api::{Image, Images, SilentHost};
use shoal_docker::{ImageSummary, LabelFilter};
use shoal_storage::{Cluster, Host};
use shoal_types::{HostName, Realms, chain};

use crate::{
    fleet::{coordinator::Coordinator, liveness::limited},
    words::fault::Fault,
};

/// How long a host may take to list its images.
const LOOK: Duration = Duration::from_secs(8);
/// Labels of node images, as they are built.
const SLURM_VERSION: &str = "shoal.slurm.version";
const SUITE: &str = "shoal.image.suite";

/// Node images and images of the clusters of these realms, by host.
pub(crate) async fn node_images(coordinator: &Coordinator, of: &Realms) -> Result<Images, Fault> {
    let mut read = coordinator.store.read().await?;
    let hosts = read.hosts().list().await?;
    let mut clusters = read.clusters().list().await?;
    clusters.retain(|cluster| of.have(&cluster.spec.realm));
    drop(read);
    let lists = join_all(hosts.iter().map(|host| images_of(coordinator, host).boxed())).await;
    let mut silent = Vec::new();
    let mut answered = Vec::new();
    for (host, listed) in hosts.iter().zip(lists) {
        match listed {
            Ok(images) => answered.push((host.name.clone(), images)),
            Err(fault) => {
                silent.push(SilentHost { host: host.name.to_string(), error: chain(&fault) });
            }
        }
    }
    Ok(Images { images: gathered(&answered, &clusters), silent })
}

async fn images_of(coordinator: &Coordinator, host: &Host) -> Result<Vec<ImageSummary>, Fault> {
    let ask = async {
        let link = coordinator.fleet.link(&coordinator.store, host).await?;
        link.engine.list_images(&LabelFilter::all()).await.map_err(Fault::engine(&host.name))
    };
    limited(&host.name, LOOK, ask).await
}

/// One row per content that is a node's or in use, in order of its names.
fn gathered(answered: &[(HostName, Vec<ImageSummary>)], clusters: &[Cluster]) -> Vec<Image> {
    let mut users: BTreeMap<&str, Vec<&Cluster>> = BTreeMap::new();
    for cluster in clusters {
        users.entry(&cluster.image_id).or_default().push(cluster);
    }
    let mut rows: BTreeMap<&str, Image> = BTreeMap::new();
    for (host, images) in answered {
        for image in images {
            let of = users.get(image.id.as_str()).map_or(&[][..], Vec::as_slice);
            if of.is_empty() && !image.labels.contains_key(SUITE) && !image.labels.contains_key(SLURM_VERSION)
            {
                continue;
            }
            let row = rows.entry(&image.id).or_insert_with(|| listed(image, of));
            row.hosts.push(host.to_string());
            let tags = image.repo_tags.iter().filter(|tag| *tag != "<none>:<none>").cloned();
            row.references.extend(tags);
            row.references.sort();
            row.references.dedup();
        }
    }
    // In use, and on no host that answered.
    for (id, of) in &users {
        rows.entry(id).or_insert_with(|| unlisted(id, of));
    }
    let mut images: Vec<Image> = rows.into_values().collect();
    for row in &mut images {
        let hosts = answered.iter().map(|(host, _)| host.to_string());
        row.missing = hosts.filter(|host| !row.hosts.contains(host)).collect();
    }
    images.sort_by(|a, b| (&a.references, &a.image_id).cmp(&(&b.references, &b.image_id)));
    images
}

fn listed(image: &ImageSummary, of: &[&Cluster]) -> Image {
    let label = |key: &str| image.labels.get(key).cloned();
    let known = unlisted(&image.id, of);
    Image {
        size_bytes: Some(image.size.0).filter(|size| *size > 0),
        slurm_version: label(SLURM_VERSION).or(known.slurm_version),
        suite: label(SUITE),
        ..known
    }
}

/// What the store alone knows of an image that clusters run.
fn unlisted(id: &str, of: &[&Cluster]) -> Image {
    let references: BTreeSet<_> = of.iter().map(|c| c.spec.image.clone()).collect();
    Image {
        image_id: id.to_owned(),
        references: references.into_iter().collect(),
        slurm_version: of.iter().find_map(|c| c.slurm_version.clone()),
        clusters: of.iter().map(|c| format!("{}/{}", c.spec.realm, c.spec.name)).collect(),
        ..Image::default()
    }
}

#[cfg(test)]
mod tests {
    use shoal_types::Bytes;

    use super::*;

    #[test]
    fn one_row_per_content_with_who_has_it_and_who_has_not() {
        let host = |name: &str| name.parse::<HostName>().unwrap();
        let image = |id: &str, tag: &str, node: bool| ImageSummary {
            id: id.into(),
            labels: node.then(|| (SUITE.to_owned(), "trixie".to_owned())).into_iter().collect(),
            repo_tags: vec![tag.into()],
            size: Bytes(7),
        };
        let answered = [
            (host("h1"), vec![image("sha256:a", "n:1", true), image("sha256:z", "postgres:17", false)]),
            (host("h2"), vec![image("sha256:a", "<none>:<none>", true), image("sha256:b", "a:1", true)]),
        ];
        let rows = gathered(&answered, &[]);
        let shown: Vec<_> = rows
            .iter()
            .map(|r| (&*r.image_id, format!("{:?} {:?} {:?}", r.references, r.hosts, r.missing)))
            .collect();
        assert_eq!(
            shown,
            [
                ("sha256:b", format!("{:?} {:?} {:?}", ["a:1"], ["h2"], ["h1"])),
                ("sha256:a", format!("{:?} {:?} {:?}", ["n:1"], ["h1", "h2"], [""; 0])),
            ]
        );
        assert_eq!(rows[0].suite.as_deref(), Some("trixie"));
    }
}
