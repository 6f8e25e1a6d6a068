//! Puts what a node keeps into the volume on the host where it is to be next, before anything there is its own.
//!
//! ```text
//! archive of its state --> volume <-- a container that never runs, for an archive needs one
//! ```
//! A drain has the archive from the node's host; where that is lost, a pass has it from the copy in the store ([`Work::restore`]). The
//! store remembers that a node is to begin with the copy until it is in the volume, and a container is made only afterwards: a node
//! whose restoring ended half-way is restored again, and one that has run never.

use bytes::Bytes;
use shoal_docker::{CallClass, ContainerSpec, Created, Mount};
use shoal_storage::Node;
use shoal_types::EventKind;

use crate::{
    fleet::{HostLink, removal::remove_container},
    observe::intent::Intent,
    pass::{
        container::StateVolume,
        work::{Halt, Work, on},
    },
    words::{
        fault::{AgentError, Fault, HostFault},
        naming::ROLE,
    },
};

impl Work {
    /// Puts a node's state into its new volume from the copy in the store, if the node is to begin with that. Whether it was.
    pub(super) async fn restore(
        &self,
        link: &HostLink,
        intent: &Intent,
        node: &Node,
        volume: &StateVolume,
    ) -> Result<bool, Halt> {
        let mut read = self.coordinator.store.read().await?;
        let copy = read.state_copies().get(node.id).await?;
        if copy.and_then(|copy| copy.restore) != Some(node.generation) {
            return Ok(false);
        }
        let Some(state) = read.state_copies().open(node.id).await? else { return Ok(false) };
        drop(read);
        lay_down(self, volume, link, Bytes::copy_from_slice(&state)).await?;
        let mut tx = self.lease.begin().await?;
        tx.state_copies().restored(node.id, node.generation).await?;
        tx.commit().await?;
        let text = format!("{} begins with the newest copy of its state", node.name);
        self.note(intent, EventKind::Step, Some(&link.name), text).await;
        Ok(true)
    }
}

/// Makes the volume anew, with what the archive holds.
pub(crate) async fn lay_down(
    work: &Work,
    volume: &StateVolume,
    to: &HostLink,
    archive: Bytes,
) -> Result<(), Halt> {
    let write = async || {
        work.covered(to.engine.limit(CallClass::Write)).await?;
        work.lease.confirm().await.map_err(Halt::from)
    };
    let name = format!("carrier.{}", volume.name);
    // What an earlier try has left.
    write().await?;
    remove_container(to, &name).await.map_err(on(to))?;
    // One that is there is of an earlier time.
    write().await?;
    to.engine.remove_volume(&volume.name).await.map_err(on(to))?;
    write().await?;
    to.engine.create_volume(&volume.name, &volume.labels).await.map_err(on(to))?;
    let agents = work.coordinator.naming.all().with(ROLE, "agent");
    let agents = to.engine.list_containers(&agents).await.map_err(on(to))?;
    let absent = || Fault::Agent(AgentError::Absent { host: to.name.clone() });
    let agent = agents.into_iter().next().ok_or_else(absent)?;
    // An archive of a directory has its name as the first one.
    let root = volume.target.rsplit('/').next().unwrap_or_default();
    let spec = ContainerSpec {
        name,
        // Every host has that of its agent.
        image: agent.image_id,
        labels: volume.labels.clone(),
        mounts: vec![Mount::Volume { name: volume.name.clone(), target: format!("/{root}") }],
        ..ContainerSpec::default()
    };
    write().await?;
    let carrier = match to.engine.create_container(&spec).await.map_err(on(to))? {
        Created::New { id } => id,
        Created::Exists(held) => {
            let held = HostFault::NameHeld { host: to.name.clone(), name: held.name };
            return Err(Fault::from(held).into());
        }
    };
    write().await?;
    let put = to.engine.put_archive(&carrier, "/", archive).await.map_err(on(to));
    let removed = remove_container(to, &carrier).await.map_err(on(to));
    put.and(removed.map(drop))
}
