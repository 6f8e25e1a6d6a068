//! Other keys for a ready cluster: what somebody has stolen opens nothing any more.
//!
//! ```text
//! lease --> do nodes have jobs? --> ONE transaction: a new seed instead of the old, a new generation of every node
//!       --> a repair: containers of the old generation go, new ones come with the new keys
//! ```
//! Who was in a node with the old keys goes with its container. After the transaction the next repair makes what is left, also on hosts
//! that did not answer. Nodes keep hosts, names and addresses, and the controller its queue.

use std::{sync::Arc, time::Duration};

use shoal_api::RepairedCluster;
use shoal_docker::CallClass;
use shoal_storage::SecretKind;
use shoal_types::{ClusterName, EventKind, EventLevel, NewEvent, RealmName, nodeset};
use tokio_util::sync::CancellationToken;
use zeroize::Zeroizing;

use crate::{
    drive::{
        damage::look,
        drain::slurm::{Controller, has_jobs, named},
        lifecycle::{acquire_in_turn, find_cluster},
        repair::{RepairTerms, ready, under_lease},
    },
    fleet::coordinator::Coordinator,
    observe::intent::Intent,
    pass::work::{Behalf, Halt, Work},
    words::{
        entropy::draw,
        fault::{ClusterFault, Fault},
    },
};

/// How keys are rotated.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RotateTerms {
    /// Although nodes have jobs, or Slurm does not answer.
    pub(crate) now: bool,
    /// How long it may take.
    pub(crate) wait: Duration,
}

/// Gives a cluster other keys and makes its nodes anew; what goes wrong after the keys were drawn is told of the cluster.
///
/// # Errors
/// [`ClusterFault`]: the keys are as they were.
pub(crate) async fn rotate_keys(
    coordinator: &Arc<Coordinator>,
    realm: &RealmName,
    name: &ClusterName,
    terms: RotateTerms,
    interrupt: &CancellationToken,
) -> Result<RepairedCluster, Fault> {
    let cluster = ready(find_cluster(coordinator, realm, name).await?)?;
    let (lease, _) = acquire_in_turn(coordinator, &cluster, interrupt).await?;
    let work = Work::new(coordinator.clone(), cluster.id, lease.clone(), interrupt).keeping(Behalf::Person);
    let drawn = async {
        let intent = work.intent().await?;
        ready(intent.cluster.clone())?;
        may(&work, &intent, terms.now).await?;
        draw_keys(&work, &intent).await?;
        Ok(intent.cluster)
    };
    let drawn: Result<_, Fault> = drawn.await;
    let cluster = match drawn {
        Ok(cluster) => cluster,
        Err(fault) => {
            drop(lease.release().await);
            return Err(fault);
        }
    };
    let mut told = RepairedCluster { name: name.to_string(), ..RepairedCluster::default() };
    let terms = RepairTerms { dry_run: false, behalf: Behalf::Person, wait: terms.wait, settle: true };
    let made = match look(coordinator, cluster.clone(), terms.behalf).await {
        Ok(found) => {
            told.mends = found.mends;
            let awaited = (found.notes.as_slice(), true);
            under_lease(coordinator, (lease, cluster), awaited, terms, interrupt, &mut told).await
        }
        Err(fault) => {
            drop(lease.release().await);
            Err(fault)
        }
    };
    told.error = made.err().map(|fault| fault.told());
    Ok(told)
}

/// Nobody's job ends unless that is wanted.
async fn may(work: &Work, intent: &Intent, now: bool) -> Result<(), Fault> {
    if now {
        return Ok(());
    }
    let slurm = Controller::of(&work.coordinator, intent).await?;
    work.may(&slurm.link, CallClass::Exec).await.map_err(Halt::into_fault)?;
    let reports = slurm.nodes().await?;
    let nodes: Vec<_> = intent.nodes.iter().collect();
    let busy = named(&nodes, &reports, has_jobs);
    if busy.is_empty() {
        return Ok(());
    }
    let cluster = intent.cluster.spec.name.clone();
    Err(ClusterFault::HasJobs { cluster, nodes: nodeset::compress(busy) }.into())
}

/// The one change of intent.
async fn draw_keys(work: &Work, intent: &Intent) -> Result<(), Fault> {
    let coordinator = &work.coordinator;
    let at = coordinator.now();
    let seed: Zeroizing<[u8; 32]> = Zeroizing::new(draw(&mut *coordinator.rng()));
    let mut tx = work.lease.begin().await?;
    let seed = tx.secrets().put(SecretKind::ClusterSeed, &*seed, at, &mut *coordinator.rng()).await?;
    tx.clusters().set_seed(intent.cluster.id, seed, at).await?;
    for node in &intent.nodes {
        tx.nodes().place(node.id, node.generation, node.host, at).await?;
    }
    let spec = &intent.cluster.spec;
    let text = "the cluster has new keys, and every node is made anew with them";
    let event = NewEvent::new(at, EventLevel::Info, EventKind::Step, text).of(&spec.realm, &spec.name);
    tx.events().append(&event).await?;
    Ok(tx.commit().await?)
}
