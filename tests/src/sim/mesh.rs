//! The agents' side of every host: the networks they keep and the devices the kernel has. It outlives coordinators; what is
//! kept goes with the agent's volume, devices go with the machine's power.
//!
//! As the real reconciler: a revision lower than the one kept is refused, an equal one must be equal; what is kept is durable
//! before the kernel is touched; a device needs Docker's bridge.

use std::{collections::BTreeMap, net::Ipv4Addr, sync::Arc};

use shoal_proto::v1::NetworkState;
use tokio::sync::watch;
use tonic::Status;

/// A VXLAN device with its entries.
#[derive(Debug, Clone, PartialEq)]
pub struct Device {
    /// Its network identifier.
    pub vni: u32,
    /// The network whose state it was made from.
    pub network: String,
    /// Where each member is: address -> underlay address of its host, empty for this one.
    pub members: BTreeMap<String, String>,
}

/// One host as its agent and its kernel have it.
#[derive(Debug, Clone, Default)]
pub struct HostMesh {
    /// Its address on the underlay.
    pub underlay: Option<Ipv4Addr>,
    /// What the agent's volume holds, network id -> state.
    pub kept: BTreeMap<String, NetworkState>,
    /// What the kernel holds, by name.
    pub devices: BTreeMap<String, Device>,
    /// Addresses that something has port 53 of.
    pub name_listeners: Vec<String>,
    /// How far its clock is ahead of the world's, in milliseconds.
    pub clock_ahead_ms: u64,
    /// Services that do not run in a node, by its name.
    pub stopped: BTreeMap<String, Vec<String>>,
    /// Where slurmctld listens on it, if not where it does by itself.
    pub slurmctld_port: Option<u16>,
    /// What the daemon of a node says before it ends, whenever it is started; by the node's name.
    pub refuses: BTreeMap<String, String>,
    /// A daemon that ends whenever systemd starts it goes on when it is run by hand.
    pub works_by_hand: bool,
    /// Largest packet that reaches it; none at all with 0.
    pub largest_packet: Option<u32>,
    /// The same for packets of one host, by its underlay address.
    pub largest_from: BTreeMap<Ipv4Addr, u32>,
    /// So many of the next packets to it are lost.
    pub loses: usize,
    /// Marks of packets that came for a check, by VNI.
    pub(crate) probes: BTreeMap<u32, Arc<watch::Sender<Vec<u32>>>>,
    /// Of the volume `kept` lies in.
    pub(crate) token: String,
}

impl HostMesh {
    /// As the agent's pass: what is kept is made so where it can be.
    pub fn pass(&mut self, bridges: &[String]) {
        for state in self.kept.values().cloned().collect::<Vec<_>>() {
            // The real one records it as the network's trouble.
            drop(self.realise(&state, bridges));
        }
    }

    pub(crate) fn apply(&mut self, offered: NetworkState, bridges: &[String]) -> Result<bool, Status> {
        let id = offered.network.clone();
        if offered.revision == 0 || offered.local.is_empty() {
            return Err(Status::invalid_argument("state.revision and state.local must be there"));
        }
        let mut new = true;
        if let Some(kept) = self.kept.get(&id) {
            if offered.revision < kept.revision {
                let text = format!("revision {} of {id} is older than {}", offered.revision, kept.revision);
                return Err(Status::failed_precondition(text));
            }
            new = offered.revision > kept.revision;
            if !new && *kept != offered {
                return Err(Status::failed_precondition(format!(
                    "another revision {} of {id}",
                    offered.revision
                )));
            }
        }
        let clash = |o: &&NetworkState| {
            o.network != id
                && (o.device == offered.device || o.bridge == offered.bridge || o.gateway == offered.gateway)
        };
        if let Some(other) = self.kept.values().find(clash) {
            return Err(Status::already_exists(format!("{id} claims what {} has", other.network)));
        }
        self.kept.insert(id, offered.clone());
        Ok(self.realise(&offered, bridges)? | new)
    }

    fn realise(&mut self, state: &NetworkState, bridges: &[String]) -> Result<bool, Status> {
        if !bridges.contains(&state.bridge) {
            return Err(Status::failed_precondition(format!("there is no bridge {}", state.bridge)));
        }
        if self.underlay.map(|a| a.to_string()).as_ref() != Some(&state.local) {
            return Err(Status::failed_precondition(format!("no interface has {}", state.local)));
        }
        if let Some((name, _)) =
            self.devices.iter().find(|(name, d)| d.vni == state.vni && **name != state.device)
        {
            return Err(Status::already_exists(format!("VNI {} is that of {name}", state.vni)));
        }
        let device = Device {
            vni: state.vni,
            network: state.network.clone(),
            members: state.members.iter().map(|m| (m.address.clone(), m.remote.clone())).collect(),
        };
        let before = self.devices.insert(state.device.clone(), device.clone());
        Ok(before != Some(device))
    }

    /// An empty `network`: a device that no state remembers.
    pub(crate) fn remove(&mut self, network: &str, device: &str) -> Result<bool, Status> {
        if network.is_empty()
            && let Some(kept) = self.kept.values().find(|k| k.device == device)
        {
            return Err(Status::failed_precondition(format!("{device} belongs to {}", kept.network)));
        }
        let kept = self.kept.remove(network);
        let device = kept.as_ref().map_or(device, |k| &k.device);
        Ok(self.devices.remove(device).is_some() | kept.is_some())
    }

    /// Devices that no kept network explains.
    pub(crate) fn strays(&self, installation: &str) -> Vec<String> {
        let explained = |name: &String| self.kept.values().any(|k| k.device == *name);
        self.devices.keys().filter(|name| name.contains(installation) && !explained(name)).cloned().collect()
    }
}
