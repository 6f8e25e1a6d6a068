//! Removing from an engine what may be going already: a container, a cluster's networks. Already gone is success.

use std::time::Duration;

use shoal_docker::{Engine, EngineError, Removal};
use shoal_storage::Network;
use shoal_types::ClusterId;

use crate::{
    fleet::HostLink,
    words::{
        agent::NetworkRemoval,
        fault::Fault,
        naming::{Naming, ROLE},
    },
};

/// How often an engine is asked again whose answer was that something is just being removed.
pub(crate) const LOOKS: usize = 20;
/// How long to leave the remover between two looks.
pub(crate) const LOOK_PAUSE: Duration = Duration::from_millis(250);

/// Removes a container, or waits for whoever is at it already.
pub(crate) async fn remove_container(link: &HostLink, id: &str) -> Result<Removal, EngineError> {
    for _ in 0..LOOKS {
        match link.engine.remove_container(id).await {
            Err(EngineError::RemovalInProgress { .. }) => tokio::time::sleep(LOOK_PAUSE).await,
            outcome => return outcome,
        }
    }
    link.engine.remove_container(id).await
}

/// Removes an image by its references: it goes with the last one, and an id with several is refused. One that has lost them to
/// another image goes by its id.
pub(crate) async fn remove_image(
    engine: &dyn Engine,
    id: &str,
    references: &[String],
) -> Result<Removal, EngineError> {
    let mut removed = Removal::AlreadyGone;
    let by_id = references.is_empty().then_some(id);
    for reference in references.iter().map(String::as_str).chain(by_id) {
        removed = engine.remove_image(reference).await?;
    }
    Ok(removed)
}

/// Removes a cluster's networks on a host: the agent's part first, since Docker would leave the tunnel port behind. A host
/// with neither network nor agent never had any of it, and is spared an agent.
pub(crate) async fn remove_network(
    naming: &Naming,
    link: &HostLink,
    cluster: ClusterId,
    known: Option<&Network>,
) -> Result<(), Fault> {
    let networks =
        link.engine.list_networks(&naming.of_cluster(cluster)).await.map_err(Fault::engine(&link.name))?;
    let agents = link
        .engine
        .list_containers(&naming.all().with(ROLE, "agent"))
        .await
        .map_err(Fault::engine(&link.name))?;
    if let Some(network) = known.filter(|_| !networks.is_empty() || !agents.is_empty()) {
        let removal = NetworkRemoval {
            installation: naming.installation().clone(),
            network: Some(network.id),
            device: naming.device(network.vni),
            bridge: naming.bridge(network.vni),
            revision: Some(network.revision),
        };
        link.agent().await?.remove_network(removal).await?;
    }
    for network in networks {
        link.engine.remove_network(&network.id).await.map_err(Fault::engine(&link.name))?;
    }
    Ok(())
}
