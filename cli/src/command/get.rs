//! `shoal get`: what is there.

use clap::{Args, Subcommand};
use clap_complete::ArgValueCandidates;
use jiff::tz::TimeZone;
use serde::Serialize;
use shoal_proto::v1::{
    GetClusterRequest, Image, ListClusterNetworksRequest, ListClustersRequest, ListEventsRequest,
    ListHostsRequest, ListImagesRequest, ListNodesRequest, ListRegistriesRequest,
};
use shoal_types::{ClusterName, LabelExpr, natural};

use super::ssh_config;
use crate::{
    args::Global,
    complete,
    connect::Session,
    error::CliError,
    exit::Exit,
    interrupt::Interrupt,
    output::{
        ClusterJson, EventJson, HostJson, ImagesJson, NetworkJson, NodeJson, RegistryJson, cluster_text,
        clusters_table, events_table, hosts_table, images_table, networks_table, nodes_table,
        registries_table, sorted,
    },
    parse::word,
};

/// Arguments of `get`.
#[derive(Debug, Args)]
pub(crate) struct Get {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Registered hosts
    Hosts {
        /// Only hosts that satisfy this label expression, such as rack=b or 'rack in (a,b)'; may be repeated
        #[arg(long = "label", value_name = "EXPRESSION", value_parser = word::<LabelExpr>)]
        labels: Vec<LabelExpr>,
    },
    /// Clusters of the realm
    Clusters,
    /// Nodes of a cluster, or of every cluster of the realm
    Nodes {
        /// The cluster
        #[arg(value_parser = word::<ClusterName>, add = ArgValueCandidates::new(complete::clusters))]
        cluster: Option<ClusterName>,
    },
    /// One cluster, with its nodes and network
    Cluster {
        /// The cluster
        #[arg(value_parser = word::<ClusterName>, add = ArgValueCandidates::new(complete::clusters))]
        name: ClusterName,
    },
    /// Node images, with the hosts that have or lack them and the clusters that run them
    ///
    /// Shoal asks every host anew. Hosts without an answer are named below the list.
    Images,
    /// Registries with known credentials; passwords are never shown
    Registries,
    /// Networks of the realm's clusters
    Networks,
    /// Configuration for ssh, scp, sftp, rsync and Ansible: one Host block per node
    ///
    /// A node is named NODE.CLUSTER, or NODE.CLUSTER.REALM in another realm than `default`, and by its full name. Its exact host
    /// key and the cluster's own key are written below the state directory. The printed text is for `ssh -F` or an `Include`;
    /// with --write Shoal keeps a file of it.
    SshConfig(ssh_config::SshConfig),
    /// Events of a cluster, or of the realm and all hosts
    Events {
        /// The cluster
        #[arg(value_parser = word::<ClusterName>, add = ArgValueCandidates::new(complete::clusters))]
        cluster: Option<ClusterName>,
    },
}

impl Get {
    pub(super) async fn run(self, global: &Global, interrupt: &Interrupt) -> Result<Exit, CliError> {
        let realm = global.realm(None)?.to_string();
        Session::within(global, interrupt, async |session| show(self.what, realm, session, global).await)
            .await?;
        Ok(Exit::Ok)
    }
}

fn named(cluster: Option<ClusterName>) -> String {
    cluster.map(|name| name.to_string()).unwrap_or_default()
}

fn all<T: Serialize, M: Into<T>>(messages: Vec<M>) -> Vec<T> {
    messages.into_iter().map(Into::into).collect()
}

async fn show(what: What, realm: String, session: &Session, global: &Global) -> Result<(), CliError> {
    let screen = global.screen();
    match what {
        What::Hosts { labels } => {
            let label_exprs = labels.iter().map(ToString::to_string).collect();
            let answer = session.hosts().list_hosts(ListHostsRequest { label_exprs }).await?;
            let mut hosts = answer.into_inner().hosts;
            hosts.sort_by(|a, b| natural::cmp(&a.name, &b.name));
            let names: Vec<_> = hosts.iter().map(|host| host.name.clone()).collect();
            screen.named(&all::<HostJson, _>(hosts.clone()), names, |width, detail| {
                hosts_table(width, detail, &hosts)
            })
        }
        What::Clusters => {
            let answer = session.clusters().list_clusters(ListClustersRequest { realm }).await?;
            let mut clusters = answer.into_inner().clusters;
            clusters.sort_by(|a, b| natural::cmp(&a.name, &b.name));
            let names: Vec<_> = clusters.iter().map(|cluster| cluster.name.clone()).collect();
            screen.named(&all::<ClusterJson, _>(clusters.clone()), names, |width, detail| {
                clusters_table(width, detail, &clusters)
            })
        }
        What::Nodes { cluster } => {
            let request = ListNodesRequest { realm, cluster: named(cluster) };
            let mut nodes = session.clusters().list_nodes(request).await?.into_inner().nodes;
            nodes.sort_by(|a, b| {
                natural::cmp(&a.cluster, &b.cluster).then_with(|| natural::cmp(&a.name, &b.name))
            });
            let names: Vec<_> = nodes.iter().map(|node| format!("{}.{}", node.name, node.cluster)).collect();
            screen.named(&all::<NodeJson, _>(nodes.clone()), names, |width, detail| {
                nodes_table(width, detail, &nodes)
            })
        }
        What::Cluster { name } => {
            let request = GetClusterRequest { realm, name: name.to_string() };
            let answer = session.clusters().get_cluster(request).await?.into_inner();
            let mut cluster = answer.cluster.ok_or(CliError::Answer { missing: "the cluster" })?;
            cluster.nodes.sort_by(|a, b| natural::cmp(&a.name, &b.name));
            screen.named(&ClusterJson::from(cluster.clone()), [cluster.name.clone()], |width, detail| {
                cluster_text(width, detail, &cluster)
            })
        }
        What::SshConfig(command) => command.show(session, global).await,
        What::Images => {
            let answer = session.images().list_images(ListImagesRequest {}).await?.into_inner();
            let answer = sorted(answer);
            let called = |image: &Image| image.references.first().unwrap_or(&image.image_id).clone();
            let names: Vec<_> = answer.images.iter().map(called).collect();
            screen.named(&ImagesJson::from(answer.clone()), names, |width, _| images_table(width, &answer))
        }
        What::Registries => {
            let answer = session.registries().list_registries(ListRegistriesRequest {}).await?;
            let registries = answer.into_inner().registries;
            let names: Vec<_> = registries.iter().map(|registry| registry.registry.clone()).collect();
            screen.named(&all::<RegistryJson, _>(registries.clone()), names, |width, _| {
                registries_table(width, &registries)
            })
        }
        What::Networks => {
            let answer = session.clusters().list_networks(ListClusterNetworksRequest { realm }).await?;
            let mut networks = answer.into_inner().networks;
            networks.sort_by(|a, b| natural::cmp(&a.cluster, &b.cluster));
            // A network is known by its cluster.
            let names: Vec<_> = networks.iter().map(|network| network.cluster.clone()).collect();
            screen.named(&all::<NetworkJson, _>(networks.clone()), names, |width, detail| {
                networks_table(width, detail, &networks)
            })
        }
        What::Events { cluster } => {
            let request = ListEventsRequest { realm, cluster: named(cluster), after_seq: 0, wait_ms: 0 };
            let events = session.clusters().list_events(request).await?.into_inner().events;
            let zone = TimeZone::system();
            // Nothing else names an event.
            let names: Vec<_> = events.iter().map(|event| event.seq.to_string()).collect();
            screen.named(&all::<EventJson, _>(events.clone()), names, |width, detail| {
                events_table(width, detail, &events, &zone)
            })
        }
    }
}
