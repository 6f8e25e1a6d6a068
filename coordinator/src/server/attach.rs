//! Shows a create that somebody has under way, in this process or another: from its admission to its end. It is read from the
//! store alone, so looking on costs the hosts nothing and holds nobody up.

use std::sync::Arc;

use shoal_api::CreateStep;
use shoal_proto::v1;
use shoal_storage::{Cluster, Resource, StoreError};
use shoal_types::{ClusterId, ClusterName, ClusterPhase, RealmName};
use tokio::sync::mpsc;
use tonic::Status;

use crate::{
    drive::lifecycle,
    fleet::{coordinator::Coordinator, lease},
    observe::follow::{Follow, POLL, Page},
    server::listing,
    words::fault::{ClusterFault, Fault},
};

/// How often in a row nobody must own a cluster before it counts as interrupted: a lease may be on its way from one owner to
/// the next.
const UNOWNED: u32 = 3;

type Out = mpsc::Sender<Result<v1::FollowClusterResponse, Status>>;

/// Where a create stands.
enum Stand {
    UnderWay,
    /// Nobody works on it.
    Unowned,
    Ready,
    Failed,
    /// It is no longer there.
    Gone,
}

/// Tells of the create of a cluster until it ends or nobody listens.
///
/// # Errors
/// [`ClusterFault::Ended`]: it did not become ready. [`ClusterFault::Unknown`]: there is none.
pub(super) async fn attach(
    coordinator: &Arc<Coordinator>,
    realm: &RealmName,
    name: &ClusterName,
    out: &Out,
) -> Result<(), Fault> {
    let id = lifecycle::find_cluster(coordinator, realm, name).await?.id;
    let mut follow = Follow::from_admission(coordinator.clone(), realm.clone(), name.clone()).await?;
    let mut committed = coordinator.store.committed_events();
    let ended = |how: String| Fault::Cluster(ClusterFault::Ended { cluster: name.clone(), how });
    let mut why = String::new();
    let mut unowned = 0;
    loop {
        // In this order: what is told afterwards has everything that led there.
        let (stand, failure) = stand(coordinator, realm, name, id).await?;
        pass_on(&mut follow, out).await?;
        if let Some(failure) = failure {
            why = format!("{failure}; ");
        }
        unowned = if matches!(stand, Stand::Unowned) { unowned + 1 } else { 0 };
        match stand {
            Stand::Ready => {
                let ready =
                    CreateStep::Ready(Box::new(listing::shown_cluster(coordinator, realm, name).await?));
                drop(out.send(Ok(ready.into())).await);
                return Ok(());
            }
            Stand::Failed => return Err(ended(format!("{why}it is kept for inspection"))),
            Stand::Gone => return Err(ended(format!("{why}it was removed"))),
            Stand::Unowned if unowned >= UNOWNED => {
                return Err(ended("its process has ended, and the next command goes on with it".into()));
            }
            Stand::UnderWay | Stand::Unowned => {}
        }
        tokio::select! {
            () = out.closed() => return Ok(()),
            () = coordinator.stop.cancelled() => return Err(Fault::Stopped),
            _ = committed.changed() => {}
            () = tokio::time::sleep(POLL) => {}
        }
    }
}

/// Where the create of `id` stands, and why it does not become ready, once that is known.
async fn stand(
    coordinator: &Coordinator,
    realm: &RealmName,
    name: &ClusterName,
    id: ClusterId,
) -> Result<(Stand, Option<String>), StoreError> {
    let mut read = coordinator.store.read().await?;
    let Some(cluster) = read.clusters().by_name(realm, name).await?.filter(|c| c.id == id) else {
        return Ok((Stand::Gone, None));
    };
    let lease = read.leases().get(&Resource::cluster(id)).await?;
    let Cluster { phase, failure, .. } = cluster;
    let stand = match phase {
        ClusterPhase::Ready => Stand::Ready,
        ClusterPhase::Failed => Stand::Failed,
        ClusterPhase::Creating | ClusterPhase::Deleting if lease::is_owned(coordinator, lease.as_ref()) => {
            Stand::UnderWay
        }
        ClusterPhase::Creating | ClusterPhase::Deleting => Stand::Unowned,
    };
    Ok((stand, failure))
}

/// Tells everything that has happened since the last time.
async fn pass_on(follow: &mut Follow, out: &Out) -> Result<(), StoreError> {
    loop {
        let Page { steps, more } = follow.next().await?;
        for told in steps {
            // Nobody listens any more: the loop around this one notices.
            drop(out.send(Ok(CreateStep::from(told).into())).await);
        }
        if !more {
            return Ok(());
        }
    }
}
