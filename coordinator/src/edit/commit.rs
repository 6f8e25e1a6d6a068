//! The one way to change intent: read, decide, write in one transaction, and decide again if another placement came first.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use ipnet::Ipv4Net;
use shoal_storage::{
    Acquired, Cluster, Conflict, Decision, Lease, Network, NewRemnant, Node, Resource, SecretKind, Session,
    StoreError, Writes,
};
use shoal_types::{
    ClusterId, ClusterPhase, ClusterSpec, Generation, HostId, NetworkId, NewEvent, NodeId, Pools, Timestamp,
    Vni,
};
use zeroize::Zeroizing;

use crate::{
    edit::placing::CapacityInUse,
    fleet::{
        coordinator::Coordinator,
        lease::{Claim, HeldLease, TTL},
    },
    words::fault::{ClusterFault, Fault},
};

/// How often an edit is decided again because someone else's was committed first.
const TRIES: usize = 16;

/// A change of intent that is wanted.
pub(crate) trait Edit {
    /// The rows it changes.
    type Change: Change;
    /// Why it is refused.
    type Refused: From<Fault>;

    /// The specification of the cluster it is of.
    fn spec(&self) -> &ClusterSpec;

    /// The cluster, if it is there already, and the hosts its nodes leave.
    fn leaving(&self) -> (Option<ClusterId>, BTreeSet<HostId>);

    /// What is to be written. Touches neither store nor host; only a program that schedules is asked.
    async fn decide(
        &self,
        coordinator: &Coordinator,
        basis: &Basis,
    ) -> Result<ChangeSet<Self::Change>, Self::Refused>;
}

/// Rows that change, and who may change them.
pub(crate) trait Change {
    /// What the writer holds afterwards.
    type Written;

    /// Writes it with its trail, unless placements are no longer at this version.
    async fn write(
        &self,
        coordinator: &Coordinator,
        version: u64,
        trail: &Trail,
    ) -> Result<Self::Written, Fault>;
}

/// What an edit is decided on: the store at one version of all placements.
#[derive(Debug)]
pub(crate) struct Basis {
    version: u64,
    pub(crate) capacity: CapacityInUse,
    /// VNIs and subnets of all networks.
    pub(crate) networks: Vec<(Vni, Ipv4Net)>,
    /// Where subnets come from.
    pub(crate) pools: Pools,
}

/// What is written, all of it or nothing.
#[derive(Debug)]
pub(crate) struct ChangeSet<C> {
    pub(crate) change: C,
    pub(crate) trail: Trail,
}

/// What every edit leaves behind beside its change.
#[derive(Debug)]
pub(crate) struct Trail {
    /// What the placement was decided on.
    pub(crate) decision: Decision,
    /// What happened, in order.
    pub(crate) events: Vec<NewEvent>,
}

/// Nodes that go to other hosts: only the owner of their cluster moves them.
#[derive(Debug)]
pub(crate) struct Moves<'a> {
    pub(crate) lease: &'a HeldLease,
    pub(crate) network: NetworkId,
    pub(crate) nodes: Vec<(NodeId, Generation, HostId)>,
    pub(crate) state: StateFrom,
    pub(crate) remnants: Vec<NewRemnant>,
}

/// Where nodes that keep something have it from at their new places.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum StateFrom {
    /// It is there already, or there is none.
    There,
    /// From its copy in the store, if there is one.
    Copy,
}

/// A cluster that is new: whoever writes it owns it.
#[derive(Debug)]
pub(crate) struct NewCluster {
    pub(crate) id: ClusterId,
    pub(crate) spec: ClusterSpec,
    pub(crate) image_id: String,
    pub(crate) wait: Duration,
    pub(crate) keep_on_failure: bool,
    /// What its keys are made of.
    pub(crate) seed: Zeroizing<[u8; 32]>,
    pub(crate) network: Network,
    pub(crate) nodes: Vec<Node>,
    pub(crate) at: Timestamp,
}

/// Decides and writes an edit.
pub(crate) async fn commit<E: Edit>(
    coordinator: &Coordinator,
    edit: &E,
) -> Result<<E::Change as Change>::Written, E::Refused> {
    let began = tokio::time::Instant::now();
    let mut tries = 1;
    loop {
        let basis = Basis::of(coordinator, edit.spec(), edit.leaving()).await?;
        let set = edit.decide(coordinator, &basis).await?;
        match set.change.write(coordinator, basis.version, &set.trail).await {
            Err(fault) if tries < TRIES && is_stale(&fault) => tries += 1,
            written => {
                let elapsed_ms = began.elapsed().as_millis();
                tracing::debug!(cluster.name = %edit.spec().name, tries, elapsed_ms, "edit");
                return written.map_err(E::Refused::from);
            }
        }
    }
}

/// Whether somebody else's edit came first: the same may be decided anew.
fn is_stale(fault: &Fault) -> bool {
    matches!(
        fault,
        Fault::Store(
            StoreError::Stale { what: "placements", .. }
                | StoreError::Conflict(Conflict::Vni { .. } | Conflict::Subnet { .. })
        )
    )
}

impl Basis {
    /// What a decision for this cluster starts from, `leaving` as in [`Edit::leaving`].
    pub(crate) async fn of(
        coordinator: &Coordinator,
        spec: &ClusterSpec,
        (cluster, leaving): (Option<ClusterId>, BTreeSet<HostId>),
    ) -> Result<Self, Fault> {
        let mut read = coordinator.store.read().await?;
        Ok(Self {
            capacity: CapacityInUse::read(&mut read, spec, cluster, &leaving).await?,
            version: read.placement_version().await?,
            networks: read.networks().taken().await?,
            pools: read.pools().await?,
        })
    }
}

impl Change for NewCluster {
    type Written = Arc<HeldLease>;

    async fn write(
        &self,
        coordinator: &Coordinator,
        version: u64,
        trail: &Trail,
    ) -> Result<Arc<HeldLease>, Fault> {
        let mut tx = coordinator.store.begin().await?;
        tx.bump_placement_version(version).await?;
        let lease = self.insert(coordinator, &mut tx).await?;
        trail.write(&mut tx).await?;
        let claim = Claim::on(coordinator, self.id).ok_or_else(|| self.busy("this process".into()))?;
        tx.commit().await?;
        Ok(HeldLease::keep(coordinator, lease, Some(claim), false))
    }
}

impl Change for Moves<'_> {
    type Written = ();

    async fn write(&self, _: &Coordinator, version: u64, trail: &Trail) -> Result<(), Fault> {
        let mut tx = self.lease.begin().await?;
        tx.bump_placement_version(version).await?;
        for (node, generation, host) in &self.nodes {
            let next = tx.nodes().place(*node, *generation, *host, trail.decision.at).await?;
            match self.state {
                StateFrom::There => {}
                StateFrom::Copy => tx.state_copies().restore_at(*node, next).await?,
            }
        }
        tx.networks().next_revision(self.network).await?;
        for remnant in &self.remnants {
            tx.remnants().add(remnant).await?;
        }
        trail.write(&mut tx).await?;
        Ok(tx.commit().await?)
    }
}

impl Trail {
    async fn write<M: Writes>(&self, tx: &mut Session<M>) -> Result<(), StoreError> {
        tx.decisions().add(&self.decision).await?;
        for event in &self.events {
            tx.events().append(event).await?;
        }
        Ok(())
    }
}

impl NewCluster {
    /// Writes it all, and the lease.
    async fn insert<M: Writes>(
        &self,
        coordinator: &Coordinator,
        tx: &mut Session<M>,
    ) -> Result<Lease, Fault> {
        let at = self.at;
        let cluster = Cluster {
            id: self.id,
            spec: self.spec.clone(),
            healing: self.spec.healing,
            expiry: self.spec.ttl.map(|ttl| ttl.ends(at)),
            phase: ClusterPhase::Creating,
            image_id: self.image_id.clone(),
            generation: Generation::FIRST,
            deadline: at.after(self.wait),
            keep_on_failure: self.keep_on_failure,
            slurm_version: None,
            failure: None,
            seed: tx.secrets().put(SecretKind::ClusterSeed, &*self.seed, at, &mut *coordinator.rng()).await?,
            created: at,
            updated: at,
        };
        tx.clusters().insert(&cluster).await?;
        tx.networks().insert(&self.network).await?;
        tx.networks().attach(self.network.id, self.id).await?;
        tx.nodes().insert(&self.nodes).await?;
        let resource = Resource::cluster(self.id);
        match tx.leases().acquire(&resource, &coordinator.holder, at, TTL, |_| true).await? {
            Acquired::Granted(lease) => Ok(lease),
            Acquired::Held(lease) => Err(self.busy(lease.holder.id)),
        }
    }

    fn busy(&self, holder: String) -> Fault {
        ClusterFault::Busy { cluster: self.spec.name.clone(), holder }.into()
    }
}
