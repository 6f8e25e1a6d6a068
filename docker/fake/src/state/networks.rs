//! Networks and who has which address on them.

use std::{collections::BTreeMap, net::Ipv4Addr};

use ipnet::Ipv4Net;
use rand::RngCore as _;
use shoal_docker::{
    EngineEvent, LabelFilter, NetworkAction, NetworkEvent, NetworkInfo, NetworkSpec, Subject,
};
use shoal_types::{MacAddr, Timestamp};

use super::State;
use crate::{Refusal, Release};

/// A network.
pub(crate) struct Network {
    pub(crate) info: NetworkInfo,
    /// What its own IPAM draws from.
    range: Option<Ipv4Net>,
    /// Address -> container that has it.
    taken: BTreeMap<Ipv4Addr, u64>,
    predefined: bool,
}

impl State {
    /// What every engine has from its first start.
    pub(crate) fn predefined_networks(&mut self) {
        let subnet = Ipv4Net::new_assert(Ipv4Addr::new(172, 17, 0, 0), 16);
        for (name, driver) in [("bridge", "bridge"), ("host", "host"), ("none", "null")] {
            let is_bridge = name == "bridge";
            let info = NetworkInfo {
                id: self.id(),
                name: name.into(),
                labels: BTreeMap::new(),
                driver: driver.into(),
                subnets: is_bridge.then_some(subnet).into_iter().collect(),
                gateway: is_bridge.then_some(Ipv4Addr::new(172, 17, 0, 1)),
                mtu: is_bridge.then_some(1500),
                bridge: is_bridge.then(|| "docker0".to_owned()),
                created: None,
            };
            let range = is_bridge.then_some(subnet);
            let number = self.number();
            self.networks.insert(number, Network { info, range, taken: BTreeMap::new(), predefined: true });
        }
    }

    pub(crate) fn list_networks(&self, filter: &LabelFilter) -> Vec<NetworkInfo> {
        let all = self.networks.values().map(|network| &network.info);
        all.filter(|info| filter.matches(&info.labels)).cloned().collect()
    }

    /// By id, by name, by the beginning of an id that only one has: in this order.
    pub(crate) fn seek_network(&self, reference: &str) -> Result<u64, Refusal> {
        if let Some((number, _)) = self.networks.iter().find(|(_, network)| network.info.id == reference) {
            return Ok(*number);
        }
        let only = |fits: &dyn Fn(&NetworkInfo) -> bool| -> Result<Option<u64>, Refusal> {
            let found: Vec<u64> =
                self.networks.iter().filter(|(_, n)| fits(&n.info)).map(|(number, _)| *number).collect();
            match found.as_slice() {
                [] => Ok(None),
                [one] => Ok(Some(*one)),
                many => Err(Refusal::BadRequest(format!(
                    "network {reference} is ambiguous ({} matches found on name)",
                    many.len()
                ))),
            }
        };
        let by_name = only(&|info| info.name == reference)?;
        let found = match by_name {
            Some(number) => Some(number),
            None => only(&|info| info.id.starts_with(reference))?,
        };
        found.ok_or_else(|| Refusal::missing(Subject::Network(reference.to_owned())))
    }

    pub(crate) fn create_network(&mut self, spec: &NetworkSpec, now: Timestamp) -> Result<String, Refusal> {
        let mut all = self.networks.values().map(|network| &network.info);
        // 20.10 makes a second network of one name without complaint.
        if self.release == Release::V28_5 && all.clone().any(|info| info.name == spec.name) {
            return Err(Refusal::NameInUse);
        }
        let overlaps = |other: &Ipv4Net| other.contains(&spec.subnet) || spec.subnet.contains(other);
        if all.clone().any(|info| info.subnets.iter().any(overlaps)) {
            return Err(Refusal::PoolOverlap);
        }
        if all.any(|info| info.bridge.as_ref() == Some(&spec.bridge)) {
            return Err(Refusal::Conflict("networks have same bridge name".into()));
        }
        let (number, id) = (self.number(), self.id());
        let info = NetworkInfo {
            id: id.clone(),
            name: spec.name.clone(),
            labels: spec.labels.clone(),
            driver: "bridge".into(),
            subnets: vec![spec.subnet],
            gateway: Some(spec.gateway),
            mtu: Some(spec.mtu),
            bridge: Some(spec.bridge.clone()),
            created: Some(now),
        };
        let range = Some(spec.ip_range);
        self.networks.insert(number, Network { info, range, taken: BTreeMap::new(), predefined: false });
        Ok(id)
    }

    pub(crate) fn remove_network(&mut self, reference: &str, now: Timestamp) -> Result<(), Refusal> {
        let number = self.seek_network(reference)?;
        let Some(network) = self.networks.get(&number) else { return Ok(()) };
        if network.predefined {
            return Err(Refusal::BadRequest(format!(
                "{} is a pre-defined network and cannot be removed",
                network.info.name
            )));
        }
        if !network.taken.is_empty() {
            let words = format!("network {} id {} has active endpoints", network.info.name, network.info.id);
            return Err(Refusal::Conflict(words));
        }
        self.happened_to_network(number, NetworkAction::Destroy, now);
        self.networks.remove(&number);
        Ok(())
    }

    /// Tells the subscribers what happened to a network.
    pub(crate) fn happened_to_network(&mut self, number: u64, action: NetworkAction, at: Timestamp) {
        let Some(network) = self.networks.get(&number) else { return };
        let (id, name) = (network.info.id.clone(), network.info.name.clone());
        self.tell(&EngineEvent::Network(NetworkEvent { id, name, action, at }));
    }

    /// Gives a container this address, or one of the network's own range.
    pub(crate) fn take_address(
        &mut self,
        number: u64,
        wanted: Option<Ipv4Addr>,
        container: u64,
    ) -> Result<Ipv4Addr, Refusal> {
        let Some(network) = self.networks.get_mut(&number) else { return Err(Refusal::NotFound(None)) };
        let gateway = network.info.gateway;
        let subnet = network.info.subnets.first().copied();
        let is_free = |address: &Ipv4Addr| {
            !network.taken.contains_key(address)
                && Some(*address) != gateway
                && subnet.is_none_or(|s| *address != s.network() && *address != s.broadcast())
        };
        let address = match wanted {
            Some(address) if subnet.is_some_and(|subnet| !subnet.contains(&address)) => {
                let words = format!("no configured subnet contains IP address {address}");
                return Err(Refusal::BadRequest(words));
            }
            Some(address) => Some(address).filter(is_free).ok_or(Refusal::AddressInUse)?,
            None => {
                let whole = |range: Ipv4Net| range.network().to_bits()..=range.broadcast().to_bits();
                let free = network.range.into_iter().flat_map(whole).map(Ipv4Addr::from_bits).find(is_free);
                let none = "no available IPv4 addresses on this network's address pools";
                free.ok_or_else(|| Refusal::ServerError(500, none.into()))?
            }
        };
        network.taken.insert(address, container);
        Ok(address)
    }

    /// Takes back what a container has.
    pub(crate) fn release_addresses(&mut self, container: u64) {
        for network in self.networks.values_mut() {
            network.taken.retain(|_, holder| *holder != container);
        }
    }

    /// Engines up to 27 derive the MAC from the address, later ones draw it.
    pub(crate) fn draw_mac(&mut self, address: Ipv4Addr) -> MacAddr {
        match self.release {
            Release::V20_10 => MacAddr::of(address),
            Release::V28_5 => {
                let mut mac = [0; 6];
                self.rng.fill_bytes(&mut mac);
                // Locally administered, of one station (IEEE 802-2014, 8.2).
                mac[0] = (mac[0] & 0xfc) | 2;
                MacAddr(mac)
            }
        }
    }
}
