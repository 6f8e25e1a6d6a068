//! The real content of the hosts, whatever their engines answer: tests compare it with the intent.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    fmt,
    net::Ipv4Addr,
    sync::Arc,
};

use shoal_docker::{ContainerSpec, ContainerState, ImageSummary, NetworkInfo, VolumeInfo};
use shoal_types::Timestamp;

use crate::Method;

/// What one host holds.
#[derive(Debug, Clone)]
pub struct Truth {
    /// Its containers, the oldest first.
    pub containers: Vec<ContainerTruth>,
    /// Its networks, the engine's own three first.
    pub networks: Vec<NetworkInfo>,
    /// Its volumes, in order of their names.
    pub volumes: Vec<VolumeInfo>,
    /// Its images, in order of their ids.
    pub images: Vec<ImageSummary>,
    /// How many calls of each kind reached it.
    pub calls: BTreeMap<Method, u64>,
    /// The most calls of [`Method::Start`] that were in flight at once.
    pub starts_in_flight_max: u64,
    /// What the engine has begun, or was asked for by callers that are gone, and has not done yet.
    pub pending: usize,
}

impl Truth {
    /// Whether a container with this name is there.
    #[must_use]
    pub fn container(&self, name: &str) -> Option<&ContainerTruth> {
        self.containers.iter().find(|container| container.spec.name == name)
    }

    /// Whether everything on it that carries `label` (with any value) is gone: containers, networks, volumes.
    #[must_use]
    pub fn is_free_of(&self, label: &str) -> bool {
        !self.containers.iter().any(|container| container.spec.labels.contains_key(label))
            && !self.networks.iter().any(|network| network.labels.contains_key(label))
            && !self.volumes.iter().any(|volume| volume.labels.contains_key(label))
    }
}

/// A container as it really is.
#[derive(Debug, Clone)]
pub struct ContainerTruth {
    /// Its id.
    pub id: Arc<str>,
    /// What it was made from: name, labels and all.
    pub spec: Arc<ContainerSpec>,
    /// Id of its image.
    pub image_id: String,
    /// Its state.
    pub state: ContainerState,
    /// Its address, while it runs.
    pub address: Option<Ipv4Addr>,
    /// How often it was started.
    pub runs: u64,
    /// Exit status of its last run, 0 if there was none.
    pub exit_code: i64,
}

/// Something that must never be, seen the moment it happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Violation {
    /// Containers of one network run with one address, on different hosts.
    AddressTwice {
        /// When the second one began.
        at: Timestamp,
        /// Name of the network.
        network: String,
        /// The address.
        address: Ipv4Addr,
        /// Who has it: `engine/container`, in order.
        holders: Vec<String>,
    },
    /// More starts in flight on one engine than allowed.
    Starts {
        /// Which engine.
        engine: Arc<str>,
        /// How many.
        in_flight: u64,
    },
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AddressTwice { at, network, address, holders } => {
                write!(f, "at {at}: {address} of network {network} is held by {}", holders.join(" and "))
            }
            Self::Starts { engine, in_flight } => write!(f, "{engine}: {in_flight} starts in flight"),
        }
    }
}

/// Watches all hosts at once.
#[derive(Debug, Default)]
pub(crate) struct Watch {
    /// (Network name, address) -> `engine/container`s that run with it.
    holders: HashMap<(String, Ipv4Addr), BTreeSet<String>>,
    pub(crate) violations: Vec<Violation>,
}

impl Watch {
    pub(crate) fn taken(&mut self, network: &str, address: Ipv4Addr, holder: String, at: Timestamp) {
        let holders = self.holders.entry((network.to_owned(), address)).or_default();
        holders.insert(holder);
        if holders.len() > 1 {
            let holders = holders.iter().cloned().collect();
            let network = network.to_owned();
            self.violations.push(Violation::AddressTwice { at, network, address, holders });
        }
    }

    pub(crate) fn free(&mut self, network: &str, address: Ipv4Addr, holder: &str) {
        let key = (network.to_owned(), address);
        if let Some(holders) = self.holders.get_mut(&key) {
            holders.remove(holder);
            if holders.is_empty() {
                self.holders.remove(&key);
            }
        }
    }
}
