//! `shoal get`: what is there.

use clap::{Args, Subcommand};
use clap_complete::ArgValueCandidates;
use jiff::tz::TimeZone;
use shoal_api::{Client, EventJson, Image};
use shoal_types::{ClusterName, LabelExpr, RealmName, natural};

use super::{installation, ssh_config, users};
use crate::{
    args::Global,
    complete,
    connect::Session,
    error::CliError,
    exit::Exit,
    interrupt::Interrupt,
    output::{
        cluster_text, clusters_table, events_table, hosts_table, images_table, networks_table, nodes_table,
        registries_table,
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
    /// What holds for the whole installation: its id, and where subnets of clusters come from
    Installation,
    /// Users of servers elsewhere, the revoked ones too
    Users,
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
        let realm = global.realm(None)?;
        Session::within(global, interrupt, async |client| show(self.what, &realm, client, global).await)
            .await?;
        Ok(Exit::Ok)
    }
}

async fn show(what: What, realm: &RealmName, client: &Client, global: &Global) -> Result<(), CliError> {
    let screen = global.screen();
    match what {
        What::Hosts { labels } => {
            let mut hosts = client.list_hosts(&labels).await?;
            hosts.sort_by(|a, b| natural::cmp(&a.name, &b.name));
            let names = hosts.iter().map(|host| host.name.clone());
            screen.named(&hosts, names, |width, detail| hosts_table(width, detail, &hosts))
        }
        What::Clusters => {
            let mut clusters = client.list_clusters(realm).await?;
            clusters.sort_by(|a, b| natural::cmp(&a.name, &b.name));
            let names = clusters.iter().map(|cluster| cluster.name.clone());
            screen.named(&clusters, names, |width, detail| clusters_table(width, detail, &clusters))
        }
        What::Nodes { cluster } => {
            let mut nodes = client.list_nodes(realm, cluster.as_ref()).await?;
            nodes.sort_by(|a, b| {
                natural::cmp(&a.cluster, &b.cluster).then_with(|| natural::cmp(&a.name, &b.name))
            });
            let names = nodes.iter().map(|node| format!("{}.{}", node.name, node.cluster));
            screen.named(&nodes, names, |width, detail| nodes_table(width, detail, &nodes))
        }
        What::Cluster { name } => {
            let cluster = client.get_cluster(realm, &name).await?;
            let names = [cluster.name.clone()];
            screen.named(&cluster, names, |width, detail| cluster_text(width, detail, &cluster))
        }
        What::SshConfig(command) => command.show(client, global).await,
        What::Images => {
            let answer = client.list_images().await?;
            let called = |image: &Image| image.references.first().unwrap_or(&image.image_id).clone();
            let names = answer.images.iter().map(called);
            screen.named(&answer, names, |width, _| images_table(width, &answer))
        }
        What::Registries => {
            let registries = client.list_registries().await?;
            let names = registries.iter().map(|registry| registry.registry.clone());
            screen.named(&registries, names, |width, _| registries_table(width, &registries))
        }
        What::Installation => {
            let installation = client.installation().await?;
            let names = [installation.id.clone()];
            screen.named(&installation, names, |_, _| installation::text(&installation))
        }
        What::Users => users::show(client, global).await,
        What::Networks => {
            let mut networks = client.list_networks(realm).await?;
            networks.sort_by(|a, b| natural::cmp(&a.cluster, &b.cluster));
            // A network is known by its cluster.
            let names = networks.iter().map(|network| network.cluster.clone());
            screen.named(&networks, names, |width, detail| networks_table(width, detail, &networks))
        }
        What::Events { cluster } => {
            let events = client.list_events(realm, cluster.as_ref(), 0, 0).await?;
            let zone = TimeZone::system();
            let published: Vec<_> = events.iter().map(EventJson::from).collect();
            // Nothing else names an event.
            let names = events.iter().map(|event| event.seq.to_string());
            screen.named(&published, names, |width, detail| events_table(width, detail, &events, &zone))
        }
    }
}
