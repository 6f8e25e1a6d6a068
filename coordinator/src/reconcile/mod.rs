//! Brings hosts to what the store says of a cluster, pass after pass, until it is ready or gone.
//!
//! ```text
//!            +--------------------------- pass -----------------------------+
//! intent --> | members at once: bring_up (observe, plan, act)  --> settle   | --> ready
//!   ^        +--------------------------------------------------------------+
//!   |  transient fault, or nothing changed: back off, read intent again |
//!   `-------------------------------------------------------------------'--> failed: deleting, take_down until gone
//! ```
//! A pass takes no hint about what changed and every action in it is idempotent, so a crash loses nothing: the next pass,
//! in this process or another, continues from what is there.

mod bring_up;
mod container;
mod diagnose;
mod plan;
mod recorder;
mod settle;
mod take_down;
mod work;

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use futures_util::{FutureExt, future::join_all};
use shoal_slurm::{BootstrapTemplate, ClusterKeys};
use shoal_storage::{SecretKind, StoreError};
use shoal_types::{ClusterPhase, EventKind, EventLevel, HostId, PhaseChange};

pub use self::diagnose::{NotReady, StuckNode};
use self::{bring_up::Rendered, settle::Settled, work::underlays};
pub(crate) use self::{
    take_down::forget_host,
    work::{Halt, Work},
};
use crate::{Fault, coordinator::Coordinator, fleet::HostLink, render::Intent, server::text};

/// First pause after a pass that met a transient fault; doubled each time.
const BACK_OFF: Duration = Duration::from_millis(250);
/// Longest such pause.
const LONGEST_BACK_OFF: Duration = Duration::from_secs(5);
/// How often taking down is tried before what is left is left to the next command.
const TAKE_DOWN_TRIES: u32 = 4;

/// How bringing up ended.
#[derive(Debug)]
pub(crate) enum Outcome {
    /// Every worker is IDLE.
    Ready,
    /// It cannot become ready.
    Failed(NotReady),
    /// Somebody asked to stop.
    Stopped,
    /// The lease or the store was lost: another owner may be at it, nothing may be undone.
    Lost(Fault),
}

impl Work {
    /// Passes until the cluster is ready, cannot become so, or its deadline has passed.
    pub(crate) async fn forward(&self) -> Outcome {
        let mut pause = BACK_OFF;
        loop {
            let intent = match self.intent().await {
                Ok(intent) => intent,
                Err(fault) if fault.is_transient() && !self.interrupt.is_cancelled() => {
                    tokio::time::sleep(pause).await;
                    continue;
                }
                Err(fault) => return Outcome::Lost(fault),
            };
            if intent.cluster.phase == ClusterPhase::Deleting {
                return Outcome::Stopped;
            }
            let left = intent.cluster.deadline.since(self.coordinator.now());
            let passed = self.pass_within(&intent, left).await;
            match passed {
                Ok(Settled::Yes) => return Outcome::Ready,
                Ok(Settled::Stalled) => pause = BACK_OFF,
                Err(Halt::Stopped) if self.interrupt.is_cancelled() => return Outcome::Stopped,
                // What was done could not be written down.
                Err(Halt::Stopped) if self.stop.is_cancelled() => {
                    return Outcome::Lost(self.recorder.failure().into());
                }
                Err(Halt::Stopped) => {
                    let allowed = intent.cluster.deadline.since(intent.cluster.created);
                    return self
                        .failed(format!("not every worker was IDLE within {} s", allowed.as_secs()))
                        .await;
                }
                Err(Halt::Fault(fault @ Fault::Store(_))) if !fault.is_transient() => {
                    return Outcome::Lost(fault);
                }
                Err(Halt::Fault(fault)) if fault.is_transient() && left.is_zero() => {
                    return self.failed(text(&fault)).await;
                }
                Err(Halt::Fault(fault)) if fault.is_transient() => {
                    tracing::warn!(cluster.id = %self.cluster, error = text(&fault), "pass failed, trying again");
                    let warning = self.event(&intent, EventLevel::Warn, EventKind::Step, None, text(&fault));
                    self.recorder.event(warning).await;
                    pause = (pause * 2).min(LONGEST_BACK_OFF);
                }
                Err(Halt::Fault(fault)) => return self.failed(text(&fault)).await,
            }
            tokio::select! {
                () = self.interrupt.cancelled() => return Outcome::Stopped,
                () = tokio::time::sleep(pause) => {}
            }
        }
    }

    async fn failed(&self, cause: String) -> Outcome {
        let asked = async {
            self.recorder.flush().await?;
            let intent = self.intent().await?;
            let (links, _) = self.links(&intent).await?;
            Ok::<_, Fault>(self.diagnose(&intent, &links, cause).await)
        };
        match asked.await {
            Ok(not_ready) => Outcome::Failed(not_ready),
            Err(fault) => Outcome::Lost(fault),
        }
    }

    /// One pass that begins no call after `left`; those in flight then still end by themselves.
    async fn pass_within(&self, intent: &Intent, left: Duration) -> Result<Settled, Halt> {
        let bounded = Self { stop: self.stop.child_token(), ..self.clone() };
        let mut pass = std::pin::pin!(bounded.pass(intent));
        tokio::select! {
            passed = &mut pass => return passed,
            () = tokio::time::sleep(left) => bounded.stop.cancel(),
        }
        pass.await
    }

    /// One pass over all member hosts at once, then the wait for Slurm.
    async fn pass(&self, intent: &Intent) -> Result<Settled, Halt> {
        let members = self.members(intent).await?;
        let (links, unreached) = self.links(intent).await?;
        if let Some(fault) = unreached.into_values().next() {
            return Err(fault.into());
        }
        let template = self.template(intent, &links).await?;
        let underlays = underlays(&members);
        let rendered = Rendered { intent, template: &template, underlays: &underlays };
        let passes = members.values().filter_map(|host| {
            let link = links.get(&host.id)?;
            Some(self.bring_up(link, &host.engine, &rendered).boxed())
        });
        for outcome in join_all(passes).await {
            outcome?;
        }
        self.recorder.flush().await?;
        let Some(controller) = intent.controller().and_then(|c| links.get(&c.host)) else {
            return Err(
                StoreError::Missing { what: "controller of cluster", id: self.cluster.to_string() }.into()
            );
        };
        let intent = self.intent().await?;
        let settled = self.settle(&intent, controller, &members).await?;
        if settled == Settled::Yes {
            if let Some(version) = self.slurm_version(&intent, controller).await? {
                let mut tx = self.lease.begin().await?;
                tx.clusters().set_slurm_version(self.cluster, &version, self.coordinator.now()).await?;
                tx.commit().await?;
            }
            self.recorder.flush().await?;
        }
        Ok(settled)
    }

    /// Links to the member hosts, and what keeps the others from being reached.
    async fn links(
        &self,
        intent: &Intent,
    ) -> Result<(BTreeMap<HostId, Arc<HostLink>>, BTreeMap<HostId, Fault>), Fault> {
        let members = self.members(intent).await?;
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

    /// What the nodes' archives share: keys of the cluster's seed, accounts of its image.
    async fn template(
        &self,
        intent: &Intent,
        links: &BTreeMap<HostId, Arc<HostLink>>,
    ) -> Result<BootstrapTemplate, Halt> {
        let coordinator = &self.coordinator;
        let keys = coordinator.keys(&intent.cluster).await?;
        let Some(link) = links.values().next() else { return Err(Fault::NoHosts.into()) };
        let accounts =
            coordinator.accounts(&intent.cluster.spec.image, &intent.cluster.image_id, link).await?;
        let Some(controller) = intent.controller() else {
            return Err(
                StoreError::Missing { what: "controller of cluster", id: self.cluster.to_string() }.into()
            );
        };
        let render = |source| Fault::Render { node: controller.name.clone(), source };
        Ok(BootstrapTemplate::new(intent.view()?, keys, accounts).map_err(render)?)
    }

    /// Passes until nothing of the cluster is left on any host and in the store.
    ///
    /// # Errors
    /// [`Fault::LeftBehind`]: some hosts cannot be reached; their nodes stay in the store, everything else is gone.
    pub(crate) async fn backward(&self) -> Result<(), Fault> {
        let mut pause = BACK_OFF;
        for attempt in 1.. {
            let intent = self.intent().await?;
            let failures = self.take_down_all(&intent).await?;
            if failures.is_empty() {
                let mut tx = self.lease.begin().await?;
                tx.clusters().delete(self.cluster).await?;
                let gone = self.event(&intent, EventLevel::Info, EventKind::Phase, None, "deleted".into());
                tx.events().append(&gone).await?;
                return Ok(tx.commit().await?);
            }
            if attempt >= TAKE_DOWN_TRIES {
                return Err(self.left_behind(&intent, &failures).await?);
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(LONGEST_BACK_OFF);
        }
        Ok(())
    }

    /// One pass over all hosts; each host that is clean loses its nodes in the store. What went wrong, by host name.
    async fn take_down_all(&self, intent: &Intent) -> Result<BTreeMap<String, Fault>, Fault> {
        let members = self.members(intent).await?;
        let (links, unreached) = self.links(intent).await?;
        let name = |id: HostId| members.get(&id).map_or_else(|| id.to_string(), |h| h.name.to_string());
        let mut failures: BTreeMap<_, _> =
            unreached.into_iter().map(|(id, fault)| (name(id), fault)).collect();
        let passes = links.values().map(|link| self.take_down(link, intent).boxed());
        for (&id, outcome) in links.keys().zip(join_all(passes).await) {
            match outcome {
                Ok(()) => {
                    self.recorder.flush().await?;
                    let nodes: Vec<_> = intent.on(id).map(|n| n.id).collect();
                    let mut tx = self.lease.begin().await?;
                    tx.nodes().delete(&nodes).await?;
                    tx.commit().await?;
                }
                Err(Halt::Fault(Fault::Store(error))) => return Err(error.into()),
                Err(halt) => drop(failures.insert(name(id), halt.into_fault())),
            }
        }
        Ok(failures)
    }

    async fn left_behind(&self, intent: &Intent, failures: &BTreeMap<String, Fault>) -> Result<Fault, Fault> {
        let hosts: Vec<_> = failures.keys().map(String::as_str).collect();
        let fault = Fault::LeftBehind {
            cluster: intent.cluster.spec.name.clone(),
            hosts: hosts.join(", "),
            reason: failures.values().next().map(|f| text(f)).unwrap_or_default(),
        };
        let message = text(&fault);
        let mut tx = self.lease.begin().await?;
        tx.clusters().set_failure(self.cluster, Some(&message), self.coordinator.now()).await?;
        tx.events().append(&self.event(intent, EventLevel::Error, EventKind::Phase, None, message)).await?;
        tx.commit().await?;
        Ok(fault)
    }

    /// Moves the cluster to the phase after `change`, with an event that says why.
    pub(crate) async fn change_phase(&self, change: PhaseChange, message: &str) -> Result<(), Fault> {
        let intent = self.intent().await?;
        let (from, name) = (intent.cluster.phase, intent.cluster.spec.name.clone());
        let to = from.after(change).map_err(|source| Fault::Phase { cluster: name, source })?;
        let fails = from == ClusterPhase::Creating && change != PhaseChange::Settled;
        let level = if fails { EventLevel::Warn } else { EventLevel::Info };
        let mut tx = self.lease.begin().await?;
        if from != to {
            tx.clusters().set_phase(self.cluster, from, to, self.coordinator.now()).await?;
        }
        tx.events().append(&self.event(&intent, level, EventKind::Phase, None, message.into())).await?;
        Ok(tx.commit().await?)
    }
}

impl Coordinator {
    /// The keys of a cluster, derived from its sealed seed.
    pub(crate) async fn keys(&self, cluster: &shoal_storage::Cluster) -> Result<ClusterKeys, Fault> {
        let corrupt =
            || StoreError::Corrupt { table: "secrets", column: "sealed", id: cluster.seed.to_string() };
        let seed = self.store.read().await?.secrets().open(cluster.seed, SecretKind::ClusterSeed).await?;
        let seed =
            seed.ok_or_else(|| StoreError::Missing { what: "seed of cluster", id: cluster.id.to_string() })?;
        let seed: &[u8; 32] = seed.as_slice().try_into().map_err(|_| corrupt())?;
        Ok(ClusterKeys::derive(seed))
    }
}
