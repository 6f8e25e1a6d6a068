//! The Docker network of a cluster on a host.

use shoal_docker::EngineError;
use shoal_storage::Network;
use shoal_types::ClusterId;

use crate::{fleet::HostLink, words::naming::Naming};

/// Its id, if it is there: of the cluster, behind its bridge, with its subnet.
///
/// # Errors
/// As [`shoal_docker::Engine::list_networks`].
pub(crate) async fn docker_network(
    naming: &Naming,
    link: &HostLink,
    cluster: ClusterId,
    network: &Network,
) -> Result<Option<String>, EngineError> {
    let there = link.engine.list_networks(&naming.of_cluster(cluster)).await?;
    let bridge = naming.bridge(network.vni);
    let fits =
        there.into_iter().find(|n| n.bridge.as_deref() == Some(&bridge) && n.subnets == [network.subnet]);
    Ok(fits.map(|n| n.id))
}
