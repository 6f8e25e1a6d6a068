//! The way up: passes over all member hosts until every worker is IDLE, and what to do about hosts that fail.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use futures_util::{
    FutureExt,
    future::{join_all, select_all},
};
use shoal_slurm::BootstrapTemplate;
use shoal_storage::StoreError;
use shoal_types::{ClusterPhase, EventKind, EventLevel, HostId};

use crate::{
    drive::{BACK_OFF, LONGEST_BACK_OFF, reschedule::Stuck},
    fleet::{
        HostLink,
        liveness::{silent, while_alive},
    },
    observe::intent::Intent,
    pass::{
        bring_up::Rendered,
        failure::{PATIENCE, PATIENCE_STARTED, Troubles, Verdict, leaves_doubt, sort, verdict},
        readiness::Settled,
        work::{Halt, Work, underlays},
    },
    words::{
        chain::text,
        fault::{Fault, NotReady},
    },
};

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

/// What came of one pass.
#[derive(Debug)]
enum Passed {
    /// Every host was brought to what the store says.
    Settled(Settled),
    /// These hosts were not; all others were.
    Trouble(BTreeMap<HostId, Fault>),
}

impl Work {
    /// Passes until the cluster is ready, cannot become so, or its deadline has passed.
    pub(crate) async fn forward(&self) -> Outcome {
        let mut pause = BACK_OFF;
        let mut troubles = Troubles::default();
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
            match self.pass_within(&intent, left).await {
                Ok(Passed::Settled(Settled::Yes)) => return Outcome::Ready,
                Ok(Passed::Settled(Settled::Stalled)) => {
                    troubles = Troubles::default();
                    pause = BACK_OFF;
                }
                Ok(Passed::Trouble(met)) => match self.in_trouble(&intent, met, &mut troubles).await {
                    Ok(true) => pause = BACK_OFF,
                    Ok(false) => pause = (pause * 2).min(LONGEST_BACK_OFF),
                    Err(Stuck::Here(cause)) => return self.failed(cause).await,
                    Err(Stuck::Fault(fault)) => return Outcome::Lost(fault),
                },
                Err(Halt::Stopped) if self.interrupt.is_cancelled() => return Outcome::Stopped,
                // What was done could not be written down.
                Err(Halt::Stopped) if self.stop.is_cancelled() => {
                    return Outcome::Lost(self.recorder.failure().into());
                }
                Err(Halt::Stopped) => {
                    let allowed = intent.cluster.deadline.since(intent.cluster.created);
                    let late = format!("not every worker was IDLE within {} s", allowed.as_secs());
                    let causes = std::iter::once(late.as_str()).chain(troubles.texts());
                    return self.failed(causes.collect::<Vec<_>>().join("; ")).await;
                }
                Err(Halt::Fault(fault @ Fault::Store(_))) if !fault.is_transient() => {
                    return Outcome::Lost(fault);
                }
                Err(Halt::Fault(fault)) if fault.is_transient() && !left.is_zero() => {
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

    /// Hosts failed in a pass: says so once, and moves the nodes of those beyond patience. True if it did.
    async fn in_trouble(
        &self,
        intent: &Intent,
        met: BTreeMap<HostId, Fault>,
        troubles: &mut Troubles,
    ) -> Result<bool, Stuck> {
        let now = self.coordinator.now();
        let texts: BTreeMap<_, _> = met.iter().map(|(host, fault)| (*host, text(fault))).collect();
        let hosts = self.members(intent).await?;
        for (host, text) in troubles.note(&texts, now) {
            tracing::warn!(cluster.id = %self.cluster, host.id = %host, error = text, "host in trouble");
            let name = hosts.get(&host).map(|h| &h.name);
            self.recorder.event(self.event(intent, EventLevel::Warn, EventKind::Step, name, text)).await;
        }
        let unfit: BTreeMap<_, _> = met
            .into_iter()
            .filter(|(host, fault)| {
                verdict(fault) == Verdict::Unfit || troubles.beyond(*host, self.patience(*host), now)
            })
            .collect();
        if unfit.is_empty() {
            return Ok(false);
        }
        for (id, fault) in unfit.iter().filter(|(_, fault)| fault.blames_host()) {
            if let Some(host) = hosts.get(id) {
                self.coordinator.note_failure(&mut host.clone(), fault).await?;
            }
        }
        self.reschedule(intent, &unfit).await?;
        Ok(true)
    }

    /// How long a host may fail or say nothing.
    fn patience(&self, host: HostId) -> Duration {
        if self.lease.inherited || self.effects.started(host) { PATIENCE_STARTED } else { PATIENCE }
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
    async fn pass_within(&self, intent: &Intent, left: Duration) -> Result<Passed, Halt> {
        let bounded = Self { stop: self.stop.child_token(), ..self.clone() };
        let mut pass = std::pin::pin!(bounded.pass(intent));
        tokio::select! {
            passed = &mut pass => return passed,
            () = tokio::time::sleep(left) => bounded.stop.cancel(),
        }
        pass.await
    }

    /// One pass over all member hosts at once, then the wait for Slurm.
    async fn pass(&self, intent: &Intent) -> Result<Passed, Halt> {
        let members = self.members(intent).await?;
        let (mut links, mut met) = self.links(intent).await?;
        self.supply(intent, &mut links, &mut met).await?;
        let Some(template) = self.template(intent, &links, &mut met).await? else {
            return Ok(Passed::Trouble(met));
        };
        let underlays = underlays(&members);
        let rendered = Rendered { intent, template: &template, underlays: &underlays };
        let passes = members.values().filter_map(|host| {
            let link = links.get(&host.id)?;
            let work = self.bring_up(link, &host.engine, &rendered);
            Some(while_alive(link, self.patience(host.id), work).map(|outcome| (link.id, outcome)).boxed())
        });
        let outcomes = join_all(passes).await;
        self.recorder.flush().await?;
        let mut stopped = false;
        for (host, outcome) in outcomes {
            match outcome {
                Ok(()) => {}
                Err(Halt::Stopped) => stopped = true,
                Err(Halt::Fault(fault)) => self.meet(host, fault, &mut met)?,
            }
        }
        if stopped {
            return Err(Halt::Stopped);
        }
        if !met.is_empty() {
            return Ok(Passed::Trouble(met));
        }
        let Some(controller) = intent.controller().and_then(|c| links.get(&c.host)) else {
            return Err(
                StoreError::Missing { what: "controller of cluster", id: self.cluster.to_string() }.into()
            );
        };
        let intent = self.intent().await?;
        let silences = links
            .values()
            .map(|link| silent(link, self.patience(link.id)).map(|fault| (link.id, fault)).boxed());
        let settled = tokio::select! {
            settled = self.settle(&intent, controller, &members) => settled.map_err(|halt| (controller.id, halt)),
            ((host, fault), ..) = select_all(silences) => Err((host, fault.into())),
        };
        match settled {
            Ok(Settled::Stalled) => Ok(Passed::Settled(Settled::Stalled)),
            Ok(Settled::Yes) => {
                if let Some(version) = self.slurm_version(&intent, controller).await? {
                    let mut tx = self.lease.begin().await?;
                    tx.clusters().set_slurm_version(self.cluster, &version, self.coordinator.now()).await?;
                    tx.commit().await?;
                }
                self.recorder.flush().await?;
                Ok(Passed::Settled(Settled::Yes))
            }
            Err((_, Halt::Stopped)) => Err(Halt::Stopped),
            Err((host, Halt::Fault(fault))) => {
                self.meet(host, fault, &mut met)?;
                Ok(Passed::Trouble(met))
            }
        }
    }

    /// Classifies a host's fault; an unanswered call may have taken effect.
    fn meet(&self, host: HostId, fault: Fault, met: &mut BTreeMap<HostId, Fault>) -> Result<(), Halt> {
        if leaves_doubt(&fault) {
            self.effects.doubt(host);
        }
        sort(host, fault, met)
    }

    /// What the nodes' archives share: keys of the cluster's seed, accounts of its image. `None`: no host could be asked for
    /// them, and `met` says why.
    async fn template(
        &self,
        intent: &Intent,
        links: &BTreeMap<HostId, Arc<HostLink>>,
        met: &mut BTreeMap<HostId, Fault>,
    ) -> Result<Option<BootstrapTemplate>, Halt> {
        let coordinator = &self.coordinator;
        let keys = coordinator.keys(&intent.cluster).await?;
        let Some(controller) = intent.controller() else {
            return Err(
                StoreError::Missing { what: "controller of cluster", id: self.cluster.to_string() }.into()
            );
        };
        for link in links.values() {
            let asked = coordinator.accounts(&intent.cluster, link);
            let accounts = match while_alive(link, PATIENCE, asked.map(|a| a.map_err(Halt::from))).await {
                Ok(accounts) => accounts,
                Err(Halt::Stopped) => return Err(Halt::Stopped),
                Err(Halt::Fault(fault)) => {
                    self.meet(link.id, fault, met)?;
                    continue;
                }
            };
            let render = |source| Fault::Render { node: controller.name.clone(), source };
            return Ok(Some(BootstrapTemplate::new(intent.view()?, keys, accounts).map_err(render)?));
        }
        Ok(None)
    }
}
