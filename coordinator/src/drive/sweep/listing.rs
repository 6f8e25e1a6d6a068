//! Lists what of ours is on a host: all hosts at once, each within its limits, so that a silent one costs only its own.

use std::{sync::Arc, time::Duration};

use shoal_storage::Host;

use crate::{
    drive::sweep::thing::{Listing, Thing},
    fleet::{HostLink, coordinator::Coordinator},
    observe::containers::{HostContainers, Scope},
    words::{
        fault::{AgentError, BinaryError, Fault, HostFault},
        naming::ROLE,
    },
};

/// How long an engine may take to list everything of ours.
const ENGINE: Duration = Duration::from_secs(20);
/// How long the agent may take, which may have to be brought there first: its image is some 30 MB.
const AGENT: Duration = Duration::from_secs(120);

/// Everything of ours on a host.
///
/// # Errors
/// [`Fault`]: a part could not be listed, and so nothing is known: what is missing in half a list is not gone.
pub(crate) async fn list_host(
    coordinator: &Coordinator,
    host: &Host,
    link: &Arc<HostLink>,
) -> Result<Listing, Fault> {
    let at = coordinator.now();
    let silent = |limit: Duration| {
        Fault::Host(HostFault::Silent { host: host.name.clone(), seconds: limit.as_secs() })
    };
    let things = tokio::time::timeout(ENGINE, list_engine(coordinator, link));
    let mut things = things.await.map_err(|_| silent(ENGINE))??;
    // An agent is kept where it is and brought where nodes or networks are; not for volumes and images alone.
    let agent_asked = things.iter().any(|thing| match thing {
        Thing::Network(_) => true,
        Thing::Container(c) => c.labels.get(ROLE).is_none_or(|role| role != "probe"),
        Thing::Mesh { .. } | Thing::Device { .. } | Thing::Volume(_) | Thing::Image(_) => false,
    });
    if agent_asked {
        let mesh = tokio::time::timeout(AGENT, list_mesh(coordinator, link));
        things.extend(mesh.await.map_err(|_| silent(AGENT))??);
    }
    let build = match coordinator.fleet.binaries.get(&host.engine.architecture).await {
        Ok(binary) => Some(binary.build.clone()),
        Err(BinaryError::Missing { .. }) => None,
        Err(source @ BinaryError::Read { .. }) => {
            return Err(AgentError::Binary { host: host.name.clone(), source }.into());
        }
    };
    Ok(Listing { host: host.id, name: host.name.clone(), build, things, agent_asked, at })
}

async fn list_engine(coordinator: &Coordinator, link: &HostLink) -> Result<Vec<Thing>, Fault> {
    let ours = coordinator.naming.all();
    let engine = &link.engine;
    let (containers, networks, volumes, images) = tokio::try_join!(
        HostContainers::look(&coordinator.naming, link, Scope::Installation),
        engine.list_networks(&ours),
        engine.list_volumes(&ours),
        engine.list_images(&ours),
    )
    .map_err(Fault::engine(&link.name))?;
    let things = containers.into_all().into_iter().map(Thing::Container);
    let things = things.chain(networks.into_iter().map(Thing::Network));
    let things = things.chain(volumes.into_iter().map(Thing::Volume));
    Ok(things.chain(images.into_iter().map(Thing::Image)).collect())
}

async fn list_mesh(coordinator: &Coordinator, link: &HostLink) -> Result<Vec<Thing>, Fault> {
    let listed = link.agent().await?.list_networks(coordinator.naming.installation()).await?;
    let kept = listed.networks.into_iter().map(|kept| Thing::Mesh {
        network: kept.network,
        device: kept.device,
        bridge: kept.bridge,
    });
    let strays = listed.stray_devices.into_iter().map(|name| Thing::Device { name });
    Ok(kept.chain(strays).collect())
}
