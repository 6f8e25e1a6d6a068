//! Places the nodes of a host that is lost on others.
//!
//! ```text
//! silent for as long as the cluster's policy says, all its nodes may go --> do living members hear its nodes? --no-->
//!    asked once more --> edit/relocation.rs --> every living member is told, and takes nothing from it any more --> passes
//! ```
//! A host that does not answer may live on, with its nodes. Before one of them is started elsewhere, the agents of all living members
//! have said that the host is no member any more: their packet filters drop what it sends. What is left there is remembered, and goes
//! when it answers again. Where living members hear its nodes, its engine alone is down, and nothing is done.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use futures_util::{FutureExt, future::join_all};
use shoal_docker::{CallClass, ContainerState, ExecSpec};
use shoal_storage::{Cluster, Host, Node};
use shoal_types::{ClusterPhase, EventKind, Heal, HostId, HostName, NodeName, chain, nodeset};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::{
    drive::{lifecycle::acquire, repair::passes},
    edit::{
        commit::commit,
        relocation::{NotRescheduled, Relocation},
    },
    fleet::{coordinator::Coordinator, liveness::limited},
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
/// Nodes of a lost host that a living member listens for.
const LISTENED_FOR: usize = 3;

/// Hosts that say nothing, and for how long.
pub(crate) type Silent = BTreeMap<HostId, Duration>;

/// Whether something of the cluster may be healed: it is ready, and the policy lets nodes of a host that has been silent for long enough
/// go elsewhere.
pub(crate) fn is_due(cluster: &Cluster, nodes: &[Node], silent: &Silent) -> bool {
    cluster.phase == ClusterPhase::Ready && !lost(cluster, nodes, silent).is_empty()
}

/// The hosts whose nodes may all be placed elsewhere by now. One that keeps a node that must stay keeps all: as a member it is heard.
fn lost(cluster: &Cluster, nodes: &[Node], silent: &Silent) -> BTreeSet<HostId> {
    let after = Duration::from_millis(cluster.healing.after_ms.as_millis());
    let due = |host: &HostId| silent.get(host).is_some_and(|silence| *silence >= after);
    let may_go = |node: &Node| cluster.healing.policy.allows(node.role) == Heal::Reschedule;
    let members: BTreeSet<HostId> = nodes.iter().map(|node| node.host).collect();
    let gone = |host: &HostId| nodes.iter().filter(|node| node.host == *host).all(may_go);
    members.into_iter().filter(|host| due(host) && gone(host)).collect()
}

/// Places the nodes of lost hosts anew. How many hosts of the cluster were left; none if somebody else works on it.
///
/// # Errors
/// [`ClusterFault::NotHealed`]: why its nodes stay where they are.
pub(crate) async fn heal(
    coordinator: &Arc<Coordinator>,
    cluster: &Cluster,
    silent: &Silent,
    interrupt: &CancellationToken,
) -> Result<usize, Fault> {
    let (lease, cluster) = match acquire(coordinator, cluster).await {
        Err(Fault::Cluster(ClusterFault::Busy { .. } | ClusterFault::Unknown { .. })) => return Ok(0),
        owned => owned?,
    };
    let work = Work::new(coordinator.clone(), cluster.id, lease, interrupt).keeping(Behalf::Upkeep);
    let healed = Healing { work: &work, silent }.run().boxed().await;
    let flushed = work.recorder.flush().await;
    drop(work.lease.release().await);
    let healed = healed?;
    flushed?;
    Ok(healed)
}

struct Healing<'a> {
    work: &'a Work,
    silent: &'a Silent,
}

impl Healing<'_> {
    async fn run(&self) -> Result<usize, Fault> {
        let (work, began) = (self.work, Instant::now());
        let coordinator = &work.coordinator;
        let intent = work.intent().await?;
        // As it is under the lease.
        let lost = match intent.cluster.phase {
            ClusterPhase::Ready => lost(&intent.cluster, &intent.nodes, self.silent),
            ClusterPhase::Creating | ClusterPhase::Deleting | ClusterPhase::Failed => return Ok(0),
        };
        if lost.is_empty() {
            return Ok(0);
        }
        let hosts = coordinator.store.read().await?.hosts().list().await?;
        let (left, others): (Vec<_>, Vec<_>) = hosts.into_iter().partition(|host| lost.contains(&host.id));
        let seen = survey::survey_of(coordinator, others, Depth::Agent).await?;
        self.can_be_fenced(&intent, &lost, &seen)?;
        let (heard, answers) = tokio::join!(self.heard(&intent, &lost, &seen), self.any_answers(&left));
        if let Some(node) = heard {
            let why = format!("{node} is heard by living members: the engine of its host alone is down");
            return Err(self.not_healed(&intent, why));
        }
        if answers {
            return Ok(0);
        }
        let why = |id: &HostId, name: &HostName| {
            let silence = self.silent.get(id).copied().unwrap_or_default();
            format!("host {name} has not answered for {} s", silence.as_secs())
        };
        let why: BTreeMap<HostId, String> =
            left.iter().map(|host| (host.id, why(&host.id, &host.name))).collect();
        let silent = left.into_iter().map(|host| {
            let fault = HostFault::Silent {
                host: host.name.clone(),
                seconds: self.silent.get(&host.id).copied().unwrap_or_default().as_secs(),
            };
            HostObservation { host, link: Err(fault.into()) }
        });
        let seen: Vec<HostObservation> = seen.into_iter().chain(silent).collect();
        let cluster = &intent.cluster;
        let image = image::resolve_id(&cluster.spec.image, &cluster.image_id, &seen).await;
        let (lease, left) = (&work.lease, &why);
        let relocation =
            Relocation { lease, intent: &intent, left, only: None, to: None, seen: &seen, image: &image };
        commit(coordinator, &relocation).await.map_err(|refused| match refused {
            NotRescheduled::Here(why) => self.not_healed(&intent, why),
            NotRescheduled::Fault(fault) => fault,
        })?;
        self.fence(&intent, &lost).await?;
        let now = work.intent().await?;
        let text = "every living member takes nothing from lost hosts any more";
        work.note(&now, EventKind::Step, None, text).await;
        passes(work, COME_UP, began).await?;
        Ok(lost.len())
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

    /// Every living member answers, and has a packet filter.
    fn can_be_fenced(
        &self,
        intent: &Intent,
        lost: &BTreeSet<HostId>,
        seen: &[HostObservation],
    ) -> Result<(), Fault> {
        let member =
            |s: &&HostObservation| intent.on(s.host.id).next().is_some() && !lost.contains(&s.host.id);
        for HostObservation { host, link } in seen.iter().filter(member) {
            if let Err(fault) = link {
                return Err(
                    self.not_healed(intent, format!("another member does not answer: {}", chain(fault)))
                );
            }
            let fault = host.facts.as_ref().map(|facts| facts.filter_fault.as_str()).unwrap_or_default();
            if !fault.is_empty() {
                let why = format!("{} cannot drop what lost hosts send: {fault}", host.name);
                return Err(self.not_healed(intent, why));
            }
        }
        Ok(())
    }

    /// A node of a lost host that a node of a living one reaches.
    async fn heard(
        &self,
        intent: &Intent,
        lost: &BTreeSet<HostId>,
        seen: &[HostObservation],
    ) -> Option<NodeName> {
        let links: BTreeMap<HostId, _> =
            seen.iter().filter_map(|s| Some((s.host.id, s.link.as_ref().ok()?))).collect();
        let naming = &self.work.coordinator.naming;
        for node in intent.nodes.iter().filter(|node| !lost.contains(&node.host)) {
            let Some(link) = links.get(&node.host) else { continue };
            let there = container_of(naming, link, node.id).await.ok().flatten();
            let Some(there) = there.filter(|c| c.state == ContainerState::Running) else { continue };
            let silent = intent.nodes.iter().filter(|n| lost.contains(&n.host)).take(LISTENED_FOR);
            let silent: Vec<&Node> = silent.collect();
            let command = ExecSpec::new(call(&silent));
            let said = link.engine.exec(&there.id, &command, 1024).await.ok()?;
            let said = String::from_utf8_lossy(&said.stdout).into_owned();
            let answers = |node: &&&Node| said.lines().any(|line| line == node.address.to_string());
            return silent.iter().find(answers).map(|node| node.name.clone());
        }
        None
    }

    /// Tells every living member who is a member now.
    async fn fence(&self, before: &Intent, lost: &BTreeSet<HostId>) -> Result<(), Fault> {
        let work = self.work;
        let intent = work.intent().await?;
        let underlays = underlays(&work.members(&intent).await?);
        let (links, _) = work.links(before).await?;
        for link in links.values().filter(|link| !lost.contains(&link.id)) {
            work.may(link, CallClass::Write).await.map_err(Halt::into_fault)?;
            work.apply_mesh(link, &intent, &underlays).await.map_err(Halt::into_fault)?;
        }
        Ok(())
    }

    fn not_healed(&self, intent: &Intent, why: String) -> Fault {
        let lost = lost(&intent.cluster, &intent.nodes, self.silent);
        let nodes = intent.nodes.iter().filter(|node| lost.contains(&node.host));
        ClusterFault::NotHealed {
            cluster: intent.cluster.spec.name.clone(),
            nodes: nodeset::compress(nodes.map(|node| node.name.as_str())),
            why,
        }
        .into()
    }
}

/// Calls these nodes, all at once, and prints the addresses of those that answer.
fn call(nodes: &[&Node]) -> Vec<String> {
    let one = |node: &&Node| format!("(exec 3<>/dev/tcp/{0}/22) 2>&- && echo {0} &", node.address);
    let line = nodes.iter().map(one).chain(["wait".to_owned()]).collect::<Vec<_>>().join(" ");
    ["timeout", "2", "bash", "-c", &line].map(str::to_owned).into()
}

#[cfg(test)]
mod tests {
    use shoal_types::{HealAfter, Healing as Policy, HealingPolicy};

    use super::*;
    use crate::observe::intent::tests::intent;

    #[test]
    fn a_host_is_left_once_it_was_silent_for_long_enough_and_all_its_nodes_may_go() {
        let mut intent = intent(&[0, 1, 2]);
        let (first, second) = (intent.nodes[0].host, HostId::new(2, [7; 10]));
        intent.nodes[2].host = second;
        intent.nodes[3].host = second;
        let after = |policy, silent: &[(HostId, u64)]| {
            let healing = Policy { policy, after_ms: HealAfter::try_from(60_000).unwrap() };
            let cluster = Cluster { healing, ..intent.cluster.clone() };
            let silent = silent.iter().map(|(host, s)| (*host, Duration::from_secs(*s))).collect();
            let lost = lost(&cluster, &intent.nodes, &silent);
            assert_eq!(is_due(&cluster, &intent.nodes, &silent), !lost.is_empty());
            let creating = Cluster { phase: ClusterPhase::Creating, ..cluster };
            assert!(!is_due(&creating, &intent.nodes, &silent));
            lost.into_iter().collect::<Vec<_>>()
        };
        use HealingPolicy::{Default, None, Reschedule, Restart};
        for (policy, silent, left) in [
            (Default, &[][..], vec![]),
            (Default, &[(second, 59)], vec![]),
            (Default, &[(second, 60)], vec![second]),
            // The controller stays, and with it all that is there.
            (Default, &[(first, 600), (second, 600)], vec![second]),
            (Reschedule, &[(first, 600)], vec![first]),
            (None, &[(second, 600)], vec![]),
            (Restart, &[(second, 600)], vec![]),
        ] {
            assert_eq!(after(policy, silent), left, "{policy} {silent:?}");
        }
    }
}
