//! A pass over all member hosts at once, then the wait for Slurm.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use futures_util::{
    FutureExt, StreamExt,
    future::{BoxFuture, join, join_all, ready, select_all},
    stream::FuturesUnordered,
};
use shoal_slurm::{Accounts, BootstrapTemplate};
use shoal_storage::StoreError;
use shoal_types::{HostId, chain};

use crate::{
    fleet::{
        HostLink,
        liveness::{silent, while_alive},
    },
    observe::{image, intent::Intent},
    pass::{
        self,
        bring_up::Rendered,
        failure::sort,
        readiness::WaitOutcome,
        work::{Goal, Halt, Work, underlays},
    },
    words::fault::{ClusterFault, Fault},
};

/// Hosts that are asked for an image's accounts at once: two answers are wanted, and one host may be slow.
const ASKED: usize = 3;

/// What came of one pass.
#[derive(Debug)]
pub(crate) enum PassOutcome {
    /// Every host was brought to what the store says.
    Through(WaitOutcome),
    /// These hosts were not; all others were.
    HostsFailed(BTreeMap<HostId, Fault>),
}

impl Work {
    /// One pass that begins no call after `left`; those in flight then still end by themselves.
    pub(crate) async fn pass_within(&self, intent: &Intent, left: Duration) -> Result<PassOutcome, Halt> {
        let bounded = Self { stop: self.stop.child_token(), ..self.clone() };
        let mut pass = Box::pin(bounded.pass(intent));
        tokio::select! {
            passed = &mut pass => return passed,
            () = tokio::time::sleep(left) => bounded.stop.cancel(),
        }
        pass.await
    }

    /// One pass over all member hosts at once, then the wait for Slurm.
    async fn pass(&self, intent: &Intent) -> Result<PassOutcome, Halt> {
        let members = self.members(intent).await?;
        let (mut links, mut met) = self.links(intent).await?;
        self.try_ways(intent, &members, &links).await?;
        self.supply(intent, &mut links, &mut met).await?;
        let Some((template, rest)) = self.template(intent, &links, &mut met).await? else {
            return Ok(PassOutcome::HostsFailed(met));
        };
        let underlays = underlays(&members);
        let rendered = Rendered::new(intent, &template, &underlays);
        let passes = members.values().filter_map(|host| {
            let link = links.get(&host.id)?;
            let work = self.bring_up(link, &host.engine, &rendered);
            Some(while_alive(link, self.patience(host.id), work).map(|outcome| (link.id, outcome)).boxed())
        });
        let (outcomes, ()) = join(join_all(passes), rest).await;
        self.recorder.flush().await?;
        let (mut stopped, mut held) = (false, BTreeSet::new());
        for (host, outcome) in outcomes {
            match outcome {
                Ok(waits) => held.extend(waits),
                Err(Halt::Stopped) => stopped = true,
                Err(Halt::Fault(fault)) => self.meet(host, fault, &mut met)?,
            }
        }
        if stopped {
            return Err(Halt::Stopped);
        }
        if !met.is_empty() && self.goal == Goal::Made {
            return Ok(PassOutcome::HostsFailed(met));
        }
        let mut intent = self.intent().await?;
        // Slurm is waited for where it can be: the others' nodes are theirs, and those that wait are down.
        links.retain(|host, _| !met.contains_key(host));
        if self.goal == Goal::Kept {
            intent.nodes.retain(|node| links.contains_key(&node.host) && !held.contains(&node.id));
        }
        let Some(controller) = intent.controller().and_then(|c| links.get(&c.host)) else {
            if self.goal == Goal::Kept {
                return Ok(match met.is_empty() {
                    true => PassOutcome::Through(WaitOutcome::Ready),
                    false => PassOutcome::HostsFailed(met),
                });
            }
            return Err(
                StoreError::Missing { what: "controller of cluster", id: self.cluster.to_string() }.into()
            );
        };
        let silences = links
            .values()
            .map(|link| silent(link, self.patience(link.id)).map(|fault| (link.id, fault)).boxed());
        let waited = tokio::select! {
            waited = self.await_readiness(&intent, controller, &links, &members) => waited,
            fallen = self.fallen(&intent, &links) => Ok(fallen),
            ((host, fault), ..) = select_all(silences) => Err((host, fault.into())),
        };
        // What the wait is stalled by may be a node that has ended.
        let waited = match waited {
            Ok(WaitOutcome::Stalled) => {
                Ok(self.look_for_fallen(&intent, &links).await.unwrap_or(WaitOutcome::Stalled))
            }
            waited => waited,
        };
        match waited {
            Ok(
                unready @ (WaitOutcome::Stalled | WaitOutcome::Refused { .. } | WaitOutcome::Ended { .. }),
            ) => Ok(PassOutcome::Through(unready)),
            Ok(WaitOutcome::Ready) => {
                if let Some(version) = self.slurm_version(&intent, controller).await {
                    let mut tx = self.lease.begin().await?;
                    tx.clusters().set_slurm_version(self.cluster, &version, self.coordinator.now()).await?;
                    tx.commit().await?;
                }
                self.recorder.flush().await?;
                if !met.is_empty() {
                    return Ok(PassOutcome::HostsFailed(met));
                }
                Ok(PassOutcome::Through(WaitOutcome::Ready))
            }
            Err((_, Halt::Stopped)) => Err(Halt::Stopped),
            Err((host, Halt::Fault(fault))) => {
                self.meet(host, fault, &mut met)?;
                Ok(PassOutcome::HostsFailed(met))
            }
        }
    }

    /// Classifies a host's fault; an unanswered call may have taken effect.
    fn meet(&self, host: HostId, fault: Fault, met: &mut BTreeMap<HostId, Fault>) -> Result<(), Halt> {
        if fault.class().doubt {
            self.effects.doubt(host);
        }
        sort(host, fault, met)
    }

    /// What the nodes' archives share: keys of the cluster's seed, accounts of its image, and what is left to be done of
    /// reading these. `None`: no host could be asked for them, and `met` says why.
    async fn template<'a>(
        &'a self,
        intent: &'a Intent,
        links: &'a BTreeMap<HostId, Arc<HostLink>>,
        met: &mut BTreeMap<HostId, Fault>,
    ) -> Result<Option<(BootstrapTemplate, BoxFuture<'a, ()>)>, Halt> {
        let coordinator = &self.coordinator;
        let keys = pass::keys(coordinator, &intent.cluster).await?;
        let Some(controller) = intent.controller() else {
            return Err(
                StoreError::Missing { what: "controller of cluster", id: self.cluster.to_string() }.into()
            );
        };
        let Some((accounts, rest)) = self.accounts(intent, links, met).await? else { return Ok(None) };
        let render = |source| Fault::Cluster(ClusterFault::Render { node: controller.name.clone(), source });
        let template = BootstrapTemplate::new(intent.view()?, keys, accounts).map_err(render)?;
        Ok(Some((template, rest)))
    }

    /// The accounts of the image, read on two of the hosts if there are two, and what is left to be done of the reading: a host
    /// that is slow holds up nobody but itself. `None`: no host could be asked.
    async fn accounts<'a>(
        &'a self,
        intent: &'a Intent,
        links: &'a BTreeMap<HostId, Arc<HostLink>>,
        met: &mut BTreeMap<HostId, Fault>,
    ) -> Result<Option<(Accounts, BoxFuture<'a, ()>)>, Halt> {
        let (coordinator, cluster) = (&self.coordinator, &intent.cluster);
        let members = links.keys().copied().collect();
        if let Some(known) = image::known_accounts(coordinator, cluster, &members).await? {
            return Ok(Some((known, ready(()).boxed())));
        }
        let ask = |link: &'a Arc<HostLink>| {
            let asked = image::ask_accounts(coordinator, cluster, link).map(|a| a.map_err(Halt::from));
            while_alive(link, self.short_patience(), asked).map(move |said| (link, said)).boxed()
        };
        let mut waiting = links.values();
        let mut asks: FuturesUnordered<_> = waiting.by_ref().take(ASKED).map(ask).collect();
        let (mut said, mut last) = (Vec::new(), None);
        while said.len() < 2 {
            let Some((link, answer)) = asks.next().await else { break };
            match answer {
                Ok(accounts) => {
                    said.push(accounts);
                    last = Some(link);
                }
                Err(Halt::Stopped) => return Err(Halt::Stopped),
                Err(Halt::Fault(fault)) => {
                    self.meet(link.id, fault, met)?;
                    asks.extend(waiting.next().map(ask));
                }
            }
        }
        let Some(link) = last else { return Ok(None) };
        let agreed = image::agree_on_accounts(coordinator, cluster, link, &said);
        let agreed =
            match while_alive(link, self.short_patience(), agreed.map(|a| a.map_err(Halt::from))).await {
                Err(Halt::Fault(fault @ Fault::Host(_))) => {
                    self.meet(link.id, fault, met)?;
                    None
                }
                agreed => agreed?,
            };
        let rest = async move {
            while let Some((link, answer)) = asks.next().await {
                if let Err(Halt::Fault(fault)) = answer {
                    tracing::debug!(host.name = %link.name, error = chain(&fault), "accounts were not read");
                    if fault.class().doubt {
                        self.effects.doubt(link.id);
                    }
                }
            }
        };
        Ok(agreed.map(|accounts| (accounts, rest.boxed())))
    }
}
