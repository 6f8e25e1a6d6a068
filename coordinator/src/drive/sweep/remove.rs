//! Removes one thing: looked at once more by its id, and only if it is still what was judged.

use shoal_docker::{EngineError, Removal};

use crate::{
    drive::sweep::thing::Thing,
    fleet::{HostLink, coordinator::Coordinator, removal::remove_image},
    words::{
        agent::NetworkRemoval,
        fault::{AgentError, Fault},
    },
};

/// What came of removing a thing.
#[derive(Debug)]
pub(crate) enum Removed {
    /// It is gone now.
    Now,
    /// It was gone before.
    Before,
    /// It stays, for this reason.
    Stays(String),
}

/// It is there under the id, but is no longer what was judged.
const CHANGED: &str = "it has changed since it was listed";

/// Removes a thing that was listed.
///
/// # Errors
/// [`Fault`]: the host's engine or agent failed.
pub(crate) async fn remove_thing(
    coordinator: &Coordinator,
    link: &HostLink,
    thing: &Thing,
) -> Result<Removed, Fault> {
    let outcome = remove_from_engine(coordinator, link, thing).await;
    match outcome {
        Ok(Some(removed)) => Ok(removed),
        Ok(None) => remove_from_mesh(coordinator, link, thing).await,
        // Somebody uses it (a container on the network, with the volume, of the image), or is at it already.
        Err(error @ (EngineError::Conflict { .. } | EngineError::RemovalInProgress { .. })) => {
            Ok(Removed::Stays(shoal_types::chain(&error)))
        }
        Err(error) => Err(Fault::engine(&link.name)(error)),
    }
}

/// `None`: it is none of the engine's.
async fn remove_from_engine(
    coordinator: &Coordinator,
    link: &HostLink,
    thing: &Thing,
) -> Result<Option<Removed>, EngineError> {
    let (engine, ours) = (&link.engine, coordinator.naming.all());
    let removed = match thing {
        Thing::Container(was) => match engine.inspect_container(&was.id).await? {
            None => Removed::Before,
            Some(is) if is.id == was.id && is.labels == was.labels => {
                done(engine.remove_container(&was.id).await?)
            }
            Some(_) => Removed::Stays(CHANGED.into()),
        },
        Thing::Network(was) => {
            let there = engine.list_networks(&ours).await?;
            match there.iter().find(|is| is.id == was.id) {
                None => Removed::Before,
                Some(is) if is.labels == was.labels => done(engine.remove_network(&was.id).await?),
                Some(_) => Removed::Stays(CHANGED.into()),
            }
        }
        Thing::Volume(was) => {
            let there = engine.list_volumes(&ours).await?;
            match there.iter().find(|is| is.name == was.name) {
                None => Removed::Before,
                Some(is) if is.labels == was.labels => done(engine.remove_volume(&was.name).await?),
                Some(_) => Removed::Stays(CHANGED.into()),
            }
        }
        Thing::Image(was) => match engine.inspect_image(&was.id).await? {
            None => Removed::Before,
            Some(is) if is.labels == was.labels => {
                done(remove_image(&**engine, &is.id, &is.repo_tags).await?)
            }
            Some(_) => Removed::Stays(CHANGED.into()),
        },
        Thing::Mesh { .. } | Thing::Device { .. } => return Ok(None),
    };
    Ok(Some(removed))
}

/// The agent finds a kept network by its id, which is never reused; without an id it refuses a device that is kept by now.
async fn remove_from_mesh(
    coordinator: &Coordinator,
    link: &HostLink,
    thing: &Thing,
) -> Result<Removed, Fault> {
    let (network, device, bridge) = match thing {
        Thing::Mesh { network, device, bridge, .. } => (Some(*network), device.clone(), bridge.clone()),
        Thing::Device { name } => match coordinator.naming.vni_of_device(name) {
            Some(vni) => (None, name.clone(), coordinator.naming.bridge(vni)),
            None => return Ok(Removed::Stays(CHANGED.into())),
        },
        Thing::Container(_) | Thing::Network(_) | Thing::Volume(_) | Thing::Image(_) => {
            return Ok(Removed::Stays(CHANGED.into()));
        }
    };
    let installation = coordinator.naming.installation().clone();
    let removal = NetworkRemoval { installation, network, device, bridge, revision: None };
    match link.agent().await?.remove_network(removal).await {
        Ok(true) => Ok(Removed::Now),
        Ok(false) => Ok(Removed::Before),
        Err(AgentError::Call { message, transient: false, .. }) => Ok(Removed::Stays(message)),
        Err(error) => Err(error.into()),
    }
}

fn done(removal: Removal) -> Removed {
    match removal {
        Removal::Removed => Removed::Now,
        Removal::AlreadyGone => Removed::Before,
    }
}
