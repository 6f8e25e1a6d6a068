//! The model: the expected clusters, and the host that is away. Store and hosts are compared with it.

use std::{collections::BTreeMap, fmt};

/// Names that clusters get; used again and again, so that what a cluster left would meet the next of its name.
pub(super) const NAMES: [&str; 6] = ["ada", "bob", "cid", "dan", "eve", "fay"];
/// Clusters alive at the same time.
pub(super) const ALIVE_MAX: usize = 3;

/// What should be.
#[derive(Debug, Clone, Default)]
pub(super) struct Model {
    /// Clusters, by name.
    pub(super) clusters: BTreeMap<String, Cluster>,
    /// The host that is not as it should be; one at a time.
    pub(super) away: Option<Away>,
    /// How many hosts there are.
    pub(super) hosts: usize,
    /// `shoal sweep` exists.
    pub(super) sweeps: bool,
    /// `shoal resume` exists.
    pub(super) resumes: bool,
}

/// A cluster that should be there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Cluster {
    /// How many workers it was asked for with.
    pub(super) workers: u32,
    /// How it should be.
    pub(super) should: Should,
    /// A host lost its nodes' processes: the cluster is there, and need not work.
    pub(super) wounded: bool,
}

/// How a cluster should be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Should {
    /// Ready.
    Ready,
    /// Failed, and kept.
    Failed,
    /// Half made or half removed: the next command that changes something finishes it, once its hosts are there.
    Open,
}

/// A host that is not as it should be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Away {
    /// Its number, from 0.
    pub(super) host: usize,
    /// What was done to it.
    pub(super) fault: Fault,
    /// For how many steps.
    pub(super) steps: u32,
}

/// What is done to a host.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Fault {
    /// Its engine is killed; its nodes live on.
    Engine,
    /// Its engine accepts connections and answers nothing; its nodes live on.
    Hang,
    /// Its power is cut.
    Power,
    /// Its cable is pulled.
    Cable,
}

impl Fault {
    /// Do the processes of its nodes end, at the latest when the host is back? An engine that starts again ends what
    /// lived on.
    pub(super) fn ends_nodes(self) -> bool {
        match self {
            Self::Engine | Self::Power => true,
            Self::Hang | Self::Cable => false,
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Engine => "engine killed",
            Self::Hang => "engine hung",
            Self::Power => "power cut",
            Self::Cable => "cable pulled",
        })
    }
}

impl Model {
    /// Names no cluster has.
    pub(super) fn free(&self) -> Vec<&'static str> {
        NAMES.into_iter().filter(|name| !self.clusters.contains_key(*name)).collect()
    }

    /// Clusters that should be ready.
    pub(super) fn ready(&self) -> impl Iterator<Item = (&str, &Cluster)> {
        let ready = |(_, cluster): &(&String, &Cluster)| cluster.should == Should::Ready;
        self.clusters.iter().filter(ready).map(|(name, cluster)| (name.as_str(), cluster))
    }

    /// Clusters that the next command finishes.
    pub(super) fn open(&self) -> Vec<String> {
        let open = |(_, cluster): &(&String, &Cluster)| cluster.should == Should::Open;
        self.clusters.iter().filter(open).map(|(name, _)| name.clone()).collect()
    }
}
