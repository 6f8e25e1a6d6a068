//! Bridge networks.

use std::collections::HashMap;

use bollard::{
    models::{Ipam, IpamConfig, Network, NetworkCreateRequest},
    query_parameters::ListNetworksOptionsBuilder,
};
use ipnet::Ipv4Net;

use super::{
    Docker,
    call::Call,
    containers::{removal, timestamp},
};
use crate::{CallClass, EngineError, LabelFilter, NetworkInfo, NetworkSpec, Removal, Subject};

/// Options of the bridge driver (docs.docker.com, engine/network/drivers/bridge).
const OPTION_MTU: &str = "com.docker.network.driver.mtu";
const OPTION_BRIDGE: &str = "com.docker.network.bridge.name";

impl Docker {
    pub(super) async fn networks(&self, filter: &LabelFilter) -> Result<Vec<NetworkInfo>, EngineError> {
        let call = Call::new("list networks", Subject::Engine, CallClass::Read);
        let options =
            filter.to_query().map(|filters| ListNetworksOptionsBuilder::default().filters(&filters).build());
        self.list(&call, "/networks", options, |network| self.network(&call, network)).await
    }

    fn network(&self, call: &Call, network: Network) -> Result<NetworkInfo, EngineError> {
        let id = self.need(call, "Id", network.id)?;
        let driver = self.need(call, "Driver", network.driver)?;
        let options = network.options.unwrap_or_default();
        let configs = network.ipam.and_then(|ipam| ipam.config).unwrap_or_default();
        // The driver's own choice: `br-` and the first twelve digits of the id.
        let by_id =
            || (driver == "bridge").then(|| format!("br-{}", id.chars().take(12).collect::<String>()));
        Ok(NetworkInfo {
            name: self.need(call, "Name", network.name)?,
            labels: network.labels.unwrap_or_default().into_iter().collect(),
            subnets: configs.iter().filter_map(|c| c.subnet.as_ref()?.parse::<Ipv4Net>().ok()).collect(),
            gateway: configs.iter().find_map(|c| c.gateway.as_ref()?.parse().ok()),
            mtu: options.get(OPTION_MTU).and_then(|mtu| mtu.parse().ok()),
            bridge: options.get(OPTION_BRIDGE).cloned().or_else(by_id),
            created: network.created.as_deref().and_then(timestamp),
            id,
            driver,
        })
    }

    pub(super) async fn make_network(&self, spec: &NetworkSpec) -> Result<String, EngineError> {
        let call = Call::new("create network", Subject::Network(spec.name.clone()), CallClass::Write);
        let pool = IpamConfig {
            subnet: Some(spec.subnet.to_string()),
            gateway: Some(spec.gateway.to_string()),
            ip_range: Some(spec.ip_range.to_string()),
            auxiliary_addresses: None,
        };
        let request = NetworkCreateRequest {
            name: spec.name.clone(),
            driver: Some("bridge".to_owned()),
            labels: Some(spec.labels.clone().into_iter().collect()),
            ipam: Some(Ipam { driver: None, config: Some(vec![pool]), options: None }),
            options: Some(HashMap::from([
                (OPTION_MTU.to_owned(), spec.mtu.to_string()),
                (OPTION_BRIDGE.to_owned(), spec.bridge.clone()),
            ])),
            ..NetworkCreateRequest::default()
        };
        Ok(self.call(&call, self.bollard.create_network(request)).await?.id)
    }

    pub(super) async fn drop_network(&self, id: &str) -> Result<Removal, EngineError> {
        let call = Call::new("remove network", Subject::Network(id.to_owned()), CallClass::Write);
        removal(self.call(&call, self.bollard.remove_network(id)).await)
    }
}
