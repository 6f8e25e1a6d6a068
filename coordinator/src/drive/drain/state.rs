//! Takes the state of a node to the host where it is to be next, before anything there is its own.
//!
//! ```text
//! old host: node stopped --archive of its state--> new host: volume (pass/state.rs)
//! ```
//! The old volume stays until the node is at its new place: whatever ends in between, the state is where the store says the node is.

use std::time::Duration;

use shoal_docker::CallClass;
use shoal_storage::Node;

use crate::{
    fleet::HostLink,
    observe::{containers::container_of, intent::Intent},
    pass::{
        container::{StateVolume, state_volume},
        state::lay_down,
        work::{Halt, Work, on},
    },
    words::fault::{ClusterFault, Fault},
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
    work.covered(from.engine.limit(CallClass::Read)).await?;
    let archive = from.engine.get_archive(container, &volume.target, LIMIT).await.map_err(on(from))?;
    let gone = || Fault::from(ClusterFault::NoState { node: node.name.clone(), host: from.name.clone() });
    let archive = archive.ok_or_else(gone)?;
    lay_down(work, volume, to, archive).await
}
