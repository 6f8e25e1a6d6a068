//! Places the nodes of a host that is lost on others.
//!
//! ```text
//! silent for as long as the cluster's policy says, all its nodes may go --> do living members hear its nodes? --no-->
//!    asked once more --> do its nodes fit elsewhere? --> every living member is told that it is none, and takes nothing from it
//!    any more --> edit/relocation.rs --> passes, which begin a controller with the copy of its state (pass/state.rs)
//! ```
//! A host that does not answer may live on, with its nodes. Before one of them has another place, the agents of all living members
//! have said that the host is no member any more: their packet filters drop what it sends. If that goes no further, they differ from
//! what the store says, and a repair tells them anew. What is left on the host is remembered, and goes when it answers again. Where living members hear its nodes, its engine alone is down, and nothing is done.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use futures_util::{FutureExt, future::join_all};
use shoal_docker::{ContainerState, ExecSpec};
use shoal_storage::{Cluster, Host, Node, StateCopy};
use shoal_types::{ClusterPhase, Copied, EventKind, Heal, HostId, NodeName, Timestamp, chain, nodeset};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::{
    drive::{copy::may_replace, lifecycle::acquire, repair::passes},
    edit::{
        commit::{StateFrom, commit},
        relocation::{NotRescheduled, Relocation},
    },
    fleet::{HostLink, coordinator::Coordinator, liveness::limited},
    observe::{
        containers::container_of,
        image,
        intent::Intent,
        survey::{self, Depth, HostObservation},
    },
    pass::work::{Behalf, Halt, Work, underlays},
    words::fault::{ClusterFault, Fault, HostFault},
};

/// How long the nodes may take to come up at their new places.
const COME_UP: Duration = Duration::from_secs(300);
/// How long a lost host may take to answer after all.
const ONCE_MORE: Duration = Duration::from_secs(3);
/// Nodes of lost hosts that are called.
const CALLED: usize = 3;
/// Nodes of living hosts that are to call them, one after the other until one can.
const CALLERS: usize = 3;
/// What is printed before the addresses of those that answer.
const CALLING: &str = "calling";

/// Hosts that say nothing, and for how long.
pub(crate) type Silent = BTreeMap<HostId, Duration>;

/// A cluster with what is known of its state's copies.
#[derive(Debug)]
pub(crate) struct Patient {
    pub(crate) cluster: Cluster,
    pub(crate) nodes: Vec<Node>,
    pub(crate) copies: Vec<StateCopy>,
}

/// What may be done about hosts that have been silent for as long as the cluster's policy says.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Loss {
    /// Hosts whose nodes may all be placed elsewhere by now. One that keeps a node that must stay keeps all: as a member it is heard.
    pub(crate) hosts: BTreeSet<HostId>,
    /// Nodes that must stay for want of a copy of their state alone, and why.
    pub(crate) kept: Vec<(NodeName, String)>,
}

impl Patient {
    /// What may be done about it; only for a cluster that is ready anything may.
    pub(crate) fn loss(&self, silent: &Silent, now: Timestamp) -> Loss {
        let Self { cluster, nodes, copies } = self;
        let mut loss = Loss::default();
        match cluster.phase {
            ClusterPhase::Ready => {}
            ClusterPhase::Creating | ClusterPhase::Deleting | ClusterPhase::Failed => return loss,
        }
        let after = Duration::from_millis(cluster.healing.after_ms.as_millis());
        let members: BTreeSet<HostId> = nodes.iter().map(|node| node.host).collect();
        for host in members {
            let Some(silence) = silent.get(&host).filter(|silence| **silence >= after) else { continue };
            let goes = |node: &Node, copy| cluster.healing.policy.allows(node.role, copy) == Heal::Reschedule;
            let mut stays = false;
            for node in nodes.iter().filter(|node| node.host == host && !goes(node, Copied::No)) {
                let copy = copies.iter().find(|copy| copy.node == node.id);
                match goes(node, Copied::Yes)
                    .then(|| may_replace(cluster.healing.copies_ms, copy, *silence, now))
                {
                    Some(Ok(())) => {}
                    Some(Err(why)) => {
                        stays = true;
                        loss.kept.push((node.name.clone(), why));
                    }
                    None => stays = true,
                }
            }
            if !stays {
                loss.hosts.insert(host);
            }
        }
        loss
    }
}

/// Places the nodes of lost hosts anew. Which hosts were left; none if somebody else works on the cluster.
///
/// # Errors
/// [`ClusterFault::NotHealed`]: why its nodes stay where they are.
pub(crate) async fn heal(
    coordinator: &Arc<Coordinator>,
    cluster: &Cluster,
    silent: &Silent,
    interrupt: &CancellationToken,
) -> Result<BTreeSet<HostId>, Fault> {
    let (lease, cluster) = match acquire(coordinator, cluster).await {
        Err(Fault::Cluster(ClusterFault::Busy { .. } | ClusterFault::Unknown { .. })) => {
            return Ok(BTreeSet::new());
        }
        owned => owned?,
    };
    let work = Work::new(coordinator.clone(), cluster.id, lease, interrupt).keeping(Behalf::Upkeep);
    let healing = Healing { work: &work, silent };
    let left = healing.leave().boxed().await;
    if left.as_ref().is_ok_and(|left| !left.is_empty())
        && let Err(fault) = passes(&work, COME_UP, Instant::now()).boxed().await
    {
        // They have another place; the next look goes on with it.
        tracing::warn!(cluster.name = %cluster.spec.name, error = chain(&fault), "not every node came up elsewhere");
    }
    let flushed = work.recorder.flush().await;
    drop(work.lease.release().await);
    let left = left?;
    flushed?;
    Ok(left)
}

struct Healing<'a> {
    work: &'a Work,
    silent: &'a Silent,
}

impl Healing<'_> {
    /// Gives the nodes of lost hosts other places; the hosts that were left.
    async fn leave(&self) -> Result<BTreeSet<HostId>, Fault> {
        let work = self.work;
        let coordinator = &work.coordinator;
        let intent = work.intent().await?;
        // As it is under the lease.
        let mut read = coordinator.store.read().await?;
        let copies = read.state_copies().of_cluster(work.cluster).await?;
        let hosts = read.hosts().list().await?;
        drop(read);
        let patient = Patient { cluster: intent.cluster.clone(), nodes: intent.nodes.clone(), copies };
        let lost = patient.loss(self.silent, coordinator.now()).hosts;
        if lost.is_empty() {
            return Ok(lost);
        }
        let (left, others): (Vec<_>, Vec<_>) = hosts.into_iter().partition(|host| lost.contains(&host.id));
        let mut seen = survey::survey_of(coordinator, others, Depth::Agent).await?;
        let living = self.living(&intent, &lost, &seen)?;
        let (heard, answers) = tokio::join!(self.heard(&intent, &lost, &living), self.any_answers(&left));
        if let Some(why) = heard {
            return Err(not_healed(&intent, &lost, why));
        }
        if answers {
            return Ok(BTreeSet::new());
        }
        let why: BTreeMap<HostId, String> =
            left.iter().map(|host| (host.id, format!("host {} does not answer", host.name))).collect();
        seen.extend(left.into_iter().map(|host| {
            let seconds = self.silent.get(&host.id).copied().unwrap_or_default().as_secs();
            let fault = HostFault::Silent { host: host.name.clone(), seconds };
            HostObservation { host, link: Err(fault.into()) }
        }));
        let cluster = &intent.cluster;
        let image = image::resolve_id(&cluster.spec.image, &cluster.image_id, &seen).await;
        let (lease, left, nowhere) = (&work.lease, &why, BTreeMap::new());
        let relocation = Relocation {
            lease,
            intent: &intent,
            left,
            only: None,
            to: &nowhere,
            state: StateFrom::Copy,
            seen: &seen,
            image: &image,
        };
        let refused = |refused| match refused {
            NotRescheduled::Here(why) => not_healed(&intent, &lost, why),
            NotRescheduled::Fault(fault) => fault,
        };
        relocation.plan(coordinator).await.map_err(refused)?;
        self.fence(&intent, &lost, &living).await?;
        commit(coordinator, &relocation).await.map_err(refused)?;
        Ok(lost)
    }

    /// Whether one of these hosts answers after all.
    async fn any_answers(&self, hosts: &[Host]) -> bool {
        let coordinator = &self.work.coordinator;
        let asks = hosts.iter().map(|host| {
            let ask = async {
                let link = coordinator.fleet.link(&coordinator.store, host).await?;
                link.engine.ping().await.map_err(Fault::engine(&host.name))
            };
            limited::<_, Fault>(&host.name, ONCE_MORE, ask).boxed()
        });
        join_all(asks).await.iter().any(Result::is_ok)
    }

    /// The ways to all living members: each answers, and has a packet filter.
    fn living(
        &self,
        intent: &Intent,
        lost: &BTreeSet<HostId>,
        seen: &[HostObservation],
    ) -> Result<BTreeMap<HostId, Arc<HostLink>>, Fault> {
        let member =
            |s: &&HostObservation| intent.on(s.host.id).next().is_some() && !lost.contains(&s.host.id);
        let mut living = BTreeMap::new();
        for HostObservation { host, link } in seen.iter().filter(member) {
            let link = match link {
                Ok(link) => link.clone(),
                Err(fault) => {
                    let why = format!("another member does not answer: {}", chain(fault));
                    return Err(not_healed(intent, lost, why));
                }
            };
            let fault = host.facts.as_ref().map(|facts| facts.filter_fault.as_str()).unwrap_or_default();
            if !fault.is_empty() {
                let why = format!("{} cannot drop what lost hosts send: {fault}", host.name);
                return Err(not_healed(intent, lost, why));
            }
            living.insert(host.id, link);
        }
        Ok(living)
    }

    /// Why the nodes of lost hosts may be alive, if they may: a node of a living host has called some of them. `None`: none answers, or
    /// no living host has a node that would hear them.
    async fn heard(
        &self,
        intent: &Intent,
        lost: &BTreeSet<HostId>,
        living: &BTreeMap<HostId, Arc<HostLink>>,
    ) -> Option<String> {
        let naming = &self.work.coordinator.naming;
        let silent = intent.nodes.iter().filter(|n| lost.contains(&n.host)).take(CALLED);
        let silent: Vec<&Node> = silent.collect();
        let mut why = None;
        for node in intent.nodes.iter().filter(|node| !lost.contains(&node.host)).take(CALLERS) {
            why = Some(format!("{} could not call its nodes", node.name));
            let Some(link) = living.get(&node.host) else { continue };
            let there = container_of(naming, link, node.id).await.ok().flatten();
            let Some(there) = there.filter(|c| c.state == ContainerState::Running) else { continue };
            let Ok(said) = link.engine.exec(&there.id, &ExecSpec::new(call(&silent)), 1024).await else {
                continue;
            };
            let said = String::from_utf8_lossy(&said.stdout).into_owned();
            let mut lines = said.lines();
            if lines.next() != Some(CALLING) {
                continue;
            }
            let heard: Vec<&str> = lines.collect();
            let answers = silent.iter().find(|node| heard.contains(&node.address.to_string().as_str()));
            return answers.map(|node| {
                format!("{} is heard by living members: the engine of its host alone is down", node.name)
            });
        }
        why
    }

    /// Tells every living member that the lost hosts are none, and hears that it has done so.
    async fn fence(
        &self,
        intent: &Intent,
        lost: &BTreeSet<HostId>,
        living: &BTreeMap<HostId, Arc<HostLink>>,
    ) -> Result<(), Fault> {
        let work = self.work;
        let mut tx = work.lease.begin().await?;
        tx.networks().next_revision(intent.network.id).await?;
        // Before anything is done: whoever goes on counts them too.
        for host in lost {
            tx.hosts().leave(*host, work.coordinator.now()).await?;
        }
        tx.commit().await?;
        let mut fenced = work.intent().await?;
        fenced.nodes.retain(|node| !lost.contains(&node.host));
        let underlays = underlays(&work.members(&fenced).await?);
        for link in living.values() {
            work.apply_mesh(link, &fenced, &underlays).await.map_err(Halt::into_fault)?;
        }
        let text = "every living member takes nothing from lost hosts any more";
        work.note(&fenced, EventKind::Step, None, text).await;
        Ok(())
    }
}

fn not_healed(intent: &Intent, lost: &BTreeSet<HostId>, why: String) -> Fault {
    let nodes = intent.nodes.iter().filter(|node| lost.contains(&node.host));
    ClusterFault::NotHealed {
        cluster: intent.cluster.spec.name.clone(),
        nodes: nodeset::compress(nodes.map(|node| node.name.as_str())),
        why,
    }
    .into()
}

/// Calls these nodes, all at once, and prints the addresses of those whose host answers, with a connection or without.
fn call(nodes: &[&Node]) -> Vec<String> {
    let one = |node: &&Node| {
        let address = node.address;
        format!(
            "(said=$( (exec 3<>/dev/tcp/{address}/22) 2>&1 ) && echo {address} || case $said in *refused*) echo {address};; esac) &"
        )
    };
    let line = std::iter::once(format!("echo {CALLING};")).chain(nodes.iter().map(one));
    let line = line.chain(["wait".to_owned()]).collect::<Vec<_>>().join(" ");
    ["timeout", "2", "bash", "-c", &line].map(str::to_owned).into()
}

#[cfg(test)]
mod tests {
    use shoal_storage::KeptState;
    use shoal_types::{Bytes, CopyPeriod, HealAfter, Healing as Policy, HealingPolicy};

    use super::*;
    use crate::observe::intent::tests::intent;

    #[test]
    fn a_host_is_left_once_it_was_silent_for_long_enough_and_all_its_nodes_may_go() {
        let mut intent = intent(&[0, 1, 2]);
        let (first, second) = (intent.nodes[0].host, HostId::new(2, [7; 10]));
        intent.nodes[2].host = second;
        intent.nodes[3].host = second;
        let now = Timestamp(100_000_000);
        let kept = KeptState {
            state: Bytes(9),
            copy: Bytes(9),
            taken: now,
            checked: now.before(Duration::from_secs(600)),
        };
        let copy = StateCopy {
            node: intent.nodes[0].id,
            version: 1,
            kept: Some(kept),
            trouble: None,
            restore: None,
        };
        let after = |policy, copies_ms, copies: &[StateCopy], silent: &[(HostId, u64)]| {
            let healing = Policy { policy, after_ms: HealAfter::try_from(60_000).unwrap(), copies_ms };
            let cluster = Cluster { healing, ..intent.cluster.clone() };
            let silent = silent.iter().map(|(host, s)| (*host, Duration::from_secs(*s))).collect();
            let mut patient = Patient { cluster, nodes: intent.nodes.clone(), copies: copies.to_vec() };
            let loss = patient.loss(&silent, now);
            patient.cluster.phase = ClusterPhase::Creating;
            assert_eq!(patient.loss(&silent, now), Loss::default());
            (
                loss.hosts.into_iter().collect::<Vec<_>>(),
                loss.kept.into_iter().map(|(_, why)| why).collect::<Vec<_>>(),
            )
        };
        use HealingPolicy::{Default, None as Never, Reschedule, Restart};
        let (minute, off) = (CopyPeriod::default(), CopyPeriod::NEVER);
        let (copied, no) = (&[copy][..], &[][..]);
        let none_yet = vec!["its state has no copy yet".to_owned()];
        let not_copied = vec!["its state is not copied (--state-copies none)".to_owned()];
        for (policy, period, copies, silent, left, kept) in [
            (Default, minute, no, &[][..], vec![], vec![]),
            (Default, minute, no, &[(second, 59)], vec![], vec![]),
            (Default, minute, no, &[(second, 60)], vec![second], vec![]),
            // The controller stays, and with it all that is there.
            (Default, minute, no, &[(first, 59), (second, 600)], vec![second], vec![]),
            (Default, minute, no, &[(first, 600), (second, 600)], vec![second], none_yet),
            (Default, off, copied, &[(first, 600)], vec![], not_copied),
            // Unless its state has a copy.
            (Default, minute, copied, &[(first, 59)], vec![], vec![]),
            (Default, minute, copied, &[(first, 600)], vec![first], vec![]),
            (Reschedule, minute, no, &[(first, 600)], vec![first], vec![]),
            (Never, minute, copied, &[(second, 600)], vec![], vec![]),
            (Restart, minute, copied, &[(first, 600), (second, 600)], vec![], vec![]),
        ] {
            assert_eq!(after(policy, period, copies, silent), (left, kept), "{policy} {silent:?}");
        }
    }
}
