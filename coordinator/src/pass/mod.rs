//! One pass: the member hosts are brought to what the store says of a cluster, all at once.
//!
//! ```text
//! intent --> ways --> supply (image) --> bring_up, host by host: plan (pure) --> actions --> readiness
//!                                                                               |
//!            recorder: what became of each node, with its event            <----'
//! ```
//! A pass takes no hint about what changed and every action in it is idempotent, so a crash loses nothing: the next pass,
//! in this process or another, continues from what is there. Its goal says whether a cluster is made or kept (`work.rs`), and
//! `upkeep.rs` what of a ready one differs, without I/O; `restarts.rs` which of its nodes that ended are started now; how often it runs, and until when, is for `drive/`. Uses `edit/` and the floors below.

pub(crate) mod bring_up;
pub(crate) mod container;
pub(crate) mod diagnose;
pub(crate) mod effects;
pub(crate) mod end;
pub(crate) mod failure;
pub(crate) mod fallen;
mod plan;
pub(crate) mod readiness;
mod recorder;
mod refusal;
pub(crate) mod restarts;
pub(crate) mod run;
pub(crate) mod state;
pub(crate) mod supply;
mod take_down;
pub(crate) mod upkeep;
mod ways;
pub(crate) mod work;

use std::{collections::BTreeMap, sync::Arc};

use futures_util::{FutureExt, future::join_all};
use shoal_slurm::ClusterKeys;
use shoal_storage::{SecretKind, StoreError};
use shoal_types::{ClusterPhase, EventKind, EventLevel, HostId, PhaseChange};

use crate::{
    fleet::{HostLink, coordinator::Coordinator},
    observe::intent::Intent,
    pass::work::Work,
    words::fault::{ClusterFault, Fault},
};

impl Work {
    /// Links to the member hosts, and what keeps the others from being reached.
    pub(crate) async fn links(
        &self,
        intent: &Intent,
    ) -> Result<(BTreeMap<HostId, Arc<HostLink>>, BTreeMap<HostId, Fault>), Fault> {
        let mut members = self.members(intent).await?;
        members.retain(|host, _| !self.apart.contains(host));
        let coordinator = &self.coordinator;
        let each = members.values().map(|host| coordinator.fleet.link(&coordinator.store, host).boxed());
        let (mut reached, mut unreached) = (BTreeMap::new(), BTreeMap::new());
        for (id, link) in members.keys().zip(join_all(each).await) {
            match link {
                Ok(link) => drop(reached.insert(*id, link)),
                Err(fault) => drop(unreached.insert(*id, fault)),
            }
        }
        Ok((reached, unreached))
    }

    /// Moves the cluster to the phase after `change`, with an event that says why.
    pub(crate) async fn change_phase(
        &self,
        change: PhaseChange,
        kind: EventKind,
        message: &str,
    ) -> Result<(), Fault> {
        loop {
            match self.try_change_phase(change, kind, message).await {
                // A delete asked for it meanwhile: decided again on what is now.
                Err(Fault::Store(StoreError::Stale { .. })) => {}
                outcome => return outcome,
            }
        }
    }

    async fn try_change_phase(
        &self,
        change: PhaseChange,
        kind: EventKind,
        message: &str,
    ) -> Result<(), Fault> {
        let intent = self.intent().await?;
        let (from, name) = (intent.cluster.phase, intent.cluster.spec.name.clone());
        let to = from
            .after(change)
            .map_err(|source| Fault::Cluster(ClusterFault::Phase { cluster: name, source }))?;
        let fails = from == ClusterPhase::Creating && change != PhaseChange::Settled;
        let level = if fails { EventLevel::Warn } else { EventLevel::Info };
        let mut tx = self.lease.begin().await?;
        if from != to {
            tx.clusters().set_phase(self.cluster, from, to, self.coordinator.now()).await?;
        }
        tx.events().append(&self.event(&intent, level, kind, None, message.into())).await?;
        Ok(tx.commit().await?)
    }
}

/// The keys of a cluster, derived from its sealed seed.
pub(crate) async fn keys(
    coordinator: &Coordinator,
    cluster: &shoal_storage::Cluster,
) -> Result<ClusterKeys, Fault> {
    let corrupt = || StoreError::Corrupt { table: "secrets", column: "sealed", id: cluster.seed.to_string() };
    let seed = coordinator.store.read().await?.secrets().open(cluster.seed, SecretKind::ClusterSeed).await?;
    let seed =
        seed.ok_or_else(|| StoreError::Missing { what: "seed of cluster", id: cluster.id.to_string() })?;
    let seed: &[u8; 32] = seed.as_slice().try_into().map_err(|_| corrupt())?;
    Ok(ClusterKeys::derive(seed))
}
