//! Takes the state of a node to the host where it is to be next, before anything there is its own.
//!
//! ```text
//! old host: node stopped --archive of its state--> new host: volume <-- a container that never runs, for an archive needs one
//! ```
//! The old volume stays until the node is at its new place: whatever ends in between, the state is where the store says the node is.

use std::time::Duration;

use shoal_docker::{CallClass, ContainerSpec, Created, Mount};
use shoal_storage::Node;

use crate::{
    fleet::{HostLink, removal::remove_container},
    observe::{containers::container_of, intent::Intent},
    pass::{
        container::{StateVolume, state_volume},
        work::{Halt, Work, on},
    },
    words::{
        fault::{AgentError, ClusterFault, Fault, HostFault},
        naming::ROLE,
    },
};

/// How long a node may take to write its state down and end: with the call itself less than a lease.
const GRACE: Duration = Duration::from_secs(15);
/// The most that is taken along: the queue of a cluster with a hundred thousand jobs has some 200 MiB.
const LIMIT: usize = 512 << 20;

/// Ends the node, and copies its state to the host `to`.
pub(super) async fn carry(
    work: &Work,
    intent: &Intent,
    node: &Node,
    from: &HostLink,
    to: &HostLink,
) -> Result<(), Halt> {
    let naming = &work.coordinator.naming;
    let Some(volume) = state_volume(naming, intent, node) else { return Ok(()) };
    let there = container_of(naming, from, node.id).await.map_err(on(from))?;
    let gone = || Fault::from(ClusterFault::NoContainer { node: node.name.clone(), host: from.name.clone() });
    let there = there.ok_or_else(gone)?;
    work.covered(GRACE + from.engine.limit(CallClass::Start)).await?;
    from.engine.stop(&there.id, GRACE).await.map_err(on(from))?;
    let copied = copy(work, (node, &there.id), &volume, from, to).await;
    if copied.is_err() {
        // It is still at home here.
        work.covered(from.engine.limit(CallClass::Start)).await?;
        work.lease.confirm().await?;
        from.engine.start(&there.id).await.map_err(on(from))?;
    }
    copied
}

async fn copy(
    work: &Work,
    (node, container): (&Node, &str),
    volume: &StateVolume,
    from: &HostLink,
    to: &HostLink,
) -> Result<(), Halt> {
    let write = async || {
        work.covered(to.engine.limit(CallClass::Write)).await?;
        work.lease.confirm().await.map_err(Halt::from)
    };
    work.covered(from.engine.limit(CallClass::Read)).await?;
    let archive = from.engine.get_archive(container, &volume.target, LIMIT).await.map_err(on(from))?;
    let gone = || Fault::from(ClusterFault::NoState { node: node.name.clone(), host: from.name.clone() });
    let archive = archive.ok_or_else(gone)?;
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
