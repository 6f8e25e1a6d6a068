//! Node images as shown: what the engines of all hosts list now, one row per content.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use futures_util::{FutureExt, future::join_all};
use shoal_docker::{ImageSummary, LabelFilter};
use shoal_storage::{Cluster, Host};
use shoal_types::{Bytes, HostName};

use crate::{
    fleet::{coordinator::Coordinator, liveness::limited},
    words::fault::Fault,
};

/// How long a host may take to list its images.
const LOOK: Duration = Duration::from_secs(8);
/// Labels of node images, as they are built.
const SLURM_VERSION: &str = "shoal.slurm.version";
const SUITE: &str = "shoal.image.suite";

/// An image of nodes: one content.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct NodeImage {
    /// Its content digest.
    pub(crate) id: String,
    /// What it is called, on hosts and by clusters.
    pub(crate) references: BTreeSet<String>,
    pub(crate) size: Bytes,
    pub(crate) slurm_version: String,
    pub(crate) suite: String,
    /// Clusters that run it, `REALM/NAME`.
    pub(crate) clusters: Vec<String>,
    /// Hosts that have it, and hosts that answered and have not.
    pub(crate) hosts: Vec<HostName>,
    pub(crate) missing: Vec<HostName>,
}

/// Images, and hosts that did not list theirs: why.
#[derive(Debug)]
pub(crate) struct ImageList {
    pub(crate) images: Vec<NodeImage>,
    pub(crate) silent: Vec<(HostName, Fault)>,
}

/// Node images and images of clusters, by host.
pub(crate) async fn node_images(coordinator: &Coordinator) -> Result<ImageList, Fault> {
    let mut read = coordinator.store.read().await?;
    let hosts = read.hosts().list().await?;
    let clusters = read.clusters().list().await?;
    drop(read);
    let lists = join_all(hosts.iter().map(|host| images_of(coordinator, host).boxed())).await;
    let mut silent = Vec::new();
    let mut answered = Vec::new();
    for (host, listed) in hosts.iter().zip(lists) {
        match listed {
            Ok(images) => answered.push((host.name.clone(), images)),
            Err(fault) => silent.push((host.name.clone(), fault)),
        }
    }
    Ok(ImageList { images: gathered(&answered, &clusters), silent })
}

async fn images_of(coordinator: &Coordinator, host: &Host) -> Result<Vec<ImageSummary>, Fault> {
    let ask = async {
        let link = coordinator.fleet.link(&coordinator.store, host).await?;
        link.engine.list_images(&LabelFilter::all()).await.map_err(Fault::engine(&host.name))
    };
    limited(&host.name, LOOK, ask).await
}

/// One row per content that is a node's or in use, in order of its names.
fn gathered(answered: &[(HostName, Vec<ImageSummary>)], clusters: &[Cluster]) -> Vec<NodeImage> {
    let mut users: BTreeMap<&str, Vec<&Cluster>> = BTreeMap::new();
    for cluster in clusters {
        users.entry(&cluster.image_id).or_default().push(cluster);
    }
    let mut rows: BTreeMap<&str, NodeImage> = BTreeMap::new();
    for (host, images) in answered {
        for image in images {
            let of = users.get(image.id.as_str()).map_or(&[][..], Vec::as_slice);
            if of.is_empty() && !image.labels.contains_key(SUITE) && !image.labels.contains_key(SLURM_VERSION)
            {
                continue;
            }
            let row = rows.entry(&image.id).or_insert_with(|| listed(image, of));
            row.hosts.push(host.clone());
            row.references.extend(image.repo_tags.iter().filter(|tag| *tag != "<none>:<none>").cloned());
        }
    }
    // In use, and on no host that answered.
    for (id, of) in &users {
        rows.entry(id).or_insert_with(|| unlisted(id, of));
    }
    let mut images: Vec<NodeImage> = rows.into_values().collect();
    for row in &mut images {
        let hosts = answered.iter().map(|(host, _)| host);
        row.missing = hosts.filter(|host| !row.hosts.contains(host)).cloned().collect();
    }
    images.sort_by(|a, b| (&a.references, &a.id).cmp(&(&b.references, &b.id)));
    images
}

fn listed(image: &ImageSummary, of: &[&Cluster]) -> NodeImage {
    let label = |key: &str| image.labels.get(key).cloned();
    let known = unlisted(&image.id, of);
    NodeImage {
        size: image.size,
        slurm_version: label(SLURM_VERSION).unwrap_or_else(|| known.slurm_version.clone()),
        suite: label(SUITE).unwrap_or_default(),
        ..known
    }
}

/// What the store alone knows of an image that clusters run.
fn unlisted(id: &str, of: &[&Cluster]) -> NodeImage {
    NodeImage {
        id: id.to_owned(),
        references: of.iter().map(|c| c.spec.image.clone()).collect(),
        slurm_version: of.iter().find_map(|c| c.slurm_version.clone()).unwrap_or_default(),
        clusters: of.iter().map(|c| format!("{}/{}", c.spec.realm, c.spec.name)).collect(),
        ..NodeImage::default()
    }
}

#[cfg(test)]
mod tests {
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
            .map(|r| (&*r.id, format!("{:?} {:?} {:?}", r.references, r.hosts, r.missing)))
            .collect();
        let hosts = |names: &[&str]| names.iter().map(|name| host(name)).collect::<Vec<_>>();
        assert_eq!(
            shown,
            [
                (
                    "sha256:b",
                    format!("{:?} {:?} {:?}", BTreeSet::from(["a:1"]), hosts(&["h2"]), hosts(&["h1"]))
                ),
                (
                    "sha256:a",
                    format!("{:?} {:?} {:?}", BTreeSet::from(["n:1"]), hosts(&["h1", "h2"]), hosts(&[]))
                ),
            ]
        );
        assert_eq!(rows[0].suite, "trixie");
    }
}
