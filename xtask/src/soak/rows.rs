//! The store, as it is after a step: read by its own code, into plain rows.

use std::{collections::BTreeMap, net::Ipv4Addr, path::Path};

use anyhow::Context;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use shoal_storage::{SealingKey, Store, StoreUrl};
use shoal_types::{Clock, ClusterPhase, SystemClock, Timestamp};

/// What the store says.
#[derive(Debug, Clone, Default)]
pub(super) struct Rows {
    /// Short id of the installation.
    pub(super) installation: String,
    /// Clusters, by id.
    pub(super) clusters: BTreeMap<String, ClusterRow>,
    /// Nodes.
    pub(super) nodes: Vec<NodeRow>,
    /// What is remembered as left behind.
    pub(super) remnants: Vec<RemnantRow>,
    /// Unexpired leases: resource and holder.
    pub(super) leases: Vec<LeaseRow>,
}

/// A cluster and its network.
#[derive(Debug, Clone)]
pub(super) struct ClusterRow {
    /// Its name.
    pub(super) name: String,
    /// Its phase.
    pub(super) phase: ClusterPhase,
    /// Its network's VNI; `None` if it has no network.
    pub(super) vni: Option<u32>,
}

/// A node.
#[derive(Debug, Clone)]
pub(super) struct NodeRow {
    /// Its id.
    pub(super) id: String,
    /// Its cluster's id.
    pub(super) cluster: String,
    /// Its name.
    pub(super) name: String,
    /// Its host's name.
    pub(super) host: String,
    /// Its address.
    pub(super) address: Ipv4Addr,
    /// Its MAC address.
    pub(super) mac: String,
    /// Which container is meant.
    pub(super) generation: String,
    /// What it reserves.
    pub(super) memory_bytes: u64,
}

/// Something left on a host that could not be reached.
#[derive(Debug, Clone)]
pub(super) struct RemnantRow {
    /// The host's name.
    pub(super) host: String,
    /// The cluster's id.
    pub(super) cluster: String,
    /// Its network's VNI.
    pub(super) vni: u32,
    /// Since when.
    pub(super) since: Timestamp,
    /// Why.
    pub(super) reason: String,
}

/// A lease that runs.
#[derive(Debug, Clone)]
pub(super) struct LeaseRow {
    /// What it is on.
    pub(super) resource: String,
    /// Its holder's process.
    pub(super) pid: u32,
    /// Whether that process lives.
    pub(super) lives: bool,
}

impl Rows {
    /// Reads the store of a state directory.
    ///
    /// # Errors
    /// It cannot be opened or read.
    pub(super) fn read(state: &Path) -> anyhow::Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(Self::open(state)).context("the store")
    }

    async fn open(state: &Path) -> anyhow::Result<Self> {
        let key = SealingKey::load(&state.join("key"))?;
        let now = SystemClock.now();
        // For the id of a new store, which this is not.
        let mut rng = ChaCha8Rng::seed_from_u64(0);
        let store = Store::open(&StoreUrl::file(state.join("shoal.db")), key, now, &mut rng).await?;
        let rows = Self::of(&store).await;
        store.close().await;
        rows
    }

    async fn of(store: &Store) -> anyhow::Result<Self> {
        let mut read = store.read().await?;
        let hosts: BTreeMap<_, _> =
            read.hosts().list().await?.into_iter().map(|host| (host.id, host.name.to_string())).collect();
        let host = |id| hosts.get(&id).cloned().unwrap_or_else(|| format!("no host {id}"));
        let vnis: BTreeMap<_, _> =
            read.networks().list().await?.into_iter().map(|net| (net.id, net.vni.get())).collect();
        let networks = read.networks().attachments().await?;
        let clusters = read.clusters().list().await?.into_iter().map(|cluster| {
            let (name, vni) = (
                cluster.spec.name.to_string(),
                networks.get(&cluster.id).and_then(|id| vnis.get(id)).copied(),
            );
            (cluster.id.to_string(), ClusterRow { name, phase: cluster.phase, vni })
        });
        let clusters = clusters.collect();
        let nodes = read.nodes().list().await?.into_iter().map(|node| NodeRow {
            id: node.id.to_string(),
            cluster: node.cluster.to_string(),
            name: node.name.to_string(),
            host: host(node.host),
            address: node.address,
            mac: node.mac.to_string(),
            generation: node.generation.to_string(),
            memory_bytes: node.size.reserve.memory.0,
        });
        let nodes = nodes.collect();
        let remnants = read.remnants().list().await?.into_iter();
        let remnants = remnants.map(|left| RemnantRow {
            host: host(left.what.host),
            cluster: left.what.cluster.to_string(),
            vni: left.what.vni.get(),
            since: left.what.since,
            reason: left.what.reason,
        });
        let remnants = remnants.collect();
        let now = SystemClock.now();
        let leases = read.leases().list().await?.into_iter().filter(|lease| lease.runs_at(now));
        let leases = leases.map(|lease| LeaseRow {
            resource: lease.resource.to_string(),
            pid: lease.holder.pid,
            lives: lease.holder.lives(),
        });
        let leases = leases.collect();
        Ok(Self { installation: store.installation().to_string(), clusters, nodes, remnants, leases })
    }

    /// A cluster's id and row, by its name.
    pub(super) fn cluster(&self, name: &str) -> Option<(&str, &ClusterRow)> {
        let found = self.clusters.iter().find(|(_, cluster)| cluster.name == name);
        found.map(|(id, cluster)| (id.as_str(), cluster))
    }

    /// The phase of a cluster, if it is there.
    pub(super) fn phase(&self, name: &str) -> Option<ClusterPhase> {
        self.cluster(name).map(|(_, cluster)| cluster.phase)
    }

    /// The nodes of a cluster, by its id.
    pub(super) fn nodes_of<'a>(&'a self, cluster: &'a str) -> impl Iterator<Item = &'a NodeRow> {
        self.nodes.iter().filter(move |node| node.cluster == cluster)
    }

    /// Is there, or was there left, something of a cluster on a host?
    pub(super) fn explains(&self, host: &str, cluster: &str) -> bool {
        self.nodes_of(cluster).any(|node| node.host == host) || self.remembers(host, cluster)
    }

    /// Is something of a cluster remembered as left on a host?
    pub(super) fn remembers(&self, host: &str, cluster: &str) -> bool {
        self.remnants.iter().any(|left| left.host == host && left.cluster == cluster)
    }

    /// Does a host have nodes of a cluster of this name?
    pub(super) fn is_member(&self, host: &str, name: &str) -> bool {
        self.cluster(name).is_some_and(|(id, _)| self.nodes_of(id).any(|node| node.host == host))
    }
}
